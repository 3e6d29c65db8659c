"""Tables with two captions, captions made of several columns, and languages that are detected."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import mmh3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from captrawl.core.errors import CorpusError
from captrawl.core.row_captions import apart
from captrawl.indexer.captions import index_captions
from captrawl.indexer.corpora import unpacked
from captrawl.indexer.corpora.files import find_files, read_batches, with_captions
from captrawl.search.api import query
from captrawl.search.captions import open_captions
from captrawl.search.query import CaptionQuery, Filters

RECAP = {
    "url": ["http://a/1.jpg", "http://a/2.jpg", "http://a/3.jpg"],
    "re_caption": ["A brown dog lies on a lawn.", "Two cats sit on a sofa.", None],
    "org_caption": ["IMG 2034", "our dog's friends", "Dog of the day"],
    "re_clip_score": [0.3, 0.2, 7.0],
    "org_clip_score": [0.1, 0.1, 0.1],
}
TAXA = {
    "source_url": ["http://a/1.jpg", "http://a/2.jpg", "http://a/3.jpg", "http://a/4.jpg"],
    "kingdom": ["Animalia", "Animalia", "Fungi", None],
    "class": ["Aves", "Aves", None, None],
    "order": ["Passeriformes", None, None, None],
    "family": ["Paridae", "Anatidae", "Amanitaceae", None],
    "genus": ["Parus", "Anas", "Amanita", None],
    "species": ["major", None, "muscaria", None],
    "scientific_name": ["Parus major", "Anas", "Amanita muscaria", None],
    "common_name": ["Great Tit", None, "fly agaric", None],
}


def captions_of(path: Path, **options: Any) -> list[str | None]:
    (file,) = find_files([path], **options)
    return [text for batch in read_batches(file) for text in batch.column("caption").to_pylist()]


def written(path: Path, columns: dict[str, list[Any]]) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def test_recap_datacomp_is_told_and_either_caption_is_chosen(tmp_path: Path) -> None:
    path = written(tmp_path / "train-0.parquet", RECAP)
    (file,) = find_files([path])
    assert file.preset == "recap-datacomp"
    assert captions_of(path) == RECAP["re_caption"]
    assert captions_of(path, columns={"caption": "org_caption"}) == RECAP["org_caption"]
    (batch,) = read_batches(file)
    assert batch.column("similarity").to_pylist() == [0.3, 0.2, None]


def test_a_row_is_matched_by_either_caption_and_says_by_which(tmp_path: Path, captrawl: Any) -> None:
    path = written(tmp_path / "train-0.parquet", RECAP)
    index = ("--index", tmp_path / "idx")
    columns = ("re_caption", "org_caption", "re_caption")  # the same again is one
    captions = [word for column in columns for word in ("--caption-column", column)]
    said = captrawl("index", "captions", path, "--corpus", "recap", "--to", tmp_path / "idx", *captions)
    assert "3 rows added from 1 file" in said.stdout
    with open_captions(tmp_path / "idx") as captions_index:
        rows = query(captions_index, "dog", order="corpus")
    assert list(zip(rows["file"].to_pylist(), rows["row"].to_pylist(), strict=True)) == [
        ("recap/train-0.parquet", 0),
        ("recap/train-0.parquet/org_caption", 2),
    ]
    again = captrawl("index", "captions", path, "--corpus", "recap", "--to", tmp_path / "idx", *captions)
    assert "0 rows added from 0 files, 1 file already in" in again.stdout
    alone = captrawl("index", "captions", path, "--corpus", "recap", "--to", tmp_path / "idx", check=False)
    assert "contains another version of recap/train-0.parquet" in alone.stderr
    captrawl("index", "remove", "recap/train-0.parquet", "--from", tmp_path / "idx")
    assert "0 files" in captrawl("doctor", *index, check=False).stdout


def test_captions_whose_dictionaries_differ_stay_with_their_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How many rows are read at once follows from all captions, or one would run ahead of the other."""
    monkeypatch.setattr(unpacked, "MOST_BYTES", 1 << 16)
    columns = {
        "url": ["http://a/1.jpg"] * 300,
        "re_caption": ["a long caption " * 100] * 300,
        "org_caption": [f"dog {row}" for row in range(300)],
    }
    files = with_captions(find_files([written(tmp_path / "two.parquet", columns)]), ["org_caption"])
    batches = list(read_batches(files[0]))
    assert len(batches) > 1
    texts = [text for batch in batches for text in batch.column("caption").to_pylist()]
    assert [apart(text)[1][1] for text in texts] == columns["org_caption"]


class CountingPath:
    """A file that counts the bytes that are read of it, by whichever of its handles."""

    def __init__(self, path: Path) -> None:
        self.path, self.name, self.suffix = path, path.name, path.suffix
        self.read_bytes = 0

    def open(self, mode: str) -> Any:
        counter = self

        class Handle(io.FileIO):
            def readinto(self, buffer: Any) -> int:
                size = super().readinto(buffer)
                counter.read_bytes += size
                return size

            def read(self, size: int = -1) -> bytes:
                data = super().read(size)
                counter.read_bytes += len(data)
                return data

        return Handle(self.path, mode)


def test_a_file_is_read_once_for_all_its_captions(tmp_path: Path) -> None:
    random = Random(1)
    columns = {
        name: [random.randbytes(60).hex() for _ in range(20_000)]
        for name in ("url", "re_caption", "org_caption", "alt_caption")
    }
    path = written(tmp_path / "three.parquet", columns)
    (file,) = with_captions(find_files([path]), ["org_caption", "{alt_caption} too"])
    counting = CountingPath(path)
    batches = list(read_batches(replace(file, path=counting)))
    assert counting.read_bytes <= path.stat().st_size * 2  # the columns, and a look at their dictionaries
    texts = [apart(text) for batch in batches for text in batch.column("caption").to_pylist()]
    wanted = [
        columns["re_caption"],
        columns["org_caption"],
        [f"{text} too" for text in columns["alt_caption"]],
    ]
    assert [tuple(text for _, text in row) for row in texts] == list(zip(*wanted, strict=True))


def test_a_caption_from_the_web_makes_no_second_caption(tmp_path: Path) -> None:
    """The characters between the captions of a row may stand in any caption; its uid is of the raw text."""
    raw = "a dog\ufdd0alt_text\ufdd1cats"
    path = written(tmp_path / "hostile.parquet", {"url": ["http://a/1.jpg"], "caption": [raw]})
    assert captions_of(path) == ["a dog\ufffdalt_text\ufffdcats"]
    index_captions(tmp_path / "idx", find_files([path]))
    with open_captions(tmp_path / "idx") as index:
        rows = query(index, "cats", order="corpus")
    assert rows["caption"].to_pylist() == ["a dog\ufffdalt_text\ufffdcats"]
    assert rows["file"].to_pylist() == [rows["file"][0].as_py().partition("/alt_text")[0]]
    assert rows["uid"].to_pylist() == [mmh3.hash64(f"http://a/1.jpg{raw}")[0]]


def test_an_index_with_a_file_for_each_caption_is_mended_by_replacing(tmp_path: Path, captrawl: Any) -> None:
    path, idx = written(tmp_path / "a.parquet", RECAP), tmp_path / "idx"
    [first] = find_files([path], corpus="recap")
    second = replace(first, file=f"{first.file}/org_caption", columns={"caption": "org_caption"})
    index_captions(idx, [first, second], workers=1)
    found = captrawl("doctor", "--index", idx, check=False).stdout
    assert "recap/a.parquet that match by two captions count twice" in " ".join(found.split())
    columns = ("--caption-column", "re_caption", "--caption-column", "org_caption")
    captrawl("index", "captions", path, "--corpus", "recap", "--to", idx, *columns, "--replace")
    assert "count twice" not in captrawl("doctor", "--index", idx, check=False).stdout
    with open_captions(idx) as index:
        assert list(index.files()) == ["recap/a.parquet"]
        assert index.rows() == 3


def test_a_second_column_that_isnt_there_is_named(tmp_path: Path) -> None:
    files = find_files([written(tmp_path / "a.parquet", RECAP)])
    with pytest.raises(
        CorpusError, match=r"no column 'best_caption' \(for caption\); it has url, re_caption"
    ):
        with_captions(files, ["best_caption"])


def test_taxonomy_columns_are_captions_by_a_template(tmp_path: Path) -> None:
    path = written(tmp_path / "catalog.parquet", TAXA)
    assert find_files([path])[0].preset == "treeoflife"
    assert captions_of(path) == [
        "Great Tit, Parus major, Paridae, Passeriformes, Aves",
        "Anas, Anatidae, Aves",
        "fly agaric, Amanita muscaria, Amanitaceae",
        None,
    ]
    assert captions_of(path, columns={"caption": "photo of {common_name} ({genus} {species})"}) == [
        "photo of Great Tit (Parus major)",
        "photo of Anas",
        "photo of fly agaric (Amanita muscaria)",
        None,
    ]
    with pytest.raises(CorpusError, match=r"has no column '\{genus\} \{subspecies\}'"):
        find_files([path], columns={"caption": "{genus} {subspecies}"})


def test_a_template_of_a_text_and_of_numbers(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("link,genus,species,year\nhttp://a/1.jpg,Parus,major,1758\n")
    columns = {"url": "link", "caption": "{genus} {species}, {year}"}
    assert captions_of(tmp_path / "a.csv", columns=columns) == ["Parus major, 1758"]
    path = written(tmp_path / "b.parquet", {"url": ["http://a"], "genus": ["Parus"], "year": [1758]})
    assert captions_of(path, columns={"caption": "{genus}, {year}"}) == ["Parus, 1758"]


CAPTIONS = {
    "a golden retriever runs along the beach": "en",
    "Blick auf das alte Schloss im Winter": "de",
    "vieux vélo rouge devant un mur de briques": "fr",
    "冬のお城の眺めと湖のほとりの家": "ja",
    "孩子们在花园里玩耍,湖边的房子": "zh",
    "IMG_2034.JPG": None,
    "dog": None,
    "": None,
}


def test_languages_are_detected_where_there_is_no_column(tmp_path: Path, captrawl: Any) -> None:
    pytest.importorskip("eldc")
    url = [f"http://a/{at}.jpg" for at in range(len(CAPTIONS))]
    path = written(tmp_path / "a.parquet", {"url": url, "caption": list(CAPTIONS)})
    named = {"url": url[:2], "caption": list(CAPTIONS)[:2], "language": ["xx", None]}
    other = written(tmp_path / "b.parquet", named)
    captrawl("index", "captions", path, other, "--to", tmp_path / "idx", "--detect-language")
    with open_captions(tmp_path / "idx") as index:
        rows = index.first(CaptionQuery(("golden", "blick")), 9, None)
        assert rows["language"].to_pylist() == ["en", "de", "xx", None]
        german = CaptionQuery(("schloss",), filters=Filters(language="de"))
        assert index.count([german]) == [1]
    from captrawl.indexer.corpora.languages import languages

    assert languages(pa.array(list(CAPTIONS))).to_pylist() == list(CAPTIONS.values())


def test_without_the_detector_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from captrawl.core.errors import MissingExtraError
    from captrawl.indexer.corpora import languages

    languages._detector.cache_clear()
    monkeypatch.setitem(sys.modules, "eldc", None)
    with pytest.raises(MissingExtraError, match=r"needs captrawl\[language\]"):
        languages.detecting_language([])

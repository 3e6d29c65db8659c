"""An index without a row store answers as one with it does, from the corpus's files; it notices changes."""

from __future__ import annotations

import os
from pathlib import Path

import captrawl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from captrawl.core.errors import CaptionIndexError, UsageError
from captrawl.indexer.captions import index_captions
from captrawl.indexer.corpora import files as corpus_files
from captrawl.indexer.corpora.files import find_files, with_captions
from captrawl.indexer.opening import open_index
from captrawl.search.captions import create_without_rows, open_captions
from captrawl.search.query import CaptionQuery, Filters, Safety
from captrawl.search.tantivy import corpus_rows
from typer.testing import CliRunner

ANY = Filters(safety=Safety.OFF)
QUERIES = [
    CaptionQuery((word,), filters=ANY) for word in ("dog", "n7", "blue", "nothing", "n3", "n14", "second")
]
ROWS = 700


def write(folder: Path, names: str = "ab", word: str = "dog") -> Path:
    folder.mkdir(exist_ok=True)
    for at, name in enumerate(names):
        rows = range(ROWS)
        columns = {
            "URL": [None if n % 50 == 9 else f"http://{name}/{n}.jpg" for n in rows],
            "TEXT": [None if n % 40 == 3 else f"a {word} n{n % 20} {name} é" for n in rows],
            "ALT": [f"second n{n % 15} {'blue' if n % 3 else 'red'}" for n in rows],
            "WIDTH": [None if n % 7 == 0 else n + at for n in rows],
            "HEIGHT": [100 + n for n in rows],
            "NSFW": ["UNLIKELY" if n % 5 else None for n in rows],
            "similarity": [n / 1000 for n in rows],
        }
        pq.write_table(pa.table(columns), folder / f"{name}.parquet", row_group_size=130)
    return folder


def both(tmp_path: Path, captions: tuple[str, ...] = ()) -> tuple[Path, Path]:
    files = with_captions(find_files([write(tmp_path / "corpus")]), captions)
    with_rows, without = tmp_path / "with", tmp_path / "without"
    create_without_rows(without)
    for folder in (with_rows, without):
        assert index_captions(folder, files, workers=1).rows == 2 * ROWS
    return with_rows, without


def answers(folder: Path) -> list[object]:
    with open_index(folder) as index:
        scans = [(number, row) for number, batch in index.scans(QUERIES) for row in batch.to_pylist()]
        return [
            index.count(QUERIES),
            sorted(scans, key=lambda each: (each[0], each[1]["file"], each[1]["row"])),
            *(index.sample(query, 30, 5).to_pylist() for query in QUERIES),
            *(index.first(query, 300, None).to_pylist() for query in QUERIES),
            *(index.relevant(query, 2000).num_rows for query in QUERIES),
        ]


@pytest.mark.parametrize("captions", [(), ("ALT",)])
def test_it_answers_as_an_index_with_its_rows(
    tmp_path: Path, captions: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus_rows, "_CACHE_BYTES", 30_000)  # some row groups go while others come
    with_rows, without = both(tmp_path, captions)
    assert not [*without.rglob("values.rows")]
    expected = answers(with_rows)
    assert (expected[0][0], len(expected[1])) == (1364, sum(expected[0]))
    assert answers(without) == expected
    for folder in (with_rows, without):
        with open_index(folder) as index:
            assert index.remove_rows({"corpus/a.parquet": [0, 5, 699], "corpus/b.parquet": [7]}) == 4
    assert answers(without) == answers(with_rows) != expected


def test_a_huge_file_is_cut_into_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from captrawl.search.tantivy import build, grouping, part, values

    monkeypatch.setattr(grouping, "PART_ROWS", 200)
    monkeypatch.setattr(grouping, "SMALLEST_SHARE", 100)
    monkeypatch.setattr(part, "PAGE_ROWS", 40)
    for module in (build, values):
        monkeypatch.setattr(module, "STRIDE", 16)
    with_rows, without = both(tmp_path)
    assert len([*without.rglob("part.json")]) > 4
    assert answers(without) == answers(with_rows)


def test_row_groups_that_fit_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, without = both(tmp_path)
    reads: list[range] = []
    read = corpus_files.read_batches
    monkeypatch.setattr(
        corpus_files,
        "read_batches",
        lambda file, *, row_groups: reads.append(row_groups) or read(file, row_groups=row_groups),
    )
    with open_index(without) as index:
        for _ in range(3):
            index.first(CaptionQuery(("dog",)), 200, None)
    assert reads == [range(1), range(1, 2)]


def test_a_file_that_is_gone_or_another_one_is_an_error_of_one_line(tmp_path: Path) -> None:
    from captrawl.cli import app

    _, without = both(tmp_path)
    corpus = tmp_path / "corpus"
    os.utime(corpus / "a.parquet")  # touched, not changed
    with open_index(without) as index:
        assert index.first(QUERIES[0], 1, None)["url"].to_pylist() == ["http://a/0.jpg"]
        write(corpus, "a", word="cat")
        with pytest.raises(CaptionIndexError, match=r"a\.parquet was changed since corpus/a\.pa"):
            index.first(QUERIES[0], 1, None)
        (corpus / "a.parquet").unlink()
        with pytest.raises(CaptionIndexError, match=r"can't be read \(No such file"):
            index.first(QUERIES[0], 1, None)
        assert index.count(QUERIES[:1]) == [1364]
        only_b = CaptionQuery(("b é",), filters=ANY)
        assert index.first(only_b, 1, None)["url"].to_pylist() == ["http://b/0.jpg"]
    result = CliRunner().invoke(app, ["query", "--index", str(without), "dog"])
    assert result.exit_code == 1
    write(corpus, "a", word="cat")
    assert index_captions(without, find_files([corpus]), workers=1, replace=True).rows_added == ROWS
    with open_index(without) as index:
        assert index.count([QUERIES[0], CaptionQuery(("cat",), filters=ANY)]) == [682, 682]
        assert index.first(CaptionQuery(("cat",)), 1, None)["caption"].to_pylist() == ["a cat n0 a é"]


def test_opened_without_its_reader_it_counts_and_says_what_it_lacks(tmp_path: Path) -> None:
    _, without = both(tmp_path)
    with open_captions(without) as index:
        assert index.count(QUERIES[:1]) == [1364]
        with pytest.raises(CaptionIndexError, match=r"without its reader: open it with captrawl\.open_cap"):
            index.first(QUERIES[0], 1, None)
    with captrawl.open_captions(without) as index:
        assert index.first(QUERIES[0], 1, None)["url"].to_pylist() == ["http://a/0.jpg"]


def test_only_parquet_files_here_can_be_read_back(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("url\tcaption\nhttp://a/1\ta dog\n")
    create_without_rows(tmp_path / "i")
    with pytest.raises(CaptionIndexError, match="isn't a Parquet file on this machine"):
        index_captions(tmp_path / "i", find_files([tmp_path / "t.tsv"]), workers=1)
    with open_index(tmp_path / "i") as index:
        assert index.rows() == 0


def test_an_index_with_its_rows_stays_one(tmp_path: Path) -> None:
    open_index(tmp_path / "i", create=True).close()
    with pytest.raises(CaptionIndexError, match="contains its rows already"):
        create_without_rows(tmp_path / "i")
    with pytest.raises(UsageError, match="is an Elasticsearch index"):
        create_without_rows("http://127.0.0.1:1/x")

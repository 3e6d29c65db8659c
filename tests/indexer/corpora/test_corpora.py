"""Every corpus preset: tiny files with the real column names and types, detected and read as one schema."""

from __future__ import annotations

import gzip
import json
import sqlite3
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from captrawl.core.records import ROW_SCHEMA
from captrawl.indexer.corpora.files import find_files, read_batches
from captrawl.indexer.corpora.fingerprints import UNKNOWN_ROWS
from captrawl.indexer.corpora.presets import CORPORA

URL = "http://a.example/1.jpg"
F32, F64, I32, I64, S = pa.float32(), pa.float64(), pa.int32(), pa.int64(), pa.string()

# case → (preset, {column: (type, the value of its one row)}, what is read besides url and caption)
PARQUET: dict[str, tuple[str, dict[str, tuple[pa.DataType, Any]], dict[str, Any]]] = {
    "laion400m": (
        "laion400m",
        {
            "SAMPLE_ID": (I64, 7),
            "URL": (S, URL),
            "TEXT": (S, "a dog"),
            "HEIGHT": (I32, 300),
            "WIDTH": (I32, 400),
            "LICENSE": (S, "?"),
            "NSFW": (S, "UNLIKELY"),
            "similarity": (F64, 0.3),
        },
        {"width": 400, "height": 300, "nsfw": "UNLIKELY", "similarity": 0.3},
    ),
    "laion400m with the outlier and a licence": (
        "laion400m",
        {
            "SAMPLE_ID": (I64, None),
            "URL": (S, URL),
            "TEXT": (S, "a dog"),
            "HEIGHT": (F64, 300.0),
            "WIDTH": (F64, float("nan")),
            "LICENSE": (S, "creativecommons.org/licenses/by/2.0/"),
            "NSFW": (S, ""),
            "similarity": (F64, 6016.0),
        },
        {"height": 300, "licence": "creativecommons.org/licenses/by/2.0/"},
    ),
    "laion2B-multi": (
        "laion5b",
        {
            "SAMPLE_ID": (I64, 7),
            "URL": (S, URL),
            "TEXT": (S, "a dog"),
            "HEIGHT": (S, "300"),
            "WIDTH": (S, "n/a"),
            "LICENSE": (S, ""),
            "NSFW": (S, "UNSURE"),
            "similarity": (F32, 0.7),
            "LANGUAGE": (S, "de"),
        },
        {"height": 300, "nsfw": "UNSURE", "similarity": 0.7, "language": "de"},
    ),
    "laion2B-en joined": (
        "laion5b-joined",
        {
            "URL": (S, URL),
            "TEXT": (S, "a dog"),
            "WIDTH": (I32, 400),
            "HEIGHT": (I32, 0),
            "similarity": (F64, 0.31),
            "hash": (I64, -5),
            "punsafe": (F32, 0.45),
            "pwatermark": (F32, 0.1),
        },
        {"width": 400, "similarity": 0.31, "punsafe": 0.45},
    ),
    "aesthetic subset": (
        "laion5b",
        {
            "URL": (S, URL),
            "TEXT": (S, "a dog"),
            "WIDTH": (F64, 400.0),
            "HEIGHT": (F64, 300.0),
            "similarity": (F64, -1.5),
            "AESTHETIC_SCORE": (F32, 6.1),
        },
        {"width": 400, "height": 300},
    ),
    "relaion": (
        "relaion",
        {
            "url": (S, URL),
            "caption": (S, "a dog"),
            "similarity": (F64, 0.31),
            "punsafe": (F32, 0.2),
            "pwatermark": (F32, 0.1),
            "WIDTH": (I32, 400),
            "HEIGHT": (I32, 300),
        },
        {"width": 400, "height": 300, "similarity": 0.31, "punsafe": 0.2},
    ),
    "coyo": (
        "coyo700m",
        {
            "id": (I64, 7),
            "url": (S, URL),
            "text": (S, "a dog"),
            "width": (I64, 400),
            "height": (I64, 2**40),
            "image_phash": (S, "fe01"),
            "text_length": (I64, 5),
            "clip_similarity_vitb32": (F32, 0.3),
            "clip_similarity_vitl14": (F32, 0.2),
            "nsfw_score_opennsfw2": (F32, 0.01),
            "nsfw_score_gantman": (F32, 0.02),
            "watermark_score": (F32, 0.5),
        },
        {"width": 400, "similarity": 0.3, "punsafe": 0.01},
    ),
    "commonpool": (
        "commonpool",
        {
            "uid": (S, "0" * 32),
            "url": (S, URL),
            "text": (S, "a dog"),
            "original_width": (I64, 400),
            "original_height": (I64, 300),
            "clip_b32_similarity_score": (F32, 0.25),
            "clip_l14_similarity_score": (F32, 0.2),
            "face_bboxes": (pa.list_(pa.list_(F64)), [[0.1, 0.2, 0.3, 0.4]]),
            "sha256": (S, "ab"),
        },
        {"width": 400, "height": 300, "similarity": 0.25},
    ),
    "img2dataset": (
        "img2dataset",
        {
            "url": (S, URL),
            "caption": (S, "a dog"),
            "key": (S, "000000001"),
            "status": (S, "success"),
            "error_message": (S, None),
            "width": (I32, 256),
            "height": (I32, 192),
            "original_width": (I32, 400),
            "original_height": (I32, 300),
            "exif": (S, "{}"),
            "sha256": (S, "ab"),
            "similarity": (F64, 0.3),
            "NSFW": (S, "UNLIKELY"),
        },
        {"width": 400, "height": 300, "similarity": 0.3, "nsfw": "UNLIKELY"},
    ),
    "wit": (
        "wit",
        {
            "language": (S, "de"),
            "page_url": (S, "https://de.wikipedia.org/wiki/Hund"),
            "image_url": (S, URL),
            "page_title": (S, "Hund"),
            "caption_reference_description": (S, "a dog"),
            "caption_attribution_description": (S, "Deutsch: Ein Hund"),
            "original_height": (I64, 300),
            "original_width": (I64, 400),
        },
        {"width": 400, "height": 300, "language": "de"},
    ),
    "recap-datacomp": (
        "recap-datacomp",
        {
            "url": (S, URL),
            "re_caption": (S, "a dog"),
            "org_caption": (S, "IMG 1"),
            "sha256": (S, "0f"),
            "key": (S, "000000001"),
            "re_clip_score": (F64, 0.3),
            "org_clip_score": (F64, 0.1),
            "re_length": (I64, 2),
            "org_gpt4v_score": (I64, 1),
        },
        {"similarity": 0.3},
    ),
    "treeoflife": (
        "treeoflife",
        {
            "uuid": (S, "0f"),
            "source_url": (S, URL),
            **dict.fromkeys(("kingdom", "phylum", "class", "order", "family", "genus", "species"), (S, None)),
            "scientific_name": (S, None),
            "common_name": (S, "a dog"),
            "license_name": (S, "cc-by"),
        },
        {"licence": "cc-by"},
    ),
    "fondant": (
        "url-caption",
        {"alt_text": (S, "a dog"), "image_url": (S, URL), "license_type": (S, "by-sa"), "surt_url": (S, "x")},
        {"licence": "by-sa"},
    ),
    "bytes, large and dictionary strings": (
        "url-caption",
        {
            "url": (pa.binary(), URL.encode()),
            "caption": (pa.dictionary(I32, S), "a dog"),
            "lang": (pa.large_string(), "en"),
        },
        {"language": "en"},
    ),
    "all NULL": (
        "laion400m",
        {"SAMPLE_ID": (pa.null(), None), "URL": (S, URL), "TEXT": (S, "a dog"), "WIDTH": (pa.null(), None)},
        {},
    ),
}


def read(path: Path, **options: Any) -> list[dict[str, Any]]:
    (file,) = find_files([path], **options)
    batches = list(read_batches(file))
    for batch in batches:
        assert batch.schema == ROW_SCHEMA
        batch.validate(full=True)
    return [row for batch in batches for row in batch.to_pylist()]


def pairs(path: Path, **options: Any) -> list[tuple[str | None, str | None, int]]:
    return [(row["url"], row["caption"], row["row"]) for row in read(path, **options)]


@pytest.mark.parametrize("case", PARQUET)
def test_parquet_preset(case: str, tmp_path: Path) -> None:
    preset, columns, expected = PARQUET[case]
    path = tmp_path / "corpus" / "part-0.parquet"
    path.parent.mkdir()
    table = pa.table({name: pa.array([value], type=kind) for name, (kind, value) in columns.items()})
    pq.write_table(table, path)
    (file,) = find_files([path])
    assert (file.preset, file.fingerprint.rows) == (preset, 1)
    (row,) = read(path)
    canonical = ("width", "height", "similarity", "nsfw", "punsafe", "licence", "language")
    assert {name: row[name] for name in canonical if row[name] is not None} == expected
    assert (row["url"], row["caption"], row["file"], row["row"]) == (URL, "a dog", "corpus/part-0.parquet", 0)


def test_every_parquet_preset_has_a_case() -> None:
    tested = {preset for preset, _, _ in PARQUET.values()}
    assert tested | {"cc3m", "cc12m", "swat-db", "webdataset"} == set(CORPORA)


def test_named_columns_go_first(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(
        pa.table({"link": [URL], "words": ["a cat"], "caption": ["no"], "w": [5], "url": ["no"]}), path
    )
    (row,) = read(path, columns={"url": "link", "caption": "words", "width": "w"})
    assert (row["url"], row["caption"], row["width"]) == (URL, "a cat", 5)


def test_a_preset_given_is_used(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"URL": [URL], "TEXT": ["a"], "url": ["no"], "caption": ["no"]}), path)
    assert pairs(path) == [("no", "no", 0)]
    assert pairs(path, preset="laion400m") == [(URL, "a", 0)]


# Text -------------------------------------------------------------------------------------------

TEXT: dict[str, tuple[bytes, str, list[tuple[str | None, str | None, int]]]] = {
    "cc12m": (
        b"http://a/1\ta dog\nhttps://a/2\tcaf\xc3\xa9 \xe2\x80\x9cx\xe2\x80\x9d\n",
        "cc12m",
        [("http://a/1", "a dog", 0), ("https://a/2", "café “x”", 1)],
    ),
    "cc3m": (
        b"a dog\thttp://a/1\na\tcat\thttp://a/2\n",
        "cc3m",
        [("http://a/1", "a dog", 0), ("http://a/2", "a\tcat", 1)],
    ),
    "quotes, tabs, blank and short lines, no last newline": (
        b'http://a/1\t"unclosed\r\nhttp://a/2\ttab\there\n\nhttp://a/4\n\tno url\nhttp://a/6\tlast',
        "cc12m",
        [
            ("http://a/1", '"unclosed', 0),
            ("http://a/2", "tab\there", 1),
            (None, None, 2),
            ("http://a/4", None, 3),
            (None, "no url", 4),
            ("http://a/6", "last", 5),
        ],
    ),
    "header": (
        b"\xef\xbb\xbfcaption\turl\tsize\na dog\thttp://a/1\t3\n",
        "url-caption",
        [("http://a/1", "a dog", 0)],
    ),
    "columns named by numbers are CC3M's labels": (
        b"a dog\thttp://a/1\tdog,pet\t/m/1,/m/2\t0.9,0.8\n",
        "cc3m",
        [("http://a/1", "a dog", 0)],
    ),
    "a quoted TSV, as pandas and R write it": (
        b'"url"\t"caption"\n"http://a/1"\t"a ""best""\tdog\r\nindeed"\n',
        "url-caption",
        [("http://a/1", 'a "best"\tdog\nindeed', 0)],
    ),
    "a quoted TSV without a header": (
        b'"http://a/1"\t"a dog"\n"http://a/2"\t"a \\"good\\" dog"\n',
        "cc12m",
        [("http://a/1", "a dog", 0), ("http://a/2", 'a "good" dog', 1)],
    ),
    "WIT's header": (
        b"language\tpage_url\timage_url\tcaption_reference_description\nen\thttp://p\thttp://a/1\ta dog\n",
        "wit",
        [("http://a/1", "a dog", 0)],
    ),
    "LAION's header": (b"URL\tTEXT\nhttp://a/1\ta dog\n", "url-caption", [("http://a/1", "a dog", 0)]),
}


CSV: dict[str, tuple[bytes, str, list[tuple[str | None, str | None, int]]]] = {
    "quotes, commas and line breaks inside fields": (
        b'url,caption,width\r\nhttp://a/1,"a dog, a ""cat""\r\nand more",4\r\nhttp://a/2,plain "5 inch",\r\n',
        "url-caption",
        [("http://a/1", 'a dog, a "cat"\nand more', 0), ("http://a/2", 'plain "5 inch"', 1)],
    ),
    "semicolons and a byte order mark": (
        b"\xef\xbb\xbfcaption;url\na, dog;http://a/1\n;http://a/2\nshort\n",
        "url-caption",
        [("http://a/1", "a, dog", 0), ("http://a/2", None, 1), (None, "short", 2)],
    ),
    "tabs": (b"url\tcaption\nhttp://a/1\ta dog\n", "url-caption", [("http://a/1", "a dog", 0)]),
    "LAION's columns": (
        b"SAMPLE_ID,URL,TEXT,NSFW,similarity\n1,http://a/1,a dog,NSFW,0.3\n",
        "laion400m",
        [("http://a/1", "a dog", 0)],
    ),
    "no header": (
        b'http://a/1,"a, dog"\nhttp://a/2,b\n',
        "cc12m",
        [("http://a/1", "a, dog", 0), ("http://a/2", "b", 1)],
    ),
}
JSON: dict[str, tuple[bytes, str, list[tuple[str | None, str | None, int]]]] = {
    "objects": (
        b'{"url": "http://a/1", "text": "a \\"dog\\"\\nindeed", "tags": ["x"]}\r\n\n{"text": null, "url": "http://a/2"}\n',
        "url-caption",
        [("http://a/1", 'a "dog"\nindeed', 0), ("http://a/2", None, 1)],
    ),
    "kinds that drift": (
        b'{"URL": "http://a/1", "TEXT": "caf\xc3\xa9"}\n{"URL": "http://a/2", "TEXT": 7}\n{"URL": null}\n',
        "url-caption",
        [("http://a/1", "café", 0), ("http://a/2", "7", 1), (None, None, 2)],
    ),
}
TEXTS = [
    *((".tsv", *case) for case in TEXT.values()),
    *((".csv", *case) for case in CSV.values()),
    *((".jsonl", *case) for case in JSON.values()),
]


@pytest.mark.parametrize("gzipped", [False, True])
@pytest.mark.parametrize(("suffix", "content", "preset", "expected"), TEXTS)
def test_text(
    suffix: str, content: bytes, preset: str, expected: list[Any], gzipped: bool, tmp_path: Path
) -> None:
    path = tmp_path / (f"x{suffix}.gz" if gzipped else f"x{suffix}")
    path.write_bytes(gzip.compress(content) if gzipped else content)
    (file,) = find_files([tmp_path])  # as every suffix is taken from a folder
    assert (file.preset, file.fingerprint.rows) == (preset, UNKNOWN_ROWS)
    assert [
        (url, caption and caption.replace("e\u0301", "é"), row) for url, caption, row in pairs(path)
    ] == expected


def test_numbers_and_booleans_of_json_keep_their_kinds(tmp_path: Path) -> None:
    path = tmp_path / "x.ndjson"
    lines = [
        {"url": "u", "caption": "a", "width": 400, "height": 300.0, "similarity": 0.3, "nsfw": False},
        {"url": "u", "caption": "b", "width": None, "nsfw": True, "language": "de"},
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    one, two = read(path)
    assert (one["width"], one["height"], one["similarity"], one["nsfw"]) == (400, 300, 0.3, "UNLIKELY")
    assert (two["width"], two["nsfw"], two["language"]) == (None, "NSFW", "de")


def test_a_csv_over_many_batches(tmp_path: Path) -> None:
    path = tmp_path / "x.csv.gz"
    rows = "".join(f'http://a/{i},"caption, {i}\n{"x" * 40}"\n' for i in range(40_000))
    path.write_bytes(gzip.compress(f"url,caption\n{rows}".encode()))
    assert pairs(path) == [(f"http://a/{i}", f"caption, {i}\n{'x' * 40}", i) for i in range(40_000)]


SAFETY: dict[str, tuple[pa.Array, list[str | None], list[float | None]]] = {
    "booleans": (pa.array([True, False, None]), ["NSFW", "UNLIKELY", None], [None] * 3),
    "integers": (pa.array([1, 0, 7]), ["NSFW", "UNLIKELY", None], [None] * 3),
    "fractions are punsafe": (pa.array([0.99, 0.45, 2.0]), [None] * 3, [0.99, 0.45, None]),
    "numbers as text": (pa.array(["0.99", "0", "nan"]), ["NSFW", "UNLIKELY", None], [None] * 3),
    "words": (pa.array(["UNSAFE", "safe", "porn"]), ["NSFW", "safe", "NSFW"], [None] * 3),
    "LAION's": (pa.array(["UNLIKELY ", "Unsure", "nsfw"]), ["UNLIKELY", "Unsure", "nsfw"], [None] * 3),
    "nobody's": (pa.array(["grue", "", "grue"]), [None] * 3, [None] * 3),
    "SafeSearch's": (pa.array(["VERY_LIKELY", "POSSIBLE", "no"]), ["NSFW", "POSSIBLE", "no"], [None] * 3),
}


@pytest.mark.parametrize("case", SAFETY)
def test_safety_columns_of_every_kind(case: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tags, expected, punsafe = SAFETY[case]
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"url": [URL] * 3, "caption": ["a dog"] * 3, "nsfw": tags}), path)
    rows = read(path)
    assert [row["nsfw"] for row in rows] == expected
    assert [row["punsafe"] for row in rows] == punsafe
    unknown = {"nobody's": "2 rows with a safety tag that isn't known", "integers": "1 row "}.get(case, "")
    assert ("'grue' (2)" in caplog.text) == (case == "nobody's")
    assert unknown in caplog.text
    assert bool(caplog.text) == bool(unknown)


OWN_LAYOUT = {"swat-db", "cc12m", "cc3m"}
"""Presets of files that have no names of columns, or their own."""


@pytest.mark.parametrize("preset", [name for name in CORPORA if name not in OWN_LAYOUT])
def test_every_preset_reads_p_unsafe(preset: str, tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    url, caption = (CORPORA[preset].columns[name][0] for name in ("url", "caption"))
    pq.write_table(pa.table({url: [URL], caption: ["a"], "p_unsafe": [0.5]}), path)
    (row,) = read(path, preset=preset)
    assert row["punsafe"] == 0.5


def test_fractions_beside_punsafe_stay_tags(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"url": [URL], "caption": ["a"], "nsfw": [0.9], "punsafe": [0.1]}), path)
    (row,) = read(path)
    assert (row["nsfw"], row["punsafe"]) == ("NSFW", 0.1)


def test_names_of_columns_that_cannot_be_seen(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"\ufeffurl": [URL], " Caption ": ["a dog"], "twin": [1]}), path)
    assert pairs(path) == [(URL, "a dog", 0)]


def test_twins_that_are_not_read_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    names = ["url", "caption", "id", "id"]
    pq.write_table(
        pa.Table.from_arrays([pa.array([URL]), pa.array(["a"]), pa.array([1]), pa.array([2])], names), path
    )
    assert pairs(path) == [(URL, "a", 0)]


def test_text_with_numbered_columns(tmp_path: Path) -> None:
    path = tmp_path / "x.tsv"
    path.write_bytes(b"7\ta dog\tf.jpg\n8\ta cat\tg.jpg\textra\n")
    assert pairs(path, columns={"url": "2", "caption": "1"}) == [("f.jpg", "a dog", 0), ("g.jpg", "a cat", 1)]


def test_text_over_many_blocks_and_batches(tmp_path: Path) -> None:
    path = tmp_path / "x.tsv"
    path.write_text("".join(f"http://a/{i}\tcaption {i} {'x' * 60}\n" for i in range(150_000)))
    (file,) = find_files([path])
    batches = list(read_batches(file))
    assert [batch.num_rows for batch in batches] == [16384] * 9 + [2544]
    rows = pa.Table.from_batches(batches)
    assert rows["row"].to_pylist() == list(range(150_000))
    assert rows["url"].to_pylist() == [f"http://a/{i}" for i in range(150_000)]


def test_a_stray_broken_byte_is_replaced_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "x.tsv"
    lines = [b"http://a/%d\tcaption" % i for i in range(1000)]
    lines[7] = b"http://a/7\tcaf\xe9 au lait"
    path.write_bytes(b"\n".join(lines))
    assert pairs(path)[7] == ("http://a/7", "caf\ufffd au lait", 7)
    assert "x.tsv: replaced broken UTF-8 in 1 texts, the first row 7, caption" in caplog.text


# SWAT's database --------------------------------------------------------------------------------


def swat_database(path: Path, parts: list[int]) -> None:
    with sqlite3.connect(path) as database:
        for part, rows in enumerate(parts):
            database.execute(
                f'CREATE TABLE part{part} ("SAMPLE_ID" REAL, "URL" TEXT, "TEXT" TEXT, "HEIGHT" REAL, '
                '"WIDTH" REAL, "LICENSE" TEXT, "NSFW" TEXT, "similarity" REAL)'
            )
            database.executemany(
                f"INSERT INTO part{part} VALUES (1, ?, ?, 300, ?, '?', 'UNLIKELY', 0.3)",
                [(f"http://a/{part}/{i}", f"caption {i}", None if i else "400") for i in range(rows)],
            )
            database.execute(f"CREATE VIRTUAL TABLE part{part}_fts0 USING fts5(TEXT)")
    database.close()


def test_swats_database(tmp_path: Path) -> None:
    path = tmp_path / "laion400m.db"
    swat_database(path, [2] * 11)
    (file,) = find_files([path], corpus="laion")
    assert (file.file, file.preset, file.fingerprint.rows) == ("laion/laion400m.db", "swat-db", UNKNOWN_ROWS)
    rows = read(path)
    assert [row["row"] for row in rows] == list(range(22))
    assert [row["url"] for row in rows] == [f"http://a/{part}/{i}" for part in range(11) for i in range(2)]
    assert [
        (row["width"], row["height"], row["similarity"], row["nsfw"], row["licence"]) for row in rows[:2]
    ] == [
        (400, 300, 0.3, "UNLIKELY", None),
        (None, 300, 0.3, "UNLIKELY", None),
    ]


def test_swats_rows_keep_their_numbers_when_some_are_deleted(tmp_path: Path) -> None:
    path = tmp_path / "laion400m.db"
    swat_database(path, [4, 0, 3])
    with sqlite3.connect(path) as database:
        database.execute("DELETE FROM part0 WHERE rowid = 2")
    database.close()
    assert [(row["url"], row["row"]) for row in read(path)] == [
        ("http://a/0/0", 0),
        ("http://a/0/2", 2),
        ("http://a/0/3", 3),
        ("http://a/2/0", 4),
        ("http://a/2/1", 5),
        ("http://a/2/2", 6),
    ]


def test_every_preset_is_documented() -> None:
    text = (Path(__file__).resolve().parents[3] / "docs" / "corpora.md").read_text()
    assert [line.split("`")[1] for line in text.splitlines() if line.startswith("| `")] == list(CORPORA)

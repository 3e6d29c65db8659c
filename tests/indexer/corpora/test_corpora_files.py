"""Corpus files: how they are found and named, told apart, and refused."""

from __future__ import annotations

import gzip
import os
import random
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mmh3
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from captrawl.core.errors import CorpusError
from captrawl.core.row_ids import priorities, uids
from captrawl.indexer.corpora import unpacked
from captrawl.indexer.corpora.files import find_files, read_batches, with_captions
from captrawl.indexer.corpora.fingerprints import fingerprint
from captrawl.indexer.corpora.readers import row_group_rows
from hypothesis import given
from hypothesis import strategies as st

TEXTS = st.lists(st.tuples(st.none() | st.text(), st.none() | st.text()), max_size=20)


def write(path: Path, rows: int = 3, *, group: int = 1 << 20, salt: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(
        {"url": [f"http://a/{salt}{i}" for i in range(rows)], "caption": [f"c {i}" for i in range(rows)]}
    )
    pq.write_table(table, path, row_group_size=group)
    return path


def identities(*paths: object, **options: Any) -> list[str]:
    return [file.file for file in find_files([str(path) for path in paths], **options)]


# Identity ---------------------------------------------------------------------------------------


@given(TEXTS)
def test_uid_is_laions_key(rows: list[tuple[str | None, str | None]]) -> None:
    urls, captions = (pa.array([row[i] for row in rows], pa.string()) for i in range(2))
    expected = [mmh3.hash64((url or "") + (caption or ""))[0] for url, caption in rows]
    assert uids(urls, captions).tolist() == expected


def splitmix(value: int) -> int:
    mask = (1 << 64) - 1
    value = (value + 0x9E3779B97F4A7C15) & mask
    value = ((value ^ value >> 30) * 0xBF58476D1CE4E5B9) & mask
    value = ((value ^ value >> 27) * 0x94D049BB133111EB) & mask
    return value ^ value >> 31


@given(st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**40))), st.text(max_size=20))
def test_priority_is_a_splitmix_hash(rows: list[tuple[int, int]], file: str) -> None:
    name = mmh3.hash64(file.encode(), signed=False)[0]
    expected = [splitmix(splitmix(splitmix(uid & (1 << 64) - 1) ^ name) ^ row) for uid, row in rows]
    uid, row = (np.array([pair[i] for pair in rows], dtype=np.int64) for i in range(2))
    assert [value & (1 << 64) - 1 for value in priorities(uid, file, row).tolist()] == expected


def test_golden_identity() -> None:
    """These never change: published tables join by uid, and samples stay samples."""
    uid = uids(pa.array(["http://a.example/1.jpg", None]), pa.array(["a dog", None]))
    assert uid.tolist() == [mmh3.hash64("http://a.example/1.jpga dog")[0], 0]
    assert uid.tolist() == GOLDEN_UID
    assert priorities(uid, "laion/part-0.parquet", np.array([0, 1])).tolist() == GOLDEN_PRIORITY


GOLDEN_UID = [3931445548669433452, 0]
GOLDEN_PRIORITY = [8458984581227306767, -8460937426272652898]


def test_priorities_are_uniform_and_differ_for_equal_rows() -> None:
    values = priorities(np.zeros(80_000, dtype=np.int64), "c/f", np.arange(80_000))
    assert len(set(values.tolist())) == 80_000
    buckets = np.bincount((values.view(np.uint64) >> np.uint64(61)).astype(int), minlength=8)
    assert (abs(buckets - 10_000) < 500).all()


# Finding ----------------------------------------------------------------------------------------


def test_a_folder_is_searched_deeply_in_bytewise_order(tmp_path: Path) -> None:
    for name in [
        "b.parquet",
        "a/x.parquet",
        "B.parquet",
        "é.parquet",
        ".hidden.parquet",
        "_tmp/y.parquet",
        "a.txt",
    ]:
        write(tmp_path / "data" / name)
    (tmp_path / "data" / "00000_stats.json").write_text("{}")
    expected = ["data/B.parquet", "data/a/x.parquet", "data/b.parquet", "data/é.parquet"]
    assert identities(tmp_path / "data") == expected
    assert identities(f"{tmp_path}/data/") == expected
    assert identities(tmp_path / "data", corpus="laion")[0] == "laion/B.parquet"


def test_a_file_a_glob_and_its_folder_give_one_identity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "data" / "part-0.parquet")
    write(tmp_path / "data" / "part-1.parquet")
    monkeypatch.chdir(tmp_path / "data")
    both = ["data/part-0.parquet", "data/part-1.parquet"]
    for arguments in [
        ["."],
        ["*.parquet"],
        ["../data/part-?.parquet"],
        [tmp_path / "data"],
        ["part-1.parquet", "part-0.parquet"],
    ]:
        assert identities(*arguments) == both
    assert identities(".", "part-0.parquet", tmp_path / "data") == both


def test_a_bracket_in_a_name_is_a_name_first(tmp_path: Path) -> None:
    write(tmp_path / "data" / "part[1].parquet")
    assert identities(tmp_path / "data" / "part[1].parquet") == ["data/part[1].parquet"]


def test_a_symbolic_link_keeps_its_own_name(tmp_path: Path) -> None:
    write(tmp_path / "store" / "blob.parquet")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "part-0.parquet").symlink_to(tmp_path / "store" / "blob.parquet")
    assert identities(tmp_path / "data") == ["data/part-0.parquet"]


def test_two_files_with_one_identity_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "x" / "data" / "p.parquet")
    write(tmp_path / "y" / "data" / "p.parquet", salt="other")
    with pytest.raises(
        CorpusError, match=r"x/data/p\.parquet and .*y/data/p\.parquet have one identity, data/p\.parquet"
    ):
        identities(tmp_path / "x" / "data", tmp_path / "y" / "data")


# Reading ----------------------------------------------------------------------------------------


def test_row_groups_keep_row_numbers(tmp_path: Path) -> None:
    (file,) = find_files([write(tmp_path / "p.parquet", 10, group=3)])
    assert row_group_rows(file.path) == [3, 3, 3, 1]
    numbers = {
        groups: [row for batch in read_batches(file, row_groups=groups) for row in batch["row"].to_pylist()]
        for groups in [range(4), range(1), range(1, 3), range(3, 4), range(0)]
    }
    assert numbers == {
        range(4): list(range(10)),
        range(1): [0, 1, 2],
        range(1, 3): [3, 4, 5, 6, 7, 8],
        range(3, 4): [9],
        range(0): [],
    }
    whole = pa.Table.from_batches(read_batches(file))
    parts = pa.concat_tables(
        pa.Table.from_batches(read_batches(file, row_groups=range(g, g + 1))) for g in range(4)
    )
    assert whole.equals(parts.combine_chunks()) or whole.to_pylist() == parts.to_pylist()


def test_a_parquet_without_rows_is_a_file_without_rows(tmp_path: Path) -> None:
    (file,) = find_files([write(tmp_path / "p.parquet", 0)])
    assert file.fingerprint.rows == 0
    assert sum(batch.num_rows for batch in read_batches(file)) == 0


def test_long_captions_and_nulls_come_through(tmp_path: Path) -> None:
    captions = ["x" * 61_192, None, "", "a\0b", "  "]
    pq.write_table(pa.table({"url": ["u", None, None, "", "u"], "caption": captions}), tmp_path / "p.parquet")
    (file,) = find_files([tmp_path / "p.parquet"])
    (batch,) = read_batches(file)
    assert batch["caption"].to_pylist() == captions
    assert batch["url"].to_pylist() == ["u", None, None, "", "u"]


def test_memory_stays_bounded_over_a_huge_row_group(tmp_path: Path) -> None:
    """One row group of 200 MB (decoded) is streamed: Arrow never holds the half of it."""
    words = random.Random(0).choices([f"w{i}" for i in range(5000)], k=4000)
    table = pa.table(
        {
            "url": [f"http://a/{i}" for i in range(200_000)],
            "caption": [" ".join(words[i % 3000 : i % 3000 + 180]) for i in range(200_000)],
        }
    )
    pq.write_table(
        table, tmp_path / "p.parquet", row_group_size=1 << 30, use_dictionary=False, compression="zstd"
    )
    size = table.nbytes
    del table
    (file,) = find_files([tmp_path / "p.parquet"])
    before = pa.total_allocated_bytes()
    peak = 0
    for batch in read_batches(file):
        peak = max(peak, pa.total_allocated_bytes() - before)
        del batch
    assert size > 160e6
    assert peak < 0.75 * size


# Fingerprints -----------------------------------------------------------------------------------


def test_fingerprint_tells_versions(tmp_path: Path) -> None:
    one = fingerprint(write(tmp_path / "1.parquet", 5))
    assert one == fingerprint(write(tmp_path / "2.parquet", 5))
    assert (one.rows, one.size) == (5, (tmp_path / "1.parquet").stat().st_size)
    assert fingerprint(write(tmp_path / "3.parquet", 5, salt="x")) != one
    text = tmp_path / "x.tsv"
    text.write_bytes(b"http://a\tb\n" * 300_000)
    prints = [fingerprint(text)]
    for place in (0, -1):
        changed = bytearray(text.read_bytes())
        changed[place] ^= 1
        text.write_bytes(changed)
        prints.append(fingerprint(text))
    assert len({one.digest for one in prints}) == 3


# Refusals ---------------------------------------------------------------------------------------


def truncated(path: Path) -> None:
    write(path, 2000)
    path.write_bytes(path.read_bytes()[:-200])


def other_database(path: Path) -> None:
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE t (a)")
    database.close()


def read_all(path: Path) -> None:
    for file in find_files([path]):
        list(read_batches(file))


def typed(**columns: pa.Array) -> Callable[[Path], None]:
    return lambda path: pq.write_table(pa.table(columns), path)


def content(value: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(value)


def twins(path: Path) -> None:
    table = pa.Table.from_arrays(
        [pa.array(["http://a"]), *[pa.array(["a"])] * 2], ["url", "caption", "caption"]
    )
    pq.write_table(table, path)


URLS, NUMBERS = pa.array(["http://a", "http://b"]), pa.array([1, 2])
REFUSED: dict[str, tuple[str, Callable[[Path], Any], str]] = {
    "empty": ("p.parquet", content(b""), "is empty (0 bytes)"),
    "empty text": ("p.tsv", content(b""), "is empty (0 bytes)"),
    "empty gzip": ("p.tsv.gz", content(gzip.compress(b"")), "is empty"),
    "truncated": ("p.parquet", truncated, "is truncated or damaged"),
    "a web page": ("p.parquet", content(b"<!DOCTYPE html>"), "is no Parquet file (it starts with b'<!DO')"),
    "no caption": (
        "p.parquet",
        typed(url=URLS, size=NUMBERS),
        "has no caption column (preset url-caption looks for caption, ",
    ),
    "no url": ("p.parquet", typed(caption=URLS, size=NUMBERS), "it has caption, size"),
    "url is a number": ("p.parquet", typed(url=NUMBERS, caption=URLS), "read as url is of type int64"),
    "caption is a list": (
        "p.parquet",
        typed(url=URLS, caption=pa.array([["a"], ["b"]])),
        "read as caption is of type list",
    ),
    "width is a list": (
        "p.parquet",
        typed(url=URLS, caption=URLS, width=pa.array([[1], [2]])),
        "read as width is of type list",
    ),
    "utf-16": ("p.tsv", content("http://a\tb\n".encode("utf-16")), "is in UTF-16: convert it first"),
    "latin-1": (
        "p.tsv",
        content(b"http://a\tb\nhttp://a\tcaf\xe9\n"),
        "isn't UTF-8: row 1, caption b'caf\\xe9'",
    ),
    "latin-1 in a Parquet": (
        "p.parquet",
        typed(url=URLS, caption=pa.array([b"a", b"caf\xe9"])),
        "isn't UTF-8: row 1, caption",
    ),
    "binary": ("p.tsv", content(b"http://a\t\0\1\2\n"), "contains NUL bytes"),
    "no tab": ("p.tsv", content(b"http://a\nhttp://b\n"), "has no tab in its first lines"),
    "no url in the text": ("p.tsv", content(b"a\tb\nc\td\n"), "no http(s) URL in the first two columns"),
    "numbers beside URLs": (
        "p.tsv",
        content(b"http://a\t1\nhttp://b\t2\n"),
        "has no captions beside its URLs",
    ),
    "hashes before URLs": (
        "p.tsv",
        content(b"%s\thttp://a\n" % (b"0123456789abcdef" * 2)),
        "contains numbers or hashes ('0123456789abcdef0123'…)",
    ),
    "three columns and no header": (
        "p.tsv",
        content(b"1\thttp://a\ta dog\n"),
        "has no header, and 3 columns; leave it out, or say which are the URL and the caption: --url-column",
    ),
    "a quote that isn't closed": (
        "p.csv",
        content(b'url,caption\nhttp://a,x\nhttp://b,"a dog\nhttp://c,a cat\n'),
        "record 3, which begins in line 3, can't be read (unexpected end of data)",
    ),
    "JSON that breaks off": (
        "p.jsonl",
        content(b'{"url": "http://a", "caption": "a dog"}\n{"url": "http://b", "cap'),
        "line 2 isn't JSON",
    ),
    "no objects": ("p.jsonl", content(b'["http://a", "a dog"]\n'), "line 1 isn't a JSON object"),
    "JSON without captions": ("p.jsonl", content(b'{"url": "http://a"}\n'), "has no caption column"),
    "two columns of one name": (
        "p.parquet",
        twins,
        "has 2 columns named 'caption': rename all but one, or name another column",
    ),
    "truncated gzip": ("p.tsv.gz", content(gzip.compress(os.urandom(99) * 99)[:-30]), "truncated or damaged"),
    "another database": ("x.db", other_database, "has no tables part0, part1, … (SWAT's database); it has t"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str, tmp_path: Path) -> None:
    name, make, message = REFUSED[case]
    path = tmp_path / name
    make(path)
    with pytest.raises(CorpusError, match=re.escape(message)) as caught:
        read_all(path)
    assert str(path) in str(caught.value)


def test_a_small_file_that_unpacks_to_much_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.parquet"
    table = pa.table(
        {"url": ["http://a"] * 100, "caption": ["a" * 1_000_000] * 100, "other": ["b" * 10**6] * 100}
    )
    pq.write_table(table, path, compression="zstd", use_dictionary=False)
    assert path.stat().st_size < 200_000
    with pytest.raises(
        CorpusError, match=r"bomb.parquet: row group 0 unpacks to 0\.1 GiB, more than the 0\.0 GiB"
    ):
        find_files([path], max_row_group=50 << 20)
    files = find_files([path], max_row_group=120 << 20)
    assert len(files) == 1  # what isn't read doesn't count
    with pytest.raises(CorpusError, match="row group 0 unpacks to"):  # of a second caption it does
        with_captions(files, ["other"], max_row_group=50 << 20)


@pytest.mark.parametrize("encoding", ["dictionary", "Arrow dictionary", "DELTA_BYTE_ARRAY"])
@pytest.mark.parametrize("size", [1 << 16, 1 << 20])
def test_a_value_that_stands_once_in_a_file_is_unpacked_for_a_few_rows_at_a_time(
    tmp_path: Path, encoding: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some kilobytes that would be 10,000 times ``size`` in memory."""
    monkeypatch.setattr(unpacked, "MOST_BYTES", 64 << 20)
    captions: Any = pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0), 10_000), ["a dog " * (size // 6)])
    ways: dict[str, Any] = {"dictionary_pagesize_limit": 4 << 20}
    if encoding == "DELTA_BYTE_ARRAY":
        captions = captions.slice(0, 200).dictionary_decode()
        ways = {"use_dictionary": False, "column_encoding": {"caption": encoding}}
    path = tmp_path / "bomb.parquet"
    table = pa.table({"url": pa.repeat(pa.scalar("http://a/1.jpg"), len(captions)), "caption": captions})
    pq.write_table(table, path, compression="zstd", store_schema=encoding.startswith("Arrow"), **ways)
    assert path.stat().st_size < 300_000
    batches = read_batches(find_files([path])[0])
    first = next(batches)
    assert 0 < first.num_rows <= (64 << 20) // (size - 8)
    assert first.column("caption")[0].as_py().startswith("a dog")
    batches.close()
    monkeypatch.setattr(unpacked, "LONGEST", size // 2)
    with pytest.raises(CorpusError, match=r"the caption of row 0 is \d MiB long, more than 0 MiB; leave the"):
        next(read_batches(find_files([path])[0]))


def test_a_broken_page_behind_a_good_footer(tmp_path: Path) -> None:
    path = write(tmp_path / "p.parquet", 5000)
    content = bytearray(path.read_bytes())
    content[4:600] = bytes(596)
    path.write_bytes(content)
    (file,) = find_files([path])
    with pytest.raises(CorpusError, match=re.escape(str(path))):
        list(read_batches(file))


ARGUMENTS: dict[str, tuple[str, dict[str, Any], str]] = {
    "not there": ("nowhere", {}, "nowhere isn't there"),
    "empty folder": (
        "empty",
        {},
        "empty contains no corpus files (.parquet, .tsv, .csv, .jsonl, .ndjson, and those with .gz",
    ),
    "glob without a match": ("*.csv", {}, "*.csv matches no corpus files"),
    "unknown preset": (
        "p.parquet",
        {"preset": "laion"},
        "no corpus preset 'laion'; there are img2dataset, commonpool",
    ),
    "unknown canonical column": (
        "p.parquet",
        {"columns": {"link": "url"}},
        "no canonical column 'link'; there are url, ",
    ),
    "named column that isn't there": (
        "p.parquet",
        {"columns": {"url": "link"}},
        "p.parquet has no column 'link' (for url); it has url, caption",
    ),
    "preset that doesn't fit": (
        "p.parquet",
        {"preset": "cc12m"},
        "has no url column (preset cc12m looks for 0)",
    ),
}


@pytest.mark.parametrize("case", ARGUMENTS)
def test_wrong_arguments(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    argument, options, message = ARGUMENTS[case]
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    write(Path("p.parquet"))
    with pytest.raises(CorpusError, match=re.escape(message)):
        find_files([argument], **options)


def test_no_arguments() -> None:
    with pytest.raises(CorpusError, match="no corpus files given"):
        find_files([])


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable(tmp_path: Path) -> None:
    path = write(tmp_path / "p.parquet")
    path.chmod(0)
    with pytest.raises(CorpusError, match="can't be read"):
        find_files([path])


def test_real_captions(data_folder: Path) -> None:
    files = find_files([data_folder / "data" / "captions"])
    assert [(file.file, file.preset, file.fingerprint.rows) for file in files] == [
        (f"captions/part-0000{i}.parquet", "laion400m", 367715 if i < 3 else 367713) for i in range(4)
    ]
    for file in files:
        raw = pq.read_table(file.path, columns=["URL", "TEXT", "WIDTH"])
        rows = pa.Table.from_batches(read_batches(file))
        assert rows["url"].equals(raw["URL"])
        assert rows["caption"].equals(raw["TEXT"])
        assert rows["width"].null_count == raw["WIDTH"].null_count
        assert rows["row"].to_pylist() == list(range(raw.num_rows))

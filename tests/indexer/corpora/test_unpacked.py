"""Small Parquet files of others whose values are gigabytes: every reader of such refuses."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from captrawl.core.errors import InputError
from captrawl.indexer.corpora import unpacked
from captrawl.indexer.corpora.unpacked import bounded_file, rows_at_once
from captrawl.indexer.download.adopt import _rows as adopted_rows
from captrawl.indexer.published.arrays import parquet_array
from captrawl.indexer.sources.blobs import LocalBlob
from captrawl.indexer.sources.image_parquet import parquet_table
from captrawl.indexer.sources.locations import Archive
from captrawl.indexer.sources.tar_pictures import _owners_beside
from captrawl.purge.lists import entries
from captrawl.sampling.copies.descriptors import load_descriptors
from captrawl.swat.rows import _from_urls

ROWS = 3000
LONG = "http://a/" + "b" * (1 << 20)


def repeated(value: object, rows: int = ROWS) -> Any:
    """``value``, which a file says once."""
    return pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0), rows), [value])


def of_url(folder: Path) -> Path:
    """Some kilobytes that are 3 GB of addresses in memory."""
    path = folder / "00000.parquet"
    columns = {
        "key": [f"{row}" for row in range(ROWS)],
        "class": [0] * ROWS,
        "image": repeated(b"picture"),
        "url": repeated(LONG),
        "error_message": repeated("x"),
    }
    ways: dict[str, Any] = {"store_schema": False, "dictionary_pagesize_limit": 4 << 20}
    pq.write_table(pa.table(columns), path, compression="zstd", **ways)
    assert path.stat().st_size < 300_000
    return path


def of_vectors(folder: Path, length: int = 1 << 20) -> Path:
    """A row that is as long as a whole file of others, all of one number."""
    path = folder / "vectors.parquet"
    values = pa.repeat(pa.scalar(0.5, pa.float32()), 16 * length)
    lists = pa.ListArray.from_arrays(pa.array(range(0, 17 * length, length), pa.int32()), values)
    pq.write_table(pa.table({"vectors": lists}), path, compression="zstd")
    assert path.stat().st_size < 300_000
    return path


def of_nothing(folder: Path, rows: int = 10_000_000) -> Path:
    path = folder / "nothing.parquet"
    pq.write_table(pa.table({"image": pa.nulls(rows, pa.binary())}), path, compression="zstd")
    assert path.stat().st_size < 300_000
    return path


def of_hashes(folder: Path) -> Path:
    path = folder / "hashes.parquet"
    kind = pq.read_schema(_descriptors(folder)).field(0).type
    column = pa.repeat(pa.scalar(bytes(kind.byte_width), kind), 1 << 18)
    pq.write_table(pa.table({"hashes": column}), path, compression="zstd")
    return path


def _descriptors(folder: Path) -> Path:
    from captrawl.sampling.copies.descriptors import save_descriptors
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(folder / "one.png")
    save_descriptors([folder / "one.png"], folder / "one.parquet")
    return folder / "one.parquet"


def archive_beside(path: Path) -> Archive:
    return Archive(str(path.with_suffix(".tar")), beside=str(path))


READERS: dict[str, tuple[Callable[[Path], Path], Callable[[Path], object]]] = {
    "pictures' table": (of_url, lambda path: parquet_table(LocalBlob(path))),
    "table of nulls": (of_nothing, lambda path: parquet_table(LocalBlob(path))),
    "beside a tar": (of_url, lambda path: _owners_beside(archive_beside(path))),
    "img2dataset's output": (of_url, lambda path: list(adopted_rows(path))),
    "SWAT's addresses": (of_url, _from_urls),
    "a list to purge": (of_url, lambda path: set(entries(path))),
    "vectors": (of_vectors, lambda path: parquet_array(str(path), "vectors")),
    "descriptors": (of_hashes, load_descriptors),
}
"""Reader → the file that it gets, and what reads it."""


def test_every_reader_of_somebodys_parquet_ends_in_a_line(tmp_path: Path) -> None:
    """In a process that may have a gigabyte more than its libraries, of which a file may be 48 MiB."""
    jobs = [f"{name}={make(tmp_path)}" for name, (make, _) in READERS.items()]
    environment = {**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system"}  # others reserve a gigabyte at once
    command = [sys.executable, __file__, *jobs]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = done.stdout.splitlines()
    expected = {"beside a tar": "None", "table of nulls": "rows in [0-9,]+ bytes", "descriptors": "rows in"}
    for name, line in zip(READERS, lines, strict=True):
        assert re.search(expected.get(name, "bytes of .* unpack to"), line), (name, line)


def main(jobs: list[str]) -> None:
    unpacked.VAST, unpacked._AT_ONCE = 48 << 20, 16 << 20
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + (1 << 30)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for job in jobs:
        name, _, path = job.partition("=")
        try:
            print(READERS[name][1](Path(path)))
        except InputError as error:
            print(error)


def test_the_sizes_in_the_footer_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pages are broken, and it is refused all the same."""
    monkeypatch.setattr(unpacked, "VAST", 1 << 20)
    path = tmp_path / "bomb.parquet"
    table = pa.table({"url": ["a" * 100_000] * 100, "class": [1] * 100, "key": ["b" * 100_000] * 100})
    pq.write_table(table, path, compression="zstd", use_dictionary=False)
    content = bytearray(path.read_bytes())
    content[4:400] = bytes(396)
    path.write_bytes(content)
    for read in (lambda: set(entries(path)), lambda: list(adopted_rows(path)), lambda: _from_urls(path)):
        with pytest.raises(InputError, match=r"bomb\.parquet: [0-9,]+ bytes of row group 0 unpack to [12]0,"):
            read()


@pytest.mark.parametrize(
    ("texts", "rows"),
    [
        (
            [f"a caption, number {n}" for n in range(40_000)],
            16_384,
        ),  # its dictionary ends, pages without begin
        ([None, *(f"a caption, number {n}" for n in range(20_000))], 16_384),
        ([*(f"a caption, number {n}" for n in range(20_000)), "b" * 900_000], (1 << 31) // 900_000),
        (
            pa.DictionaryArray.from_arrays(pa.array([0, 1] * 10_000), ["short", "b" * 900_000]),
            (1 << 31) // 900_000,
        ),
    ],
)
def test_as_many_rows_at_once_as_the_longest_text_allows(texts: Any, rows: int, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"caption": texts}), path, row_group_size=30_000, store_schema=False)
    with bounded_file(path) as file:
        groups = range(file.source.num_row_groups)
        assert rows_at_once(file.handle, file.source.metadata, groups, ["caption"], 16_384) == rows


def test_texts_that_stand_once_come_as_themselves(tmp_path: Path) -> None:
    """Arrow's own dictionaries too; and a text that is no UTF-8 is Arrow's error, not Python's."""
    path = tmp_path / "a.parquet"
    column = pa.DictionaryArray.from_arrays(pa.array([1, 0, None, 1]), ["x", "y"])
    pq.write_table(pa.table({"url": column, "n": [1, 2, 3, 4]}), path, row_group_size=3)
    with bounded_file(path) as file:
        batches = list(file.batches(["url", "n"], 2))
        assert [batch.to_pydict() for batch in file.batches(["n"], 9, groups=[1])] == [{"n": [4]}]
    assert [batch.column(0).to_pylist() for batch in batches] == [["y", "x"], [None], ["y"]]
    assert batches[0].schema.field("url").type == pa.string()
    broken: Any = pa.StringArray.from_buffers(1, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff"))
    pq.write_table(pa.table({"url": broken, "key": ["a"], "class": [1]}), path)
    with pytest.raises(InputError, match=r"a\.parquet can't be read as a Parquet table \(In col"):
        set(entries(path))
    with pytest.raises(InputError, match=r"a\.parquet isn't SWAT's Parquet of class and url \(In col"):
        _from_urls(path)
    assert list(adopted_rows(path)) == []


if __name__ == "__main__":
    main(sys.argv[1:])

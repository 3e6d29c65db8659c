"""One engine fixture, whatever the engine: tests that take it run on every one of them.

An engine test makes its own fresh index with ``engine.filled(rows, spread=…)`` and compares with the oracle.
"""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pytest
from captrawl.records import ROW_SCHEMA, CorpusFile, Fingerprint
from captrawl.search.captions import CaptionIndex, open_captions
from captrawl.search.tantivy_build import build_part, staged

ENGINES = ["tantivy"]


def corpus_file(file: str, rows: int, version: str = "1") -> CorpusFile:
    return CorpusFile(file, Path(file), "", Fingerprint(rows, rows * 10, version))


def batches(rows: list[dict], size: int = 3) -> list[pa.RecordBatch]:
    """Rows (dictionaries) as record batches of at most ``size`` rows."""
    cut = [rows[at : at + size] for at in range(0, len(rows), size)]
    return [pa.RecordBatch.from_pylist(part, schema=ROW_SCHEMA) for part in cut]


def by_file(rows: list[dict]) -> dict[str, list[dict]]:
    files: dict[str, list[dict]] = {}
    for row in rows:
        files.setdefault(row["file"], []).append(row)
    return files


class TantivyEngine:
    """Fresh embedded indexes below one folder."""

    name = "tantivy"
    spreads = ("a part a file", "one part", "cuts")
    """The ways in which the same rows may lie in the index."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = count()

    def place(self) -> str:
        """Where no index is yet."""
        return str(self._folder / f"index-{next(self._number)}")

    @contextlib.contextmanager
    def filled(self, rows: list[dict], spread: str = "a part a file") -> Iterator[CaptionIndex]:
        """A fresh index of ``rows``, which lie in it as ``spread`` says."""
        with open_captions(self.place(), create=True) as index:
            self._fill(index, by_file(rows), spread)
            yield index

    def _fill(self, index: CaptionIndex, files: dict[str, list[dict]], spread: str) -> None:
        root: Path = index._root
        if spread == "a part a file":
            for file, rows in files.items():
                index.add(corpus_file(file, len(rows)), batches(rows))
            return
        known = [corpus_file(file, len(rows)) for file, rows in files.items()]
        with staged(root, known) as staging:
            if spread == "one part":
                build_part(staging.folder, 0, [(f, batches(files[f.file])) for f in known])
                staging.commit(parts=1)
                return
            for cut in range(3):
                build_part(staging.folder, cut, [(f, batches(files[f.file][cut::3], 2)) for f in known])
            staging.commit(parts=3)


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> TantivyEngine:
    return {"tantivy": TantivyEngine}[request.param](tmp_path)


@pytest.fixture(scope="session")
def oracle() -> ModuleType:
    """The plain-Python caption index (oracle.py)."""
    path = Path(__file__).with_name("oracle.py")
    spec = importlib.util.spec_from_file_location("captrawl_oracle", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def make_rows():
    """make_rows(captions, file=…, **columns) → rows as dictionaries; a column is a list, or one value."""

    def make(captions: list[str | None], file: str = "corpus/0.parquet", **columns: object) -> list[dict]:
        rows = []
        for at, caption in enumerate(captions):
            row = dict.fromkeys(ROW_SCHEMA.names)
            row.update(caption=caption, file=file, row=at, uid=at * 7 - 3, url=f"http://u/{at}")
            row["priority"] = (at * 0x9E3779B97F4A7C15 + len(file)) % 2**64 - 2**63
            for name, values in columns.items():
                row[name] = values[at] if isinstance(values, list) else values
            rows.append(row)
        return rows

    return make


@pytest.fixture
def file_of():
    """file_of(file, rows, version) → a CorpusFile whose fingerprint says so."""
    return corpus_file


@pytest.fixture
def batches_of():
    """batches_of(rows, size) → the rows as record batches."""
    return batches

"""One engine fixture, whatever the engine: tests that take it run on every one of them.

An engine test makes its own fresh index with ``engine.filled(rows, spread=…)`` and compares with the oracle.
"""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from types import ModuleType
from unittest import mock
from uuid import uuid4

import pyarrow as pa
import pytest
from captrawl.core.records import ROW_SCHEMA, CorpusFile, Fingerprint
from captrawl.search.captions import CaptionIndex, open_captions
from captrawl.search.tantivy.build import build_part, staged

_servers = sys.modules["captrawl_tests_servers"]  # loaded by tests/conftest.py
STORES = [
    "tantivy",
    *(pytest.param(f"elastic-{v}", marks=pytest.mark.elastic) for v in _servers.versions()),
]


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
        place = self.place()
        with open_captions(place, create=True) as index:
            self._fill(index, by_file(rows), spread)
            yield index
        shutil.rmtree(place)

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


class ElasticEngine:
    """Fresh indices on a real Elasticsearch, deleted at the end."""

    name = "elastic"
    spreads = ("three shards", "one shard", "beside a half-loaded file", "replaced")

    def __init__(self, url: str) -> None:
        self._url = url
        self._number = count()
        self._name = f"captrawl-test-{uuid4().hex}"

    def place(self, making: str = "shards=3") -> str:
        """Where no index is yet."""
        return f"{self._url}/{self._name}-{next(self._number)}?{making}"

    @contextlib.contextmanager
    def filled(self, rows: list[dict], spread: str = "one shard") -> Iterator[CaptionIndex]:
        """A fresh index of ``rows``, which lie in it as ``spread`` says."""
        making = "shards=1" if spread == "one shard" else "shards=3"
        with open_captions(self.place(making), create=True) as index:
            files = by_file(rows)
            if spread == "replaced":
                for file, of_file in files.items():
                    index.add(corpus_file(file, len(of_file), "0"), batches(list(reversed(of_file))))
            for file, of_file in files.items():
                index.add(corpus_file(file, len(of_file)), batches(of_file))
            if spread == "beside a half-loaded file":
                one_a_request = mock.patch("captrawl.search.elastic.bulk.CHUNK_DOCUMENTS", 1)  # or none is in
                with contextlib.suppress(_KilledError), one_a_request:
                    index.add(corpus_file("half", len(rows)), self._killed(index, rows))
            yield index
            index.server.client.indices.delete(index=index.index)

    @staticmethod
    def _killed(index: CaptionIndex, rows: list[dict]) -> Iterator[pa.RecordBatch]:
        """The rows once more, and the end of the loader before it can commit."""
        yield from batches(rows)
        index.server.client.indices.refresh(index=index.index)
        raise _KilledError

    def clean(self) -> None:
        from elasticsearch import Elasticsearch

        with contextlib.closing(Elasticsearch(self._url)) as client:
            for index in client.indices.get(index=f"{self._name}*", features="aliases"):
                client.indices.delete(index=index)


class MemoryEngine:
    """Fresh indexes in this process (memory.py)."""

    name = "memory"
    spreads = ("a list a file",)

    def __init__(self) -> None:
        self._number = count()

    def place(self) -> str:
        """Where no index is yet."""
        return f"mem://index-{next(self._number)}"

    @contextlib.contextmanager
    def filled(self, rows: list[dict], spread: str = "") -> Iterator[CaptionIndex]:
        """A fresh index of ``rows``."""
        with open_captions(self.place(), create=True) as index:
            for file, of_file in by_file(rows).items():
                index.add(corpus_file(file, len(of_file)), batches(of_file))
            yield index


class _KilledError(BaseException):
    """No clean-up, as after SIGKILL."""


Engine = TantivyEngine | MemoryEngine | ElasticEngine


@pytest.fixture(params=["memory", *STORES])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    with opened(request, tmp_path) as made:
        yield made


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An engine that holds a million rows."""
    with opened(request, tmp_path) as made:
        yield made


@contextlib.contextmanager
def opened(request: pytest.FixtureRequest, folder: Path) -> Iterator[Engine]:
    if request.param == "tantivy":
        yield TantivyEngine(folder)
        return
    if request.param == "memory":
        with module("memory").registered():
            yield MemoryEngine()
        return
    servers = request.getfixturevalue("elastic_servers")
    made = ElasticEngine(servers.url(request.param.removeprefix("elastic-")))
    yield made
    made.clean()


@pytest.fixture(scope="session")
def oracle() -> ModuleType:
    """The plain-Python caption index (oracle.py)."""
    return module("oracle")


def module(name: str) -> ModuleType:
    """The module ``name`` of this folder."""
    spec = importlib.util.spec_from_file_location(
        f"captrawl_tests_{name}", Path(__file__).with_name(f"{name}.py")
    )
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


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

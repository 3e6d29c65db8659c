"""Real servers and small corpora for the tests of the Elasticsearch engine."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from uuid import uuid4

import pyarrow as pa
import pytest
from captrawl.records import ROW_SCHEMA, CorpusFile, Fingerprint

SECRETS = ("API_KEY", "USERNAME", "PASSWORD", "CA_CERTS", "CA_FINGERPRINT", "TIMEOUT")


@pytest.fixture(autouse=True)
def _no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests say themselves who they are, unless the server is given from outside."""
    if not os.environ.get("ELASTICSEARCH_URL"):
        for name in SECRETS:
            monkeypatch.delenv(f"ELASTICSEARCH_{name}", raising=False)


@pytest.fixture
def place(elastic_url: str) -> Iterator[str]:
    """The address of an index that isn't there yet, on every server version; whatever is made is deleted."""
    from elasticsearch import Elasticsearch

    name = f"captrawl-test-{uuid4().hex}"
    yield f"{elastic_url}/{name}"
    with contextlib.closing(Elasticsearch(elastic_url, request_timeout=60)) as client:
        for index in client.indices.get(index=f"{name}*", expand_wildcards="all", features="aliases"):
            client.indices.delete(index=index)


@pytest.fixture
def local(elastic_modules: Callable[[str], ModuleType]) -> ModuleType:
    """local_server.py: nodes that a test may kill."""
    return elastic_modules("local_server")


class Corpus:
    """A made corpus: files of rows with known captions."""

    def __init__(self, files: dict[str, int], version: str = "1") -> None:
        self.sizes = files
        self.version = version

    @property
    def files(self) -> list[CorpusFile]:
        return [
            CorpusFile(name, Path(name), "", Fingerprint(rows, rows * 10, self.version))
            for name, rows in self.sizes.items()
        ]

    def rows(self, file: str) -> list[dict[str, object]]:
        return [
            {
                "uid": row * 7919 - 5,
                "url": f"http://example.org/{file}/{row}.jpg",
                "caption": f"A {'red' if row % 3 else 'blue'} dog, version {self.version}, no. {row}, Bob’s",
                "width": 100 + row % 50,
                "height": 90,
                "punsafe": None if row % 7 else 0.9,
                "priority": (row * 0x9E3779B97F4A7C15 + len(file)) % 2**64 - 2**63,
                "file": file,
                "row": row,
            }
            for row in range(self.sizes[file])
        ]

    def batches(self, file: str, size: int = 1000) -> Iterator[pa.RecordBatch]:
        rows = self.rows(file)
        for start in range(0, len(rows), size):
            yield pa.RecordBatch.from_pylist(rows[start : start + size], schema=ROW_SCHEMA)

    def fill(self, index: object) -> None:
        for file in self.files:
            index.add(file, self.batches(file.file))


@pytest.fixture
def corpus() -> type[Corpus]:
    """corpus({"a": 10}) → rows of one red or blue dog each."""
    return Corpus

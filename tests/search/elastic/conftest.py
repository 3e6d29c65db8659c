"""Real servers and small corpora for the tests of the Elasticsearch engine."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from uuid import uuid4

import pytest

SECRETS = ("API_KEY", "USERNAME", "PASSWORD", "CA_CERTS", "CA_FINGERPRINT", "TIMEOUT", "PATIENCE")


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


@pytest.fixture
def corpus(elastic_modules: Callable[[str], ModuleType]) -> type:
    """corpus({"a": 10}) → rows of one red or blue dog each (corpus.py)."""
    return elastic_modules("corpus").Corpus


@pytest.fixture
def proxy(elastic_modules: Callable[[str], ModuleType]) -> ModuleType:
    """Servers that misbehave (proxy.py)."""
    return elastic_modules("proxy")


@pytest.fixture
def loader() -> Callable[..., subprocess.Popen[str]]:
    """loader(place, version, {"a": 10}) → a process that loads a corpus; killed at the end if need be."""
    started: list[subprocess.Popen[str]] = []

    def start(place: str, version: str, files: dict[str, int], **environment: str) -> subprocess.Popen[str]:
        script = Path(__file__).with_name("loader.py")
        named = [f"{name}={rows}" for name, rows in files.items()]
        command = [sys.executable, str(script), place, version, *named]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()

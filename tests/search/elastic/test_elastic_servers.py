"""Where tests get their servers from: an address, a container, Maven Central."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

pytestmark = pytest.mark.elastic

ROOT = Path(__file__).resolve().parents[3]
TEST = "tests/search/elastic/test_elastic_wide.py::test_rows_that_match_several_parts_are_given_once"


def run(**environment):
    """One engine test in a pytest of its own: (exit code, what it says)."""
    others = {k: v for k, v in os.environ.items() if k not in ("ELASTICSEARCH_URL", "DOCKER_HOST", "CI")}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", TEST]
    done = subprocess.run(
        command, env={**others, **environment}, cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def engine(elastic_modules, elastic_url, proxy):
    """A Docker engine whose containers' port leads to a real server.

    A container counts as ready once `GET /` is answered, which Maven Central's distribution can't.
    """
    with (
        proxy.between(elastic_url, lambda path, _: "200" if path == "/" else "") as address,
        elastic_modules("docker_engine").running(urlsplit(address).port) as engine,
    ):
        yield engine


def test_a_container_serves_where_a_docker_engine_answers(engine):
    """The port is a real server's; everything from the address to the clean-up is testcontainers'."""
    pytest.importorskip("testcontainers.community.elasticsearch")
    code, text = run(
        DOCKER_HOST=engine.address, CAPTRAWL_ELASTIC_VERSIONS="9.5.0", TESTCONTAINERS_RYUK_DISABLED="true"
    )
    assert (code, "1 passed" in text) == (0, True), text
    assert "elasticsearch: containers of 9.5.0 on the Docker engine at http://127.0.0.1" in text
    (container,) = engine.created
    assert container["Image"] == "docker.elastic.co/elasticsearch/elasticsearch:9.5.0"
    assert "xpack.security.enabled=false" in container["Env"]
    assert "ES_JAVA_OPTS=-Xms512m -Xmx512m" in container["Env"]
    assert "9200/tcp" in container["ExposedPorts"]
    assert [call.split("/")[0] for call in engine.calls if call.startswith("DELETE")] == ["DELETE "]


def test_a_container_that_does_not_start_says_why(engine):
    pytest.importorskip("testcontainers.community.elasticsearch")
    code, text = run(
        DOCKER_HOST=engine.address, CAPTRAWL_ELASTIC_VERSIONS="5.0.0", TESTCONTAINERS_RYUK_DISABLED="true"
    )
    assert (code, "Unknown elasticsearch version given: 5" in text) == (1, True), text


def test_a_given_address_comes_first_and_is_named(engine, elastic_url):
    code, text = run(DOCKER_HOST=engine.address, ELASTICSEARCH_URL=elastic_url)
    assert (code, f"elasticsearch: ELASTICSEARCH_URL={elastic_url}" in text) == (0, True), text
    assert engine.created == []

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
def engine(elastic_modules, elastic_url):
    with elastic_modules("docker_engine").running(urlsplit(elastic_url).port) as engine:
        yield engine


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

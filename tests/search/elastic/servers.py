"""Where tests find an Elasticsearch: ELASTICSEARCH_URL, a container, or a local server, in this order.

    ELASTICSEARCH_URL            a server of yours; tests make and delete indices of their own there
    a Docker engine that answers testcontainers starts one
    else                         local_server.py starts one from Maven Central

CAPTRAWL_ELASTIC_VERSIONS says which versions are started, by default both; of the tests that start servers of
their own, to kill them or with security, then on the newest, and on both where they are marked so. Under CI
a missing server fails.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib.util
import os
import sys
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import pytest

GIVEN = "ELASTICSEARCH_URL"
CHOSEN = os.environ.get("CAPTRAWL_ELASTIC_VERSIONS", "")
VERSIONS = tuple((CHOSEN or "9.5.0,8.19.5").split(","))
SOCKET = Path("/var/run/docker.sock")
IMAGE = "docker.elastic.co/elasticsearch/elasticsearch:{version}"


every_version = pytest.mark.parametrize("elastic_version", VERSIONS, indirect=True, scope="module")
"""Marks a test that starts servers of its own, and yet runs on every version."""


def load(name: str) -> ModuleType:
    """A module that lies beside this one; the same one for every caller."""
    known = sys.modules.get(f"captrawl_tests_{name}")
    if known is None:
        path = Path(__file__).with_name(f"{name}.py")
        spec = importlib.util.spec_from_file_location(f"captrawl_tests_{name}", path)
        known = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = known
        spec.loader.exec_module(known)
    return known


def missing(reason: object) -> NoReturn:
    """Skip for want of a server, with the reason; fail where CI is set."""
    if os.environ.get("CI"):
        pytest.fail(f"no Elasticsearch to test with: {reason}")
    pytest.skip(f"no Elasticsearch to test with: {reason}")


def versions() -> tuple[str, ...]:
    """What tests are run on: the versions, or the one server that is given."""
    return (GIVEN,) if os.environ.get(GIVEN) else VERSIONS


def local_versions() -> tuple[str, ...]:
    """What servers a test starts for itself, whatever server is given."""
    return VERSIONS if CHOSEN else VERSIONS[:1]


@dataclass
class Servers:
    """Servers by version: started when first asked for, stopped at the end."""

    _running: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _urls: dict[str, str] = field(default_factory=dict)

    def url(self, version: str) -> str:
        if version not in self._urls:
            given = version == GIVEN
            self._urls[version] = os.environ[GIVEN].rstrip("/") if given else self._started(version)
        return self._urls[version]

    def stop(self) -> None:
        self._running.close()
        self._urls.clear()

    def _started(self, version: str) -> str:
        container = _container(version)
        if container is not None:
            self._running.callback(container.stop)
            return f"http://{container.get_container_host_ip()}:{container.get_exposed_port(9200)}"
        local = load("local_server")
        try:
            return self._running.enter_context(local.running(version, short_lived=False)).url
        except local.NoServerError as error:
            missing(error)


def source() -> str:
    """Where the servers of this run come from, for its header."""
    if os.environ.get(GIVEN):
        return f"{GIVEN}={os.environ[GIVEN]}"
    engine, lack = _engine()
    if engine:
        return f"containers of {', '.join(VERSIONS)} on the Docker engine at {engine}"
    return f"{', '.join(VERSIONS)} from Maven Central (no container: {lack})"


@functools.cache
def _engine() -> tuple[str, str]:
    """The address of the Docker engine that answers; else why there is none."""
    if "DOCKER_HOST" not in os.environ and not SOCKET.exists():
        return "", f"no DOCKER_HOST, and no {SOCKET}"
    try:
        import testcontainers.community.elasticsearch  # noqa: F401
        from docker.errors import DockerException

        from docker import from_env
    except ImportError as error:
        return "", str(error)
    try:
        with contextlib.closing(from_env(timeout=5)) as engine:
            engine.ping()
            return engine.api.base_url, ""
    except (DockerException, OSError) as error:
        reason = " ".join(str(error).split())[:120]
    with warnings.catch_warnings():  # the client leaves a socket open when it fails
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    return "", reason


def _container(version: str) -> object | None:
    """A started container; None where no Docker engine answers. One that doesn't start is an error."""
    if not _engine()[0]:
        return None
    from testcontainers.community.elasticsearch import ElasticSearchContainer

    container = ElasticSearchContainer(IMAGE.format(version=version), mem_limit="2G")
    container.with_env("ES_JAVA_OPTS", "-Xms512m -Xmx512m")
    return container.start()

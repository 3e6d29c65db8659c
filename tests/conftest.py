"""What every test area shares: the folder of real data, and a command runner."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest


def _load(place: str) -> ModuleType:
    """The helper module at ``place`` below tests/."""
    path = Path(__file__).parent / place
    spec = importlib.util.spec_from_file_location(f"captrawl_tests_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


_servers = _load("search/elastic/servers.py")
_embedding = _load("embedding.py")

Run = Callable[..., subprocess.CompletedProcess[str]]


def pytest_configure(config: pytest.Config) -> None:
    """Hear Ctrl-C, also where a shell started the tests in the background and had it ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # by nohup, whose children would ignore it too
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    for name in ("COLUMNS", "LINES"):  # of the terminal that the tests run in, or of a test process
        os.environ.pop(name, None)
    config.pluginmanager.register(_embedding)  # fixtures of more than one folder


def pytest_report_header() -> str:
    """Where this run's Elasticsearch comes from."""
    return f"elasticsearch: {_servers.source()}"


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Real captions, class lists, photos and a small model; tests that need them skip without."""
    root = Path(__file__).resolve().parents[1]
    folder = (root / os.environ.get("CAPTRAWL_TEST_DATA", "../shared")).resolve()
    if not (folder / "data").is_dir():
        pytest.skip(f"no real data at {folder} (name its folder with CAPTRAWL_TEST_DATA)")
    return folder


@pytest.fixture(scope="session")
def captrawl() -> Run:
    """Run the command as a user does: captrawl(*arguments, cwd=…, check=True) → CompletedProcess (text)."""

    def run(
        *arguments: object, cwd: Path | None = None, check: bool = True, **options: object
    ) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "captrawl", *map(str, arguments)]
        done = subprocess.run(
            command, cwd=cwd, capture_output=True, text=True, check=False, timeout=600, **options
        )
        if check and done.returncode != 0:
            pytest.fail(f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    return run


@pytest.fixture(scope="session")
def elastic_modules() -> Callable[[str], ModuleType]:
    """elastic_modules(name) → the helper module tests/search/elastic/NAME.py."""
    return _servers.load


@pytest.fixture(scope="session")
def elastic_servers() -> Iterator[object]:
    """elastic_servers.url(version) → the address of a real Elasticsearch, stopped at the end."""
    servers = _servers.Servers()
    yield servers
    servers.stop()


@pytest.fixture(scope="module", params=_servers.local_versions())
def elastic_version(request: pytest.FixtureRequest) -> str:
    """The version of a server that a test starts for itself; a test that takes it runs on every one."""
    return request.param


@pytest.fixture(scope="session", params=_servers.versions())
def elastic_url(request: pytest.FixtureRequest, elastic_servers: object) -> str:
    """The address of a real Elasticsearch; a test that takes it runs on every version."""
    return elastic_servers.url(request.param)

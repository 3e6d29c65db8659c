"""A small drawn web, made once."""

from __future__ import annotations

from pathlib import Path

import pytest
from captrawl.demo.server import free_port
from captrawl.demo.web import Web, WebSettings, make_web


@pytest.fixture(scope="session")
def small_web(tmp_path_factory: pytest.TempPathFactory) -> Web:
    """24 classes with 8 rows each (and four more) among 700 rows."""
    folder: Path = tmp_path_factory.mktemp("drawn")
    settings = WebSettings(seed=3, rows_per_class=8, captions=700, port=free_port(0))
    return make_web(folder / "web", settings)

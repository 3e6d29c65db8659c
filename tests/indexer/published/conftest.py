"""The captrawl command, in this process."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from captrawl.cli import app
from typer.testing import CliRunner


@pytest.fixture
def run_captrawl() -> Callable[..., str]:
    """run_captrawl(*words) → what it printed; it must end well."""

    def run(*words: str) -> str:
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, result.output
        return result.stdout

    return run

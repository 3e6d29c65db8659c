"""Lint, format and types, as CI wants them."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["pyright", "--pythonpath", sys.executable],
    ],
    ids=["lint", "format", "types"],
)
def test_tool_is_content(command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False, timeout=500
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]


def test_no_floor_admits_a_version_with_a_known_hole() -> None:
    """SECURITY.md's table and pyproject.toml say the same."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    requirements = [
        *project["dependencies"],
        *(one for some in project["optional-dependencies"].values() for one in some),
    ]
    floors = dict(floor.groups() for one in requirements if (floor := re.match(r"([\w-]+)>=([0-9.]+)", one)))
    table = (ROOT / "SECURITY.md").read_text().partition("| package | at least |")[2]
    rows = re.findall(r"^\| ([a-z0-9-]+) \| ([0-9.]+) \|", table, flags=re.MULTILINE)
    assert len(rows) == 19
    assert {name: floors.get(name) for name, _ in rows} == dict(rows)

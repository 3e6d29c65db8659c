"""The documentation says what the program does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from captrawl.workspace import settings

ROOT = Path(__file__).resolve().parents[1]


def test_cli_reference_is_up_to_date() -> None:
    made = subprocess.run(
        [sys.executable, "docs/make_cli.py"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert made == (ROOT / "docs" / "cli.md").read_text(), "run: python docs/make_cli.py > docs/cli.md"


@pytest.mark.parametrize(
    "section",
    [
        settings.TaskSettings,
        settings.CaptionSettings,
        settings.MatchSettings,
        settings.FilterSettings,
        settings.DownloadSettings,
        settings.ModelSettings,
        settings.SampleSettings,
    ],
)
def test_every_setting_is_documented(section: type[settings.Section]) -> None:
    text = (ROOT / "docs" / "settings.md").read_text()
    for key in section.model_fields:
        if key != "filters":
            assert f"| `{key}` |" in text, key


def test_ci_runs_the_readmes_test_command() -> None:
    ci = (ROOT / ".ci" / "run").read_text()
    readme = (ROOT / "README.md").read_text()
    command = next(line for line in ci.splitlines() if "-m pytest" in line)
    assert command in readme


def test_every_link_in_the_docs_leads_somewhere() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
            if not target.startswith(("http://", "https://", "mailto:")):
                assert (page.parent / target).exists(), f"{page.name} links to {target}"

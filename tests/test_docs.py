"""The documentation says what the program does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from captrawl.sampling.export.formats import FORMATS
from captrawl.sampling.methods import AUTO, METHODS
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


def table_below(heading: str, page: str) -> list[list[str]]:
    """The cells of the first table under a heading of a page in docs/, its head left out."""
    text = (ROOT / "docs" / page).read_text().partition(f"\n## {heading}\n")[2]
    lines = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert lines, heading
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[0].splitlines()[2:]]


def test_the_table_of_methods_is_the_registry() -> None:
    rows = table_below("Methods", "sampling.md")
    assert [row[0] for row in rows] == [*METHODS, AUTO]
    for (name, order, keeps), method in zip(rows[:-1], METHODS.values(), strict=True):
        assert order == (method.order or "seeded"), name
        number = "`--threshold`" if method.threshold is None else f"{method.threshold:g}"
        condition = f"{method.on} ≥ {number}"
        if method.threshold is None:
            condition = f"{condition} (required)" if method.required else f"all, or {condition}"
        assert keeps == condition, name


def test_the_table_of_export_formats_is_the_registry() -> None:
    assert table_below("Exports", "sampling.md") == [[name, form.about] for name, form in FORMATS.items()]


def test_help_names_every_method_and_export_format() -> None:
    text = (ROOT / "docs" / "cli.md").read_text()  # which equals the help, as tested above
    for command, names in (("sample", [*METHODS, AUTO]), ("export", FORMATS)):
        section = text.partition(f"## captrawl {command}\n")[2].partition("\n## ")[0]
        words = set(re.findall(r"[\w-]+", section))
        assert set(names) <= words, command


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

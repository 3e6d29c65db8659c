"""The guide: its commands exist, its messages are the program's, its words are plain, its site builds."""

from __future__ import annotations

import ast
import importlib.util
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from captrawl.cli import app
from captrawl.core.interrupts import INTERRUPTED

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PRIVATE = (
    r"\bthe house\b",
    r"\bwho asks\b",
    r"\btold by\b",
    r"\bthrough the sample\b",
    r"\bwake nobody\b",
    r"\bDESIGN\.md\b",
    r"\bLAYOUT\.md\b",
)
"""Phrases that only their author understands."""
WORDS = {
    r"\bholds?\b": "contain",
    r"\bblanks?\b": "space",
    r"\btold\b(?! apart)": "say, report",
    r"\b(?:images|rows|matches|shots|bytes|templates|lists) a (?:class|row|line|shard)\b": "per class",
}
"""Words of docs, help and messages that have a plainer one, and that one."""
SCREENS = [
    *sorted((ROOT / "web" / "static").glob("*.js")),
    *sorted((ROOT / "web" / "static").glob("*.html")),
    *sorted((ROOT / "sampling" / "report" / "templates").glob("*.html")),
]
"""What the page and the report say."""
NOT_OURS = {"tests", "benchmarks", "build", ".venv"}


def leaves() -> dict[str, Any]:
    """Every command by its words."""
    ahead: list[tuple[tuple[str, ...], Any]] = [((), typer.main.get_command(app))]
    commands: dict[str, Any] = {}
    while ahead:
        words, command = ahead.pop()
        if hasattr(command, "commands"):
            ahead += [((*words, name), inner) for name, inner in command.commands.items()]
        else:
            commands[" ".join(words)] = command
    return commands


COMMANDS = leaves()


def commands_of(page: Path) -> Iterator[str]:
    """The command lines that start with captrawl in the page's blocks of code, help texts left out."""
    fence = ""
    for line in page.read_text().splitlines():
        if line.startswith("```"):
            fence = "" if fence else line
        command = line.strip().removeprefix("$ ")
        if (line.startswith("    ") or fence) and command.startswith("captrawl ") and "…" not in command:
            yield command


CASES = [(page, line) for page in PAGES if page.name != "cli.md" for line in commands_of(page)]


@pytest.mark.parametrize("page", sorted({page for page, _ in CASES}), ids=lambda page: page.name)
def test_every_command_of_a_page_parses(page: Path) -> None:
    for line in (line for of, line in CASES if of == page):
        words = shlex.split(re.split(r" \| | \\$|; | > ", line)[0], comments=True)[1:]
        if words[0] == "-C":
            words = words[2:]
        if words[0] in {"-v", "--help", "--version"}:
            continue
        name = next((name for name in (" ".join(words[:2]), words[0]) if name in COMMANDS), "")
        assert name, f"{page.name}: {line}"
        try:
            COMMANDS[name].make_context(name, words[len(name.split()) :])
        except Exception as error:
            pytest.fail(f"{page.name}: {line}: {error}")


def test_thirty_how_tos_have_commands() -> None:
    page = (ROOT / "docs" / "howto.md").read_text()
    entries = re.split(r"^\*\*", page, flags=re.MULTILINE)[1:]
    assert len(entries) >= 30
    assert [entry[:40] for entry in entries if "\n    captrawl " not in entry] == []


def test_messages_are_the_programs() -> None:
    """Every piece of a message between … stands in a string of the package."""
    source = "\n".join(strings())
    rows = re.findall(r"^\| `([^`]+)` \|", (ROOT / "docs" / "troubleshooting.md").read_text(), re.MULTILINE)
    assert len(rows) >= 15
    for row in rows:
        for piece in map(str.strip, re.split(r"…|'download'|captrawl\[cpu\]", row)):
            assert piece in source, f"{row}: no message has {piece!r}"


def strings() -> Iterator[str]:
    """Every string of the package; adjacent pieces of an f-string are joined by what stands for a value."""
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                yield "".join(
                    str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def sources() -> Iterator[Path]:
    for path in sorted(ROOT.rglob("*.py")):
        if path.relative_to(ROOT).parts[0] not in NOT_OURS:
            yield path


def test_no_private_words() -> None:
    texts = [
        (page.name, page.read_text()) for page in [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"]
    ]
    texts += [(path.relative_to(ROOT).as_posix(), path.read_text()) for path in [*sources(), *SCREENS]]
    assert [
        f"{name}: {found[0]}"
        for name, text in texts
        for pattern in PRIVATE
        if (found := re.search(pattern, text, re.IGNORECASE))
    ] == []


def messages() -> Iterator[tuple[str, str]]:
    """(file, text) of every string of the package that is no docstring."""
    for path in sources():
        if path.relative_to(ROOT).parts[0] != "docs" and path.name != "ledger_sql.py":
            tree = ast.parse(path.read_text())
            docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
            for node in ast.walk(tree):
                if (
                    isinstance(node, ast.Constant)
                    and isinstance(node.value, str)
                    and id(node) not in docstrings
                ):
                    yield path.relative_to(ROOT).as_posix(), node.value


def test_docs_help_and_messages_use_the_plain_word() -> None:
    texts = [(page.name, page.read_text()) for page in [*PAGES, ROOT / "CHANGELOG.md", ROOT / "SECURITY.md"]]
    assert [
        f"{name}: {found[0]!r} is {plain!r}: {text[max(found.start() - 30, 0) : found.end() + 30]!r}"
        for name, text in [*texts, *messages(), *((path.name, path.read_text()) for path in SCREENS)]
        for pattern, plain in WORDS.items()
        if (found := re.search(pattern, text, re.IGNORECASE)) and text != "about:blank"
    ] == []


def test_the_states_of_a_stage_are_documented() -> None:
    page = (ROOT / "docs" / "output.md").read_text()
    from captrawl.workspace.workspace import State

    assert f"are {', '.join(f'`{state}`' for state in list(State)[:-1])} and `{list(State)[-1]}`." in page


def test_exit_codes_are_the_programs() -> None:
    """Every way out of the program has its row, and no row is of another."""
    page = (ROOT / "docs" / "output.md").read_text()
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    assert codes == {0, 1, 2, INTERRUPTED}
    for path in sources():
        if path.relative_to(ROOT).parts[0] not in {"docs", "examples"}:
            for code in re.findall(r"(?:SystemExit|typer\.Exit|sys\.exit)\((\d+)", path.read_text()):
                assert int(code) in codes, path


def test_the_glossary_is_sorted_and_has_the_words() -> None:
    words = re.findall(r"^\| ([\w -]+) \|", (ROOT / "docs" / "glossary.md").read_text(), re.MULTILINE)[1:]
    assert words == sorted(words, key=str.lower)
    assert {
        "T2T", "T2I", "I2I", "I2T", "pool", "credited", "shots", "prefix", "priority", "referee",
        "leak guard", "profile",
    } <= set(words)  # fmt: skip


@pytest.mark.skipif(importlib.util.find_spec("mkdocs") is None, reason="pip install 'captrawl[docs]'")
def test_the_site_builds_strictly(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "-q",
        "-d",
        str(tmp_path / "site"),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {page.stem for page in (ROOT / "docs").glob("*.md")} <= {
        path.name for path in (tmp_path / "site").iterdir()
    } | {"index"}
    page = (tmp_path / "site" / "index.html").read_text()
    assert re.findall(r'(?:src|href)="(https?://[^"]+)"', page) == [
        "https://squidfunk.github.io/mkdocs-material/"
    ]

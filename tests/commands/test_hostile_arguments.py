"""Hostile values for every option of every command, from the app itself: a line or a result, no traceback."""

from __future__ import annotations

import shutil
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from captrawl.cli import app
from captrawl.commands.examples import EXAMPLES
from typer.testing import CliRunner

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "workspace-1"
HOSTILE = {
    "not UTF-8": "caf\udce9",
    "NUL": "a\0b",
    "empty": "",
    "long": "x" * 100_000,
    "minus": "-1",
    "nan": "nan",
    "infinite": "1e309",
    "a folder": "{place}/captions",
    "a file": "{place}/classes.csv",
    "nothing there": "{place}/nowhere/x.json",
    "controls": "\x1b[31m\u202e",
}
BASE: dict[str, list[str]] = {
    "query": ["dog", "--index", "{place}/captions"],
    "count": ["dog", "--index", "{place}/captions"],
    "similar": ["--text", "a dog"],
    "index captions": ["{place}/rows.parquet", "--to", "{place}/other-index", "--workers", "1"],
    "init": ["{place}/new", "--classes", "{place}/classes.csv", "--index", "{place}/captions"],
    "sample": ["--name", "hostile"],
    "evaluate": ["--labelled", "{place}/nowhere.txt"],
    "export": ["{place}/export", "--to", "imagefolder"],
    "classes convert": ["{place}/classes.csv", "--to", "json"],
    "import swat": ["{place}/nowhere", "--to", "{place}/imported"],
}
"""What each command needs besides the option that is tried."""
NEVER = {"run", "embed", "synonyms", "download"}
"""Commands whose other values start long work; their options are tried with a workspace that isn't there."""


def commands() -> Iterator[tuple[str, object]]:
    """Every command by its words."""
    ahead = [((), typer.main.get_command(app))]
    while ahead:
        words, command = ahead.pop()
        if hasattr(command, "commands"):
            ahead += [((*words, name), inner) for name, inner in command.commands.items()]
        else:
            yield " ".join(words), command


def cases() -> Iterator[tuple[str, list[str]]]:
    """(words, the option or argument that takes the value)."""
    for words, command in sorted(commands(), key=lambda pair: pair[0]):
        if words == "demo":  # any name of a new folder is right, and its job takes a minute
            continue
        for parameter in command.params:
            if getattr(parameter, "is_flag", False) or parameter.name in {"help", "install_completion"}:
                continue
            option = [parameter.opts[0]] if parameter.opts[0].startswith("-") else []
            yield pytest.param(words, option, id=f"{words} {parameter.name}")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index, a class list and a workspace whose model is gone."""
    folder = tmp_path_factory.mktemp("hostile")
    shutil.copytree(GOLDEN, folder, dirs_exist_ok=True)
    return folder


def test_the_commands_are_known() -> None:
    assert {words for words, _ in commands()} == set(EXAMPLES)


@pytest.mark.parametrize(("words", "option"), list(cases()))
def test_no_value_ends_in_a_traceback(
    words: str, option: list[str], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    before = set(place.iterdir())
    problems: list[str] = []
    for name, pattern in HOSTILE.items():
        if words == "serve" and option == ["--index"] and name == "a folder":  # which it would serve for ever
            continue
        value = pattern.replace("{place}", str(place))
        where = "nowhere" if words in NEVER or words == "serve" else "birds"
        base = [part.replace("{place}", str(place)) for part in BASE.get(words, [])]
        if option:
            for at in [at for at, part in enumerate(base) if part == option[0]]:
                base[at : at + 2] = []
        given = ["-C", where, *words.split(), *base, *option, value]
        done = CliRunner().invoke(app, given)
        ended = isinstance(done.exception, SystemExit) or done.exception is None
        if not ended or done.exit_code not in {0, 1, 2}:
            trace = "".join(traceback.format_exception(done.exception))[-600:]
            problems.append(f"{name}: exit code {done.exit_code}, {done.exception!r:.200}\n{trace}")
        for made in set(place.iterdir()) - before:
            shutil.rmtree(made) if made.is_dir() else made.unlink()
    assert problems == []

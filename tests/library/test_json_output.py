"""What --json prints has the keys and types of docs/json.md, command by command."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from types import ModuleType, UnionType
from typing import Any, Literal, NotRequired, Union, get_args, get_origin

import captrawl as ct
import numpy as np
import pyarrow.parquet as pq
from captrawl.cli import app
from captrawl.demo.drawings.catalogue import draw
from typer.testing import CliRunner

ROOT = Path(__file__).resolve().parents[2]
NOT_RUN = {
    "demo", "index back", "synonyms", "synonyms --senses", "synonyms --review", "synonyms --taxa",
    "match --compare", "import swat", "judge", "judge --dry-run",
}  # fmt: skip
"""Commands that need minutes, a server or SWAT's files: pyright holds them to their types."""


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("captrawl_make_json", ROOT / "docs" / "make_json.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PAGE = load()


def fits(value: Any, kind: Any) -> bool:
    """Whether ``value`` is of ``kind``: all its keys and no other, at every depth."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return any(fits(value, one) for one in arguments)
    if PAGE.is_record(kind):
        return isinstance(value, dict) and has_keys(value, [kind])
    if origin in (dict, Mapping):
        return isinstance(value, dict) and all(fits(one, arguments[1]) for one in value.values())
    if origin is Literal:
        return value in arguments
    if origin is tuple and arguments[-1] is not Ellipsis:
        return len(value) == len(arguments) and all(map(fits, value, arguments))
    if origin is not None:  # a list, tuple or sequence
        return isinstance(value, list) and all(fits(one, arguments[0]) for one in value)
    if issubclass(kind, StrEnum):
        return value in list(kind)
    return isinstance(value, (int, float) if kind is float else kind) and (
        kind is bool or not isinstance(value, bool)
    )


def has_keys(value: dict[str, Any], records: Iterable[type]) -> bool:
    """Whether ``value`` has the keys of all ``records`` together, and fitting values."""
    kinds = {name: kind for record in records for name, kind in PAGE.keys(record).items()}
    optional = {name for name, kind in kinds.items() if get_origin(kind) is NotRequired}
    plain = {name: get_args(kind)[0] if name in optional else kind for name, kind in kinds.items()}
    wrong = {name for name in value if name in plain and not fits(value[name], plain[name])}
    assert not wrong, {name: (value[name], plain[name]) for name in wrong}
    return set(value) - optional == set(plain) - optional and set(value) <= set(plain)


def test_the_page_is_up_to_date() -> None:
    command = [sys.executable, "docs/make_json.py"]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert made == (ROOT / "docs" / "json.md").read_text(), "run: make docs"


def test_every_command_with_json_is_on_the_page() -> None:
    sections = re.split(r"^## captrawl ", (ROOT / "docs" / "cli.md").read_text(), flags=re.MULTILINE)
    commands = {
        text.partition("\n")[0] for text in sections[1:] if re.search(r"^  --json ", text, re.MULTILINE)
    }
    assert {name.partition(" --")[0] for name in PAGE.OUTPUTS} == commands


def published(folder: Path, corpus: Path) -> Path:
    """Vectors of the rows of ``corpus``, in a folder."""
    (folder / "vectors").mkdir()
    shutil.copy(corpus, folder / "vectors" / "rows.parquet")
    rows = pq.read_metadata(corpus).num_rows
    np.save(folder / "vectors" / "rows.npy", np.full((rows, 4), 0.5, np.float32))
    return folder / "vectors"


def test_commands_print_what_the_page_says(copy: ct.Workspace, tmp_path: Path, task: Any) -> None:
    labelled = tmp_path / "labelled.txt"
    for label, name in enumerate(("stop sign", "anchor", "palm tree")):
        draw(name, 900_000).save(tmp_path / f"{label}.png")
    labelled.write_text("".join(f"{label}.png {label} 0\n" for label in range(3)))
    corpus = task.folder / "corpus" / "a.parquet"
    vectors = published(tmp_path, corpus)
    calls: dict[str, list[object]] = {
        "query": ["query", "anchor", "--index", task.index],
        "query --output": ["query", "anchor", "--index", task.index, "--output", tmp_path / "rows.csv"],
        "count": ["count", "anchor", "palm tree", "--index", task.index],
        "doctor": ["-C", copy.root, "doctor"],
        "similar": ["-C", copy.root, "similar", "an anchor"],
        "index captions": ["index", "captions", corpus, "--to", tmp_path / "index"],
        "index vectors": ["index", "vectors", vectors, "--model", "a/b", "--index", task.index],
        "index files": ["index", "files", tmp_path / "index"],
        "index push": ["index", "push", tmp_path / "index", tmp_path / "copy", "--licence", "CC0"],
        "index pull": ["index", "pull", tmp_path / "copy", tmp_path / "pulled"],
        "index remove": ["index", "remove", "corpus/a.parquet", "--from", tmp_path / "index"],
        "synonyms --dry-run": ["-C", copy.root, "synonyms", "--dry-run"],
        "synonyms --forms": ["-C", copy.root, "synonyms", "--forms", "plural"],
        "match": ["-C", copy.root, "match"],
        "download": ["-C", copy.root, "download"],
        "download --plan-only": ["-C", copy.root, "download", "--plan-only"],
        "embed": ["-C", copy.root, "embed"],
        "sample": ["-C", copy.root, "sample", "--method", "Random", "-n", 2],
        "evaluate": ["-C", copy.root, "evaluate", "--labelled", labelled, "--root", tmp_path],
        "report": ["-C", copy.root, "report"],
        "plan": ["-C", copy.root, "plan"],
        "run --dry-run": ["-C", copy.root, "run", "--dry-run"],
        "run": ["-C", copy.root, "run"],
        "export": ["-C", copy.root, "export", tmp_path / "csv", "--to", "csv", "--name", "T2I4"],
        "status": ["-C", copy.root, "status", "--verify"],
        "slurm": ["-C", copy.root, "slurm", "--parts", 2],
        "descriptors": ["descriptors", labelled, "--root", tmp_path, "-o", tmp_path / "hashes.parquet"],
        "purge --dry-run": ["-C", copy.root, "purge", "--host", "nowhere.test", "--dry-run"],
        "purge": ["-C", copy.root, "purge", "--host", "nowhere.test"],
    }
    assert set(calls) | NOT_RUN == set(PAGE.OUTPUTS)
    for command, arguments in calls.items():
        done = CliRunner().invoke(app, [*map(str, arguments), "--json"])
        assert done.stdout, (command, done.stderr, done.exception)
        value = json.loads(done.stdout)
        assert has_keys(value, map(PAGE.resolved, PAGE.OUTPUTS[command])), (command, value)

"""The commands of the pages for SWAT's users and of reindexing are ones that exist; the SLURM files parse."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import typer
from captrawl.cli import app

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("docs/from-swat.md", "docs/reindexing.md", "README.md", "docs/download.md", "docs/sampling.md")
SLURM = sorted((ROOT / "examples" / "slurm").iterdir())


def commands(text: str) -> list[str]:
    """Every whole captrawl command in code spans and indented blocks."""
    spans = re.findall(r"`(captrawl [^`]+)`", text)
    blocks = re.findall(r"^    (captrawl .+)$", text, flags=re.MULTILINE)
    return [line for line in dict.fromkeys(spans + blocks) if "…" not in line]


@pytest.mark.parametrize("page", PAGES)
def test_every_command_parses(page: str) -> None:
    found = commands((ROOT / page).read_text())
    assert found
    for line in found:
        words = shlex.split(line, comments=True)[1:]
        try:
            parse(words)
        except Exception as error:
            pytest.fail(f"{page}: {line}\n{error}")


def parse(words: list[str]) -> None:
    """Parse without running; an unknown command or option, a bad value or a missing argument raises."""
    command = typer.main.get_command(app)
    context = command.make_context("captrawl", list(words))
    while hasattr(command, "resolve_command"):
        _, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        context = command.make_context(command.name, rest, parent=context)


@pytest.mark.parametrize("path", SLURM, ids=lambda path: path.name)
def test_slurm_files_are_bash(path: Path) -> None:
    subprocess.run(["bash", "-n", path], check=True)
    text = path.read_text()
    assert text.startswith("#!/bin/bash\n")
    assert "set -euo pipefail" in text
    if path.suffix == ".sbatch":
        lines = text.splitlines()
        first = next(n for n, line in enumerate(lines) if not line.startswith("#"))
        assert all(
            n < first for n, line in enumerate(lines) if line.startswith("#SBATCH")
        )  # else it is ignored


def test_the_slurm_files_run_as_jobs_would(tmp_path: Path) -> None:
    """A captrawl that notes its arguments: what each job would call."""
    told = tmp_path / "calls"
    fake = tmp_path / "captrawl"
    fake.write_text(f'#!/bin/bash\necho "$@" >> {told}\n')
    fake.chmod(0o755)
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "TASK": "/d/birds", "CORPUS": "/d/laion", "INDEX": "/d/idx"}
    env |= {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "16", "SLURM_CPUS_PER_TASK": "8"}
    for name in ("index", "match", "download", "embed"):
        subprocess.run(["bash", ROOT / f"examples/slurm/{name}.sbatch"], env=env, check=True)
    assert told.read_text().splitlines() == [
        "index captions /d/laion --to /d/idx --part 3/16 --workers 8",
        "-C /d/birds match",
        "-C /d/birds download",
        "-C /d/birds embed",
        "-C /d/birds run",
    ]
    for line in told.read_text().splitlines():
        parse(line.split())

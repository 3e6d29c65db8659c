"""A workspace's run as SLURM jobs: job arrays of its parts, each array's merge behind it, and the rest.

Only what isn't complete becomes a job, so the same call after a failure sends the parts that failed.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..core.errors import InputError, WorkspaceError
from ..core.files import atomic
from ..indexer.download.parts import downloaded_parts
from ..indexer.download.stage import DOWNLOAD_STAGE
from ..indexer.embed.stage import EMBED_STAGE, embedded_parts
from ..indexer.match_stage import matched_parts
from ..workspace.pipeline import MATCH_STAGE, downloading, ranking_of
from ..workspace.workspace import State, Workspace

_ID = re.compile(r"[0-9]+")


@dataclass(frozen=True, slots=True)
class SlurmJob:
    """A script: a command of captrawl, in the workspace; an array of it where ``parts`` are named."""

    name: str
    command: tuple[str, ...]
    parts: tuple[int, ...] = ()
    count: int = 0


def jobs_of(workspace: Workspace, count: int) -> list[SlurmJob]:
    """What is to be done in ``workspace``, each job after the one before; arrays of at most ``count`` parts.

    InputError where the settings ask for what can't be divided.
    """
    every = set(range(1, count + 1))
    jobs: list[SlurmJob] = []
    sure = True
    """Whether the stages before are done, so that parts that are there are of the matches as they will be."""
    ranking = ranking_of(workspace)
    stages = (
        (MATCH_STAGE, partial(matched_parts, ranking=ranking), True),
        (DOWNLOAD_STAGE, downloaded_parts, True),
        (EMBED_STAGE, embedded_parts, False),
    )
    for stage, complete, merges in stages:
        seen = downloading(workspace) if stage is DOWNLOAD_STAGE else workspace
        if sure and stage.status(seen).state is State.DONE:
            continue
        done = complete(workspace, count) if sure else set[int]()
        missing = tuple(sorted(every - done))
        if missing:
            jobs.append(SlurmJob(stage.name, (stage.name, "--part"), missing, count))
        if merges:
            jobs.append(SlurmJob(f"{stage.name}-merge", (stage.name,)))
        sure = False
    return [*jobs, SlurmJob("run", ("run",))]


def write_scripts(
    workspace: Workspace, jobs: Sequence[SlurmJob], *, partition: str = "", options: Sequence[str] = ()
) -> list[Path]:
    """A batch script a job in ``slurm/``, in order, in the place of those that were there."""
    folder = workspace.root / "slurm"
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.sh"):
        old.unlink()
    paths: list[Path] = []
    for number, job in enumerate(jobs, 1):
        path = folder / f"{number}-{job.name}.sh"
        own = [f"--partition={partition}"] if partition else []
        with atomic(path) as temporary:
            temporary.write_text(_script(workspace, job, [*own, *options]), encoding="utf-8")
        paths.append(path)
    return paths


def submit(scripts: Sequence[Path]) -> list[str]:
    """Send the scripts to sbatch, each to start when the one before has ended well; their job numbers.

    InputError where there is no sbatch, WorkspaceError where it refuses one.
    """
    numbers: list[str] = []
    for script in scripts:
        after = [f"--dependency=afterok:{numbers[-1]}", "--kill-on-invalid-dep=yes"] if numbers else []
        try:
            answer = subprocess.run(
                ["sbatch", "--parsable", *after, str(script)], capture_output=True, text=True, check=False
            )
        except FileNotFoundError as error:
            raise InputError("there is no sbatch here; run this where SLURM's commands are") from error
        number = _ID.match(answer.stdout.strip())
        if answer.returncode or number is None:
            words = " ".join((answer.stderr or answer.stdout).split())[:300]
            sent = f"; sent before it: {', '.join(numbers)} (scancel takes them back)" if numbers else ""
            raise WorkspaceError(f"sbatch refused {script}: {words}{sent}")
        numbers.append(number[0])
    return numbers


def _script(workspace: Workspace, job: SlurmJob, options: Sequence[str]) -> str:
    log = workspace.root / "slurm" / ("%x-%a.log" if job.parts else "%x.log")
    lines = [f"--job-name=captrawl-{job.name}", f"--output={log}", *options]
    part = ""
    if job.parts:
        lines.append(f"--array={_ranges(job.parts)}")
        part = f' "$SLURM_ARRAY_TASK_ID/{job.count}"'
    command = shlex.join([sys.executable, "-m", "captrawl", "-C", str(workspace.root), *job.command])
    return "\n".join(["#!/bin/bash", *(f"#SBATCH {line}" for line in lines), f"exec {command}{part}", ""])


def _ranges(numbers: Sequence[int]) -> str:
    """1, 3, 4, 5 → ``1,3-5``."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in ranges)

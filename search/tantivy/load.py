"""Planned groups into an embedded caption index: parts in worker processes, a commit a group."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from ..core.parallel import Told, run_jobs
from ..search.tantivy.build import Staging, build_part, staged, sweep
from .corpora.files import read_batches
from .corpora.grouping import Piece, PlannedGroup


@dataclass(frozen=True, slots=True)
class _Job:
    """One part of a group: what a worker builds."""

    group: int
    folder: Path
    number: int
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class _Built:
    """A part that is built."""

    group: int


@dataclass(slots=True)
class _Open:
    """A group being built: its staging, which ``leave`` gives up, and how many parts are missing."""

    staging: Staging
    leave: contextlib.ExitStack
    missing: int


def build_groups(
    root: Path, groups: Sequence[PlannedGroup], *, workers: int, replace: bool, told: Told
) -> int:
    """Build and commit every group in the index at ``root``; the rows that came in.

    This process holds a group's lock while workers build its parts. IndexBusyError where another process
    builds the same files. Finished parts of a killed build are found again; once everything is in, what
    other killed builds left behind is deleted.
    """
    rows = 0
    opened: dict[int, _Open] = {}
    with contextlib.ExitStack() as leave_all:

        def jobs() -> Iterator[_Job]:
            for place, group in enumerate(groups):
                leave = leave_all.enter_context(contextlib.ExitStack())
                staging = leave.enter_context(staged(root, group.files, plan=group.cuts))
                opened[place] = _Open(staging, leave, len(group.parts))
                for number, pieces in enumerate(group.parts):
                    yield _Job(place, staging.folder, number, pieces)

        # closed before the locks are given up: no worker outlives its lock
        with contextlib.closing(run_jobs(_build, jobs(), workers=workers, told=told)) as results:
            for built in results:
                group = opened[built.group]
                group.missing -= 1
                if not group.missing:
                    parts = len(groups[built.group].parts)
                    rows += group.staging.commit(parts=parts, replace=replace)
                    group.leave.close()
                    del opened[built.group]
    sweep(root)
    return rows


def _build(job: _Job, told: Told) -> _Built:
    said = 0

    def telling(rows: int) -> None:
        nonlocal said
        said += rows
        told(rows)

    rows = build_part(
        job.folder, job.number, ((piece.file, _batches(piece, telling)) for piece in job.pieces)
    )
    told(rows - said)  # all of them where a killed build had the part ready
    return _Built(job.group)


def _batches(piece: Piece, told: Told) -> Iterator[pa.RecordBatch]:
    for batch in read_batches(piece.file, row_groups=piece.row_groups):
        yield batch
        told(batch.num_rows)

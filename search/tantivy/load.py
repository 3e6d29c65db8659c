"""Corpus files into an embedded caption index: parts in worker processes, a commit a group."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...core.errors import CaptionIndexError
from ...core.parallel import run_jobs
from ...core.records import LoadJob, OnRows, ReadBatches, reported
from .build import Staging, build_part, staged, sweep_index
from .grouping import Piece, PlannedGroup, plan


@dataclass(frozen=True, slots=True)
class _PartJob:
    """One part of a group: what a worker builds."""

    group: int
    folder: Path
    number: int
    pieces: tuple[Piece, ...]
    read: ReadBatches


@dataclass(slots=True)
class _OpenGroup:
    """A group being built: its staging, which ``leave`` gives up, and how many parts are missing."""

    staging: Staging
    leave: contextlib.ExitStack
    missing: int


def load(root: Path, job: LoadJob) -> int:
    """Put the job's missing files into the index at ``root``; the rows that came in.

    Groups are planned over all files of the job, so that a killed load's parts are found again.
    """
    groups = [
        rest
        for group in plan(job.files, job.workers, job.row_groups)
        if (rest := group.only(job.missing)).files
    ]
    if not groups:
        with contextlib.suppress(CaptionIndexError):  # whoever may not write has nothing to tidy up
            sweep_index(root)
        return 0
    return build_groups(root, groups, job)


def build_groups(root: Path, groups: Sequence[PlannedGroup], job: LoadJob) -> int:
    """Build and commit every group in the index at ``root``; the rows that came in.

    This process holds a group's lock while workers build its parts. IndexBusyError where another process
    builds the same files. Finished parts of a killed build are found again; once everything is in, what
    other killed builds left behind is deleted.
    """
    rows = 0
    open_groups: dict[int, _OpenGroup] = {}
    with contextlib.ExitStack() as leave_all:

        def jobs() -> Iterator[_PartJob]:
            for place, group in enumerate(groups):
                leave = leave_all.enter_context(contextlib.ExitStack())
                staging = leave.enter_context(staged(root, group.files, plan=group.cuts))
                open_groups[place] = _OpenGroup(staging, leave, len(group.parts))
                for number, pieces in enumerate(group.parts):
                    yield _PartJob(place, staging.folder, number, pieces, job.read)

        # closed before the locks are given up: no worker outlives its lock
        parts = run_jobs(_build, jobs(), workers=job.workers, on_units=job.on_rows)
        with contextlib.closing(parts) as group_numbers:
            for place in group_numbers:
                group = open_groups[place]
                group.missing -= 1
                if not group.missing:
                    rows += group.staging.commit(parts=len(groups[place].parts), replace=job.replace)
                    group.leave.close()
                    del open_groups[place]
    sweep_index(root)
    return rows


def _build(job: _PartJob, on_rows: OnRows) -> int:
    """Build a part; the number of its group."""
    reported_rows = 0

    def counting(rows: int) -> None:
        nonlocal reported_rows
        reported_rows += rows
        on_rows(rows)

    contents = (
        (piece.file, reported(job.read(piece.file, row_groups=piece.row_groups), counting))
        for piece in job.pieces
    )
    rows = build_part(job.folder, job.number, contents)
    on_rows(rows - reported_rows)  # all of them where a killed build had the part ready
    return job.group

"""How corpus files become sub-indexes: small ones together, a huge one in several.

The same files and workers always give the same groups, so that a killed build finds its parts again.

A group is what goes in by one commit; a part of it is one sub-index, built by one worker.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from ...core.records import CorpusFile, CorpusPath

PART_ROWS = 1_000_000
"""A sub-index should contain about so many rows: one segment's worth, so that none are merged."""

SMALLEST_SHARE = 50_000
"""Below so many rows a group isn't worth splitting among workers."""

_ALONE = 4
"""A file with more than one such share of a group's rows is a group of its own."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A corpus file, or (with ``row_groups``) a cut of one."""

    file: CorpusFile
    row_groups: range | None = None


@dataclass(frozen=True, slots=True)
class PlannedGroup:
    """Files that go in together, and which pieces of them each part contains."""

    files: tuple[CorpusFile, ...]
    parts: tuple[tuple[Piece, ...], ...]

    def only(self, names: Collection[str]) -> PlannedGroup:
        """What is left of the group when it contains only the files of these names."""
        parts = [tuple(piece for piece in part if piece.file.file in names) for part in self.parts]
        return PlannedGroup(
            tuple(file for file in self.files if file.file in names), tuple(part for part in parts if part)
        )

    @property
    def cuts(self) -> str:
        """What tells this division into parts from another of the same files."""
        ends = [[piece.row_groups.stop if piece.row_groups else 0 for piece in part] for part in self.parts]
        return "" if len(self.parts) == 1 else str(ends)


RowGroups = Callable[[CorpusPath], Sequence[int]]
"""The rows of each row group of a file; none of a text."""


def plan(files: Sequence[CorpusFile], workers: int, row_groups: RowGroups) -> list[PlannedGroup]:
    """The groups of ``files``, in their order: every file in one of them, whole.

    A group holds about PART_ROWS rows, or fewer where all workers would not get one. Files bigger than a
    quarter of that stand alone; those of more than 1.5 × PART_ROWS are cut by row groups, if they have any.
    """
    total = sum(file.estimated_rows for file in files)
    most = min(PART_ROWS, max(SMALLEST_SHARE, total // workers))
    groups: list[PlannedGroup] = []
    small: list[CorpusFile] = []
    small_rows = 0
    for file in files:
        rows = file.estimated_rows
        if rows > most // _ALONE:
            groups.append(PlannedGroup((file,), _parts(file, rows, row_groups)))
            continue
        if small and small_rows + rows > most:
            groups.append(_together(small))
            small, small_rows = [], 0
        small.append(file)
        small_rows += rows
    return [*groups, _together(small)] if small else groups


def _together(files: Sequence[CorpusFile]) -> PlannedGroup:
    return PlannedGroup(tuple(files), (tuple(map(Piece, files)),))


def _parts(file: CorpusFile, rows: int, row_groups: RowGroups) -> tuple[tuple[Piece, ...], ...]:
    if rows <= PART_ROWS * 3 // 2:
        return ((Piece(file),),)
    sizes = row_groups(file.path)
    count = -(-rows // PART_ROWS)
    parts: list[tuple[Piece, ...]] = []
    start, rows_so_far = 0, 0
    for group, size in enumerate(sizes):
        rows_so_far += size
        if rows_so_far * count >= rows * (len(parts) + 1):
            parts.append((Piece(file, range(start, group + 1)),))
            start = group + 1
    if start < len(sizes):
        parts.append((Piece(file, range(start, len(sizes))),))
    return tuple(parts) if len(parts) > 1 else ((Piece(file),),)

"""Rows taken out of an embedded caption index: each group that has some is written anew without them.

The new group takes the old one's place by one rename, as a replaced file does, and the old one's files are
deleted: nothing of the rows stays on the disk. Rows of files that were removed earlier go on the way.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import tantivy
from numpy.typing import NDArray

from ...core.files import digest
from ...core.records import CorpusFile, CorpusReader
from .build import Staging, build_part, part_name, staged
from .corpus_rows import RowGroups, corpus_rows
from .folder import Group, IndexedFile, commit_group, read_groups
from .part import Part, rows_of
from .query import between
from .schema import Place, position_of
from .values import read_values

Rows = Mapping[str, Collection[int]]
"""File → numbers of its rows."""


def remove_rows(root: Path, rows: Rows, reader: CorpusReader | None = None) -> int:
    """Take ``rows`` out of the index at ``root``; how many of them were in. Killed, a rerun goes on.

    ``reader`` reads the other rows where the index has none of its own.
    """
    row_groups = RowGroups(reader)
    removed = 0
    for group in read_groups(root):
        files = [member for member in group.live() if member.file in rows]
        if files:
            removed += _rewrite(root, group, {member.file: rows[member.file] for member in files}, row_groups)
    return removed


def _rewrite(root: Path, group: Group, rows: Rows, row_groups: RowGroups) -> int:
    members = list(group.live())
    files = [CorpusFile(member.file, Path(), "", member.fingerprint) for member in members]
    corpus = corpus_rows(group, row_groups)
    names = [member.file for member in group.files]
    parts = [Part(group.folder / name, names, removed=group.removed, corpus=corpus) for name in group.parts]
    doomed = {one.file: np.array(sorted(rows.get(one.file, ())), np.int64) for one in members}
    if not any(sum(part.count(_queries(group, doomed))) for part in parts):
        return 0
    plan = digest(["without", group.id, {file: some.tolist() for file, some in doomed.items()}])
    with staged(root, files, plan=plan) as staging:
        for number, part in enumerate(parts):
            contents = [(file, _others(group, part, file.file, doomed[file.file])) for file in files]
            build_part(staging.folder, number, contents)
        counts = _counts(staging, len(parts))
        indexed = [IndexedFile(one.file, one.fingerprint, counts[one.file], one.source) for one in members]
        names = [part_name(number) for number in range(len(parts))]
        commit_group(root, staging.folder, indexed, names, replace_files=True)
    return sum(one.rows for one in members) - sum(one.rows for one in indexed)


def _counts(staging: Staging, parts: int) -> dict[str, int]:
    """The rows of each file in the parts that were built."""
    counts = {file.file: 0 for file in staging.files}
    for number in range(parts):
        for file, rows in staging.built(number).items():
            counts[file] += rows
    return counts


def _queries(group: Group, doomed: Mapping[str, NDArray[np.int64]]) -> Sequence[tantivy.Query]:
    """A query for each of the rows."""
    ordinals = {member.file: at for at, member in enumerate(group.files)}
    positions = [
        position_of(Place(ordinals[file], row)) for file, some in doomed.items() for row in some.tolist()
    ]
    return [between("position", at, at) for at in positions]


def _others(group: Group, part: Part, file: str, doomed: NDArray[np.int64]) -> Iterator[pa.RecordBatch]:
    """The rows of ``file`` in ``part`` but the doomed ones."""
    for batch in _batches(group, part, file):
        yield batch.filter(pa.array(~np.isin(batch.column("row").to_numpy(), doomed)))


def _batches(group: Group, part: Part, file: str) -> Iterator[pa.RecordBatch]:
    """The rows of ``file`` in ``part``, in their order."""
    ordinal = [member.file for member in group.files].index(file)
    query = rows_of(ordinal)
    for page in part.pages(query, part.count([query])[0]):
        batch = read_values([part.page(page)])
        yield batch.take(np.argsort(batch.column("row").to_numpy()))

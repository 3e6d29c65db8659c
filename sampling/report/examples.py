"""The rows that a report shows with their pictures: most and least certain kept ones, examples of drops."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ...workspace.workspace import Workspace
from ..files import read_sample, sample_readable
from ..methods import Score
from ..task import paths_of
from .sample_counts import SampleCounts

EXAMPLES = 8
"""Examples shown of a reason, at most, of different classes where there are as many."""
SCORES = tuple(score.column for score in Score)


@dataclass(frozen=True, slots=True)
class Example:
    """A row of a sample's pool; ``path`` is relative to the workspace, None without an image."""

    class_id: int
    path: str | None
    url: str | None
    caption: str | None
    synonym: str
    scores: tuple[tuple[Score, float], ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """Kept rows of one class: the most certain first, and the least certain, the least first.

    A class with no more rows than both would show has all of them in ``most``.
    """

    class_id: int
    most: tuple[Example, ...]
    least: tuple[Example, ...]


@dataclass(frozen=True, slots=True)
class Examples:
    """What is shown of one sample: a sheet for every class that kept rows, and dropped rows by reason."""

    sheets: dict[int, Sheet]
    dropped: dict[str, tuple[Example, ...]]


def pick(workspace: Workspace, sample: SampleCounts, *, each: int) -> Examples:
    """The rows to show of ``sample``, ``each`` most and least certain ones of every class.

    Certain is a high score in the order's score (T2I of a random order; NULL is least); ties go by rank.
    """
    paths = paths_of(workspace, sample.name)
    table: Any = read_sample(paths, ["class_id", "kept", "reason", sample.certainty.column])
    kept: NDArray[np.bool_] = table.column("kept").to_numpy()
    ids: NDArray[np.int64] = table.column("class_id").to_numpy()
    certainty = np.nan_to_num(table.column(sample.certainty.column).to_numpy(), nan=-np.inf)
    ends = {class_id: _ends(rows, certainty, each) for class_id, rows in _groups(ids, np.flatnonzero(kept))}
    codes: Any = table.column("reason").dictionary_encode().combine_chunks()
    dropped = np.flatnonzero(~kept)
    by_reason = _groups(codes.indices.to_numpy(), dropped)
    names = codes.dictionary.to_pylist()
    nearest = {str(names[code]): _nearest(rows, ids, certainty) for code, rows in by_reason}
    places = [row for pair in ends.values() for rows in pair for row in rows]
    places += [row for rows in nearest.values() for row in rows]
    with sample_readable(paths):
        at = read_rows(paths.table, places)
    sheets = {
        class_id: Sheet(class_id, tuple(at[r] for r in most), tuple(at[r] for r in least))
        for class_id, (most, least) in ends.items()
    }
    return Examples(sheets, {reason: tuple(at[r] for r in rows) for reason, rows in nearest.items()})


def _groups(keys: NDArray[Any], rows: NDArray[np.int64]) -> list[tuple[int, NDArray[np.int64]]]:
    """(key, those of ``rows`` that have it, in their order), by key."""
    ordered = rows[np.argsort(keys[rows], kind="stable")]
    cuts = np.flatnonzero(np.diff(keys[ordered])) + 1
    return [(int(keys[some[0]]), some) for some in np.split(ordered, cuts) if len(some)]


def _ends(rows: NDArray[np.int64], certainty: NDArray[np.float64], each: int) -> tuple[list[int], list[int]]:
    """The most and the least certain of ``rows``, which are in rank order."""
    ordered = rows[np.argsort(-certainty[rows], kind="stable")].tolist()
    if len(ordered) <= 2 * each:
        return ordered, []
    return ordered[:each], ordered[: -each - 1 : -1]


def _nearest(rows: NDArray[np.int64], ids: NDArray[np.int64], certainty: NDArray[np.float64]) -> list[int]:
    """The rows that came nearest to being kept: the best of each class, spread evenly over the classes."""
    ordered = rows[np.lexsort((rows, -certainty[rows], ids[rows]))]
    place = np.arange(len(ordered))
    starts = np.flatnonzero(np.diff(ids[ordered], prepend=-1))
    within = place - np.repeat(starts, np.diff(np.append(starts, len(ordered))))
    first = ordered[within == 0]
    if len(first) >= EXAMPLES:
        return first[np.linspace(0, len(first) - 1, EXAMPLES).astype(int)].tolist()
    return ordered[np.lexsort((place, within))][:EXAMPLES].tolist()


def read_rows(path: Path, rows: Iterable[int]) -> dict[int, Example]:
    """The rows of a NAME.parquet by their place, read one row group after the other."""
    places = np.unique(np.fromiter(rows, dtype=np.int64))
    columns = ["class_id", "path", "url", "caption", "synonym", *SCORES]
    examples: dict[int, Example] = {}
    with pq.ParquetFile(path) as source:
        start = 0
        for group in range(source.num_row_groups):
            size = source.metadata.row_group(group).num_rows
            mine = places[(places >= start) & (places < start + size)]
            if len(mine):
                lines = source.read_row_group(group, columns=columns).take(mine - start).to_pylist()
                examples.update(zip(mine.tolist(), map(_example, lines), strict=True))
            start += size
    return examples


def _example(line: dict[str, Any]) -> Example:
    scores = tuple((score, line[score.column]) for score in Score if line[score.column] is not None)
    return Example(line["class_id"], line["path"], line["url"], line["caption"], line["synonym"], scores)

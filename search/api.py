"""Counts and rows of ad-hoc phrases: the functions that the terminal, the page and notebooks share.

    count(index, phrases)           how many rows match, each phrase by itself, and what safety left out
    query(index, phrases)           some of the rows, with the phrase that each is credited to
    count_classes(index, classes)   the same counts of a class list, as a table

What the terminal and the page need besides: :func:`frequencies` (counts without safety), and rows of counts
that are there already: :func:`rows_of_page`, :func:`all_rows`, :func:`save_rows`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from ..core.errors import InputError, UsageError
from ..core.records import ROW_SCHEMA, Progress, RowId, silent
from .captions import CaptionIndex
from .match import SafetyCount, Scope, class_counts, count_safety, crediting, file_of_row
from .query import CaptionQuery

if TYPE_CHECKING:
    from pyarrow.csv import CSVWriter
    from pyarrow.parquet import ParquetWriter

    from ..classes.model import ClassList

Phrases = CaptionQuery | str | Sequence[str]
"""A query, or just its phrases under the default filters."""

CREDITED_SCHEMA = pa.schema([pa.field("synonym", pa.string(), nullable=False), *ROW_SCHEMA])
"""A matching row, and the phrase it is credited to."""

COUNT_SCHEMA = pa.schema(
    [
        pa.field("class_id", pa.int64(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
        pa.field("synonym", pa.string(), nullable=False),
        pa.field("frequency", pa.int64(), nullable=False),  # rows that contain the synonym
        pa.field("total", pa.int64(), nullable=False),  # rows of the class, each once
    ]
)
"""A synonym of a class a line."""


class Order(StrEnum):
    """Which matching rows come first."""

    RELEVANCE = "relevance"
    RANDOM = "random"
    CORPUS = "corpus"


def order_of(text: str) -> Order:
    """The order named ``text``; UsageError names the choices."""
    try:
        return Order(text)
    except ValueError as error:
        raise UsageError(f"the order {text!r} isn't one of {', '.join(Order)}") from error


@dataclass(frozen=True, slots=True)
class Frequencies:
    """How many rows match any phrase (``total``), and each phrase by itself."""

    total: int
    synonyms: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Totals(Frequencies):
    """Frequencies, and what safety did."""

    safety: SafetyCount


@dataclass(frozen=True, slots=True)
class PageOfRows:
    """Which rows to show: ``seed`` is for the random order, ``after`` for paging in corpus order."""

    size: int = 20
    order: Order = Order.RELEVANCE
    seed: int = 0
    after: RowId | None = None


def count(index: CaptionIndex, phrases: Phrases) -> Totals:
    """How many rows of ``index`` match any phrase (``total``), and each phrase by itself (``synonyms``).

    Raises QueryError where a phrase has no letter or digit.
    """
    query = as_query(phrases)
    counts = frequencies(index, query)
    return Totals(counts.total, counts.synonyms, count_safety(index, [query], counts.total))


def query(
    index: CaptionIndex,
    phrases: Phrases,
    *,
    size: int = 20,
    order: Order | str = Order.RELEVANCE,
    seed: int = 0,
) -> pa.Table:
    """At most ``size`` matching rows (CREDITED_SCHEMA), with the phrase each is credited to.

    ``order`` is relevance (BM25), random (``seed``; a smaller sample is a prefix of a larger one) or corpus.
    """
    asking = as_query(phrases)
    page = PageOfRows(size, order_of(str(order)), seed)
    return rows_of_page(index, asking, frequencies(index, asking), page)


def count_classes(index: CaptionIndex, classes: ClassList, scope: Scope | None = None) -> pa.Table:
    """The frequencies and totals of every class (COUNT_SCHEMA), in the list's order."""
    lines = [
        (counts.id, counts.name, phrase, frequency, counts.total)
        for counts in class_counts(index, classes, scope or Scope())
        for phrase, frequency in counts.synonyms.items()
    ]
    columns = list(zip(*lines, strict=True)) if lines else [[] for _ in COUNT_SCHEMA]
    return pa.Table.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, COUNT_SCHEMA, strict=True)],
        schema=COUNT_SCHEMA,
    )


def frequencies(index: CaptionIndex, query: CaptionQuery) -> Frequencies:
    """:func:`count` without what safety did."""
    singles = [replace(query, synonyms=(phrase,)) for phrase in query.synonyms]
    if len(singles) == 1:
        [total] = index.count(singles)
        return Frequencies(total, {query.synonyms[0]: total})
    total, *counts = index.count([query, *singles])
    return Frequencies(total, dict(zip(query.synonyms, counts, strict=True)))


def rows_of_page(index: CaptionIndex, query: CaptionQuery, counts: Frequencies, page: PageOfRows) -> pa.Table:
    """The rows of ``page`` (CREDITED_SCHEMA), at most its size."""
    if page.order is Order.RELEVANCE:
        rows = index.relevant(query, page.size)
    elif page.order is Order.RANDOM:
        rows = index.sample(query, page.size, page.seed)
    else:
        after = page.after and RowId(file_of_row(page.after.file, index.files()), page.after.row)
        rows = index.first(query, page.size, after)
    credit = crediting(counts.synonyms, index.analyzer)
    batches = [pa.RecordBatch.from_arrays(credit(one), schema=CREDITED_SCHEMA) for one in rows.to_batches()]
    return pa.Table.from_batches(batches, CREDITED_SCHEMA)


def all_rows(index: CaptionIndex, query: CaptionQuery, counts: Frequencies) -> Iterator[pa.RecordBatch]:
    """Every matching row once (CREDITED_SCHEMA), streamed."""
    credit = crediting(counts.synonyms, index.analyzer)
    for batch in index.scan(query):
        yield pa.RecordBatch.from_arrays(credit(batch), schema=CREDITED_SCHEMA)


def save_rows(
    index: CaptionIndex, query: CaptionQuery, counts: Frequencies, path: Path, progress: Progress = silent
) -> int:
    """Stream every matching row into ``path`` (.parquet, .csv) and return how many they were."""
    if path.suffix not in (".parquet", ".csv"):
        raise InputError(f"{path}: the file's name must end in .parquet or .csv")
    from ..core.files import atomic

    rows = 0
    with atomic(path) as temporary, _writer(temporary, path.suffix) as writer:
        for batch in all_rows(index, query, counts):
            writer.write_batch(batch)
            rows += batch.num_rows
            progress("writing rows", rows, counts.total)
    return rows


def as_query(phrases: Phrases) -> CaptionQuery:
    """``phrases`` as a CaptionQuery with the default filters."""
    if isinstance(phrases, CaptionQuery):
        return phrases
    return CaptionQuery((phrases,) if isinstance(phrases, str) else tuple(phrases))


def _writer(path: Path, suffix: str) -> ParquetWriter | CSVWriter:
    if suffix == ".csv":
        from pyarrow.csv import CSVWriter

        return CSVWriter(str(path), CREDITED_SCHEMA)
    from pyarrow.parquet import ParquetWriter

    return ParquetWriter(path, CREDITED_SCHEMA, compression="zstd")

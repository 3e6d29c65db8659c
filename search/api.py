"""What would I get? Totals, rows and credit of ad-hoc phrases, for the terminal, the page and notebooks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ..core.errors import InputError, UsageError
from ..core.records import ROW_SCHEMA, Progress, RowId, silent
from .captions import CaptionIndex
from .match import Credit, SafetyCount, count_safety
from .query import CaptionQuery

if TYPE_CHECKING:
    from pyarrow.csv import CSVWriter
    from pyarrow.parquet import ParquetWriter

FOUND_SCHEMA = pa.schema([pa.field("synonym", pa.string(), nullable=False), *ROW_SCHEMA])
"""A matching row, and the phrase it is credited to."""


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
class Page:
    """Which rows to show: ``seed`` is for the random order, ``after`` for paging in corpus order."""

    size: int = 20
    order: Order = Order.RELEVANCE
    seed: int = 0
    after: RowId | None = None


def totals(index: CaptionIndex, query: CaptionQuery) -> Totals:
    """Count ``query``, its phrases one by one, and the rows that safety concerns."""
    counted = frequencies(index, query)
    return Totals(counted.total, counted.synonyms, count_safety(index, [query], counted.total))


def frequencies(index: CaptionIndex, query: CaptionQuery) -> Frequencies:
    """:func:`totals` without what safety did."""
    singles = [replace(query, synonyms=(phrase,)) for phrase in query.synonyms]
    if len(singles) == 1:
        [total] = index.count(singles)
        return Frequencies(total, {query.synonyms[0]: total})
    total, *counts = index.count([query, *singles])
    return Frequencies(total, dict(zip(query.synonyms, counts, strict=True)))


def found(index: CaptionIndex, query: CaptionQuery, counted: Frequencies, page: Page) -> pa.Table:
    """The rows of ``page`` (FOUND_SCHEMA), at most its size."""
    if page.order is Order.RELEVANCE:
        rows = index.relevant(query, page.size)
    elif page.order is Order.RANDOM:
        rows = index.sample(query, page.size, page.seed)
    else:
        rows = index.first(query, page.size, page.after)
    credit = _credit(query, counted)(rows.column("caption"))
    return pa.Table.from_arrays([credit, *rows.columns], schema=FOUND_SCHEMA)


def every(index: CaptionIndex, query: CaptionQuery, counted: Frequencies) -> Iterator[pa.RecordBatch]:
    """Every matching row once (FOUND_SCHEMA), streamed."""
    credit = _credit(query, counted)
    for batch in index.scan(query):
        columns = [credit(batch.column("caption")), *batch.columns]
        yield pa.RecordBatch.from_arrays(columns, schema=FOUND_SCHEMA)


def _credit(query: CaptionQuery, counted: Frequencies) -> Callable[[Any], pa.Array[Any]]:
    """The credited synonym of each caption of a column of matching rows."""
    if len(query.synonym_tokens()) > 1:
        return Credit(counted.synonyms)
    only = pa.scalar(query.synonyms[0])
    return lambda captions: pa.repeat(only, len(captions))


def save_every(
    index: CaptionIndex, query: CaptionQuery, counted: Totals, path: Path, progress: Progress = silent
) -> int:
    """Stream every matching row into ``path`` (.parquet, .csv) and return how many they were."""
    if path.suffix not in (".parquet", ".csv"):
        raise InputError(f"{path}: the file's name must end in .parquet or .csv")
    from ..core.files import atomic

    written = 0
    with atomic(path) as temporary, _writer(temporary, path.suffix) as writer:
        for batch in every(index, query, counted):
            writer.write_batch(batch)
            written += batch.num_rows
            progress("writing rows", written, counted.total)
    return written


def _writer(path: Path, suffix: str) -> ParquetWriter | CSVWriter:
    if suffix == ".csv":
        from pyarrow.csv import CSVWriter

        return CSVWriter(str(path), FOUND_SCHEMA)
    from pyarrow.parquet import ParquetWriter

    return ParquetWriter(path, FOUND_SCHEMA, compression="zstd")

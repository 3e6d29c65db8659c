"""Rows that were found in sub-indexes → their values, all at once: from row stores and fast columns."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import tantivy
from numpy.typing import NDArray

from ...core.errors import CaptionIndexError
from ...core.records import ROW_SCHEMA
from ...core.row_ids import name_hash, uids_behind
from .corpus_rows import CorpusRows, read_corpus_rows
from .folder import ROWS, STRIDE
from .row_store import RowStore, read_rows
from .schema import FAST_FLOATS, places_of


class PartValues:
    """The values of a sub-index's rows; ``files`` are its group's, by ordinal.

    ValueError, OSError or KeyError where the folder is damaged.
    """

    def __init__(
        self,
        folder: Path,
        files: Sequence[str],
        searcher: tantivy.Searcher,
        corpus: CorpusRows | None,
    ) -> None:
        self.folder = folder
        self.files = files
        self.names: NDArray[np.uint64] = np.array([name_hash(file) for file in files])
        self.store = RowStore(folder / ROWS) if corpus is None else corpus
        self._searcher = searcher
        mark: dict[str, Any] = json.loads((folder / "part.json").read_bytes())
        self._columns = frozenset(mark["columns"])
        self._starts: list[int] = [] if corpus is None else mark["starts"]

    def starts(self, most: int) -> list[int]:
        """Positions, the first row's among them, with at most ``most`` rows from each to the next."""
        if isinstance(self.store, RowStore):
            return self.store.firsts[:: max(1, most // self.store.form.rows)].tolist()
        return self._starts[:: max(1, most // STRIDE)]

    def fast(self, name: str, addresses: Sequence[tantivy.DocAddress]) -> Sequence[Any] | None:
        """The values of a fast column, None for a row without; None where no row of the part has one."""
        if name not in self._columns and name not in ("position", "priority"):
            return None
        return self._searcher.fast_field_values(name, list(addresses))

    def positions(self, addresses: Sequence[tantivy.DocAddress]) -> NDArray[np.int64]:
        """Where the rows stand in the order of the corpus (schema.position_of)."""
        return np.array(self.fast("position", addresses), np.int64)


class PartRows(NamedTuple):
    """Rows of a part whose values are wanted, in any order."""

    values: PartValues
    addresses: Sequence[tantivy.DocAddress]
    positions: NDArray[np.int64]


def read_values(rows_of_parts: Sequence[PartRows], order: NDArray[np.int64] | None = None) -> pa.RecordBatch:
    """The values of all the rows (ROW_SCHEMA), in their order; CaptionIndexError where they can't be read.

    ``order`` puts them into another: the numbers of all the rows, as they shall come.
    """
    rows = sum(len(one.addresses) for one in rows_of_parts)
    some = [one for one in rows_of_parts if one.addresses]
    try:
        columns = _columns(some, np.arange(rows) if order is None else order) if rows else {}
    except (ValueError, OSError, IndexError, OverflowError) as error:  # as damaged blocks come out
        folders = ", ".join(sorted({str(one.values.folder) for one in rows_of_parts}))
        raise CaptionIndexError(
            f"{folders} is damaged: its rows can't be read ({error}); index its files again"
        ) from error
    arrays = [columns[f.name] if f.name in columns else pa.nulls(rows, f.type) for f in ROW_SCHEMA]
    return pa.RecordBatch.from_arrays(arrays, schema=ROW_SCHEMA)


def _columns(rows_of_parts: Sequence[PartRows], order: NDArray[np.int64]) -> dict[str, pa.Array[Any]]:
    """The columns that contain anything."""
    columns = _stored(rows_of_parts, order)
    for name in FAST_FLOATS:
        if values := _fast(rows_of_parts, name, order):
            columns[name] = pa.array(values, pa.float64())
    priority = np.array(_fast(rows_of_parts, "priority", order), np.int64)
    ordinals, row = places_of(np.concatenate([one.positions for one in rows_of_parts]))
    files: list[str] = []
    before: list[int] = []  # every part's files come behind those of the parts before
    for one in rows_of_parts:
        before += [len(files)] * len(one.addresses)
        files += one.values.files
    ordinals, row = (ordinals + np.array(before))[order], row[order]
    uid = uids_behind(priority, np.concatenate([one.values.names for one in rows_of_parts])[ordinals], row)
    for at, unusual in enumerate(_fast(rows_of_parts, "uid", order)):
        if unusual is not None:
            uid[at] = unusual
    columns["file"] = _named(files, ordinals)
    return {**columns, "uid": pa.array(uid), "priority": pa.array(priority), "row": pa.array(row)}


def _stored(rows_of_parts: Sequence[PartRows], order: NDArray[np.int64]) -> dict[str, pa.Array[Any]]:
    """What row stores have of the rows, or the corpus's files."""
    stores: list[tuple[RowStore, NDArray[np.int64]]] = []
    sources: list[tuple[CorpusRows, NDArray[np.int64]]] = []
    for one in rows_of_parts:  # all of one kind, as their index
        if isinstance(one.values.store, RowStore):
            stores.append((one.values.store, one.positions))
        else:
            sources.append((one.values.store, one.positions))
    return read_rows(stores, order) if stores else read_corpus_rows(sources, order)


def _named(files: Sequence[str], ordinals: NDArray[np.int64]) -> pa.Array[Any]:
    """The files with these ordinals; for a page's few rows Arrow's own way takes ten times as long."""
    if len(ordinals) < 100:
        return pa.array([files[ordinal] for ordinal in ordinals.tolist()], pa.string())
    return pa.array(files, pa.string()).take(ordinals)


def _fast(rows_of_parts: Sequence[PartRows], name: str, order: NDArray[np.int64]) -> list[Any]:
    """The values of a fast column, of all rows in this order; empty where none has one."""
    columns = [one.values.fast(name, one.addresses) for one in rows_of_parts]
    if all(column is None for column in columns):
        return []
    values: list[Any] = []
    for one, column in zip(rows_of_parts, columns, strict=True):
        values += [None] * len(one.addresses) if column is None else column
    return [values[at] for at in order.tolist()]

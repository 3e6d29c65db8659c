"""A sub-index: its fields, and corpus rows as documents; their values lie beside it (row_store).

tokens      the caption through the index's analyzer (core.analyzers), with positions
position    the file's ordinal in its group, then the row (position_of): the corpus order as one number
priority, side, similarity, punsafe          fast columns, absent where missing
uid         a fast column too, absent where it is the one that the priority was made of
tags        raw terms: a row's nsfw, licence and language keys
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute
import tantivy
from numpy.typing import NDArray

from ...core.row_ids import name_hash, uids_behind
from ..query import filter_key

_kernels: Any = pyarrow.compute

TAGGED = ("nsfw", "licence", "language")
FAST_INTEGERS = ("position", "priority", "uid", "side")
FAST_FLOATS = ("similarity", "punsafe")
_ROW_BITS = 40


class Place(NamedTuple):
    """Where a row of a sub-index comes from: its file's ordinal in the group, and its row in that file."""

    ordinal: int
    row: int


def schema() -> tantivy.Schema:
    """The fields of every sub-index of format 1."""
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("tokens", tokenizer_name="captrawl", index_option="position")
    for name in FAST_INTEGERS:
        builder.add_integer_field(name, fast=True)
    for name in FAST_FLOATS:
        builder.add_float_field(name, fast=True)
    builder.add_text_field("tags", tokenizer_name="raw", index_option="basic")
    return builder.build()


def position_of(place: Place) -> int:
    """The place as one integer that sorts as the places do; signed, 40 bits of row."""
    return (place.ordinal << _ROW_BITS) + place.row


def places_of(positions: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The ordinals and the rows that these positions stand for."""
    return positions >> _ROW_BITS, positions & ((1 << _ROW_BITS) - 1)


def positions_of(batch: pa.RecordBatch, ordinal: int) -> NDArray[np.int64]:
    """The position of every row of a batch of the file with this ordinal."""
    rows: NDArray[np.int64] = batch.column("row").to_numpy(zero_copy_only=False)
    return rows + position_of(Place(ordinal, 0))


def key_tag(field: str, key: str) -> str:
    """The tag of a row whose ``field`` has this key."""
    return f"{field} {key}"


def optional_columns(batch: pa.RecordBatch, file: str) -> dict[str, list[Any]]:
    """The values of the fast columns that a row may lack, of those that any row of the batch has."""
    side = _kernels.min_element_wise(batch.column("width"), batch.column("height"), skip_nulls=False)
    columns: dict[str, Any] = {"side": side, "uid": _unusual_uids(batch, file)}
    for name in FAST_FLOATS:
        values = batch.column(name)
        columns[name] = _kernels.if_else(_kernels.is_nan(values), pa.scalar(None, pa.float64()), values)
    return {name: values.to_pylist() for name, values in columns.items() if values.null_count < len(values)}


def documents(
    batch: pa.RecordBatch,
    words: pa.Array[Any],
    positions: NDArray[np.int64],
    optional: dict[str, list[Any]],
) -> Iterator[tantivy.Document]:
    """The batch's rows as tantivy documents: ``words`` for the tokenizer; ``optional``: optional_columns."""
    texts: Any = words.to_pylist()
    priorities: Any = batch.column("priority").to_pylist()
    rows = zip(texts, positions.tolist(), priorities, strict=True)
    adders = [(_ADDERS[name], name, values) for name, values in optional.items()]
    tags = _tags(batch)
    make = tantivy.Document
    for index, (text, position, priority) in enumerate(rows):
        # typed calls: half the time of Document.from_dict, and this loop is a good part of a build
        document = make()
        document.add_text("tokens", text)
        document.add_integer("position", position)
        document.add_integer("priority", priority)
        for add, name, values in adders:
            if (value := values[index]) is not None:
                add(document, name, value)
        for column in tags:
            if (tag := column[index]) is not None:
                document.add_text("tags", tag)
        yield document


_ADDERS: dict[str, Callable[[tantivy.Document, str, Any], None]] = {
    **dict.fromkeys(FAST_INTEGERS, tantivy.Document.add_integer),
    **dict.fromkeys(FAST_FLOATS, tantivy.Document.add_float),
}


def _tags(batch: pa.RecordBatch) -> list[list[str | None]]:
    """The tags of every row, of the columns that contain any; each distinct value is looked at once."""
    columns: list[list[str | None]] = []
    for field in TAGGED:
        column = batch.column(field)
        if column.null_count < len(column):
            values: Any = column.dictionary_encode()
            keys = [filter_key(value) for value in values.dictionary.to_pylist()]
            tags = [None if key is None else key_tag(field, key) for key in keys]
            columns.append([None if at is None else tags[at] for at in values.indices.to_pylist()])
    return columns


def _unusual_uids(batch: pa.RecordBatch, file: str) -> pa.Array[Any]:
    """The uids that the priorities don't tell, as those of all corpora do."""
    uid, priority, row = (batch.column(n).to_numpy(zero_copy_only=False) for n in ("uid", "priority", "row"))
    implied = uids_behind(priority, np.full(len(row), name_hash(file)), row)
    return pa.array(uid, mask=implied == uid)

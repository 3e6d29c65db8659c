"""What a sub-index holds: its fields, corpus rows as documents, and documents as corpus rows again.

tokens      the caption through text.ANALYZER, with positions
stored      url, caption and the other values nobody orders by, as one JSON list
position    the file's ordinal in its group, then the row (position_of): the corpus order as one number
priority, side, similarity, punsafe          fast columns, absent where missing
uid         a fast column too, absent where it is the hash of url and caption that it should be
tags        raw terms: a row's block of 65,536 rows, its nsfw, licence and language keys
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any, NamedTuple, cast

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute
import tantivy

from ..identity import uid_list
from ..records import ROW_SCHEMA
from .query import filter_key
from .text import prepared_column

_kernels: Any = pyarrow.compute

BLOCK_ROWS = 1 << 16
"""Rows of a sub-index that share a block tag: a scan asks for one block at a time."""

TAGGED = ("nsfw", "licence", "language")
FAST_INTEGERS = ("position", "priority", "uid", "side")
FAST_FLOATS = ("similarity", "punsafe")
_STORED = ("url", "caption", "width", "height", "nsfw", "licence", "language")
_ROW_BITS = 40


class Place(NamedTuple):
    """Where a row of a sub-index comes from: its file's ordinal in the group, and its row in that file."""

    ordinal: int
    row: int


def schema() -> tantivy.Schema:
    """The fields of every sub-index of format 1."""
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("tokens", tokenizer_name="captrawl", index_option="position")
    builder.add_bytes_field("stored", stored=True)
    for name in FAST_INTEGERS:
        builder.add_integer_field(name, fast=True)
    for name in FAST_FLOATS:
        builder.add_float_field(name, fast=True)
    builder.add_text_field("tags", tokenizer_name="raw", index_option="basic")
    return builder.build()


def position_of(place: Place) -> int:
    """The place as one integer that sorts as the places do; signed, 40 bits of row."""
    return (place.ordinal << _ROW_BITS) + place.row


def place_of(position: int) -> Place:
    """The place whose position this is."""
    return Place(position >> _ROW_BITS, position & ((1 << _ROW_BITS) - 1))


def block_tag(block: int) -> str:
    """The tag of the rows from ``block`` × BLOCK_ROWS on, counted in the order of writing."""
    return f"block {block}"


def key_tag(field: str, key: str) -> str:
    """The tag of a row whose ``field`` has this key."""
    return f"{field} {key}"


def documents(batch: pa.RecordBatch, ordinal: int, number: count[int]) -> Iterator[tantivy.Document]:
    """The batch's rows as tantivy documents; ``number`` counts the sub-index's rows over all batches."""
    column: dict[str, list[Any]] = {name: batch.column(name).to_pylist() for name in ROW_SCHEMA.names}
    optional = _optional(batch)
    tags = _Tags()
    rows = zip(
        cast("list[str]", prepared_column(batch.column("caption")).to_pylist()),
        zip(*(column[name] for name in _STORED), strict=True),
        zip(*(column[name] for name in TAGGED), strict=True),
        column["row"],
        column["priority"],
        column["uid"],
        uid_list(column["url"], column["caption"]),
        strict=True,
    )
    first = ordinal << _ROW_BITS
    for index, (text, stored, keys, row, priority, uid, usual) in enumerate(rows):
        # typed calls: half the time of Document.from_dict, and this loop is most of a build
        document = tantivy.Document()
        document.add_text("tokens", text)
        document.add_bytes("stored", orjson.dumps(stored))
        document.add_integer("position", first + row)
        document.add_integer("priority", priority)
        if uid != usual:
            document.add_integer("uid", uid)
        for tag in tags.of(keys, next(number) // BLOCK_ROWS):
            document.add_text("tags", tag)
        for add, name, values in optional:
            if (value := values[index]) is not None:
                add(document, name, value)
        yield document


def record_batch(
    searcher: tantivy.Searcher, addresses: Sequence[tantivy.DocAddress], files: Sequence[str]
) -> pa.RecordBatch:
    """The rows at ``addresses``, in that order, in ROW_SCHEMA; ``files`` are the group's, by ordinal."""
    given = list(addresses)
    documents = cast("list[bytes]", [searcher.doc(address).get_first("stored") for address in given])
    stored = orjson.loads(b"[" + b",".join(documents) + b"]")
    columns: dict[str, Any] = dict(zip(_STORED, zip(*stored, strict=True), strict=False))
    for name in ("priority", "uid", *FAST_FLOATS):
        columns[name] = searcher.fast_field_values(name, given)
    if given:
        usual = uid_list(columns["url"], columns["caption"])
        columns["uid"] = [own if uid is None else uid for uid, own in zip(columns["uid"], usual, strict=True)]
    position = np.array(searcher.fast_field_values("position", given), np.int64)
    columns["row"] = position & ((1 << _ROW_BITS) - 1)
    columns["file"] = [files[ordinal] for ordinal in (position >> _ROW_BITS).tolist()]
    arrays = [pa.array(columns.get(field.name, ()), field.type) for field in ROW_SCHEMA]
    return pa.RecordBatch.from_arrays(arrays, schema=ROW_SCHEMA)


class _Tags:
    """The tags of rows; rows with the same keys in the same block share one list."""

    def __init__(self) -> None:
        self._block = -1
        self._made: dict[tuple[str | None, ...], list[str]] = {}

    def of(self, values: tuple[str | None, ...], block: int) -> list[str]:
        if block != self._block:
            self._block = block
            self._made = {}
        tags = self._made.get(values)
        if tags is None:
            keys = zip(TAGGED, map(filter_key, values), strict=True)
            tags = [block_tag(block), *(key_tag(field, key) for field, key in keys if key is not None)]
            self._made[values] = tags
        return tags


_Adder = Callable[[tantivy.Document, str, Any], None]


def _optional(batch: pa.RecordBatch) -> list[tuple[_Adder, str, list[Any]]]:
    """The fast columns that hold a value at all, and how it is added; NaN counts as missing."""
    side = _kernels.min_element_wise(batch.column("width"), batch.column("height"), skip_nulls=False)
    columns: list[tuple[_Adder, str, Any]] = [(tantivy.Document.add_integer, "side", side)]
    for name in FAST_FLOATS:
        values = batch.column(name)
        known = _kernels.if_else(_kernels.is_nan(values), pa.scalar(None, pa.float64()), values)
        columns.append((tantivy.Document.add_float, name, known))
    return [(add, name, v.to_pylist()) for add, name, v in columns if v.null_count < len(v)]

"""Rows as blocks of bytes, and back: what a row store packs.

A block's bytes: a mark, which columns it has (a bit each) and the bytes of a number; then as such numbers
widths, heights, and of each text column where its rows end, a block's rows a column, the top bit for NULL;
then the texts, column by column. There are two formats, and the blocks of an index are all of its own:

1   48 rows, packed by LZ4; behind the heights a zero, and ends count from the beginning of all texts
2   96 rows, packed by zstd; instead of ends the texts' lengths, which pack better; none behind a block's rows
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

NUMBERS = ("width", "height")
TEXTS = ("url", "caption", "nsfw", "licence", "language")
COLUMNS: Mapping[str, pa.DataType] = {
    **dict.fromkeys(NUMBERS, pa.int32()),
    **dict.fromkeys(TEXTS, pa.string()),
}
_nulls: Any = pa.nulls


@dataclass(frozen=True)
class BlockFormat:
    """How rows are put into blocks, and how these are packed."""

    magic: bytes
    rows: int
    """Of a full block."""
    codec: Literal["lz4_raw", "zstd"]
    level: int | None
    lengths: bool
    """Whether texts are bounded by their lengths, not by their ends."""

    @cached_property
    def packer(self) -> pa.Codec:
        """What packs a block."""
        return pa.Codec(self.codec) if self.level is None else pa.Codec(self.codec, self.level)

    def unpack(self, blocks: Sequence[bytes | memoryview], sizes: Sequence[int]) -> list[bytes]:
        """The ``blocks``, which unpack to so many bytes; ValueError or OSError where one is damaged."""
        if self.codec != "zstd" or len(blocks) == 1:
            unpack = self.packer.decompress
            return [unpack(block, size, asbytes=True) for block, size in zip(blocks, sizes, strict=True)]
        # one stream: to set up a decoder takes as long as to unpack a block
        with pa.CompressedInputStream(pa.BufferReader(b"".join(blocks)), self.codec) as stream:
            raw = [stream.read(size) for size in sizes]
        if [len(block) for block in raw] != list(sizes):
            raise ValueError("a block is shorter than it should be")
        return raw


FORMATS = {
    1: BlockFormat(b"captrows", 48, "lz4_raw", None, lengths=False),
    2: BlockFormat(b"captrow2", 96, "zstd", 3, lengths=True),
}
"""The formats of blocks by the number of the index's format."""


class RowBlocks(NamedTuple):
    """Rows cut into blocks, not packed yet."""

    first: NDArray[np.int64]
    """The position of each block's first row."""
    raw: list[bytes]


class BlockRows(NamedTuple):
    """Rows in unpacked blocks: of each its block's number and its slot in that."""

    blocks: Sequence[bytes]
    of_row: NDArray[np.int64]
    slots: NDArray[np.int64]


def blocks_of(batch: pa.RecordBatch, positions: NDArray[np.int64], form: BlockFormat) -> RowBlocks:
    """The batch's rows, which stand at these positions (at least one), as blocks; neighbours share one."""
    starts = _block_starts(positions, form.rows)
    bounds = np.append(starts, len(positions))
    with_values = (name for name in TEXTS if batch.column(name).null_count < len(positions))
    names = [*NUMBERS, *with_values]
    texts = {name: _text_buffer(batch.column(name)) for name in names if name in TEXTS}
    stride, heads = _heads(bounds, batch.select(names), texts, form)
    cuts = [(data, ends[bounds].tolist()) for ends, data in texts.values()]
    raw: list[bytes] = []
    for block in range(len(starts)):
        pieces = [heads[block * stride : (block + 1) * stride]]
        pieces += [data[at[block] : at[block + 1]] for data, at in cuts]
        raw.append(b"".join(pieces))
    return RowBlocks(positions[starts], raw)


def columns_of(rows: BlockRows, form: BlockFormat) -> dict[str, pa.Array[Any]]:
    """The columns of the rows, those that no block has left out."""
    marks = [block[:2] for block in rows.blocks]
    kinds = set(marks)
    if len(kinds) == 1:
        return _alike(_Layout.marked(kinds.pop(), form), rows)
    # layouts are seldom mixed: take the rows of each, and put them back in their order
    parts: list[pa.RecordBatch] = []
    order: list[NDArray[np.int64]] = []
    for kind in sorted(kinds):
        numbers = [number for number, mark in enumerate(marks) if mark == kind]
        places = np.flatnonzero(np.isin(rows.of_row, numbers))
        of_kind = BlockRows(
            [rows.blocks[number] for number in numbers],
            np.searchsorted(numbers, rows.of_row[places]),
            rows.slots[places],
        )
        parts.append(as_batch(_alike(_Layout.marked(kind, form), of_kind), len(places)))
        order.append(places)
    return in_order(parts, np.argsort(np.concatenate(order)))


def as_batch(columns: Mapping[str, pa.Array[Any]], rows: int) -> pa.RecordBatch:
    """All COLUMNS, NULL where there is none."""
    arrays = [columns[n] if n in columns else _nulls(rows, t) for n, t in COLUMNS.items()]
    return pa.RecordBatch.from_arrays(arrays, names=list(COLUMNS))


def in_order(parts: Sequence[pa.RecordBatch], order: NDArray[np.int64]) -> dict[str, pa.Array[Any]]:
    """The columns of all the parts' rows, in another order: their numbers, as they shall come."""
    table = pa.Table.from_batches(parts).take(order).combine_chunks()
    return {name: table.column(name).combine_chunks() for name in COLUMNS}


class _Layout(NamedTuple):
    """What a block's head has."""

    columns: int
    """A bit for each of COLUMNS, the first the lowest."""
    size: int
    """Bytes of a number: 2 or 4."""
    form: BlockFormat

    @classmethod
    def marked(cls, mark: bytes, form: BlockFormat) -> _Layout:
        """The layout of a block that begins with ``mark``."""
        return cls(mark[0], mark[1], form)

    def names(self) -> list[str]:
        return [name for at, name in enumerate(COLUMNS) if self.columns >> at & 1]

    @property
    def head(self) -> int:
        """Bytes of the head, the mark included."""
        return self.size * (1 + (not self.form.lengths) + self.form.rows * self.columns.bit_count())

    @property
    def null(self) -> int:
        return 1 << (8 * self.size - 1)


def _alike(layout: _Layout, rows: BlockRows) -> dict[str, pa.Array[Any]]:
    """:func:`columns_of` of blocks of one layout."""
    names, end = layout.names(), layout.head
    heads = np.frombuffer(b"".join([block[:end] for block in rows.blocks]), f"<u{layout.size}")
    heads = heads.reshape(len(rows.blocks), -1)
    each, numbers = layout.form.rows, len(NUMBERS)
    columns: dict[str, pa.Array[Any]] = {}
    for at, name in enumerate(NUMBERS):
        values = heads[rows.of_row, 1 + each * at + rows.slots].astype(np.int64)
        missing = values >= layout.null
        columns[name] = pa.array((values & (layout.null - 1)).astype(np.int32), mask=missing)
    bounds = heads[:, 1 + each * numbers :]
    if layout.form.lengths:
        ends = np.zeros((len(bounds), bounds.shape[1] + 1), np.int64)
        np.cumsum(bounds & (layout.null - 1), axis=1, out=ends[:, 1:])
        nulls = bounds >= layout.null
    else:  # the zero stands where the first text begins
        ends, nulls = (bounds & (layout.null - 1)).astype(np.int64), bounds[:, 1:] >= layout.null
    blocks = [rows.blocks[number] for number in rows.of_row.tolist()]
    for at, name in enumerate(names[numbers:]):
        places = each * at + rows.slots
        begins, after = ends[rows.of_row, places] + end, ends[rows.of_row, places + 1] + end
        columns[name] = _texts(blocks, begins, after, nulls[rows.of_row, places])
    return columns


def _texts(
    rows: Sequence[bytes], begins: NDArray[np.int64], ends: NDArray[np.int64], null: NDArray[np.bool_]
) -> pa.Array[Any]:
    """The texts that stand from begin to end in each row's block."""
    places = zip(rows, begins.tolist(), ends.tolist(), strict=True)
    data = b"".join([row[begin:end] for row, begin, end in places])
    bounds = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(ends - begins, out=bounds[1:])
    if bounds[-1] != len(data) or len(data) > np.iinfo(np.int32).max:
        raise ValueError(f"{len(data)} bytes of text were found where {bounds[-1]} should be")
    valid = pa.py_buffer(np.packbits(~null, bitorder="little").tobytes()) if null.any() else None
    offsets = pa.py_buffer(bounds.astype(np.int32).tobytes())
    text = pa.StringArray.from_buffers(len(rows), offsets, pa.py_buffer(data), valid)
    text.validate(full=True)
    return text


def _block_starts(positions: NDArray[np.int64], rows: int) -> NDArray[np.int64]:
    """Where blocks begin among ``positions``: every ``rows`` rows, and behind every gap."""
    runs = np.flatnonzero(np.diff(positions, prepend=positions[0] - 2) != 1)
    ends = np.append(runs[1:], len(positions))
    starts = [np.arange(run, end, rows) for run, end in zip(runs, ends, strict=True)]
    return np.concatenate(starts)


_Texts = Mapping[str, tuple[NDArray[np.int64], memoryview]]
"""Text columns: the rows' bounds in their bytes, and the bytes."""


def _heads(
    bounds: NDArray[np.int64], batch: pa.RecordBatch, texts: _Texts, form: BlockFormat
) -> tuple[int, memoryview]:
    """The bytes of a block's head, and the heads; slots behind its rows repeat the last, or are empty."""
    starts = bounds[:-1, None]
    slots = starts + np.arange(form.rows)
    behind = slots >= bounds[1:, None]
    slots = np.minimum(slots, bounds[1:, None] - 1)
    end = np.zeros((len(slots), 1), np.int64)
    numbers: list[NDArray[np.int64]] = []
    for name in batch.schema.names:
        if name in texts and form.lengths:
            numbers.append(np.where(behind, 0, np.diff(texts[name][0])[slots]))
        elif name in texts:
            ends, _ = texts[name]
            numbers.append(ends[1:][slots] - ends[starts] + end)
            end = numbers[-1][:, -1:]
        else:
            whole: Any = batch.column(name).fill_null(0).to_numpy(zero_copy_only=False)
            numbers.append(whole.astype(np.int64)[slots])
    size = 2 if max((column.max() for column in numbers), default=0) < 1 << 15 else 4
    has = sum(1 << at for at, name in enumerate(COLUMNS) if name in batch.schema.names)
    layout = _Layout(has, size, form)
    for at, column in enumerate(batch.columns):
        if column.null_count:
            numbers[at] |= layout.null * column.is_null().to_numpy(zero_copy_only=False)[slots]
    if not form.lengths:
        numbers.insert(len(NUMBERS), np.zeros((len(slots), 1), np.int64))
    numbers.insert(0, np.full((len(slots), 1), layout.columns + (layout.size << 8)))
    return layout.head, memoryview(np.hstack(numbers).astype(f"<u{layout.size}").tobytes())


def _text_buffer(column: pa.Array[Any]) -> tuple[NDArray[np.int64], memoryview]:
    """The bounds of a text column's rows in its bytes, and the bytes; NULL is empty."""
    filled: Any = column.fill_null("") if column.null_count else column
    _, offsets, data = filled.buffers()
    bounds = np.frombuffer(offsets, np.int32)[filled.offset : filled.offset + len(filled) + 1]
    return bounds.astype(np.int64), memoryview(data or b"")

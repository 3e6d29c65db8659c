"""The values of a sub-index's rows, in one file: written in the order of the corpus, read by position.

    with RowWriter(path) as writer:
        writer.add(positions, batch)          # int64 positions, one a row; neighbours share a block
    columns = read_rows([(RowStore(path), positions)])

A block holds up to 48 rows and is packed by LZ4, so that a single row costs a few microseconds. The file ends
with a table of the blocks:

blocks      each: a mark, which columns it holds (a bit each) and the bytes of a number; then as such numbers
            widths, heights, a zero, and the ends of the texts, 48 a column, the top bit for NULL; the texts
table       the first positions of all blocks, ascending; of each: where it begins, its packed and raw size
footer      the number of blocks, where the table begins, the magic number
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

NUMBERS = ("width", "height")
TEXTS = ("url", "caption", "nsfw", "licence", "language")
COLUMNS: Mapping[str, pa.DataType] = {
    **dict.fromkeys(NUMBERS, pa.int32()),
    **dict.fromkeys(TEXTS, pa.string()),
}
BLOCK_ROWS = 48

_CODEC = pa.Codec("lz4_raw")
_FOOTER = struct.Struct("<qq8s")
_MAGIC = b"captrows"
_nulls: Any = pa.nulls


class RowWriter:
    """Writes a new row store at ``path``; it is whole once the block is left without an error."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("xb")
        self._firsts: list[NDArray[np.int64]] = []
        self._packed: list[int] = []
        self._raw: list[int] = []

    def add(self, positions: NDArray[np.int64], batch: pa.RecordBatch) -> None:
        """Put the batch's rows in; every position comes once. Numbers must not be negative."""
        if not len(positions):
            return
        starts = _block_starts(positions)
        bounds = np.append(starts, len(positions))
        with_values = (name for name in TEXTS if batch.column(name).null_count < len(positions))
        names = [*NUMBERS, *with_values]
        texts = {name: _text_buffer(batch.column(name)) for name in names if name in TEXTS}
        layout, heads = _heads(bounds, batch.select(names), texts)
        stride = layout.head
        cuts = [(data, ends[bounds].tolist()) for ends, data in texts.values()]
        for block in range(len(starts)):
            pieces = [heads[block * stride : (block + 1) * stride]]
            pieces += [data[at[block] : at[block + 1]] for data, at in cuts]
            raw = b"".join(pieces)
            packed = _CODEC.compress(raw, asbytes=True)
            self._file.write(packed)
            self._packed.append(len(packed))
            self._raw.append(len(raw))
        self._firsts.append(positions[starts])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                firsts = np.concatenate([np.empty(0, np.int64), *self._firsts])
                ends = np.cumsum(self._packed, dtype=np.int64)
                table = np.stack([ends - self._packed, self._packed, self._raw], 1)
                order = np.argsort(firsts)
                begin = -(-sum(self._packed) // 8) * 8  # numpy copies what isn't aligned, at every search
                self._file.write(bytes(begin - sum(self._packed)))
                self._file.write(firsts[order].astype("<i8").tobytes())
                self._file.write(table[order].astype("<i8").tobytes())
                self._file.write(_FOOTER.pack(len(firsts), begin, _MAGIC))
                self._file.flush()
                os.fsync(self._file.fileno())
        finally:
            self._file.close()


class RowStore:
    """A row store that was written whole; ValueError where the file is damaged."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size < _FOOTER.size:
                raise ValueError(f"{path.name} is cut off")
            self._data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        blocks, table, magic = _FOOTER.unpack(self._data[-_FOOTER.size :])
        if magic != _MAGIC or table + 8 * 4 * blocks + _FOOTER.size != len(self._data):
            raise ValueError(f"{path.name} is damaged at its end")
        numbers: NDArray[np.int64] = np.frombuffer(self._data, "<i8", 4 * blocks, table)
        self.firsts, self._table = numbers[:blocks], numbers[blocks:].reshape(blocks, 3)
        """``firsts``: the first position of every block, ascending."""

    def blocks(self, numbers: NDArray[np.int64]) -> list[bytes]:
        """The unpacked blocks with these numbers."""
        data, unpack, table = self._data, _CODEC.decompress, self._table[numbers].tolist()
        return [unpack(data[begin : begin + packed], raw, asbytes=True) for begin, packed, raw in table]


def read_rows(
    rows_of_stores: Sequence[tuple[RowStore, NDArray[np.int64]]], order: NDArray[np.int64] | None = None
) -> dict[str, pa.Array[Any]]:
    """The COLUMNS of the rows at these positions of these stores, in the order given, unless wholly NULL.

    ``order`` puts them into another: the numbers of all the rows, as they shall come. ValueError or OSError
    where a store is damaged; the positions must be in.
    """
    blocks: list[bytes] = []
    of_row: list[NDArray[np.int64]] = []
    slots: list[NDArray[np.int64]] = []
    for store, positions in rows_of_stores:
        numbers = store.firsts.searchsorted(positions, "right") - 1
        slots.append(positions - store.firsts[numbers])
        distinct, which = np.unique(numbers, return_inverse=True)
        of_row.append(which + len(blocks))
        blocks += store.blocks(distinct)
    if not blocks:
        return {}
    rows, slots_of_rows = np.concatenate(of_row), np.concatenate(slots)
    return (
        _taken(blocks, rows, slots_of_rows)
        if order is None
        else _taken(blocks, rows[order], slots_of_rows[order])
    )


class _Layout(NamedTuple):
    """What a block's head holds."""

    columns: int
    """A bit for each of COLUMNS, the first the lowest."""
    size: int
    """Bytes of a number: 2 or 4."""

    @classmethod
    def of(cls, names: Sequence[str], largest: int) -> _Layout:
        """The layout for these columns, whose largest number is this."""
        size = 2 if largest < 1 << 15 else 4
        return cls(sum(1 << at for at, name in enumerate(COLUMNS) if name in names), size)

    def names(self) -> list[str]:
        return [name for at, name in enumerate(COLUMNS) if self.columns >> at & 1]

    @property
    def head(self) -> int:
        """Bytes of the head, the mark included."""
        return self.size * (2 + BLOCK_ROWS * self.columns.bit_count())

    @property
    def null(self) -> int:
        return 1 << (8 * self.size - 1)


def _taken(
    blocks: Sequence[bytes], of_row: NDArray[np.int64], slots: NDArray[np.int64]
) -> dict[str, pa.Array[Any]]:
    """The columns of the rows in these slots of these blocks."""
    marks = [block[:2] for block in blocks]
    kinds = set(marks)
    if len(kinds) == 1:
        return _alike(_Layout(*kinds.pop()), blocks, of_row, slots)
    # layouts are seldom mixed: take the rows of each, and put them back in their order
    parts: list[pa.RecordBatch] = []
    order: list[NDArray[np.int64]] = []
    for kind in sorted(kinds):
        numbers = [number for number, mark in enumerate(marks) if mark == kind]
        rows = np.flatnonzero(np.isin(of_row, numbers))
        some = [blocks[number] for number in numbers]
        columns = _alike(_Layout(*kind), some, np.searchsorted(numbers, of_row[rows]), slots[rows])
        arrays = [columns[n] if n in columns else _nulls(len(rows), t) for n, t in COLUMNS.items()]
        parts.append(pa.RecordBatch.from_arrays(arrays, names=list(COLUMNS)))
        order.append(rows)
    table = pa.Table.from_batches(parts).take(np.argsort(np.concatenate(order))).combine_chunks()
    return {name: table.column(name).combine_chunks() for name in COLUMNS}


def _alike(
    layout: _Layout, blocks: Sequence[bytes], of_row: NDArray[np.int64], slots: NDArray[np.int64]
) -> dict[str, pa.Array[Any]]:
    """:func:`_taken` of blocks of one layout."""
    names, end = layout.names(), layout.head
    heads = np.frombuffer(b"".join([block[:end] for block in blocks]), f"<u{layout.size}")
    heads = heads.reshape(len(blocks), -1)
    # behind the mark: the numbers; the zero is where the first text begins, each end where the next one does
    begins = 1 + BLOCK_ROWS * np.arange(len(names))
    places = np.concatenate([begins, begins[len(NUMBERS) :] + 1])
    numbers = heads[of_row, places[:, None] + slots].astype(np.int64)
    null = numbers >= layout.null
    numbers &= layout.null - 1
    columns: dict[str, pa.Array[Any]] = {}
    for name, values, missing in zip(NUMBERS, numbers, null, strict=False):
        columns[name] = pa.array(values.astype(np.int32), mask=missing)
    rows = [blocks[number] for number in of_row.tolist()]
    texts = zip(names[len(NUMBERS) :], numbers[len(NUMBERS) : len(names)], numbers[len(names) :], strict=True)
    for at, (name, begin, after) in enumerate(texts, len(names)):
        columns[name] = _texts(rows, begin + end, after + end, null[at])
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


def _block_starts(positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where blocks begin among ``positions``: every BLOCK_ROWS rows, and behind every gap."""
    runs = np.flatnonzero(np.diff(positions, prepend=positions[0] - 2) != 1)
    ends = np.append(runs[1:], len(positions))
    starts = [np.arange(run, end, BLOCK_ROWS) for run, end in zip(runs, ends, strict=True)]
    return np.concatenate(starts)


_Texts = Mapping[str, tuple[NDArray[np.int64], memoryview]]
"""Text columns: the rows' bounds in their bytes, and the bytes."""


def _heads(bounds: NDArray[np.int64], batch: pa.RecordBatch, texts: _Texts) -> tuple[_Layout, memoryview]:
    """The blocks' layout, and their heads; slots behind a block's rows repeat the last."""
    starts = bounds[:-1, None]
    slots = np.minimum(starts + np.arange(BLOCK_ROWS), bounds[1:, None] - 1)
    end = np.zeros((len(slots), 1), np.int64)
    numbers: list[NDArray[np.int64]] = []
    for name in batch.schema.names:
        if name in texts:
            ends, _ = texts[name]
            numbers.append(ends[1:][slots] - ends[starts] + end)
            end = numbers[-1][:, -1:]
        else:
            whole: Any = batch.column(name).fill_null(0).to_numpy(zero_copy_only=False)
            numbers.append(whole.astype(np.int64)[slots])
    layout = _Layout.of(batch.schema.names, max((column.max() for column in numbers), default=0))
    for at, column in enumerate(batch.columns):
        if column.null_count:
            numbers[at] |= layout.null * column.is_null().to_numpy(zero_copy_only=False)[slots]
    mark = np.full((len(slots), 1), layout.columns + (layout.size << 8))
    numbers.insert(len(NUMBERS), np.zeros((len(slots), 1), np.int64))
    numbers.insert(0, mark)
    return layout, memoryview(np.hstack(numbers).astype(f"<u{layout.size}").tobytes())


def _text_buffer(column: pa.Array[Any]) -> tuple[NDArray[np.int64], memoryview]:
    """The bounds of a text column's rows in its bytes, and the bytes; NULL is empty."""
    filled: Any = column.fill_null("") if column.null_count else column
    _, offsets, data = filled.buffers()
    bounds = np.frombuffer(offsets, np.int32)[filled.offset : filled.offset + len(filled) + 1]
    return bounds.astype(np.int64), memoryview(data or b"")

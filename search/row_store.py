"""The values of a sub-index's rows, in one file: written in the order of the corpus, read by position.

    with RowWriter(path) as writer:
        writer.add(positions, batch)          # int64 positions, one a row; neighbours share a block
    columns = read_rows([(RowStore(path), positions)])

A block holds up to 64 rows and is packed by LZ4, so that a single row costs a few microseconds. The file ends
with a table of the blocks:

blocks      each: the low halves (uint16), then the high halves, of widths, heights and the ends of the texts,
            a bit for NULL on top; then the texts, column after column
table       the first position of every block, where it begins, its packed and its raw size; by position
footer      the number of blocks, where the table begins, the magic number
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

TEXTS = ("url", "caption", "nsfw", "licence", "language")
NUMBERS = ("width", "height")
BLOCK_ROWS = 64

_CODEC = pa.Codec("lz4_raw")
_FOOTER = struct.Struct("<qq8s")
_MAGIC = b"captrows"
_NULL = -(1 << 31)
_SLOTS = np.arange(BLOCK_ROWS)
_WIDE = (len(NUMBERS) + len(TEXTS)) * BLOCK_ROWS + 1
"""Numbers of a head: BLOCK_ROWS a column of NUMBERS, a zero, BLOCK_ROWS ends a column of TEXTS."""
_HEAD = 4 * _WIDE
_ENDS = len(NUMBERS) * BLOCK_ROWS
"""Where the zero and the ends begin among a head's numbers."""
# the numbers that a row needs, by their place for slot 0: NUMBERS, where each text begins, where it ends
_BEGINS = [_ENDS + BLOCK_ROWS * column for column in range(len(TEXTS))]
_OF_A_ROW = np.array([*range(0, _ENDS, BLOCK_ROWS), *_BEGINS, *(begin + 1 for begin in _BEGINS)])
_KINDS: Mapping[str, pa.DataType] = {
    **dict.fromkeys(NUMBERS, pa.int32()),
    **dict.fromkeys(TEXTS, pa.string()),
}


class RowWriter:
    """Writes a new row store at ``path``; it is whole once the block is left without an error."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("xb")
        self._firsts: list[NDArray[np.int64]] = []
        self._packed: list[int] = []
        self._raw: list[int] = []

    def add(self, positions: NDArray[np.int64], batch: pa.RecordBatch) -> None:
        """Put the batch's rows in; every position comes once."""
        if not len(positions):
            return
        starts = _block_starts(positions)
        bounds = np.append(starts, len(positions))
        texts = [_text_buffer(batch.column(name)) for name in TEXTS]
        heads = memoryview(_heads(bounds, batch, [lengths for lengths, _, _ in texts]).tobytes())
        cuts = [(data, ends[bounds].tolist()) for _, ends, data in texts if len(data)]
        for block in range(len(starts)):
            pieces = [heads[block * _HEAD : (block + 1) * _HEAD]]
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
                table = np.stack([firsts, ends - self._packed, self._packed, self._raw])
                self._file.write(table[:, np.argsort(firsts)].astype("<i8").tobytes())
                self._file.write(_FOOTER.pack(len(firsts), sum(self._packed), _MAGIC))
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
        self.firsts, self._begins, self._packed, self._raw = numbers.reshape(4, blocks)
        """``firsts``: the first position of every block, ascending."""

    def blocks(self, numbers: NDArray[np.int64]) -> list[bytes]:
        """The unpacked blocks with these numbers."""
        tables = (self._begins, self._packed, self._raw)
        places = zip(*(table[numbers].tolist() for table in tables), strict=True)
        data, unpack = self._data, _CODEC.decompress
        return [unpack(data[begin : begin + packed], raw, asbytes=True) for begin, packed, raw in places]


def read_rows(wanted: Sequence[tuple[RowStore, NDArray[np.int64]]]) -> dict[str, pa.Array[Any]]:
    """The NUMBERS and the TEXTS of the rows at these positions of these stores, in the order given.

    ValueError or OSError where a store is damaged; the positions must be in.
    """
    blocks: list[bytes] = []
    of_row: list[NDArray[np.int64]] = []
    slots: list[NDArray[np.int64]] = []
    for store, positions in wanted:
        if not len(positions):
            continue
        block = np.searchsorted(store.firsts, positions, "right") - 1
        distinct, which = _distinct(block)
        of_row.append(which + len(blocks))
        slots.append(positions - store.firsts[block])
        blocks += store.blocks(distinct)
    if not blocks:
        return {name: pa.array([], kind) for name, kind in _KINDS.items()}
    return _unpacked(blocks, np.concatenate(of_row), np.concatenate(slots))


def _distinct(blocks: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Each block once, ascending, and which of them every row lies in."""
    steps = np.diff(blocks, prepend=-1)
    if steps.min() < 0:
        return np.unique(blocks, return_inverse=True)
    new = steps > 0
    return blocks[new], np.cumsum(new) - 1


def _unpacked(
    blocks: Sequence[bytes], of_row: NDArray[np.int64], slots: NDArray[np.int64]
) -> dict[str, pa.Array[Any]]:
    """The columns of the rows in these slots of these blocks."""
    halves = np.frombuffer(b"".join([block[:_HEAD] for block in blocks]), "<u2").reshape(-1, 2 * _WIDE)
    low = (slots[:, None] + _OF_A_ROW).T
    high = halves[of_row, low + _WIDE].astype(np.int32)
    missing = high >> 15
    numbers = halves[of_row, low] | (high & 0x7FFF) << 16
    columns: dict[str, pa.Array[Any]] = {}
    for at, name in enumerate(NUMBERS):
        columns[name] = pa.array(numbers[at], pa.int32(), mask=missing[at].astype(bool))
    rows = [blocks[block] for block in of_row.tolist()]
    begins, ends = np.split(numbers[len(NUMBERS) :] + _HEAD, 2)
    for at, name in enumerate(TEXTS):
        null = missing[at - len(TEXTS)].astype(bool)
        columns[name] = _texts(rows, begins[at], ends[at], null)
    return columns


def _texts(
    rows: Sequence[bytes], begins: NDArray[np.int32], ends: NDArray[np.int32], null: NDArray[np.bool_]
) -> pa.Array[Any]:
    """The texts that stand from begin to end in each row's block."""
    if null.all():
        return pa.nulls(len(rows), pa.string())
    sizes = ends - begins
    if sizes.min() < 0:
        raise ValueError("a text ends before it begins")
    places = zip(rows, begins.tolist(), ends.tolist(), strict=True)
    data = b"".join([row[begin:end] for row, begin, end in places])
    bounds = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(sizes, out=bounds[1:])
    if bounds[-1] != len(data) or len(data) > np.iinfo(np.int32).max:
        raise ValueError(f"{len(data)} bytes of text were found where {bounds[-1]} should be")
    valid = pa.py_buffer(np.packbits(~null, bitorder="little").tobytes()) if null.any() else None
    text = pa.StringArray.from_buffers(
        len(rows), pa.py_buffer(bounds.astype(np.int32).tobytes()), pa.py_buffer(data), valid
    )
    text.validate(full=True)
    return text


def _block_starts(positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where blocks begin among ``positions``: every BLOCK_ROWS rows, and behind every gap."""
    runs = np.flatnonzero(np.diff(positions, prepend=positions[0] - 2) != 1)
    ends = np.append(runs[1:], len(positions))
    starts = [np.arange(run, end, BLOCK_ROWS) for run, end in zip(runs, ends, strict=True)]
    return np.concatenate(starts)


def _heads(
    bounds: NDArray[np.int64], batch: pa.RecordBatch, lengths: Sequence[NDArray[np.int32]]
) -> NDArray[np.uint16]:
    """The head of every block (blocks, 2, _WIDE): 64 slots a column, the ones behind its rows NULL."""
    slots = bounds[:-1, None] + _SLOTS
    slots[slots >= bounds[1:, None]] = batch.num_rows
    sizes = np.stack([np.append(column, _NULL) for column in lengths])[:, slots].swapaxes(0, 1)
    sizes = sizes.reshape(len(slots), -1)
    numbers = np.zeros((len(slots), _WIDE), np.int32)
    for at, name in enumerate(NUMBERS):
        column = batch.column(name).fill_null(_NULL).to_numpy(zero_copy_only=False)
        numbers[:, at * BLOCK_ROWS : (at + 1) * BLOCK_ROWS] = np.append(column, np.int32(_NULL))[slots]
    ends = np.cumsum(np.maximum(sizes, 0), 1, dtype=np.int32) | (sizes & _NULL)
    numbers[:, _ENDS + 1 : _ENDS + 1 + ends.shape[1]] = ends
    return numbers.astype("<i4").view("<u2").reshape(len(slots), _WIDE, 2).swapaxes(1, 2)


def _text_buffer(column: pa.Array[Any]) -> tuple[NDArray[np.int32], NDArray[np.int32], memoryview]:
    """A text column's lengths (_NULL: no text), its rows' bounds in its bytes, and the bytes."""
    missing = column.is_null().to_numpy(zero_copy_only=False)
    if missing.all():
        return np.full(len(column), _NULL, np.int32), np.zeros(len(column) + 1, np.int32), memoryview(b"")
    filled: Any = column.fill_null("") if column.null_count else column
    _, offsets, data = filled.buffers()
    bounds = np.frombuffer(offsets, np.int32)[filled.offset : filled.offset + len(filled) + 1]
    return np.where(missing, np.int32(_NULL), np.diff(bounds)), bounds, memoryview(data or b"")

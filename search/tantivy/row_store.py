"""The values of a sub-index's rows, in one file: written in the order of the corpus, read by position.

    with RowWriter(path, FORMATS[2]) as writer:
        writer.add(positions, batch)          # int64 positions, one a row; neighbours share a block
    columns = read_rows([(RowStore(path), positions)])

blocks      as row_blocks makes them, packed
table       the first positions of all blocks, ascending; of each: where it begins, its packed and raw size
footer      the number of blocks, where the table begins, the magic number of the blocks' format
"""

from __future__ import annotations

import mmap
import os
import struct
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from .row_blocks import FORMATS, BlockFormat, BlockRows, as_batch, blocks_of, columns_of, in_order

_FOOTER = struct.Struct("<qq8s")
_AT_ONCE = 2048
"""Blocks that are unpacked at the same time: some 40 MB."""
_RECENT = 16
"""Blocks of a store that stay unpacked for the next question: a page's neighbours, some 300 kB."""


class RowWriter:
    """Writes a new row store at ``path``; it is whole once the block is left without an error."""

    def __init__(self, path: Path, form: BlockFormat) -> None:
        self._file = path.open("xb")
        self._form = form
        self._firsts: list[NDArray[np.int64]] = []
        self._packed: list[int] = []
        self._raw: list[int] = []

    def add(self, positions: NDArray[np.int64], batch: pa.RecordBatch) -> None:
        """Put the batch's rows in; every position comes once. Numbers must not be negative."""
        if not len(positions):
            return
        firsts, blocks = blocks_of(batch, positions, self._form)
        pack = self._form.packer.compress
        for raw in blocks:
            packed = pack(raw, asbytes=True)
            self._file.write(packed)
            self._packed.append(len(packed))
            self._raw.append(len(raw))
        self._firsts.append(firsts)

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
                self._file.write(_FOOTER.pack(len(firsts), begin, self._form.magic))
                self._file.flush()
                os.fsync(self._file.fileno())
        finally:
            self._file.close()


class RowStore:
    """A row store that was written whole; ValueError where the file is damaged. Threads may share it."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size < _FOOTER.size:
                raise ValueError(f"{path.name} is cut off")
            self._data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        blocks, table, magic = _FOOTER.unpack(self._data[-_FOOTER.size :])
        forms = {form.magic: form for form in FORMATS.values()}
        if magic not in forms or table + 8 * 4 * blocks + _FOOTER.size != len(self._data):
            raise ValueError(f"{path.name} is damaged at its end")
        self.form = forms[magic]
        numbers: NDArray[np.int64] = np.frombuffer(self._data, "<i8", 4 * blocks, table)
        self.firsts, self._table = numbers[:blocks], numbers[blocks:].reshape(blocks, 3)
        """``firsts``: the first position of every block, ascending."""
        self._recent: OrderedDict[int, bytes] = OrderedDict()

    def blocks(self, numbers: NDArray[np.int64]) -> list[bytes]:
        """The unpacked blocks with these numbers."""
        if len(numbers) > _RECENT:
            return self._unpacked(numbers)
        recent = {number: self._recent.get(number) for number in numbers.tolist()}
        missing = [number for number, block in recent.items() if block is None]
        blocks = self._unpacked(np.array(missing, np.int64)) if missing else []
        unpacked = dict(zip(missing, blocks, strict=True))
        self._recent.update(unpacked)
        while len(self._recent) > _RECENT:
            self._recent.popitem(last=False)
        return [block or unpacked[number] for number, block in recent.items()]

    def _unpacked(self, numbers: NDArray[np.int64]) -> list[bytes]:
        data, table = self._data, self._table[numbers].tolist()
        packed = [data[begin : begin + size] for begin, size, _ in table]
        return self.form.unpack(packed, [raw for *_, raw in table])


Stored = tuple[RowStore, NDArray[np.int64]]
"""A store, and positions of rows in it."""


def read_rows(
    rows_of_stores: Sequence[Stored], order: NDArray[np.int64] | None = None
) -> dict[str, pa.Array[Any]]:
    """The COLUMNS of the rows at these positions of these stores, in the order given, unless wholly NULL.

    ``order`` puts them into another: the numbers of all the rows, as they shall come. ValueError or OSError
    where a store is damaged; the positions must be in. Every block is unpacked once, some at a time.
    """
    some = [_Blocked.of(store, positions) for store, positions in rows_of_stores if len(positions)]
    if not some:
        return {}
    first = some[0].store.form
    if sum(len(one.blocks) for one in some) <= _AT_ONCE and all(one.store.form is first for one in some):
        before = np.cumsum([0, *(len(one.blocks) for one in some[:-1])])
        rows = BlockRows(
            [block for one in some for block in one.store.blocks(one.blocks)],
            np.concatenate([one.which + start for one, start in zip(some, before, strict=True)]),
            np.concatenate([one.slots for one in some]),
        )
        return columns_of(
            rows if order is None else BlockRows(rows.blocks, rows.of_row[order], rows.slots[order]), first
        )
    parts: list[pa.RecordBatch] = []
    places: list[NDArray[np.int64]] = []
    start = 0
    for one in some:
        for chosen, columns in one.pieces():
            parts.append(as_batch(columns, len(chosen)))
            places.append(chosen + start)
        start += len(one.which)
    place = np.argsort(np.concatenate(places))
    return in_order(parts, place if order is None else place[order])


class _Blocked(NamedTuple):
    """Rows of a store, by the blocks that they stand in."""

    store: RowStore
    blocks: NDArray[np.int64]
    """Their numbers, ascending."""
    which: NDArray[np.int64]
    """The place of each row's block among those."""
    slots: NDArray[np.int64]

    @classmethod
    def of(cls, store: RowStore, positions: NDArray[np.int64]) -> _Blocked:
        numbers = store.firsts.searchsorted(positions, "right") - 1
        blocks, which = np.unique(numbers, return_inverse=True)
        return cls(store, blocks, which, positions - store.firsts[numbers])

    def pieces(self) -> Iterator[tuple[NDArray[np.int64], dict[str, pa.Array[Any]]]]:
        """The numbers of the rows of some blocks, and their columns, until each has come once."""
        by_block = np.argsort(self.which, kind="stable")
        for start in range(0, len(self.blocks), _AT_ONCE):
            begin, end = np.searchsorted(self.which[by_block], [start, start + _AT_ONCE]).tolist()
            chosen = by_block[begin:end]
            unpacked = self.store.blocks(self.blocks[start : start + _AT_ONCE])
            rows = BlockRows(unpacked, self.which[chosen] - start, self.slots[chosen])
            yield chosen, columns_of(rows, self.store.form)

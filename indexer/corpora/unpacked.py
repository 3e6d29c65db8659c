"""How large a Parquet file's values may be, which its footer doesn't say, and so how many to read at once.

A dictionary page has a value once, and any number of rows may name it; delta-encoded texts share their
beginnings. A few kilobytes can so be any number of gigabytes in memory.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from ...core.arrow import pc
from ...core.errors import CorpusError, InputError
from ...core.records import CorpusPath

MOST_BYTES = 1 << 31
"""Bytes that a batch of one column may take, at the worst."""
LONGEST = 64 << 20
"""Bytes of a text: making tokens of it takes several times as much."""
VAST = 1 << 30
"""Bytes that any file may unpack to; and a large one TIGHTEST times its own: URLs, pictures pack worse."""
TIGHTEST = 200
_AT_ONCE = 1 << 28
_ROW = 256
"""Bytes of a row in Python, whatever is in it."""
_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "FLOAT": 4, "INT64": 8, "DOUBLE": 8, "INT96": 12}
_TEXTS = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
_HEADER = 64
_DICTIONARIES = frozenset({"PLAIN_DICTIONARY", "RLE_DICTIONARY"})
_SHARED_BEGINNINGS = "DELTA_BYTE_ARRAY"


@dataclass(frozen=True, slots=True)
class BoundedFile:
    """A Parquet of somebody's, named ``where``, ``size`` bytes long, opened twice."""

    where: str
    size: int
    source: pq.ParquetFile
    handle: BinaryIO

    def batches(
        self, columns: Sequence[str], most: int, *, groups: Sequence[int] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """``columns`` of the row groups (None: all), at most ``most`` rows at once, dictionaries decoded.

        InputError where they unpack to more than VAST bytes and TIGHTEST times their own: as the footer says,
        before anything is read, or as they turn out to. ArrowInvalid where a text isn't UTF-8.
        """
        metadata = self.source.metadata
        numbers = list(range(metadata.num_row_groups)) if groups is None else list(groups)
        for number in numbers:
            self._check_declared(number, columns)
        rows = rows_at_once(self.handle, metadata, numbers, columns, most, budget=_AT_ONCE)
        size = 0
        for batch in self.source.iter_batches(
            rows, row_groups=numbers, columns=list(columns), use_threads=False
        ):
            batch.validate(full=True)
            plain = _decoded(batch)
            size += plain.nbytes + plain.num_rows * _ROW
            self._check(size, self.size, "it")
            yield plain

    def names(self) -> list[str]:
        """The top-level columns."""
        return list(self.source.schema_arrow.names)

    def _check_declared(self, number: int, columns: Collection[str]) -> None:
        """The pages of a row group; and its lists, one of which may have all the values."""
        metadata, schema = self.source.metadata, self.source.schema
        group = metadata.row_group(number)
        full = packed = 0
        for at in range(group.num_columns):
            chunk = group.column(at)
            if chunk.path_in_schema.split(".")[0] not in columns:
                continue
            size = chunk.total_uncompressed_size
            if schema.column(at).max_repetition_level:
                kind = chunk.physical_type
                width = _longest(self.handle, chunk) if kind == "BYTE_ARRAY" else _WIDTHS.get(kind, 16)
                size = max(size, chunk.num_values * width)
            full, packed = full + size, packed + chunk.total_compressed_size
        self._check(full, packed, f"row group {number}")

    def _check(self, full: int, packed: int, what: str) -> None:
        if full > max(VAST, packed * TIGHTEST):
            raise InputError(
                f"{self.where}: {packed:,} bytes of {what} unpack to {full:,}; leave the file out"
            )


@contextlib.contextmanager
def bounded_file(path: Path) -> Generator[BoundedFile]:
    """The Parquet at ``path``, open; OSError or ArrowException where it isn't one."""
    with path.open("rb") as handle, pq.ParquetFile(path) as source:
        yield BoundedFile(str(path), path.stat().st_size, source, handle)


def rows_at_once(
    handle: BinaryIO,
    metadata: pq.FileMetaData,
    groups: Iterable[int],
    columns: Collection[str],
    most: int,
    *,
    budget: int | None = None,
) -> int:
    """At most ``most`` rows, so few that no column of theirs can take more than ``budget`` (MOST_BYTES)."""
    limit, longest = budget or MOST_BYTES, 1
    for number in groups:
        group = metadata.row_group(number)
        for at in range(group.num_columns):
            chunk, rows = group.column(at), min(most, group.num_rows)
            if chunk.path_in_schema.split(".")[0] in columns and rows * _size(chunk) > limit:
                bound = _longest(handle, chunk)
                if rows * bound > limit:
                    bound = _longest_in_dictionary(handle, metadata, number, at) or bound
                longest = max(longest, bound)
    return max(1, min(most, limit // longest))


def check_lengths(path: CorpusPath, first_row: int, columns: Mapping[str, pa.Array[Any]]) -> None:
    """CorpusError for a text longer than LONGEST."""
    for name, column in columns.items():
        codes = column.indices if isinstance(column, pa.DictionaryArray) else None
        texts = column.dictionary if isinstance(column, pa.DictionaryArray) else column
        if not any(is_kind(texts.type) for is_kind in _TEXTS):
            continue
        lengths = pc.binary_length(texts)
        if (pc.max(lengths).as_py() or 0) > LONGEST:
            place = pc.index(pc.greater(lengths, LONGEST), True).as_py()
            row = place if codes is None else pc.index(codes, place).as_py()
            size = lengths[place].as_py() / 2**20
            raise CorpusError(
                f"{path}: the {name} of row {first_row + max(row, 0)} is {size:,.0f} MiB long, more than "
                f"{LONGEST >> 20} MiB; leave the file out"
            )


def _decoded(batch: pa.RecordBatch) -> pa.RecordBatch:
    """With the values themselves where Arrow would have a dictionary."""
    columns: list[Any] = batch.columns
    plain = [one.dictionary_decode() if pa.types.is_dictionary(one.type) else one for one in columns]
    return pa.RecordBatch.from_arrays(plain, names=batch.schema.names)


def _size(chunk: Any) -> int:
    """Of its pages, as the footer has it."""
    return chunk.total_uncompressed_size if chunk.physical_type == "BYTE_ARRAY" else 1


def _longest(handle: BinaryIO, chunk: Any) -> int:
    """The most bytes that a value of a chunk may have besides those that it has pages for; 1 for none."""
    encodings = frozenset(chunk.encodings)
    if _SHARED_BEGINNINGS in encodings:
        return chunk.total_uncompressed_size
    if not chunk.has_dictionary_page or not encodings & _DICTIONARIES:
        return 1
    handle.seek(chunk.dictionary_page_offset)
    return _unpacked_size(handle.read(_HEADER)) or chunk.total_uncompressed_size


def _longest_in_dictionary(handle: BinaryIO, metadata: pq.FileMetaData, number: int, at: int) -> int | None:
    """The bytes of the longest text in the dictionary of a row group's column; None where it can't be told.

    Whoever reads a first row gets the whole dictionary, unless the row is in a page without: then the lengths
    don't add up to the dictionary's page.
    """
    chunk: Any = metadata.row_group(number).column(at)
    name, encodings = chunk.path_in_schema, frozenset(chunk.encodings)
    if "." in name or _SHARED_BEGINNINGS in encodings or not chunk.has_dictionary_page:
        return None
    source = pq.ParquetFile(
        handle, metadata=metadata, read_dictionary=[name], buffer_size=1 << 20, pre_buffer=False
    )
    batches = source.iter_batches(1, row_groups=[number], columns=[name], use_threads=False)
    column: Any = next((batch.column(0) for batch in batches), None)
    if not isinstance(column, pa.DictionaryArray):
        return None
    lengths = pc.binary_length(column.dictionary)
    size = (pc.sum(lengths).as_py() or 0) + 4 * len(lengths)  # a length stands before every text
    handle.seek(chunk.dictionary_page_offset)
    return pc.max(lengths).as_py() if size == _unpacked_size(handle.read(_HEADER)) else None


def _unpacked_size(header: bytes) -> int | None:
    """The second field of a page's header (Thrift's compact protocol): its bytes when unpacked."""
    numbers: list[int] = []
    at = 0
    while len(numbers) < 2:
        if header[at : at + 1] != b"\x15":  # the next field, a 32-bit number
            return None
        at, value, shift = at + 1, 0, 0
        while True:
            if at == len(header) or shift > 35:
                return None
            value |= (header[at] & 127) << shift
            at, shift = at + 1, shift + 7
            if header[at - 1] < 128:
                break
        numbers.append((value >> 1) ^ -(value & 1))
    return numbers[1]

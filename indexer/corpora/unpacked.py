"""How large a Parquet file's values may be, which its footer doesn't say, and so how many to read at once.

A dictionary page has a value once, and any number of rows may name it; delta-encoded texts share their
beginnings. A few kilobytes can so be any number of gigabytes in memory.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from ...core.arrow import pc
from ...core.errors import CorpusError
from ...core.records import CorpusPath

MOST_BYTES = 1 << 31
"""Bytes that a batch of one column may take, at the worst; a usual dictionary (1 MB) leaves 2,000 rows."""
LONGEST = 64 << 20
"""Bytes of a text: making tokens of it takes several times as much."""
_TEXTS = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
_HEADER = 64
_DICTIONARIES = frozenset({"PLAIN_DICTIONARY", "RLE_DICTIONARY"})
_SHARED_BEGINNINGS = "DELTA_BYTE_ARRAY"


def rows_at_once(
    path: CorpusPath, metadata: pq.FileMetaData, groups: Iterable[int], columns: Collection[str], most: int
) -> int:
    """At most ``most`` rows, so few that no column of theirs can take more than MOST_BYTES."""
    longest = 1
    with path.open("rb") as handle:
        for number in groups:
            group = metadata.row_group(number)
            for chunk in map(group.column, range(group.num_columns)):
                rows = min(most, group.num_rows)
                if chunk.path_in_schema.split(".")[0] in columns and rows * _size(chunk) > MOST_BYTES:
                    longest = max(longest, _longest(handle, chunk))
    return max(1, min(most, MOST_BYTES // longest))


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

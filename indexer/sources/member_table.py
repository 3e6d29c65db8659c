"""Which pictures an archive has, where they lie, and whose they are: the table that is kept of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from .owners import Owner

MEMBER_SCHEMA = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),  # in bytes; of a Parquet its row
        pa.field("size", pa.int64(), nullable=False),  # 0: not known before it is read
        pa.field("url", pa.int64()),  # url_hash
        pa.field("uid", pa.int64()),
        pa.field("original", pa.string()),  # the hash of the bytes as they once came, where it is told
        pa.field("problem", pa.string(), nullable=False),
    ]
)
"""A picture of an archive a line, in the archive's order."""


def table_of_lines(lines: Iterable[tuple[str, int, int, Owner, str]]) -> pa.Table:
    """The table of (key, offset, size, owner, problem) lines."""
    rows = list(lines)
    columns: list[list[Any]] = [
        [key.encode(errors="replace").decode() for key, *_ in rows],
        [offset for _, offset, *_ in rows],
        [size for _, _, size, *_ in rows],
        [owner.url for *_, owner, _ in rows],
        [owner.uid for *_, owner, _ in rows],
        [owner.original for *_, owner, _ in rows],
        [problem for *_, problem in rows],
    ]
    arrays = [pa.array(values, kind) for values, kind in zip(columns, MEMBER_SCHEMA.types, strict=True)]
    return pa.Table.from_arrays(arrays, schema=MEMBER_SCHEMA)

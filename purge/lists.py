"""Files that name what to purge or to keep: lists of lines as blocklists have them, or Parquet tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from ..core.errors import InputError
from ..indexer.corpora.unpacked import bounded_file
from ..indexer.fetch.blocklist import read_entries

_COLUMNS = {"url": "url", "uid": "uid", "hash": "uid", "md5": "md5", "sha1": "sha1", "sha256": "sha256"}
"""The columns that are read, in any case; LAION's own tables call the uid ``hash``."""
_ROWS_AT_ONCE = 65_536

Entry = tuple[str, Any]
"""(kind, value): a uid is an int, everything else text."""


def entries(path: Path) -> Iterator[Entry]:
    """What the file names; a Parquet table is streamed. InputError names the file, and the line of a list."""
    if path.suffix.lower() == ".parquet":
        yield from _of_table(path)
        return
    for kind, values in read_entries([path]).items():
        for value in values:
            yield kind, int(value) if kind == "uid" else value


def entries_where(path: Path, passes: Callable[[Entry], bool]) -> Iterator[Entry]:
    """The entries of ``path`` that ``passes``."""
    return filter(passes, entries(path))


def _of_table(path: Path) -> Iterator[Entry]:
    try:
        with bounded_file(path) as file:
            columns = _columns(path, file.source.schema_arrow)
            for batch in file.batches(list(columns), _ROWS_AT_ONCE):
                for name, kind in columns.items():
                    values: list[Any] = batch.column(name).to_pylist()
                    for value in values:
                        if value is not None:
                            yield kind, value.lower() if kind not in {"url", "uid"} else value
    except (OSError, pa.ArrowException) as error:
        reason = str(error).strip().partition("\n")[0]
        raise InputError(f"{path} can't be read as a Parquet table ({reason})") from error


def _columns(path: Path, schema: pa.Schema) -> dict[str, str]:
    """Column → kind, of those that have a name and a type we know."""
    columns = {
        field.name: kind
        for field in schema
        if (kind := _COLUMNS.get(field.name.lower()))
        and (pa.types.is_int64(field.type) if kind == "uid" else _is_text(field.type))
    }
    if not columns:
        raise InputError(
            f"{path} has no column url, uid (int64), md5, sha1 or sha256; its columns: "
            f"{', '.join(schema.names)[:200]}"
        )
    return columns


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)

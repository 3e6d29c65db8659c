"""A file with the hashes of test images: whoever has it keeps copies of them out, and can't see them.

A Parquet table, an image a line: ``hashes``, the CROPS hashes of core.picture_hash behind each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ...core.errors import InputError
from ...core.files import atomic, sha256_file
from ...core.picture_hash import BYTES, CROPS, VERSION, Hashes, comparable
from .stored import picture_hashes

_KIND = pa.binary(CROPS * BYTES)
_SMALL = 1 << 16
_MARK = b"captrawl descriptors"


@dataclass(frozen=True, slots=True)
class Descriptors:
    """Test images by their hashes (images, CROPS, BYTES) alone, from the file ``path``."""

    path: Path
    hashes: Hashes

    def fingerprint(self) -> str:
        """A hash of the file."""
        return sha256_file(self.path)


def is_descriptors(path: Path) -> bool:
    """Whether ``path`` is a Parquet file, as no list is."""
    if not path.is_file():
        return False
    with path.open("rb") as handle:
        return handle.read(4) == b"PAR1"


def save_descriptors(pictures: Sequence[Path], target: Path) -> None:
    """Write the hashes of ``pictures``; InputError names one that can't be decoded, or is blank."""
    hashes = np.stack(list(picture_hashes(pictures)))
    nothing = [path for path, there in zip(pictures, comparable(hashes[:, 0]), strict=True) if not there]
    if nothing:
        raise InputError(
            f"{nothing[0]} is of one colour or no picture that can be decoded ({len(nothing):,} such in "
            "all): no copy of it could be found; leave it out of the list"
        )
    values = pa.array([row.tobytes() for row in hashes], _KIND)
    table = pa.table({"hashes": values}).replace_schema_metadata({_MARK: str(VERSION)})
    with atomic(target) as temporary:
        pq.write_table(table, temporary)


def load_descriptors(path: Path) -> Descriptors:
    """The hashes that :func:`save_descriptors` wrote; InputError where it has none of this version."""
    try:
        with pq.ParquetFile(path) as file:
            size, count = path.stat().st_size, file.metadata.num_rows
            if count > max(size, _SMALL):  # before anything is read: hashes don't pack
                raise InputError(f"{path} says {count:,} rows in {size:,} bytes: it has no descriptors")
            readable = file.schema_arrow.types == [_KIND]
            table = file.read() if readable else file.schema_arrow.empty_table()
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"{path} can't be read ({error}): make it again with captrawl descriptors"
        ) from error
    version = (table.schema.metadata or {}).get(_MARK, b"").decode()
    if version != str(VERSION) or table.schema.types != [_KIND] or not table.num_rows:
        made_by = f"has descriptors of version {version}" if version else "has no descriptors of test images"
        raise InputError(
            f"{path} {made_by}, this captrawl reads version {VERSION}: make it with captrawl "
            f"descriptors LIST -o {path.name}"
        )
    rows: list[Any] = table.column("hashes").to_pylist()
    values = np.frombuffer(b"".join(rows), np.uint8)
    return Descriptors(path, values.reshape(-1, CROPS, BYTES))

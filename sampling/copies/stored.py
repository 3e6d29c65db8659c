"""The hashes of a workspace's packed pictures: made once each, when a sample first needs them, and kept.

In ``hashes/``: hashes_NN.npy (rows, CROPS, BYTES) and hashes_NN.parquet, whose line i says whose row i is. A
killed run goes on behind the last whole pair; a picture that can't be decoded has zeros.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ...core.files import atomic
from ...core.picture_hash import BYTES, CROPS, VERSION, Hashes, grey, hashes_of
from ...core.records import Progress, silent
from ...search.vectors.decode import Undecodable, decoded
from ...workspace.workspace import Workspace

AT_ONCE = 4096
_AHEAD = 64


def hashes_folder(workspace: Workspace) -> Path:
    """Where a workspace has them."""
    return workspace.root / "hashes"


def hash_shards(folder: Path) -> list[tuple[Path, Path]]:
    """(hashes, whose they are) of every whole shard below ``folder``, in their order."""
    tables = sorted(folder.glob("hashes_*.parquet"))
    return [(table.with_suffix(".npy"), table) for table in tables if table.with_suffix(".npy").is_file()]


class PictureHashes:
    """The hashes in ``folder``, by the sha256 of the picture's bytes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._arrays: list[Hashes] = []
        self._places: dict[str, tuple[int, int]] = {}
        for array, table in hash_shards(folder):
            self._read(array, table)

    def fill(self, pictures: Sequence[tuple[str, Path]], progress: Progress = silent) -> None:
        """Make the missing hashes of ``pictures``, each its sha256 and its file."""
        missing = [(key, path) for key, path in dict(pictures).items() if key not in self._places]
        for start in range(0, len(missing), AT_ONCE):
            some = missing[start : start + AT_ONCE]
            self._add([key for key, _ in some], np.stack(list(picture_hashes([path for _, path in some]))))
            progress("hash pictures", start + len(some), len(missing))

    def take(self, keys: Sequence[str]) -> Hashes:
        """(keys, CROPS, BYTES): the hashes of ``keys``, zeros where there are none."""
        rows = np.zeros((len(keys), CROPS, BYTES), np.uint8)
        for row, key in enumerate(keys):
            if key in self._places:
                shard, place = self._places[key]
                rows[row] = self._arrays[shard][place]
        return rows

    def _add(self, keys: list[str], hashes: Hashes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        numbers = [int(table.stem.partition("_")[2]) for _, table in hash_shards(self._folder)]
        table = self._folder / f"hashes_{max(numbers, default=-1) + 1:05}.parquet"
        array = table.with_suffix(".npy")
        with atomic(array) as temporary, temporary.open("wb") as handle:
            np.save(handle, hashes)
        with atomic(table) as temporary:
            columns = pa.table({"sha256": pa.array(keys, pa.string())})
            pq.write_table(columns.replace_schema_metadata({"captrawl hashes": str(VERSION)}), temporary)
        self._read(array, table)

    def _read(self, array: Path, table: Path) -> None:
        rows = pq.read_table(table)
        if (rows.schema.metadata or {}).get(b"captrawl hashes") != str(VERSION).encode():
            return
        hashes = np.load(array, mmap_mode="r")
        if hashes.shape == (rows.num_rows, CROPS, BYTES):
            places = ((len(self._arrays), place) for place in range(rows.num_rows))
            keys: list[Any] = rows.column("sha256").to_pylist()
            self._places.update(zip(keys, places, strict=True))
            self._arrays.append(hashes)


def picture_hashes(paths: Sequence[Path]) -> Iterator[Hashes]:
    """(CROPS, BYTES) of each picture file, decoded in threads; zeros of one that can't be."""
    for levels in decoded(paths, grey, ahead=_AHEAD):
        nothing = isinstance(levels, Undecodable)
        yield np.zeros((CROPS, BYTES), np.uint8) if nothing else hashes_of(levels)

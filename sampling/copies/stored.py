"""The hashes of a workspace's packed pictures, made by packing or when a sample first needs them, and kept.

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
from ...core.picture_hash import BYTES, CROPS, Hashes, grey, has_hashes, hashes_of, marked
from ...core.records import SHARD, Progress, silent
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
        missing.sort(key=lambda picture: picture[1])  # a folder's together
        packed = _PackedHashes()
        for start in range(0, len(missing), AT_ONCE):
            some = missing[start : start + AT_ONCE]
            hashes = {key: packed.of(key, path.parent) for key, path in some}
            others = [(key, path) for key, path in some if hashes[key] is None]
            new = picture_hashes([path for _, path in others])
            hashes |= {key: one for (key, _), one in zip(others, new, strict=True)}
            self._add(list(hashes), np.stack([one for one in hashes.values() if one is not None]))
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
            pq.write_table(marked(columns), temporary)
        self._read(array, table)

    def _read(self, array: Path, table: Path) -> None:
        rows = pq.read_table(table)
        if not has_hashes(rows.schema):
            return
        hashes = np.load(array, mmap_mode="r")
        if hashes.shape == (rows.num_rows, CROPS, BYTES):
            places = ((len(self._arrays), place) for place in range(rows.num_rows))
            keys: list[Any] = rows.column("sha256").to_pylist()
            self._places.update(zip(keys, places, strict=True))
            self._arrays.append(hashes)


class _PackedHashes:
    """The hashes that packing made, in the tables beside the pictures; earlier captrawls made none."""

    def __init__(self) -> None:
        self._folder = Path()
        self._hashes: dict[str, Hashes] = {}

    def of(self, key: str, folder: Path) -> Hashes | None:
        """(CROPS, BYTES) of the picture ``key`` in ``folder``; the tables are read one at a time."""
        if folder != self._folder:
            self._folder, self._hashes = folder, dict(_read_packed(folder / SHARD))
        return self._hashes.get(key)


def _read_packed(table: Path) -> Iterator[tuple[str, Hashes]]:
    if not table.is_file():
        return
    with pq.ParquetFile(table) as file:
        if not has_hashes(file.schema_arrow):
            return
        rows: list[dict[str, Any]] = file.read(["sha256", "hashes"]).to_pylist()
    for row in rows:
        if row["hashes"] is not None and len(row["hashes"]) == CROPS * BYTES:
            yield row["sha256"], np.frombuffer(row["hashes"], np.uint8).reshape(CROPS, BYTES)


def picture_hashes(paths: Sequence[Path]) -> Iterator[Hashes]:
    """(CROPS, BYTES) of each picture file, decoded in threads; zeros of one that can't be."""
    for levels in decoded(paths, grey, ahead=_AHEAD):
        nothing = isinstance(levels, Undecodable)
        yield np.zeros((CROPS, BYTES), np.uint8) if nothing else hashes_of(levels)

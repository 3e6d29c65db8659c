"""Register published vectors: their metadata files are joined to those of a caption index."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...core.errors import InputError
from ...core.records import Progress, silent
from ...search.captions import is_path
from ...search.vectors.models import ModelId, fingerprint
from ..corpora.files import find_files, read_batches
from ..corpora.fingerprints import fingerprint as file_fingerprint
from ..opening import open_index
from ..sources.locations import is_remote
from ..sources.remote_path import RemotePath
from .arrays import VectorArray
from .layout import CAPTIONS, IMAGES, VectorSet, sets_in
from .registration import ROW_BITS, Published, PublishedFile
from .row_reader import read_rows

logger = logging.getLogger(__name__)

UNIT = 0.01
"""How far a unit vector's length may be from 1; float16 is a tenth of that."""
_CHECKED = 64


@dataclass(frozen=True, slots=True)
class VectorSource:
    """What a user says of a folder of vectors; ``names`` as in layout.sets_in."""

    folder: str
    model: ModelId
    normalised: bool
    names: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RegisteredCounts:
    """What was registered; ``unindexed``: metadata files with vectors that the index doesn't contain."""

    files: int
    rows: int
    unindexed: int
    by_uid: bool
    folder: Path


def vectors_root(index: str, to: str = "") -> Path | None:
    """Where the registrations of ``index`` are: ``to``, else in its folder; None where it is a server."""
    if to:
        return Path(to).expanduser().resolve()
    return Path(index).expanduser().resolve() / "vectors" if is_path(index) else None


def register(
    index: str, source: VectorSource, *, to: str = "", progress: Progress = silent
) -> RegisteredCounts:
    """Register the vectors of ``source`` for the caption index at ``index``.

    InputError: no vectors, shapes that don't fit, vectors of other length than 1 that aren't said to be.
    """
    root = vectors_root(index, to)
    if root is None:
        raise InputError(
            f"{index} is a server and keeps no files: name a folder for the registration with --to FOLDER, "
            "and set vectors in [match] of captrawl.toml to it"
        )
    with open_index(index) as captions:
        by_digest: dict[str, list[str]] = {}
        for file, mark in captions.files().items():
            by_digest.setdefault(mark.digest, []).append(file)
    sets = sets_in(source.folder, source.names)
    dimension = _dimension(sets)
    _check_lengths(sets, normalised=source.normalised)
    files: list[PublishedFile] = []
    unindexed: list[VectorSet] = []
    for number, one in enumerate(sets):
        progress("vectors: files", number, len(sets))
        mark = file_fingerprint(RemotePath(one.metadata) if is_remote(one.metadata) else Path(one.metadata))
        _check_rows(one, mark.rows)
        names = by_digest.get(mark.digest, [])
        files += [PublishedFile(name, mark.digest, one.arrays) for name in names]
        unindexed += [] if names else [one]
    by_uid = not files
    uids = places = np.zeros(0, np.int64)
    if by_uid:
        files = [PublishedFile("", "", one.arrays) for one in sets]
        uids, places = _uids(sets, progress)
        if not len(uids):
            raise InputError(f"{source.folder}: the metadata files have no rows")
        unindexed = []
    elif unindexed:
        logger.warning("%d of %d metadata files aren't in %s", len(unindexed), len(sets), index)
    weights = fingerprint(source.model) if source.model.is_local else ""
    folder = root / source.model.slug
    published = Published(
        source.model, weights, source.folder.partition("?")[0], dimension,
        source.normalised, by_uid, tuple(files), folder,
    )  # fmt: skip
    published.save(uids, places)
    progress("vectors: files", len(sets), len(sets))
    rows = sum(next(iter(file.arrays.values())).rows for file in files)
    return RegisteredCounts(len(files), rows, len(unindexed), by_uid, folder)


def _dimension(sets: Sequence[VectorSet]) -> int:
    first = next(iter(sets[0].arrays.values()))
    for array in (array for one in sets for array in one.arrays.values()):
        if array.dimension != first.dimension:
            raise InputError(
                f"{first.where} has {first.dimension}-d vectors, {array.where} {array.dimension}-d: they "
                "are of two models; register them apart, with --images or --captions"
            )
    return first.dimension


def _check_rows(one: VectorSet, rows: int) -> None:
    for array in one.arrays.values():
        if array.rows != rows:
            raise InputError(
                f"{array.where} has {array.rows:,} vectors, {one.metadata} {rows:,} rows: "
                "they don't belong together"
            )


def _check_lengths(sets: Sequence[VectorSet], *, normalised: bool) -> None:
    """InputError where vectors that are said to be normalised aren't; some of every kind are read."""
    for kind in (IMAGES, CAPTIONS):
        arrays = [one.arrays[kind] for one in sets if kind in one.arrays]
        for array in dict.fromkeys([arrays[0], arrays[-1]] if arrays else []):
            if normalised:
                _check_array(array)


def _check_array(array: VectorArray) -> None:
    rows = np.arange(min(array.rows, _CHECKED), dtype=np.int64)
    for place, vectors in read_rows(array, rows):
        lengths = np.linalg.norm(vectors, axis=1)
        off = np.flatnonzero(np.isfinite(lengths) & (lengths > 0) & (np.abs(lengths - 1) > UNIT))
        if len(off):
            raise InputError(
                f"{array.where}: vector {place.start + int(off[0])} has length {lengths[off[0]]:.3g}, so "
                "these aren't normalised; if they are the model's as it gives them, say so: --unnormalised"
            )


def _uids(sets: Sequence[VectorSet], progress: Progress) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The sorted uids of all metadata rows, and where the vector of each is; of a uid's rows the first."""
    uids: list[NDArray[np.int64]] = []
    places: list[NDArray[np.int64]] = []
    for number, one in enumerate(sets):
        progress("vectors: uids", number, len(sets))
        for batch in read_batches(find_files([one.metadata])[0]):
            uids.append(batch.column("uid").to_numpy())
            places.append(batch.column("row").to_numpy() | (number << ROW_BITS))
    distinct, first = np.unique(np.concatenate(uids), return_index=True)
    return distinct, np.concatenate(places)[first]

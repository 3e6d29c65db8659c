"""Vectors of texts and images that belong to no pool (prompts, shots, test images), kept by content.

A file of them belongs to one set of weights; with other weights it is made anew, so none is ever stale.
"""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import numpy as np

from ..core.files import atomic, sweep
from ..core.records import Vectors

logger = logging.getLogger(__name__)

FORMAT = 1


def cached(
    path: Path,
    keys: Sequence[str],
    compute: Callable[[Sequence[int]], Vectors],
    *,
    weights: str,
    dimension: int,
    chunk: int,
) -> Vectors:
    """The vectors (len(keys), dimension) of ``keys``, computed once and kept in ``path`` (.npz).

    A key is a hash of the content; equal keys have equal vectors. ``compute`` is given the positions in
    ``keys`` of the missing ones, each key once, ``chunk`` at a time; every chunk is saved as it comes, so a
    killed run goes on where it was, with the same chunks.
    """
    sweep(path.parent, {path.name}, shared=True)
    stored, vectors = _load(path, weights, dimension)
    place = {key: row for row, key in enumerate(stored)}
    missing: dict[str, int] = {}
    for position, key in enumerate(keys):
        if key not in place:
            missing.setdefault(key, position)
    positions = list(missing.values())
    for start in range(0, len(positions), chunk):
        some = positions[start : start + chunk]
        vectors = np.concatenate([vectors, compute(some)])
        for position in some:
            place[keys[position]] = len(stored)
            stored.append(keys[position])
        save(path, stored, vectors, weights)
    return vectors[[place[key] for key in keys]]


def _load(path: Path, weights: str, dimension: int) -> tuple[list[str], Vectors]:
    empty: tuple[list[str], Vectors] = ([], np.zeros((0, dimension), dtype=np.float32))
    if not path.exists():
        return empty
    try:
        with np.load(path, allow_pickle=False) as file:
            form, made_with = int(file["format"]), str(file["weights"])
            keys: list[str] = file["keys"].tolist()
            vectors: Vectors = file["vectors"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        logger.warning("%s can't be read (%s) and is made anew", path, error)
        return empty
    fits = vectors.ndim == 2 and vectors.shape == (len(keys), dimension)
    return (keys, vectors) if form == FORMAT and made_with == weights and fits else empty


def forget(path: Path, keys: Collection[str]) -> int:
    """Drop the vectors of ``keys`` from the file ``path``, of whatever weights; how many were there."""
    try:
        with np.load(path, allow_pickle=False) as file:
            weights, stored = str(file["weights"]), file["keys"]
            rest = ~np.isin(stored, list(keys))
            vectors: Vectors = file["vectors"][rest]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        path.unlink(missing_ok=True)  # what can't be read is made anew anyway
        return 0
    if not rest.all():
        save(path, stored[rest].tolist(), vectors, weights)
    return int((~rest).sum())


def save(path: Path, keys: list[str], vectors: Vectors, weights: str) -> None:
    """Write vectors and their keys, atomically."""
    with atomic(path) as temporary, temporary.open("wb") as handle:
        np.savez(
            handle,
            format=np.array(FORMAT),
            weights=np.array(weights),
            keys=np.array(keys, dtype="U64"),
            vectors=vectors,
        )

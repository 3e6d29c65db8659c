"""Matched rows → their published vectors."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ...core.arrow import pc
from ...core.errors import InputError, WorkspaceError
from ...core.records import Vectors
from .register import UNIT
from .registration import ROW_BITS, Published
from .row_reader import BLOCK, read_rows

_AT_ONCE = 8
"""Files that are read side by side."""
NOWHERE = -1


@dataclass(frozen=True, slots=True)
class PublishedLookup:
    """The vectors of ``kind`` (layout.IMAGES, CAPTIONS) that ``published`` has."""

    published: Published
    kind: str

    def check(self, corpus: Mapping[str, str]) -> None:
        """InputError where ``corpus`` (file → fingerprint, of an index) has another version of a file."""
        for file in self.published.files:
            if file.file in corpus and corpus[file.file] != file.fingerprint:
                raise InputError(
                    f"the index contains another version of {file.file} than the vectors of "
                    f"{self.published.source} were registered with; run captrawl index vectors again"
                )

    def places(self, rows: pa.Table) -> NDArray[np.int64]:
        """Where the vector of each row (columns uid, file, row) is; NOWHERE where there is none."""
        if self.published.by_uid:
            return self._by_uid(rows["uid"].to_numpy())
        names = pa.array([file.file if self.kind in file.arrays else "" for file in self.published.files])
        files = pc.fill_null(pc.index_in(rows["file"], value_set=names), NOWHERE).to_numpy()
        places = (files.astype(np.int64) << ROW_BITS) | rows["row"].to_numpy()
        return np.where(files >= 0, places, NOWHERE)

    def vectors(self, places: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], Vectors]]:
        """Blocks of (indices into ``places``, their vectors) of ``places`` (ascending, distinct, somewhere).

        Unit rows, float32; NaN where the vector is missing or zero. Several files are read at once.
        """
        files = places >> ROW_BITS
        cuts = [0, *(np.flatnonzero(np.diff(files)) + 1).tolist(), len(places)]
        spans = [
            np.arange(first, min(first + BLOCK, end))
            for start, end in itertools.pairwise(cuts)
            for first in range(start, end, BLOCK)
        ]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for first in range(0, len(spans), _AT_ONCE):
                window = spans[first : first + _AT_ONCE]
                for blocks in pool.map(self._of_file, itertools.repeat(places), window):
                    yield from blocks

    def _of_file(
        self, places: NDArray[np.int64], span: NDArray[np.int64]
    ) -> list[tuple[NDArray[np.int64], Vectors]]:
        array = self.published.files[int(places[span[0]] >> ROW_BITS)].arrays[self.kind]
        rows = places[span] & ((1 << ROW_BITS) - 1)
        return [
            (span[block], self._unit(vectors, array.where, rows[block]))
            for block, vectors in read_rows(array, rows)
        ]

    def _unit(self, vectors: Vectors, where: str, rows: NDArray[np.int64]) -> Vectors:
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        lengths[~np.isfinite(lengths) | (lengths == 0)] = np.nan
        if self.published.normalised:
            off = np.flatnonzero(np.abs(lengths[:, 0] - 1) > UNIT)
            if len(off):
                raise InputError(
                    f"{where}: vector {rows[off[0]]} has length {lengths[off[0], 0]:.3g}, and they are "
                    "registered as normalised; register them with --unnormalised"
                )
        return vectors / lengths

    def _by_uid(self, uids: NDArray[np.int64]) -> NDArray[np.int64]:
        try:
            stored, places = (
                np.load(self.published.folder / f"{name}.npy", mmap_mode="r") for name in ("uids", "places")
            )
        except (OSError, ValueError) as error:
            raise WorkspaceError(
                f"{self.published.folder} can't be read ({error}); run captrawl index vectors again"
            ) from error
        at = np.minimum(np.searchsorted(stored, uids), len(stored) - 1)
        without = [number for number, file in enumerate(self.published.files) if self.kind not in file.arrays]
        here = (stored[at] == uids) & ~np.isin(places[at] >> ROW_BITS, without)
        return np.where(here, places[at], NOWHERE)

"""Published vectors in place of an image's own embedding: `captrawl embed --published`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ...core.errors import InputError, ModelError
from ...search.vectors.encoder import Encoder
from ...search.vectors.models import fingerprint, model_of
from ...workspace.workspace import Workspace, readable
from ..match_stage import index_location
from ..published.layout import IMAGES
from ..published.lookup import NOWHERE, PublishedLookup
from ..published.register import vectors_root
from ..published.registration import registration_of

CHECKED = 16
"""Images that are embedded all the same, to compare."""
ENOUGH = 0.9
"""The least median cosine to own embeddings; pictures that changed since are a minority."""


class PublishedImages:
    """The published vectors of a workspace's images, by uid."""

    def __init__(self, workspace: Workspace, encoder: Encoder) -> None:
        settings = workspace.settings().match
        to = str(workspace.root / settings.vectors) if settings.vectors else ""
        root = vectors_root(index_location(workspace), to)
        if root is None:
            raise InputError("embed --published: the index is a server; set [match] vectors in captrawl.toml")
        model = model_of(workspace)
        published = registration_of(root, model, fingerprint(model) if model.is_local else "")
        if published.dimension != encoder.dimension:
            raise ModelError(
                f"the vectors of {published.source} are {published.dimension}-d, {model} gives "
                f"{encoder.dimension}-d"
            )
        if not published.has(IMAGES):
            raise InputError(f"{published.source} has no vectors of images")
        self.source = published.source
        self._root, self._encoder, self._checked = workspace.root, encoder, False
        self._lookup = PublishedLookup(published, IMAGES)
        self._uids, self._places = self._matched(workspace)

    def vectors(self, rows: pa.Table) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """(the rows that have one, their vectors) of ``rows`` (uid, image_path).

        ModelError where the first of them aren't like the images' own embeddings.
        """
        uids: NDArray[np.int64] = rows["uid"].to_numpy()
        at = np.minimum(np.searchsorted(self._uids, uids), len(self._uids) - 1)
        here = np.flatnonzero(self._uids[at] == uids) if len(self._uids) else np.zeros(0, np.int64)
        distinct, of_row = np.unique(self._places[at[here]], return_inverse=True)
        vectors = np.full((len(distinct), self._encoder.dimension), np.nan, np.float32)
        for indices, some in self._lookup.vectors(distinct):
            vectors[indices] = some
        vectors = vectors[of_row]
        good = np.isfinite(vectors).all(axis=1)
        here, vectors = here[good], vectors[good]
        self._check(rows["image_path"].take(here[:CHECKED]).to_pylist(), vectors)
        return here, vectors

    def _matched(self, workspace: Workspace) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Sorted uids of the matches that have a vector, and its place."""
        with readable(workspace.matches_path, "match"):
            rows = pq.read_table(workspace.matches_path, columns=["uid", "file", "row"])
        places = self._lookup.places(rows)
        there = places != NOWHERE
        uids, first = np.unique(rows["uid"].to_numpy()[there], return_index=True)
        return uids, places[there][first]

    def _check(self, paths: Sequence[Any], vectors: NDArray[Any]) -> None:
        if self._checked or not len(paths):
            return
        files: list[Path] = [self._root / path for path in paths]
        cosines: list[float] = []
        for batch in self._encoder.image_batches(files):
            cosines += (batch.vectors * vectors[batch.indices]).sum(axis=1).tolist()
        median = float(np.median(cosines)) if cosines else 1.0
        if median < ENOUGH:
            raise ModelError(
                f"the vectors of {self.source} aren't those of the images here: their median cosine to "
                f"{self._encoder.model}'s own is {median:.3f}; register them with the model that made "
                "them, or embed --own"
            )
        self._checked = True

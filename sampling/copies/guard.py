"""The leak guard: which rows are copies of a test image, by picture hash and by the model's vectors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...core.picture_hash import COPY, Hashes
from ...core.records import Vectors
from ...search.vectors.exact import rounded
from .alike import HashIndex

LEAK = 0.95
"""The cosine to a test image above which an image may be a copy of it."""
CONFIRMED = 58
"""So many unlike bits at most confirm what the cosine says; COPY bits say it alone."""
_AT_ONCE = 4096


class LeakGuard:
    """Test images: ``hashes`` (images, CROPS, BYTES) and ``vectors`` (images, d), if any."""

    def __init__(self, hashes: Hashes, vectors: Vectors | None) -> None:
        self._hashes, self._vectors = hashes, vectors
        self._references = HashIndex(hashes)

    def leaking(self, hashes: Hashes, vectors: Vectors) -> NDArray[np.bool_]:
        """Which pictures are copies of a test image.

        Those whose hash says so, and those nearer than LEAK whose hash is near the same test image's too, or
        where one of the two has none: it is blank, or can't be decoded.
        """
        leaking = self._references.distances(hashes) <= COPY
        own = vectors[:0] if self._vectors is None else self._vectors
        for start in range(0, len(own), _AT_ONCE):
            near = rounded(vectors @ own[start : start + _AT_ONCE].T) > LEAK
            near[leaking] = False
            for row, image in np.argwhere(near).tolist():
                leaking[row] |= self._confirmed(hashes[row], self._hashes[start + image])
        return leaking

    @staticmethod
    def _confirmed(picture: Hashes, reference: Hashes) -> bool:
        if not (picture.any() and reference.any()):
            return True
        return int(HashIndex(reference[None]).distances(picture[None])[0]) <= CONFIRMED

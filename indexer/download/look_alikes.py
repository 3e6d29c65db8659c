"""Which packed images show one picture: encoded anew, or scaled, and nothing else.

Much nearer than the copies that a sample leaves out (sampling.copies), because URLs are dropped by it. Of 155
pictures at 30 % of their size and JPEG quality 60, greys differ by 23 at most and by 5.5 in the root mean
square; of 1,777 unlike ones by 34 and 4.7 at least (two frames of a scene), of road signs with other numbers
by 90 and 10.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.picture_hash import GREYS, SIGNATURE
from ...search.vectors.exact import import_faiss
from ..ledger import Ledger
from ..ledger_pictures import LedgerPictures, Signatures

GREY, GREY_MEAN, COLOUR = 24, 6.0, 12
"""So much greys differ at most, and in the root mean square; so much colours do, which are coarser."""
CONTRAST = 0.25
"""The share of a picture's own contrast beyond which the mean is too much: textures have little of it."""
_COARSE = 4
_AT_ONCE, _SEARCHED, _FITTED = 512, 64, 8_192
"""Images that are compared with all pictures, and with those that are near."""
_CHUNK = 16_384


def name_look_alikes(ledger: Ledger) -> None:
    """Compare every image of ``ledger`` that wasn't yet, and note which picture it is.

    Takes some 600 bytes of memory a picture.
    """
    pictures = LedgerPictures(ledger)
    seen: _References | None = None
    for images, signatures in pictures.unnamed(_AT_ONCE):
        if seen is None:
            seen = _References()
            for firsts, references in pictures.named(_CHUNK):
                seen.add(firsts, references)
        pictures.name(dict(zip(images, seen.names(images, signatures), strict=True)))


class _References:
    """The first image of every picture, by its place; grows by the pictures that are new."""

    def __init__(self) -> None:
        self._index: Any = import_faiss().IndexFlatL2(_COARSE * _COARSE)
        self._signatures: list[Signatures] = []
        self._names: list[NDArray[np.bytes_]] = []

    def names(self, images: Sequence[str], signatures: Signatures) -> list[str]:
        """Which picture each is, the first that it looks like; a new picture is named by its image."""
        places = [min(alike, default=-1) for alike in self._alike(signatures)]
        unlike = [row for row, place in enumerate(places) if place < 0]
        among = _References()
        among.add([images[row] for row in unlike], signatures[unlike])
        names = ["" if place < 0 else self._name(place) for place in places]
        new: list[int] = []
        for row, alike in zip(unlike, among._alike(signatures[unlike]), strict=True):
            if not names[row]:
                for other in alike:
                    names[unlike[other]] = names[unlike[other]] or images[row]
                new.append(row)
        self.add([images[row] for row in new], signatures[new])
        return names

    def add(self, images: Sequence[str], signatures: Signatures) -> None:
        """Take in the first images of pictures."""
        start = self._index.ntotal
        self._index.add(_coarse(signatures))
        for row, image in enumerate(images, start):
            chunk, at = divmod(row, _CHUNK)
            if chunk == len(self._names):
                self._signatures.append(np.empty((_CHUNK, SIGNATURE), np.uint8))
                self._names.append(np.empty(_CHUNK, "S64"))
            self._signatures[chunk][at] = signatures[row - start]
            self._names[chunk][at] = image.encode()

    def _name(self, place: int) -> str:
        return bytes(self._names[place // _CHUNK][place % _CHUNK]).decode()

    def _at(self, places: NDArray[np.int64]) -> Signatures:
        rows = np.empty((len(places), SIGNATURE), np.uint8)
        for chunk in np.unique(places // _CHUNK).tolist():
            of_chunk = places // _CHUNK == chunk
            rows[of_chunk] = self._signatures[chunk][places[of_chunk] % _CHUNK]
        return rows

    def _alike(self, signatures: Signatures) -> Sequence[list[int]]:
        """Of each row, the places of the pictures that it looks like, itself among them where it is one."""
        # Means differ no more than what they are the means of.
        radius = _COARSE * _COARSE * (GREY_MEAN**2 + 1)
        alike: list[list[int]] = []
        for start in range(0, len(signatures), _SEARCHED):
            some = signatures[start : start + _SEARCHED]
            limits, _, places = self._index.range_search(_coarse(some), radius)
            alike += [self._fitting(row, places[limits[at] : limits[at + 1]]) for at, row in enumerate(some)]
        return alike

    def _fitting(self, signature: NDArray[np.uint8], near: NDArray[np.int64]) -> list[int]:
        """Those of the places ``near`` whose picture it is."""
        places: list[int] = []
        most = np.clip(CONTRAST * signature[: GREYS * GREYS].std(), 1.0, GREY_MEAN)
        for start in range(0, len(near), _FITTED):
            some = near[start : start + _FITTED]
            apart = np.abs(signature.astype(np.int16) - self._at(some))
            greys, colours = np.split(apart, [GREYS * GREYS], axis=1)
            mean = np.sqrt(np.square(greys, dtype=np.float32).mean(axis=1))
            fits = (mean <= most) & (greys.max(axis=1) <= GREY) & (colours.max(axis=1) <= COLOUR)
            places += some[fits].tolist()
        return places


def _coarse(signatures: Signatures) -> NDArray[np.float32]:
    """(rows, 16): the means of the greys' sixteenths."""
    step = GREYS // _COARSE
    greys = signatures[:, : GREYS * GREYS].reshape(-1, _COARSE, step, _COARSE, step)
    return np.ascontiguousarray(greys.mean(axis=(2, 4), dtype=np.float32).reshape(-1, _COARSE * _COARSE))

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
_AT_ONCE = 512


def name_look_alikes(ledger: Ledger) -> None:
    """Compare every image of ``ledger`` that wasn't yet, and note which picture it is."""
    pictures = LedgerPictures(ledger)
    images, signatures = pictures.unnamed()
    if not images:
        return
    firsts, references = pictures.named()
    seen = _References(references)
    for start in range(0, len(images), _AT_ONCE):
        names: dict[str, str] = {}
        places = seen.places(signatures[start : start + _AT_ONCE])
        for image, place in zip(images[start:], places, strict=False):
            if place == len(firsts):
                firsts.append(image)
            names[image] = firsts[place]
        pictures.name(names)


class _References:
    """The first image of every picture, by its place; grows by the pictures that are new."""

    def __init__(self, signatures: Signatures) -> None:
        self._index: Any = import_faiss().IndexFlatL2(_COARSE * _COARSE)
        self._signatures = np.empty((0, SIGNATURE), np.uint8)
        self._add(signatures)

    def places(self, signatures: Signatures) -> list[int]:
        """Which picture each is, the first that it looks like; a new picture takes the next place."""
        places = [min(alike, default=-1) for alike in self._alike(signatures)]
        unlike = [row for row, place in enumerate(places) if place < 0]
        among = _References(signatures[unlike])._alike(signatures[unlike])
        new: list[int] = []
        for at, row in enumerate(unlike):
            if places[row] < 0:
                for other in among[at]:
                    if places[unlike[other]] < 0:
                        places[unlike[other]] = len(self._signatures) + len(new)
                new.append(row)
        self._add(signatures[new])
        return places

    def _alike(self, signatures: Signatures) -> Sequence[list[int]]:
        """Of each row, the places of the pictures that it looks like, itself among them where it is one."""
        alike: list[list[int]] = [[] for _ in signatures]
        if not len(signatures):
            return alike
        # Means differ no more than what they are the means of.
        radius = _COARSE * _COARSE * (GREY_MEAN**2 + 1)
        limits, _, places = self._index.range_search(_coarse(signatures), radius)
        for row in range(len(signatures)):
            near = places[limits[row] : limits[row + 1]]
            apart = np.abs(signatures[row].astype(np.int16) - self._signatures[near])
            greys, colours = np.split(apart, [GREYS * GREYS], axis=1)
            mean = np.sqrt(np.square(greys, dtype=np.float32).mean(axis=1))
            most = np.clip(CONTRAST * signatures[row, : GREYS * GREYS].std(), 1.0, GREY_MEAN)
            fits = (mean <= most) & (greys.max(axis=1) <= GREY) & (colours.max(axis=1) <= COLOUR)
            alike[row] += near[fits].tolist()
        return alike

    def _add(self, signatures: Signatures) -> None:
        self._index.add(_coarse(signatures))
        self._signatures = np.concatenate([self._signatures, signatures])


def _coarse(signatures: Signatures) -> NDArray[np.float32]:
    """(rows, 16): the means of the greys' sixteenths."""
    step = GREYS // _COARSE
    greys = signatures[:, : GREYS * GREYS].reshape(-1, _COARSE, step, _COARSE, step)
    return np.ascontiguousarray(greys.mean(axis=(2, 4), dtype=np.float32).reshape(-1, _COARSE * _COARSE))

"""The ledger's pictures: which look alike, which URLs gave them, and which of those are copies.

A picture is a group of images that look alike; it is named by the first of them. Images without a signature
(packed by an earlier captrawl) are alike where their bytes are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core.picture_hash import SIGNATURE
from . import ledger_sql as sql
from .ledger import Ledger
from .outcomes import Reason, UrlState

Signatures = NDArray[np.uint8]
"""A signature a row: uint8 (rows, SIGNATURE)."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A URL that gave a picture, packed or dropped as a copy; ``reason`` is why it was dropped."""

    picture: str
    id: int
    url: str
    priority: int
    state: UrlState
    reason: Reason | None
    sha256: str


class LedgerPictures:
    """The pictures of an open ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def unnamed(self, most: int) -> Iterator[tuple[list[str], Signatures]]:
        """The images that weren't compared yet, by sha256, ``most`` at once: name those before the next."""
        last = ""
        while rows := self._ledger.database.execute(sql.NEW_PICTURES, (last, most)).fetchall():
            last = rows[-1][0]
            yield _signatures(rows)

    def named(self, most: int) -> Iterator[tuple[list[str], Signatures]]:
        """The images that others were said to look like: one a picture, by sha256, ``most`` at once."""
        cursor = self._ledger.database.execute(sql.FIRST_PICTURES)
        while rows := cursor.fetchmany(most):
            yield _signatures(rows)

    def name(self, pictures: Mapping[str, str]) -> None:
        """Note which picture images are: sha256 → the sha256 of the first that looks like it."""
        with self._ledger.transaction() as database:
            database.executemany(sql.NOTE_SAME, [(first, sha256) for sha256, first in pictures.items()])

    def packed_urls(self, most: int) -> Iterator[list[str]]:
        """The wanted URLs that have an image, ``most`` at once."""
        cursor = self._ledger.database.execute(sql.PACKED_URLS, (self._ledger.generation,))
        while rows := cursor.fetchmany(most):
            yield [url for (url,) in rows]

    def sightings(self, also: Sequence[str]) -> list[Sighting]:
        """The URLs of every picture that several gave, and the URLs ``also``: by picture, then in rank order.

        Placeholders that were dropped earlier are among them, whether a match names them now or not.
        """
        rows = self._ledger.database.execute(sql.SIGHTINGS, (self._ledger.generation, json.dumps(also)))
        return [
            Sighting(picture, id_, url, priority, UrlState(state), Reason(reason) if reason else None, sha256)
            for picture, id_, url, priority, state, reason, sha256 in rows
        ]

    def settle(self, verdicts: Iterable[tuple[int, Reason | None]], **notes: str) -> None:
        """Drop URLs as copies, (id, reason), and take back those that aren't any longer; ``notes`` are kept.

        One that is taken back is asked again where its image is gone.
        """
        with self._ledger.transaction() as database:
            for id_, reason in verdicts:
                database.execute(*((sql.DROP_COPY, (reason, id_)) if reason else (sql.RESTORE_COPY, (id_,))))
            self._ledger.note(**notes)


def _signatures(rows: Sequence[tuple[str, bytes]]) -> tuple[list[str], Signatures]:
    values = np.frombuffer(b"".join(signature for _, signature in rows), np.uint8)
    return [sha256 for sha256, _ in rows], values.reshape(-1, SIGNATURE)

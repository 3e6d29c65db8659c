"""Which rows of the ledger the pictures of an archive belong to: by URL, else by uid."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ...core.arrow import pc
from .member_table import url_hash

Ints = NDArray[np.int64]
NOBODY = -1


@dataclass(frozen=True, slots=True)
class Lookup:
    """Keys, ascending, and the ledger's id of each."""

    keys: Ints
    ids: Ints

    @classmethod
    def of(cls, keys: Ints, ids: Ints) -> Lookup:
        """A lookup of unsorted ``keys``; of equal ones the first counts."""
        order = np.argsort(keys, kind="stable")
        return cls(keys[order], ids[order])

    def find(self, keys: Ints) -> Ints:
        """The id of each key, NOBODY where there is none."""
        if not len(self.keys):
            return np.full(len(keys), NOBODY, np.int64)
        place = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[place] == keys, self.ids[place], NOBODY)


@dataclass(frozen=True, slots=True)
class RowLookup:
    """The rows of the ledger that an archive's picture may end."""

    urls: Lookup
    uids: Lookup

    @classmethod
    def of(cls, rows: Iterable[tuple[int, str]], matches: Iterable[Iterable[tuple[Any, ...]]]) -> RowLookup:
        """The ledger's ``rows`` (id, URL); ``matches`` are batches of (URL, uid)."""
        pairs = np.array([(id_, url_hash(url)) for id_, url in rows], np.int64).reshape(-1, 2)
        urls = Lookup.of(pairs[:, 1], pairs[:, 0])
        uids, ids = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        for batch in matches:
            hashed = np.array([(url_hash(url), uid) for url, uid in batch], np.int64).reshape(-1, 2)
            of_row = urls.find(hashed[:, 0])
            uids.append(hashed[of_row != NOBODY, 1])
            ids.append(of_row[of_row != NOBODY])
        return cls(urls, Lookup.of(np.concatenate(uids), np.concatenate(ids)))

    def of_table(self, table: pa.Table) -> Ints:
        """The id of each line of a member table (MEMBER_SCHEMA), NOBODY where nobody asked for it."""
        ids = np.full(len(table), NOBODY, np.int64)
        for name, lookup in (("uid", self.uids), ("url", self.urls)):  # what a URL says counts
            column = table[name]
            matches = lookup.find(pc.fill_null(column, 0).to_numpy())
            ids = np.where((matches != NOBODY) & pc.is_valid(column).to_numpy(), matches, ids)
        return ids

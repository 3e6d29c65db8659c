"""Which rows of the ledger the pictures of an archive belong to: by URL, uid, or file and row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ...core.arrow import pc
from .locations import Archive
from .owners import ADDRESS, archive_address, url_hash

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
    places: Mapping[str, Lookup]
    """The row numbers of each corpus file."""
    addressed: frozenset[str]
    """The corpus files of pictures that only an archive has."""

    @classmethod
    def of(cls, rows: Iterable[tuple[int, str]], matches: Iterable[Iterable[tuple[Any, ...]]]) -> RowLookup:
        """The ledger's ``rows`` (id, URL); ``matches`` are batches of (URL, uid, file, row)."""
        pairs = np.array([(id_, url_hash(url)) for id_, url in rows], np.int64).reshape(-1, 2)
        urls = Lookup.of(pairs[:, 1], pairs[:, 0])
        uids, ids = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        places: dict[str, list[tuple[int, int]]] = defaultdict(list)
        addressed: set[str] = set()
        for batch in matches:
            rows_of_batch = list(batch)
            hashed = np.array([(url_hash(row[0]), row[1]) for row in rows_of_batch], np.int64).reshape(-1, 2)
            of_row = urls.find(hashed[:, 0])
            uids.append(hashed[of_row != NOBODY, 1])
            ids.append(of_row[of_row != NOBODY])
            for (url, _, file, row), id_ in zip(rows_of_batch, of_row.tolist(), strict=True):
                if id_ != NOBODY:
                    places[file].append((row, id_))
                    if url.startswith(ADDRESS):
                        addressed.add(file)
        numbers = {file: np.array(pairs, np.int64) for file, pairs in places.items()}
        by_file = {file: Lookup.of(pairs[:, 0], pairs[:, 1]) for file, pairs in numbers.items()}
        by_uid = Lookup.of(np.concatenate(uids), np.concatenate(ids))
        return cls(urls, by_uid, by_file, frozenset(addressed))

    def file_of(self, archive: Archive) -> str:
        """The corpus file that the archive is, by its name; "" where it is none."""
        ends = (file for file in self.places if f"/{archive.name}".endswith(f"/{file}"))
        return max(ends, key=len, default="")

    def of_table(self, table: pa.Table, archive: Archive) -> Ints:
        """The id of each line of the archive's member table, NOBODY where nobody asked for it.

        A Parquet's row numbers and a tar's keys count where it is named as the corpus file was:
        ``corpus/00000.parquet``.
        """
        ids = np.full(len(table), NOBODY, np.int64)
        file = self.file_of(archive)
        if file and archive.is_parquet:
            ids = self.places[file].find(table["offset"].to_numpy())
        elif file:
            keys = map(str, table["key"].to_pylist())
            ids = self.urls.find(np.array([url_hash(archive_address(file, key)) for key in keys], np.int64))
        for name, lookup in (("uid", self.uids), ("url", self.urls)):  # what a URL says counts
            column = table[name]
            matches = lookup.find(pc.fill_null(column, 0).to_numpy())
            ids = np.where((matches != NOBODY) & pc.is_valid(column).to_numpy(), matches, ids)
        return ids

"""Corpus files into a caption index: in worker processes, resumable at any moment.

A file is in when the engine says so (all its rows or none), so a killed build is resumed by running it again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import mmh3

from ..core.errors import CaptionIndexError, InputError
from ..core.parallel import cores
from ..core.records import CorpusFile, Fingerprint, InventoryFile, LoadJob, Progress, silent
from ..search.inventory import below, corpus_totals, double_rows
from .corpora.files import expected_rows, read_batches
from .corpora.readers import row_group_rows
from .opening import open_index


@dataclass(frozen=True, slots=True)
class IndexedCounts:
    """What a build did, and how many rows the index contains now."""

    files_added: int
    files_skipped: int
    rows_added: int
    rows: int


def index_captions(
    location: str | Path,
    files: Sequence[CorpusFile],
    *,
    part: tuple[int, int] | None = None,
    replace: bool = False,
    workers: int = 0,
    progress: Progress = silent,
) -> IndexedCounts:
    """Put every file that isn't in yet into the index at ``location`` (made if need be), and count.

    ``part`` (i, n) takes only the i-th of n shares of the files (1-based, by a hash of the identity).
    ``workers`` processes (0: one a core) build side by side; they are spawned, so a script that calls this
    needs the usual ``if __name__ == "__main__"``. A file that the index contains in another version is a
    CaptionIndexError, before anything is written, unless ``replace``; another process that is building the
    same files is an IndexBusyError. Whatever happens, what is in stays in.
    """
    share = files_of_part(files, part)
    with open_index(location, create=True, rows=expected_rows(files)) as index:
        missing = _missing_files(share, index.files(), replace=replace, location=str(location))
        if index.analyzer < 2 and any(file.more_captions for file in missing):
            raise CaptionIndexError(
                f"{location} has analyzer {index.analyzer}, which knows no rows with several captions; "
                "index them into a new index, or one caption column alone"
            )
    with open_index(location, patient=True) as index:
        names = frozenset(file.file for file in missing)
        on_rows = _RowProgress(progress, expected_rows(missing))
        rows = index.load(
            LoadJob(share, names, read_batches, row_group_rows, workers or cores(), replace, on_rows)
        )
        for file in double_rows(index.files()):
            if file in {f"{one.file}/{column}" for one in missing for column in one.more_captions}:
                index.remove(file)
        return IndexedCounts(len(missing), len(share) - len(missing), rows, index.rows())


def remove_others(location: str, files: Sequence[CorpusFile], part: tuple[int, int] | None) -> list[str]:
    """Take out of the index what isn't among ``files``, of this part's share; returns the identities.

    A build that was begun with other files, and is taken up with these, then holds just these.
    """
    names = {file.file for file in files}
    with open_index(location, patient=True) as index:
        others = [file for file in index.files() if file not in names and _in_part(file, part)]
        for file in others:
            index.remove(file)
    return others


def remove_files(location: str, name: str, *, progress: Progress = silent) -> list[InventoryFile]:
    """Take a file out of the index, or every file of the corpus or folder ``name``, one after the other.

    Killed at any moment, it goes on when it is run again. CaptionIndexError: there is no such file.
    """
    with open_index(location, patient=True) as index:
        files = below(in_index := index.inventory(), name)
        if not files:
            corpora = ", ".join(map(str, corpus_totals(in_index)[:10])) or "nothing"
            raise CaptionIndexError(f"{location} contains no {name}; it contains {corpora}")
        for done, file in enumerate(files):
            progress("files", done, len(files))
            index.remove(file.file)
        progress("files", len(files), len(files))
    return files


def files_of_part(files: Sequence[CorpusFile], part: tuple[int, int] | None) -> list[CorpusFile]:
    """The i-th of n shares of the files, in their order; all of them for None. The shares are disjoint."""
    if part is None:
        return list(files)
    share, shares = part
    if not 1 <= share <= shares:
        raise InputError(f"no part {share}/{shares}: give one from 1/{shares} to {shares}/{shares}")
    return [f for f in files if _in_part(f.file, part)]


def _in_part(file: str, part: tuple[int, int] | None) -> bool:
    if part is None:
        return True
    share, shares = part
    return mmh3.hash64(file.encode(), signed=False)[0] % shares == share - 1


def _missing_files(
    files: Sequence[CorpusFile], fingerprints: Mapping[str, Fingerprint], *, replace: bool, location: str
) -> list[CorpusFile]:
    """The files that aren't in; CaptionIndexError for one that is in as another version."""
    for file in files:
        if not replace and fingerprints.get(file.file, file.fingerprint) != file.fingerprint:
            raise CaptionIndexError(
                f"{location} contains another version of {file.file} than {file.path}; "
                "index the new one with --replace, or give it another --corpus name"
            )
    return [file for file in files if fingerprints.get(file.file) != file.fingerprint]


class _RowProgress:
    """Adds up the rows that workers report, for the progress."""

    def __init__(self, progress: Progress, total: int | None) -> None:
        self._progress = progress
        self._total = total
        self._done = 0
        progress("rows", 0, total)

    def __call__(self, count: int) -> None:
        self._done += count
        self._progress("rows", self._done, self._total)

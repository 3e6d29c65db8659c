"""What a caption index contains, corpus by corpus."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from ..core.records import InventoryFile
from ..core.wording import counted


@dataclass(frozen=True, slots=True)
class CorpusTotal:
    """A corpus in an index: how many files and rows, and when the first and the last came in."""

    corpus: str
    files: int
    rows: int
    first: datetime | None
    last: datetime | None

    def __str__(self) -> str:
        return f"{self.corpus} ({counted(self.files, 'file')}, {counted(self.rows, 'row')})"


def corpus_totals(files: Iterable[InventoryFile]) -> list[CorpusTotal]:
    """The corpora of ``files``, the largest first."""
    members: dict[str, list[InventoryFile]] = defaultdict(list)
    for file in files:
        members[file.corpus].append(file)
    totals = [_total(corpus, of_corpus) for corpus, of_corpus in members.items()]
    return sorted(totals, key=lambda total: (-total.rows, total.corpus))


def below(files: Iterable[InventoryFile], name: str) -> list[InventoryFile]:
    """The files that ``name`` stands for: one file, a corpus, or a folder of it."""
    return [file for file in files if file.file == name or file.file.startswith(f"{name.rstrip('/')}/")]


def _total(corpus: str, files: list[InventoryFile]) -> CorpusTotal:
    dates = [file.added for file in files if file.added]
    rows = sum(file.rows for file in files)
    return CorpusTotal(corpus, len(files), rows, min(dates, default=None), max(dates, default=None))


def double_rows(files: Collection[str]) -> list[str]:
    """Those of ``files`` that are another file's rows by a further caption, as FILE/COLUMN.

    So were tables with several captions before their rows had them all.
    """
    return [file for file in files if file.rpartition("/")[0] in files]

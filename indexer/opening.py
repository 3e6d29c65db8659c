"""A caption index, opened with what reads its rows back from the corpus where it has none of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from ..core.records import CorpusFile, CorpusPath, Fingerprint
from ..search.captions import CaptionIndex, open_captions


def open_index(
    location: str | Path, *, create: bool = False, patient: bool = False, rows: int | None = None
) -> CaptionIndex:
    """search.captions.open_captions, with the reader that filled the index."""
    return open_captions(location, create=create, patient=patient, rows=rows, reader=_IndexedFiles())


class _IndexedFiles:
    """A records.CorpusReader; what reads files is imported once a row is wanted."""

    def row_group_rows(self, path: CorpusPath) -> Sequence[int]:
        from .corpora.readers import row_group_rows

        return row_group_rows(path)

    def fingerprint(self, path: CorpusPath, more_captions: Sequence[str]) -> Fingerprint:
        from .corpora.files import fingerprint_with

        return fingerprint_with(path, more_captions)

    def read_batches(self, file: CorpusFile, *, row_groups: range | None = None) -> Iterator[pa.RecordBatch]:
        from .corpora.files import read_batches

        return read_batches(file, row_groups=row_groups)

"""A made corpus: files of rows with known captions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from captrawl.core.records import ROW_SCHEMA, CorpusFile, Fingerprint


class Corpus:
    """Files (name → rows); every row holds `dog`, a third of them `blue`, all `version <version>`."""

    def __init__(self, files: dict[str, int], version: str = "1") -> None:
        self.sizes = files
        self.version = version

    @property
    def files(self) -> list[CorpusFile]:
        return [
            CorpusFile(name, Path(name), "", Fingerprint(rows, rows * 10, self.version))
            for name, rows in self.sizes.items()
        ]

    def rows(self, file: str, start: int = 0, stop: int | None = None) -> list[dict[str, object]]:
        stop = self.sizes[file] if stop is None else min(stop, self.sizes[file])
        return [
            {
                "uid": row * 7919 - 5,
                "url": f"http://example.org/{file}/{row}.jpg",
                "caption": f"A {'red' if row % 3 else 'blue'} dog, version {self.version}, no. {row} & Bob’s",
                "width": 100 + row % 50,
                "height": 90,
                "punsafe": None if row % 7 else 0.9,
                "priority": (row * 0x9E3779B97F4A7C15 + len(file)) % 2**64 - 2**63,
                "file": file,
                "row": row,
            }
            for row in range(start, stop)
        ]

    def batches(self, file: str, size: int = 1000) -> Iterator[pa.RecordBatch]:
        for start in range(0, self.sizes[file], size):
            yield pa.RecordBatch.from_pylist(self.rows(file, start, start + size), schema=ROW_SCHEMA)

    def fill(self, index: object) -> None:
        for file in self.files:
            index.add(file, self.batches(file.file))

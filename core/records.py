"""Frozen records and Arrow schemas that cross folders."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, BinaryIO, Literal, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
"""Embeddings, a row each: float32 (rows, dimension), unit length unless it says otherwise."""

ROW_SCHEMA = pa.schema(
    [
        pa.field("uid", pa.int64(), nullable=False),  # LAION's join key, see core.row_ids.uids
        pa.field("url", pa.string()),
        pa.field("caption", pa.string()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("similarity", pa.float64()),  # within [-1, 1], else NULL
        pa.field("nsfw", pa.string()),
        pa.field("punsafe", pa.float64()),
        pa.field("licence", pa.string()),
        pa.field("language", pa.string()),
        pa.field("priority", pa.int64(), nullable=False),  # splitmix hash of uid, file, row
        pa.field("file", pa.string(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
    ]
)
"""A corpus row as every reader gives it and every caption engine returns it."""

MATCH_SCHEMA = pa.schema(
    [
        pa.field("class_id", pa.int64(), nullable=False),
        pa.field("synonym", pa.string(), nullable=False),
        *ROW_SCHEMA,
    ]
)
"""matches.parquet: a (class, row) pair a line, by class id, then the order asked."""


class UrlState(StrEnum):
    """How far a URL is: queued → leased → spooled → packed, or an end without an image."""

    QUEUED = "queued"
    LEASED = "leased"
    SPOOLED = "spooled"
    PACKED = "packed"
    FAILED = "failed"
    REFUSED = "refused"
    DROPPED = "dropped"


SHARD = "shard.parquet"
"""In every folder of packed images: what each was made from, and its perceptual hashes."""

IMAGE_SCHEMA = pa.schema(
    [
        pa.field("url", pa.string(), nullable=False),
        pa.field("state", pa.string(), nullable=False),
        pa.field("reason", pa.string()),
        pa.field("status", pa.int32()),  # the last HTTP status
        pa.field("attempts", pa.int32(), nullable=False),
        pa.field("path", pa.string()),  # relative to the workspace, '/'-separated
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("sha256", pa.string()),
        pa.field("md5", pa.string()),
    ]
)
"""images.parquet: the ledger exported, a unique URL a line, sorted by URL."""

EMBEDDED_SCHEMA = pa.schema(
    [
        pa.field("uid", pa.int64(), nullable=False),
        pa.field("url", pa.string(), nullable=False),
        pa.field("caption", pa.string()),
        pa.field("image_path", pa.string(), nullable=False),  # relative to the workspace
        pa.field("sha256", pa.string(), nullable=False),
    ]
)
"""embeddings/<model>/metadata/metadata_NN.parquet: line i is row i of img_emb_NN.npy and text_emb_NN.npy."""


class RowId(NamedTuple):
    """A corpus row: which file (corpus name and path below the argument), which 0-based row."""

    file: str
    row: int


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What tells one version of a corpus file from another: rows, bytes, and a hash of its footer or ends."""

    rows: int
    size: int
    digest: str


@dataclass(frozen=True, slots=True)
class InventoryFile:
    """A corpus file in a caption index: its identity, the rows it gave, when it came in (None: unknown)."""

    file: str
    rows: int
    fingerprint: Fingerprint
    added: datetime | None

    @property
    def corpus(self) -> str:
        """The name of its corpus."""
        return self.file.partition("/")[0]


class CorpusPath(Protocol):
    """Where a corpus file lies: a Path, or a file behind a URL (indexer.sources.remote_path)."""

    @property
    def name(self) -> str:
        """The file's name."""
        ...

    @property
    def suffix(self) -> str:
        """What the name ends with, from the last dot."""
        ...

    def open(self, mode: Literal["rb"], /) -> BinaryIO:
        """Its bytes."""
        ...


@dataclass(frozen=True, slots=True)
class CorpusFile:
    """One file of a corpus, ready to be read.

    ``file`` is its identity ('/'-separated, prefixed by the corpus name), ``path`` where it lies now,
    ``preset`` the name of its column mapping in indexer.corpora.CORPORA, ``columns`` the canonical column's
    source column where the user named them, which may be a template of several (``{genus} {species}``).
    """

    file: str
    path: CorpusPath
    preset: str
    fingerprint: Fingerprint
    columns: Mapping[str, str] = field(default_factory=dict[str, str])
    more_captions: tuple[str, ...] = ()
    """Further caption columns (or templates): a row is matched by any of its captions (core.row_captions)."""
    detect_language: bool = False
    """Whether captions get a detected language where there is no column of it."""

    @property
    def estimated_rows(self) -> int:
        """The file's rows, guessed from its bytes where its fingerprint doesn't know."""
        mark = self.fingerprint
        return mark.rows if mark.rows >= 0 else mark.size // 100


OnRows = Callable[[int], None]
"""Takes how many more rows (or other units) are done."""


class ReadBatches(Protocol):
    """Reads a corpus file as record batches of ROW_SCHEMA, in order; ``row_groups`` only those of it."""

    def __call__(self, file: CorpusFile, *, row_groups: range | None = None) -> Iterator[pa.RecordBatch]:
        """The batches; CorpusError names the file, and what of it can't be read."""
        ...


class CorpusReader(Protocol):
    """Reads corpus files again, row group by row group, as they were read when they were indexed."""

    def row_group_rows(self, path: CorpusPath) -> Sequence[int]:
        """The rows of each row group."""
        ...

    def fingerprint(self, path: CorpusPath, more_captions: Sequence[str]) -> Fingerprint:
        """What the file is now, read with these further caption columns."""
        ...

    def read_batches(self, file: CorpusFile, *, row_groups: range | None = None) -> Iterator[pa.RecordBatch]:
        """As :class:`ReadBatches` does."""
        ...


@dataclass(frozen=True, slots=True)
class LoadJob:
    """Corpus files to be put into a caption index: of ``files``, those named in ``missing``.

    ``read`` and ``row_groups`` (the rows of each row group of a file, none of a text) are functions at the
    top of a module, for worker processes. With ``replace`` the files take the place of other versions.
    """

    files: Sequence[CorpusFile]
    missing: frozenset[str]
    read: ReadBatches
    row_groups: Callable[[CorpusPath], Sequence[int]]
    workers: int
    replace: bool
    on_rows: OnRows


def reported(batches: Iterator[pa.RecordBatch], on_rows: OnRows) -> Iterator[pa.RecordBatch]:
    """``batches``, and ``on_rows`` hears how many rows each has once it was taken."""
    for batch in batches:
        yield batch
        on_rows(batch.num_rows)


class Progress(Protocol):
    """Told how far a long step is; the CLI draws it, the library's default is silent."""

    def __call__(self, what: str, done: int, total: int | None = None) -> None:
        """Say that ``done`` of ``total`` units of the step named ``what`` are done."""
        ...


def silent(what: str, done: int, total: int | None = None) -> None:
    """Show no progress: the default of every long step."""


_CROISSANT_TERMS = (
    "citeAs column equivalentProperty extract field fileProperty fileObject fileSet format includes "
    "isLiveDataset jsonPath key md5 parentField path recordSet references regex repeated replace "
    "samplingRate separator source subField transform"
)
CROISSANT_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{term: f"cr:{term}" for term in _CROISSANT_TERMS.split()},
}
"""The JSON-LD context that Croissant 1.0 prescribes."""

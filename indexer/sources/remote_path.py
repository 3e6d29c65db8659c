"""A file behind a URL that is opened like a path: corpora that are read where they lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO, Literal, cast

from ...core.version import __version__
from .blobs import Blob, BlobFile
from .opening import open_blob


@dataclass(frozen=True, slots=True)
class RemotePath:
    """The file at ``url`` (hf://, s3://, http(s):// …); it prints without a query, which may be a key."""

    url: str

    def __str__(self) -> str:
        return self.url.partition("?")[0]

    @property
    def name(self) -> str:
        """The file's name."""
        return PurePosixPath(str(self)).name

    @property
    def suffix(self) -> str:
        """What the name ends with, from the last dot."""
        return PurePosixPath(self.name).suffix

    def open(self, mode: Literal["rb"], /) -> BinaryIO:
        """Its bytes, read by range as they are asked for; ArchiveError where they can't be had."""
        del mode
        return cast("BinaryIO", _RemoteFile(self.blob()))

    def blob(self) -> Blob:
        """The file, to be read by range and closed."""
        return open_blob(self.url, f"captrawl/{__version__}")


class _RemoteFile(BlobFile):
    """The open file; closing it closes the connection."""

    def __init__(self, blob: Blob) -> None:
        super().__init__(blob)
        self._source = blob

    def close(self) -> None:
        """Close the file and its connection."""
        if not self.closed:
            self._source.close()
        super().close()

"""Where an archive lies → the file, read by range."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from pathlib import Path

from .blobs import Blob, LocalBlob
from .http_blob import HttpBlob
from .locations import is_remote
from .store_blob import StoreBlob


@contextlib.contextmanager
def opened(where: str, agent: str) -> Generator[Blob]:
    """The file at ``where``, a path or URL; ArchiveError where it can't be opened. ``agent``: for servers."""
    blob = open_blob(where, agent)
    try:
        yield blob
    finally:
        blob.close()


def open_blob(where: str, agent: str) -> Blob:
    """The same, for the caller to close."""
    if where.startswith(("http://", "https://")):
        return HttpBlob(where, agent)
    return StoreBlob(where) if is_remote(where) else LocalBlob(Path(where))

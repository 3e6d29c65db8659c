"""A file in an object store (``s3://``, ``hf://`` and what else fsspec knows), read by range.

Addresses, tokens and keys are read by those libraries, from where they always read them; none is logged.
"""

from __future__ import annotations

from typing import Any

from ...core.errors import MissingExtraError
from .blobs import ArchiveError, MissingArchiveError

_STAMPS = ("ETag", "etag", "blob_id", "LastModified", "mtime", "created")


def store_of(url: str) -> tuple[Any, str]:
    """The file system of ``url`` as fsspec has it, and the path in it.

    MissingExtraError where its library isn't installed, ArchiveError where it can't be reached.
    """
    scheme = url.partition(":")[0]
    try:
        from fsspec.core import url_to_fs  # pyright: ignore

        pair: Any = url_to_fs(url)
    except ImportError as error:
        raise MissingExtraError(f"reading {scheme}:// files", "remote") from error
    except Exception as error:  # whatever the store's library raises; its texts quote signed URLs
        raise ArchiveError(f"{url.partition('?')[0]} can't be read ({type(error).__name__})") from error
    return pair


class StoreBlob:
    """A file behind a URL of fsspec's."""

    ahead = 4096

    def __init__(self, url: str) -> None:
        self.where = url.partition("?")[0]
        store, path = store_of(url)
        try:
            facts: Any = store.info(path)
            # cat_file reads ahead by megabytes where a store has no ranges of its own
            self._file: Any = store.open(path, "rb", cache_type="none")
        except FileNotFoundError as error:
            raise MissingArchiveError(f"{self.where} isn't there") from error
        except Exception as error:  # whatever the store's library raises
            raise self._unreadable(error) from error
        self.size = int(facts["size"])
        self.stamp = f"{self.size} {next((facts[name] for name in _STAMPS if facts.get(name)), '')}"

    def read(self, offset: int, length: int) -> bytes:
        """Exactly those bytes."""
        if length <= 0:
            return b""
        try:
            self._file.seek(offset)
            data: bytes = self._file.read(length)
        except Exception as error:  # whatever the store's library raises
            raise self._unreadable(error) from error
        if len(data) != length:
            raise ArchiveError(f"{self.where} ends at byte {offset + len(data)}")
        return data

    def close(self) -> None:
        """Close the file; the store's connections are its library's."""
        self._file.close()

    def _unreadable(self, error: Exception) -> ArchiveError:
        return ArchiveError(f"{self.where} can't be read ({type(error).__name__})")  # texts quote signed URLs

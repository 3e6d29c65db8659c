"""A file that is read by range, and a view of it that tarfile and pyarrow read."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Protocol

from ...core.errors import InputError


class ArchiveError(InputError):
    """An archive can't be read, or not to its end: one line that names it."""


class MissingArchiveError(ArchiveError):
    """There is no such archive."""


class Blob(Protocol):
    """A file of known size, for one thread."""

    where: str
    size: int
    stamp: str
    """Another one once the content is another."""
    ahead: int
    """Bytes that cost about as much as one byte."""

    def read(self, offset: int, length: int) -> bytes:
        """Exactly those bytes; ArchiveError where they aren't there."""
        ...

    def close(self) -> None:
        """Close its files and connections."""
        ...


class LocalBlob:
    """A file on this machine."""

    ahead = 1024

    def __init__(self, path: Path) -> None:
        self.where = str(path)
        try:
            self._handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            kind = MissingArchiveError if isinstance(error, FileNotFoundError) else ArchiveError
            raise kind(f"{path} can't be opened ({error.strerror})") from error
        status = os.fstat(self._handle)
        self.size = status.st_size
        self.stamp = f"{status.st_size} {status.st_mtime_ns}"

    def read(self, offset: int, length: int) -> bytes:
        """Exactly those bytes."""
        parts: list[bytes] = []
        while length > 0:
            try:
                part = os.pread(self._handle, length, offset)
            except OSError as error:
                raise ArchiveError(f"{self.where} can't be read ({error.strerror})") from error
            if not part:
                raise ArchiveError(f"{self.where} ends at byte {offset}")
            parts.append(part)
            offset, length = offset + len(part), length - len(part)
        return b"".join(parts)

    def close(self) -> None:
        """Close the file."""
        os.close(self._handle)


class BlobFile(io.RawIOBase):
    """``blob`` as a file: seekable, with a read-ahead.

    :attr:`allowance`, where it isn't None, is how many bytes may still be read: ArchiveError beyond. A header
    that announces a name of a gigabyte gets no gigabyte.
    """

    def __init__(self, blob: Blob, *, allowance: int | None = None) -> None:
        self._blob, self.allowance = blob, allowance
        self._at, self._start, self._buffer = 0, 0, b""

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """Where the next read begins."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to ``offset``; beyond the end is allowed, as in any file."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._blob.size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def read(self, size: int | None = -1, /) -> bytes:
        """The next ``size`` bytes (all, where it is negative), fewer at the end only."""
        rest = max(0, self._blob.size - self._at)
        length = rest if size is None or size < 0 else min(size, rest)
        if self.allowance is not None:
            if length > self.allowance:
                raise ArchiveError(f"{self._blob.where} has a header of more than a megabyte near {self._at}")
            self.allowance -= length
        skip = self._at - self._start
        if not 0 <= skip <= len(self._buffer) - length:
            some = min(rest, max(length, self._blob.ahead))
            self._start, self._buffer, skip = self._at, self._blob.read(self._at, some), 0
        self._at += length
        return self._buffer[skip : skip + length]

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Fill ``buffer``; how many bytes came."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

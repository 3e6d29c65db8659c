"""A tar's headers → its members: names, places and sizes; no member's bytes are read, nothing is unpacked.

A tar is a stranger's file. Names are never paths here, and a header that lies about its size, points
backwards or announces more than a megabyte of itself ends the reading with one line.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from .blobs import ArchiveError, Blob, BlobFile

T = TypeVar("T")
MOST_MEMBERS = 4_000_000
PICTURES = frozenset({"jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff"})
"""Endings of members that are pictures."""
_KEY = re.compile(r"((?:.*/)?[^/.]+)\.([^/]*)")
"""webdataset's rule: a sample is what its members' names have up to the first dot."""
_HEADER_BYTES = 1 << 20
_HOSTILE = (tarfile.TarError, EOFError, OSError, ValueError, OverflowError, RecursionError, LookupError)


@dataclass(frozen=True, slots=True)
class TarMember:
    """A member: its bytes lie at ``offset``, or ``problem`` says why they can't be had."""

    name: str
    offset: int
    size: int
    problem: str


def sample_of(name: str) -> tuple[str, str]:
    """The key of a member's sample and its ending, in lower case; "" and "" where it is of none."""
    parts = _KEY.fullmatch(name)
    return (parts[1], parts[2].lower()) if parts else ("", "")


class TarMembers:
    """The members of a tar, in order: iterate once. ArchiveError at the place where it can't be read on."""

    def __init__(self, blob: Blob) -> None:
        self._blob = blob
        self._file = BlobFile(blob, allowance=_HEADER_BYTES)

    def __iter__(self) -> Iterator[TarMember]:
        if not self._blob.size:
            raise ArchiveError(f"{self._blob.where} is empty")
        archive = self._guarded(lambda: tarfile.open(fileobj=self._file, mode="r:"))  # noqa: SIM115
        for number in range(MOST_MEMBERS + 1):
            self._file.allowance = _HEADER_BYTES
            member = self._guarded(archive.next)
            vars(archive)["members"] = []  # or every header stays in memory
            if member is None:
                return self._check_end(archive.offset)
            if member.size < 0 or number == MOST_MEMBERS:
                break
            yield TarMember(member.name, member.offset_data, member.size, _problem(member, self._blob.size))
        raise ArchiveError(
            f"{self._blob.where} has a member of negative size, or over {MOST_MEMBERS:,} members"
        )

    def read(self, member: TarMember) -> bytes:
        """The bytes of a small member that came just now."""
        self._file.allowance = None
        self._file.seek(member.offset)
        return self._file.read(member.size)

    def _guarded(self, step: Callable[[], T]) -> T:
        try:
            return step()
        except _HOSTILE as error:
            raise ArchiveError(f"{self._blob.where} is no tar, or cut off ({_line(error)})") from error

    def _check_end(self, offset: int) -> None:
        """ArchiveError where the members end at something that is neither the end nor empty."""
        self._file.allowance = None
        self._file.seek(offset)
        if any(self._file.read(tarfile.BLOCKSIZE)):
            raise ArchiveError(f"{self._blob.where} has no member where one should begin, at byte {offset}")


def _problem(member: tarfile.TarInfo, size: int) -> str:
    if member.issym() or member.islnk():
        return "link"
    if member.issparse():
        return "sparse"
    if not member.isreg():
        return "no file"
    return "cut off" if member.offset_data + member.size > size else ""


def _line(error: BaseException) -> str:
    return str(error).partition("\n")[0] or type(error).__name__

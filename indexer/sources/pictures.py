"""The bytes of an archive's pictures, by range."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .blobs import ArchiveError
from .image_parquet import read_rows
from .locations import Archive
from .opening import opened


@dataclass(frozen=True, slots=True)
class Picture:
    """A line of a member table that the ledger's row ``id`` is waiting for."""

    id: int
    key: str
    offset: int
    size: int
    original: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class PictureBytes:
    """What came of a picture: its bytes, or why they can't be had; ``vast`` are left where they are."""

    picture: Picture
    data: bytes = b""
    problem: str = ""
    vast: bool = False


def read_pictures(archive: Archive, pictures: Sequence[Picture], most: int) -> Iterator[PictureBytes]:
    """The bytes of ``pictures``, in the order they lie in; none of more than ``most`` is read."""
    if archive.is_parquet:
        yield from _of_rows(archive, pictures, most)
        return
    with opened(archive.where, archive.agent) as blob:
        for picture in sorted(pictures, key=lambda one: one.offset):
            if picture.problem or picture.size > most:
                vast = not picture.problem
                yield PictureBytes(picture, problem=picture.problem, vast=vast)
                continue
            try:
                yield PictureBytes(picture, blob.read(picture.offset, picture.size))
            except ArchiveError as error:
                yield PictureBytes(picture, problem=str(error))


def _of_rows(archive: Archive, pictures: Sequence[Picture], most: int) -> Iterator[PictureBytes]:
    by_row = {picture.offset: picture for picture in pictures}
    with opened(archive.where, archive.agent) as blob:
        for row, data in read_rows(blob, sorted(by_row)):
            if not data:
                yield PictureBytes(by_row[row], problem="no bytes")
            elif len(data) > most:
                yield PictureBytes(by_row[row], vast=True)
            else:
                yield PictureBytes(by_row[row], data)

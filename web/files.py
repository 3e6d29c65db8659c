"""Files that the page shows: its own static ones, and the workspace's images, never anything else."""

from __future__ import annotations

import hashlib
import io
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from ..core.errors import InputError
from ..core.pictures import UnreadablePictureError

TYPES: Mapping[str, str] = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""The static files' suffixes; no other file is served."""

_PICTURES = ((b"\xff\xd8\xff", "image/jpeg"), (b"\x89PNG\r\n\x1a\n", "image/png"))
_PLAIN_BYTES = 40_000
"""Images up to this size are sent as they are instead of being scaled down."""


class NotServedError(InputError):
    """The file isn't there, or isn't one that is served."""


@dataclass(frozen=True, slots=True)
class Static:
    """A file of the page: bytes, type and a tag of its content."""

    data: bytes
    kind: str
    tag: str


def static_files() -> dict[str, Static]:
    """The page's files by name, read once: a request never names a path."""
    folder = Path(__file__).parent / "static"
    files: dict[str, Static] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix in TYPES:
            data = path.read_bytes()
            tag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
            files[path.name] = Static(data, TYPES[path.suffix], tag)
    return files


def read_inside(root: Path, relative: str, most: int) -> bytes:
    """The bytes of the regular file ``relative`` below ``root``, which no link on the way leads to.

    ``root`` itself may be reached through links. NotServedError for anything else: an absolute path, `..`,
    a symlink at any depth, a device, more than ``most`` bytes. Every step is opened relative to the one
    before, so that a link put there in between isn't followed either.
    """
    parts = relative.split("/")
    if not relative or "\\" in relative or "\0" in relative or any(p in ("", ".", "..") for p in parts):
        raise NotServedError(f"{relative!r:.200} isn't a path inside the workspace")
    here = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in parts[:-1]:
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
            os.close(here)
            here = below
        # O_NONBLOCK: a pipe in the file's place must not hold the server up
        handle = os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=here)
    except OSError as error:
        raise NotServedError(f"{relative!r:.200} isn't a plain file of the workspace") from error
    finally:
        os.close(here)
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode) or status.st_size > most:
        os.close(handle)
        raise NotServedError(f"{relative!r:.200} isn't a plain file of at most {most} bytes")
    with open(handle, "rb") as file:  # noqa: PTH123 - a descriptor
        return file.read(most)


def picture(data: bytes, *, side: int, max_pixels: int) -> tuple[bytes, str]:
    """A JPEG or PNG as it may be sent, with its type: scaled to ``side`` pixels at most, 0 = as it is.

    NotServedError where it isn't an image, or where a small file unfolds to more than ``max_pixels``.
    """
    kind = next((name for start, name in _PICTURES if data.startswith(start)), None)
    if kind is None:
        raise NotServedError("the file isn't a JPEG or PNG image")
    if not side or len(data) <= _PLAIN_BYTES:
        return data, kind
    if find_spec("PIL") is None:  # captrawl[web] alone: unscaled is slower and as good
        return data, kind
    from ..sampling.report.thumbnails import small

    out = io.BytesIO()
    try:
        small(data, side, max_pixels=max_pixels).save(out, "JPEG", quality=85)
    except UnreadablePictureError as error:
        raise NotServedError(f"the image can't be shown: {error}") from error
    return out.getvalue(), "image/jpeg"

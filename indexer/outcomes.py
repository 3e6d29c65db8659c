"""What passes between the ledger, the fetch and the packing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Asked:
    """A URL that is to be asked now."""

    id: int
    url: str
    attempts: int


@dataclass(frozen=True, slots=True)
class Body:
    """Bytes that came: their hashes, how many, and the picture's size as its header has it (0 = unknown)."""

    sha256: str
    sha1: str
    md5: str
    size: int
    width: int = 0
    height: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of asking a URL: a spooled body, or a reason (with a body where the bytes came in vain)."""

    id: int
    reason: str = ""
    status: int | None = None
    final_url: str = ""
    wait: float = 0.0
    """Seconds that the server asked to be left alone."""
    consent: str = ""
    body: Body | None = None


@dataclass(frozen=True, slots=True)
class PackedFile:
    """What packing made of a spooled image: a file, or a reason."""

    sha256: str
    path: str = ""
    width: int = 0
    height: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Settled:
    """What a batch of answers led to: (sha256, bytes) spooled, bytes not needed, rows queued again."""

    spooled: list[tuple[str, int]]
    needless: list[str]
    again: int

"""tombstones.txt of a workspace: what was purged from it and never comes back, as hashes.

A line is the first half of the sha256 of ``kind value``, so that the file doesn't hold what it is about:
whoever has a URL can ask whether it was purged, nobody can read the URLs out of it. `captrawl purge` only
ever adds lines; download, adopt and match go by them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from ...core.errors import InputError
from ...core.files import atomic

NAME = "tombstones.txt"
KINDS = ("url", "host", "uid", "md5", "sha1", "sha256")
_LINE = re.compile(r"[0-9a-f]{32}")


def tombstone(kind: str, value: object) -> str:
    """The line for ``value``, which is of ``kind``; hosts and hashes are lower-case."""
    return hashlib.sha256(f"{kind} {value}".encode("utf-8", "surrogatepass")).hexdigest()[:32]


def load_tombstones(root: Path) -> frozenset[str]:
    """The tombstones of the workspace at ``root``; InputError where a line is none: nothing is guessed."""
    path = root / NAME
    try:
        lines = path.read_text(encoding="ascii").split()
    except FileNotFoundError:
        return frozenset()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} can't be read ({error}); put a copy of it back") from error
    for line in lines:
        if not _LINE.fullmatch(line):
            raise InputError(f"{path} is damaged: {line[:40]!r} is no tombstone; put a copy of it back")
    return frozenset(lines)


def add_tombstones(root: Path, lines: Iterable[str]) -> None:
    """Add to the tombstones of the workspace at ``root``, durably."""
    every = load_tombstones(root).union(lines)
    with atomic(root / NAME) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in sorted(every)), encoding="ascii")

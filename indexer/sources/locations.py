"""What ``[download] archives`` names → the archives there, in order."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ...core.errors import InputError

_BRACES = re.compile(r"\{([0-9]+)\.\.([0-9]+)\}")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://")
_MOST = 100_000


@dataclass(frozen=True, slots=True)
class Archive:
    """A tar, and the Parquet of img2dataset's that may lie beside it; or a Parquet with pictures in it."""

    where: str
    beside: str = ""
    agent: str = ""
    """What servers are told that we are."""

    @property
    def name(self) -> str:
        """Where it is, without a URL's query, which may be a key."""
        return self.where.partition("?")[0] if is_remote(self.where) else self.where

    @property
    def is_parquet(self) -> bool:
        """Whether the pictures are in a Parquet."""
        return self.name.endswith(".parquet")


def archives_at(locations: Sequence[str], root: Path, agent: str = "") -> list[Archive]:
    """The archives that ``locations`` name, each once, in their order; a folder's by name.

    A location is a file, a folder (with its folders), a file's URL, or one of these with
    ``{00000..00331}``; paths are relative to ``root``. InputError where one names nothing.
    """
    archives: dict[str, Archive] = {}
    for location in locations:
        for name in _expanded(location):
            for archive in [_remote(name, agent)] if is_remote(name) else _local(root / name):
                archives.setdefault(archive.where, archive)
    return list(archives.values())


def is_remote(where: str) -> bool:
    """Whether ``where`` is a URL."""
    return bool(_SCHEME.match(where))


def _remote(url: str, agent: str) -> Archive:
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and "@" not in parts.netloc and (parts.port or 1) > 0
    except ValueError:
        usable, parts = False, urlsplit("")
    if not usable or not parts.path.endswith((".tar", ".parquet")):
        raise InputError(
            f"[download] archives: {url.partition('?')[0].rpartition('@')[2]} must be the URL of a .tar or "
            ".parquet, without a password; name all of them: https://host/{00000..00331}.tar"
        )
    if parts.path.endswith(".parquet"):
        return Archive(url, agent=agent)
    beside = parts._replace(path=f"{parts.path.removesuffix('.tar')}.parquet").geturl()
    return Archive(url, beside, agent)


def _expanded(location: str) -> Iterator[str]:
    """``a{08..10}`` → a08, a09, a10, as webdataset writes the names of shards."""
    braces = _BRACES.search(location)
    if braces is None:
        yield location
        return
    first, last = int(braces[1]), int(braces[2])
    if not 0 <= last - first < _MOST:
        raise InputError(
            f"[download] archives: {location} means {last - first + 1:,} names; write first..last"
        )
    for number in range(first, last + 1):
        name = f"{location[: braces.start()]}{number:0{len(braces[1])}d}{location[braces.end() :]}"
        yield from _expanded(name)


def _local(path: Path) -> Iterator[Archive]:
    if path.is_dir():
        tars = set(path.rglob("*.tar"))
        tables = (one for one in path.rglob("*.parquet") if one.with_suffix(".tar") not in tars)
        paths = sorted([*tars, *tables])
        if not paths:
            raise InputError(f"[download] archives: {path} contains no .tar and no .parquet")
    elif path.is_file():
        paths = [path]
    else:
        raise InputError(f"[download] archives: {path} isn't there")
    for one in paths:
        beside = one.with_suffix(".parquet")
        yield Archive(str(one), str(beside) if beside != one and beside.is_file() else "")

"""Lists of what must not be fetched or kept: URLs, hosts, uids, and hashes of the original bytes.

A line is a URL, a host (with its subdomains), a uid (decimal), an md5, sha1 or sha256 in hexadecimal, told
apart by their shape; a leading ``url``, ``host``, ``uid``, ``md5``, ``sha1`` or ``sha256`` and a blank,
comma, colon or tab says it outright. Blank lines and lines that begin with ``#`` don't count.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...core.errors import InputError
from ..outcomes import Reason
from .tombstones import KINDS as _KINDS
from .tombstones import tombstone
from .urls import LinkError, host_of, parse_link

_LABELLED = re.compile(rf"({'|'.join(_KINDS)})[\s,:]+(\S.*)", re.IGNORECASE)
_HASHES = ("md5", "sha1", "sha256")
_SHAPES = {
    "url": re.compile(r"(https?|archive):.+", re.IGNORECASE),
    "uid": re.compile(r"-?[0-9]{1,19}"),
    "md5": re.compile(r"[0-9a-f]{32}", re.IGNORECASE),
    "sha1": re.compile(r"[0-9a-f]{40}", re.IGNORECASE),
    "sha256": re.compile(r"[0-9a-f]{64}", re.IGNORECASE),
    "host": re.compile(r"(\*\.)?[\w-]+(\.[\w-]+)*\.?|[0-9a-f:.]*:[0-9a-f:.]*", re.IGNORECASE),
}


@dataclass(frozen=True, slots=True)
class Blocklist:
    """What is blocked; hosts are lower-case, hashes lower-case hexadecimal of any of the three kinds."""

    urls: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()
    uids: frozenset[int] = frozenset()
    hashes: frozenset[str] = frozenset()
    tombstones: frozenset[str] = field(default=frozenset(), repr=False)
    """What was purged (fetch.tombstones)."""

    def blocks_link(self, url: str, host: str) -> Reason | None:
        """The reason not to ask ``url`` at ``host``, or None."""
        if self.blocks_url(url):
            return Reason.BLOCKED_URL
        return Reason.BLOCKED_HOST if self.blocks_host(host) else None

    def blocks_url(self, url: str) -> bool:
        """Whether ``url`` is blocked as it stands."""
        return url in self.urls or self._is_purged("url", url)

    def blocks_uid(self, uid: int) -> bool:
        """Whether ``uid`` is blocked."""
        return uid in self.uids or self._is_purged("uid", uid)

    def blocks_row(self, uid: int, url: str | None) -> bool:
        """Whether a corpus row is blocked by its uid, its URL (as it stands, as it is asked) or its host."""
        return self.blocks_uid(uid) or (url is not None and self.blocks_forms(url))

    def blocks_forms(self, url: str) -> bool:
        """Whether ``url`` is blocked, as it stands, as it is asked, or by its host."""
        return any(self.blocks_link(form, host_of(form)) for form in url_forms(url))

    def blocks_host(self, host: str) -> bool:
        """Whether ``host`` or a domain above it is blocked."""
        if not self.hosts and not self.tombstones:
            return False
        labels = host.lower().rstrip(".").split(".")
        above = (".".join(labels[start:]) for start in range(len(labels)))
        return any(name in self.hosts or self._is_purged("host", name) for name in above)

    def blocks_bytes(self, *hashes: str | None) -> bool:
        """Whether any of ``hashes`` (of one image's bytes) is blocked."""
        return any(
            value in self.hashes or any(self._is_purged(kind, value) for kind in _HASHES)
            for value in hashes
            if value
        )

    def digest(self) -> str:
        """A hash of the values: the same entries, the same digest, whatever files they came from."""
        total = hashlib.sha256()
        purged = [self.tombstones] if self.tombstones else []  # so that workspaces without keep their digest
        for kind in (self.urls, self.hosts, map(str, self.uids), self.hashes, *purged):
            for value in sorted(kind):
                total.update(value.encode("utf-8", "surrogatepass") + b"\n")
            total.update(b"\0")
        return total.hexdigest()

    def _is_purged(self, kind: str, value: object) -> bool:
        return bool(self.tombstones) and tombstone(kind, value) in self.tombstones


def load_blocklist(paths: Sequence[Path]) -> Blocklist:
    """Everything that the files name; InputError naming file and line where a line is none of the kinds."""
    return blocklist_of_entries(read_entries(paths))


def blocklist_of_entries(values: Mapping[str, Collection[str]]) -> Blocklist:
    """The blocklist of entries by kind."""
    return Blocklist(
        frozenset(form for url in values["url"] for form in url_forms(url)),
        frozenset(host.removeprefix("*.").rstrip(".").lower() for host in values["host"]),
        frozenset(map(int, values["uid"])),
        frozenset(value.lower() for kind in _HASHES for value in values[kind]),
    )


def read_entries(paths: Sequence[Path]) -> dict[str, set[str]]:
    """What the files name, by kind, as it stands there; InputError as :func:`load_blocklist`."""
    values: dict[str, set[str]] = {kind: set() for kind in _KINDS}
    for path in paths:
        try:
            with path.open(encoding="utf-8-sig") as lines:
                _read(lines, path, values)
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"blocklist {path} can't be read: {error}") from error
    return values


def url_forms(url: str) -> set[str]:
    """``url`` as it stands in the list, and as it is asked."""
    try:
        return {url, parse_link(url).url}
    except LinkError:
        return {url}


def _read(lines: Iterable[str], path: Path, values: dict[str, set[str]]) -> None:
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if text and not text.startswith("#"):
            kind, value = read_entry(text, f"{path}:{number}")
            values[kind].add(value)


def read_entry(text: str, where: str) -> tuple[str, str]:
    """The kind and value of an entry; InputError, which names ``where``, where it is none of the kinds."""
    labelled = _LABELLED.fullmatch(text)
    kind = labelled[1].lower() if labelled else next((k for k, p in _SHAPES.items() if p.fullmatch(text)), "")
    value = labelled[2].strip() if labelled else text
    fits = kind == "url" or (kind and _SHAPES[kind].fullmatch(value))
    if not fits or (kind == "uid" and not -(1 << 63) <= int(value) < 1 << 63):
        raise InputError(
            f"{where}: {text[:80]!r} is no URL, host, uid, md5, sha1 or sha256; "
            "write one per line, or its kind and a space before it"
        )
    return kind, value

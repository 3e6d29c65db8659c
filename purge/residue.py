"""The search for what might be left of what was purged: in every file, every table, every picture.

Files are read as bytes: they must neither be one of the pictures nor have a URL, a uid or a hash of them
anywhere, as text or as JSON has it. Tables are read by their columns too, since Parquet packs its values. A
uid of fewer than nine digits could be any number, and is looked for in columns alone.
"""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from ..indexer.fetch.blocklist import url_forms
from .tables import doomed_rows
from .targets import Doomed

_HEX = re.compile(rb"[0-9a-f]{32,}")
_NUMBERS = re.compile(rb"(?<![0-9-])-?[0-9]{9,19}(?![0-9])")
_GOES_ON = re.compile(rb"[A-Za-z0-9_~%/#&=+@-]|[.?!$'():*]+[A-Za-z0-9]")
"""What makes a longer URL of one before it; a comma ends it, as in CSV."""
_BLOCK = 1 << 24
_OVERLAP = 1 << 16
"""Longer than any URL that is looked for; what is longer is looked for by its beginning."""
_SHORTEST = 9


@dataclass(frozen=True)
class Residue:
    """Finds what is left of ``doomed``."""

    doomed: Doomed

    def of_file(self, path: Path, *, joined: bool = False) -> str:
        """What of it the file at ``path`` has ("bytes", "url", "uid", "hash", "row"), or "".

        ``joined``: its texts stand one behind the other, so that what begins like a URL is one too.
        """
        with path.open("rb") as handle:
            left = self._of_bytes(handle, joined=joined)
        if left:
            return left
        if path.suffix == ".parquet":
            return self._of_table(path)
        return self._of_tar(path) if path.suffix == ".tar" else ""

    def _of_bytes(self, handle: IO[bytes], *, joined: bool = False) -> str:
        digests = [hashlib.sha256(), hashlib.md5(usedforsecurity=False), hashlib.sha1(usedforsecurity=False)]
        before, left = b"", ""
        while block := handle.read(_BLOCK):
            for digest in digests:
                digest.update(block)
            left = left or self._of_text(before + block, joined=joined)
            before = (before + block)[-_OVERLAP:]
        return "bytes" if any(one.hexdigest() in self.doomed.hashes for one in digests) else left

    def _of_text(self, data: bytes, *, joined: bool) -> str:
        if self._hashes and any(map(self._has_hash, _HEX.findall(data))):
            return "hash"
        if not self._uids.isdisjoint(_NUMBERS.findall(data)):
            return "uid"
        return "url" if any(self._urls_in(data, joined=joined)) else ""

    def _has_hash(self, digits: bytes) -> bool:
        """Whether one of the hashes stands in a run of hexadecimal digits, or behind another."""
        windows = (digits[at : at + size] for size in (32, 40, 64) for at in range(len(digits) - size + 1))
        return any(window in self._hashes for window in windows)

    def _urls_in(self, data: bytes, *, joined: bool) -> Iterator[bytes]:
        """The URLs that stand in ``data`` and, unless ``joined``, don't go on as longer ones."""
        for start, by_length in self._urls.items():
            at = data.find(start)
            while at >= 0:
                for length, urls in by_length.items():
                    url = data[at : at + length]
                    if url in urls and (joined or not _GOES_ON.match(data, at + length)):
                        yield url
                at = data.find(start, at + 1)

    def _of_table(self, path: Path) -> str:
        try:
            with pq.ParquetFile(path) as file:
                batches = file.iter_batches(1 << 16)
                return "row" if any(doomed_rows(batch, self.doomed).any() for batch in batches) else ""
        except (OSError, pa.ArrowException):
            return ""  # no table of ours; its bytes were read

    def _of_tar(self, path: Path) -> str:
        try:
            with tarfile.open(path) as archive:
                for member in archive:
                    handle = archive.extractfile(member) if member.isfile() else None
                    if handle is not None and (left := self._of_bytes(handle)):
                        return left
        except (tarfile.TarError, EOFError, OSError):
            pass  # cut off: its bytes were read
        return ""

    @cached_property
    def _hashes(self) -> frozenset[bytes]:
        return frozenset(value.encode() for value in self.doomed.hashes)

    @cached_property
    def _uids(self) -> frozenset[bytes]:
        texts = (str(uid).encode() for uid in self.doomed.uids)
        return frozenset(text for text in texts if len(text.lstrip(b"-")) >= _SHORTEST)

    @cached_property
    def _urls(self) -> dict[bytes, dict[int, set[bytes]]]:
        """Beginning → length → URLs, in every way they may be written."""
        table: dict[bytes, dict[int, set[bytes]]] = {}
        for url in _spellings(self.doomed.urls):
            short = url[: _OVERLAP // 2]
            table.setdefault(short[:4], {}).setdefault(len(short), set()).add(short)
        return table


def _spellings(urls: Iterable[str]) -> Iterator[bytes]:
    """The URLs as text, in JSON, and in HTML."""
    import html

    for url in urls:
        for form in url_forms(url):
            for text in {form, json.dumps(form)[1:-1], html.escape(form)}:
                data = text.encode("utf-8", "surrogatepass")
                if data.strip():
                    yield data

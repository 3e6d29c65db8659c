"""The lines of a text, plain or gzipped, read by blocks."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator

from ...core.errors import CorpusError
from ...core.records import CorpusPath
from .readers import Format, format_of

LONGEST = 16 << 20
"""Bytes that a line, or a field that spans lines, may have."""

_BLOCK = 4 << 20
_WIDE = (b"\xff\xfe", b"\xfe\xff")
_BOM = b"\xef\xbb\xbf"


def lines(path: CorpusPath) -> Iterator[bytes]:
    """The file's lines without their ends, read by blocks; CorpusError for what isn't a UTF-8 text at all."""
    rest = b""
    start = True
    for block in _blocks(path):
        if start:
            if block.startswith(_WIDE):
                raise CorpusError(f"{path} is in UTF-16: convert it first (iconv -f UTF-16 -t UTF-8)")
            start, block = False, block.removeprefix(_BOM)  # noqa: PLW2901
        if b"\0" in block:
            raise CorpusError(f"{path} contains NUL bytes: it is no UTF-8 text")
        whole = (rest + block).split(b"\n")
        rest = whole.pop()
        if len(rest) > LONGEST:
            raise CorpusError(
                f"{path} has a line of more than {LONGEST >> 20} MiB: it is no table of captions"
            )
        for line in whole:
            yield line.removesuffix(b"\r")
    if rest:
        yield rest.removesuffix(b"\r")


def _blocks(path: CorpusPath) -> Iterator[bytes]:
    try:
        with path.open("rb") as raw, gzip.open(raw) if format_of(path) is Format.GZIP else raw as handle:
            while block := handle.read(_BLOCK):
                yield block
    except (OSError, EOFError, zlib.error) as error:
        raise CorpusError(f"{path} is truncated or damaged ({error}): fetch it again") from error

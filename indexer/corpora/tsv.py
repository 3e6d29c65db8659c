"""Tab-separated corpora (CC3M, CC12M, any TSV with a header), plain or gzipped, as batches of source columns.

A line is a row, whatever is in it: quotes mean nothing (neither CC3M nor CC12M quotes), a missing field is
NULL, further tabs belong to the caption. So one bad line never moves the rows behind it.
"""

from __future__ import annotations

import gzip
import itertools
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from ...core.errors import CorpusError
from .presets import CORPORA, PAIR
from .readers import BATCH_ROWS, Format, SourceBatch, format_of

_BLOCK = 4 << 20
_LONGEST_LINE = 16 << 20
_HEAD_LINES = 50
_WIDE = (b"\xff\xfe", b"\xfe\xff")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class TextLayout:
    """What a TSV's head says: its preset, its column names, and whether its first line is a header."""

    preset: str
    columns: tuple[str, ...]
    header: bool


def text_layout(path: Path, user_columns: Sequence[str] = ()) -> TextLayout:
    """The layout that the first lines show: a header, else which of the first two columns holds URLs.

    A header is a first line without a URL in which two fields are known (or ``user_columns``) column names.
    CorpusError where there is no tab, or neither column holds URLs.
    """
    head = [line.split(b"\t") for line in itertools.islice(_lines(path), _HEAD_LINES)]
    if not head:
        raise CorpusError(f"{path} is empty: fetch it again, or leave it out")
    first = [field.decode(errors="replace").strip().strip('"') for field in head[0]]
    header_names = {name.lower() for names in CORPORA[PAIR].columns.values() for name in names} | {
        *map(str.lower, user_columns)
    }
    if not any(map(_is_url, head[0])) and len({name.lower() for name in first} & header_names) >= 2:
        return TextLayout(PAIR, tuple(first), header=True)
    width = Counter(map(len, head)).most_common(1)[0][0]
    if width < 2:
        raise CorpusError(
            f"{path} has no tab in its first lines, and no header: a TSV of URL and caption has"
        )
    holds = [sum(len(fields) > column and _is_url(fields[column]) for fields in head) for column in range(2)]
    if not any(holds) and not user_columns:
        raise CorpusError(
            f"{path} has no header, and no http(s) URL in the first two columns of its first lines"
        )
    return TextLayout(
        "cc12m" if holds[0] >= holds[1] else "cc3m", tuple(map(str, range(width))), header=False
    )


def text_batches(path: Path, layout: TextLayout, sources: Mapping[str, str]) -> Iterator[SourceBatch]:
    """The lines behind the header as columns of bytes, numbered from 0.

    In a two-column file further tabs belong to the caption; in a wider one they are cut off.
    """
    places = {name: layout.columns.index(column) for name, column in sources.items()}
    lines = _lines(path)
    if layout.header:
        next(lines, None)
    pair = len(layout.columns) == 2
    split = bytes.rsplit if pair and places["caption"] < places["url"] else bytes.split
    row = 0
    while batch := list(itertools.islice(lines, BATCH_ROWS)):
        fields = [split(line, b"\t", 1 if pair else -1) for line in batch]
        columns = {name: _column(fields, place) for name, place in places.items()}
        yield SourceBatch(row, len(batch), columns)
        row += len(batch)


def _column(rows: list[list[bytes]], place: int) -> pa.Array[Any]:
    values = [fields[place] if len(fields) > place and fields[place] else None for fields in rows]
    return pa.array(values, pa.binary())


def _is_url(field: bytes) -> bool:
    return field.strip(b' "').lower().startswith((b"http://", b"https://"))


def _lines(path: Path) -> Iterator[bytes]:
    """The file's lines without their ends, read by blocks; CorpusError for what isn't a UTF-8 text at all."""
    rest = b""
    start = True
    for block in _blocks(path):
        if start:
            if block.startswith(_WIDE):
                raise CorpusError(f"{path} is in UTF-16: convert it first (iconv -f UTF-16 -t UTF-8)")
            start, block = False, block.removeprefix(_BOM)  # noqa: PLW2901
        if b"\0" in block:
            raise CorpusError(f"{path} holds NUL bytes: it is no UTF-8 text")
        lines = (rest + block).split(b"\n")
        rest = lines.pop()
        if len(rest) > _LONGEST_LINE:
            raise CorpusError(f"{path} has a line of more than {_LONGEST_LINE >> 20} MiB: it is no TSV")
        for line in lines:
            yield line.removesuffix(b"\r")
    if rest:
        yield rest.removesuffix(b"\r")


def _blocks(path: Path) -> Iterator[bytes]:
    try:
        with gzip.open(path) if format_of(path) is Format.GZIP else path.open("rb") as handle:
            while block := handle.read(_BLOCK):
                yield block
    except (OSError, EOFError, zlib.error) as error:
        raise CorpusError(f"{path} is truncated or damaged ({error}): fetch it again") from error

"""Texts (TSV, CSV, JSON lines; plain or gzipped): what their first lines say, and their rows in batches.

A plain TSV's line is a row, whatever is in it: quotes mean nothing (neither CC3M nor CC12M quotes), a missing
field is NULL, further tabs belong to the caption. So one bad line never moves the rows behind it. Where the
header or every first line is quoted, and in a CSV, fields are read as CSV has them (delimited).
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from ...core.errors import CorpusError
from ...core.records import CorpusPath
from .delimited import Dialect, dialect_of, records
from .json_lines import json_batches, keys_of
from .lines import lines
from .presets import CORPORA, PAIR, plain_name
from .readers import BATCH_ROWS, SourceBatch

SUFFIXES = (".tsv", ".csv", ".jsonl", ".ndjson")
"""Of texts, each with or without .gz, that are taken from a folder."""

_HEAD_LINES = 50
_NO_CAPTION = re.compile(rb"[0-9]+|[0-9A-Fa-f]{16,}")
"""A number, or a hash."""
_CC3M_LABELS = 5
"""Columns of CC3M's file with labels: caption, URL, labels, their ids and scores."""

Kind = Literal["tsv", "delimited", "json"]


@dataclass(frozen=True, slots=True)
class TextLayout:
    """What a text's head says: its preset, its column names, and whether its first line is a header.

    Columns of a text without a header are named "0", "1", …; ``dialect`` is of delimited ones.
    """

    kind: Kind
    preset: str
    columns: tuple[str, ...]
    header: bool
    dialect: Dialect | None = None


def text_layout(path: CorpusPath, user_columns: Sequence[str] = ()) -> TextLayout:
    """The layout of the first lines: JSON, a header, else which of the first two columns contains URLs.

    A header is a first line without a URL in which two fields are known (or ``user_columns``) column names.
    CorpusError where it isn't clear which column is the URL and which the caption.
    """
    first_lines = list(itertools.islice(lines(path), _HEAD_LINES))
    if not first_lines:
        raise CorpusError(f"{path} is empty: fetch it again, or leave it out")
    name = path.name.lower().removesuffix(".gz")
    if name.endswith((".jsonl", ".ndjson", ".json")) or first_lines[0].lstrip().startswith(b'{"'):
        return TextLayout("json", "", keys_of(path, first_lines), header=True)
    dialect = dialect_of(name, first_lines)
    head = list(itertools.islice(_fields(path, dialect), _HEAD_LINES))
    kind: Kind = "delimited" if dialect else "tsv"
    first = [field.decode(errors="replace").strip() for field in head[0]]
    header_names = {name.lower() for names in CORPORA[PAIR].columns.values() for name in names} | {
        *map(str.lower, user_columns)
    }
    if not any(map(_is_url, head[0])) and len({plain_name(name) for name in first} & header_names) >= 2:
        return TextLayout(kind, PAIR, tuple(first), header=True, dialect=dialect)
    width = Counter(map(len, head)).most_common(1)[0][0]
    columns = tuple(map(str, range(width)))
    preset = PAIR if user_columns else _preset_of(path, head, width)
    return TextLayout(kind, preset, columns, header=False, dialect=dialect)


def text_batches(path: CorpusPath, layout: TextLayout, sources: Mapping[str, str]) -> Iterator[SourceBatch]:
    """The rows behind the header as source columns, numbered from 0.

    In a TSV of two columns further tabs belong to the caption; in a wider one they are cut off.
    """
    if layout.kind == "json":
        yield from json_batches(path, sources)
        return
    places = {name: layout.columns.index(column) for name, column in sources.items()}
    pair = len(layout.columns) == 2 and "caption" in places
    rows = _fields(path, layout.dialect, pair=pair, caption_first=pair and places["caption"] < places["url"])
    if layout.header:
        next(rows, None)
    row = 0
    while batch := list(itertools.islice(rows, BATCH_ROWS)):
        columns = {name: _column(batch, place) for name, place in places.items()}
        yield SourceBatch(row, len(batch), columns)
        row += len(batch)


def _fields(
    path: CorpusPath, dialect: Dialect | None, *, pair: bool = False, caption_first: bool = False
) -> Iterator[Sequence[bytes]]:
    """The fields of every line; of a ``pair`` two, of which the caption may have tabs."""
    if dialect:
        return records(path, dialect)
    split = bytes.rsplit if pair and caption_first else bytes.split
    return (split(line, b"\t", 1 if pair else -1) for line in lines(path))


def _preset_of(path: CorpusPath, head: Sequence[Sequence[bytes]], width: int) -> str:
    """The preset of a text without a header; CorpusError where its columns may be something else."""
    if width < 2:
        raise CorpusError(
            f"{path} has no tab in its first lines, and no header: a TSV of URL and caption has"
        )
    urls = [sum(len(fields) > column and _is_url(fields[column]) for fields in head) for column in range(2)]
    if not any(urls):
        raise CorpusError(
            f"{path} has no header, and no http(s) URL in the first two columns of its first lines; "
            f"{_name_columns(width)}"
        )
    caption = 1 if urls[0] >= urls[1] else 0
    captions = [fields[caption].strip() for fields in head if len(fields) > caption]
    if width > 2 and not (width == _CC3M_LABELS and caption == 0):
        raise CorpusError(f"{path} has no header, and {width} columns; {_name_columns(width)}")
    if captions and all(map(_NO_CAPTION.fullmatch, captions)):
        example = captions[0][:20].decode(errors="replace")
        raise CorpusError(
            f"{path} has no captions beside its URLs: its other column contains numbers or hashes "
            f"({example!r}…); leave it out"
        )
    return "cc12m" if caption else "cc3m"


def _name_columns(width: int) -> str:
    return (
        "leave it out, or say which are the URL and the caption: --url-column N --caption-column M, "
        f"from 0 to {width - 1}"
    )


def _column(rows: Sequence[Sequence[bytes]], place: int) -> pa.Array[Any]:
    values = [fields[place] if len(fields) > place and fields[place] else None for fields in rows]
    return pa.array(values, pa.binary())


def _is_url(field: bytes) -> bool:
    return field.strip().lower().startswith((b"http://", b"https://"))

"""Delimited texts with quoted fields: CSV, and TSV where it is quoted, as pandas, R and Spark write them.

A quoted field may hold the delimiter, doubled quotes and line breaks.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ...core.errors import CorpusError
from ...core.records import CorpusPath
from .lines import LONGEST, lines

_DELIMITERS = ",;|"


@dataclass(frozen=True, slots=True)
class Dialect:
    """What stands between fields, and what stands before a quote inside one (none: it is doubled)."""

    delimiter: str
    escape: str | None = None


def dialect_of(name: str, head: Sequence[bytes]) -> Dialect | None:
    """The dialect of a text named ``name`` (lower case) with these first lines; None for a plain TSV."""
    texts = [line.decode(errors="replace") for line in head]
    delimiter = _delimiter(name, texts[0])
    if delimiter == "\t" and not (_is_quoted(texts[0]) or all(map(_is_quoted, texts[1:] or texts))):
        return None
    joined = "\n".join(texts)
    escape = "\\" if '\\"' in joined and '""' not in joined else None
    return Dialect(delimiter, escape)


def records(path: CorpusPath, dialect: Dialect) -> Iterator[list[bytes]]:
    """The fields of every record; CorpusError names the line where quotes don't fit."""
    csv.field_size_limit(LONGEST)
    texts = (line.decode(errors="surrogateescape") + "\n" for line in lines(path))
    reader = csv.reader(
        texts,
        delimiter=dialect.delimiter,
        doublequote=dialect.escape is None,
        escapechar=dialect.escape,
        strict=True,
    )
    for number in itertools.count(1):
        start = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise CorpusError(
                f"{path}: record {number}, which begins in line {start}, can't be read ({error}): "
                "its quotes don't fit"
            ) from error
        if fields:
            yield [field.encode(errors="surrogateescape") for field in fields]


def _delimiter(name: str, header: str) -> str:
    """The tab where the first line has one (or the name says so), else what stands in it most often."""
    if "\t" in header or name.endswith(".tsv"):
        return "\t"
    most = max(_DELIMITERS, key=header.count)
    return most if name.endswith(".csv") or header.count(most) else "\t"


def _is_quoted(line: str) -> bool:
    """Whether every field of a line of a TSV stands in quotes."""
    return all(len(field) > 1 and field.startswith('"') and field.endswith('"') for field in line.split("\t"))

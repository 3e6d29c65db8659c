"""Corpus files: found, told apart, and read as canonical record batches.

    find_files(["laion400m-meta"]) → CorpusFile records, in the order of their identities
    read_batches(file)             → record batches of records.ROW_SCHEMA, streamed

The presets are in presets.py, the formats in readers.py and texts.py, the types in columns.py.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pyarrow as pa

from ...core.errors import CorpusError
from ...core.records import CorpusFile, CorpusPath, Fingerprint
from ...core.wording import counted
from .columns import canonical, with_more_captions
from .fingerprints import UNKNOWN_ROWS, fingerprint
from .places import files_at
from .presets import SAMPLES, SQLITE, check_choice, detect, sources
from .readers import (
    Format,
    SourceBatch,
    check_row_groups,
    format_of,
    parquet_batches,
    parquet_columns,
    row_group_rows,
    sqlite_batches,
    sqlite_columns,
)
from .samples import sample_batches, sample_columns
from .templates import fields_of
from .texts import text_batches, text_layout

logger = logging.getLogger(__name__)

MAX_ROW_GROUP = 4 << 30
"""Bytes that a row group may unpack to: several times what corpora have."""

_NO_COLUMNS: Mapping[str, str] = MappingProxyType({})


def find_files(
    paths: Sequence[str | Path],
    *,
    preset: str = "",
    corpus: str = "",
    columns: Mapping[str, str] = _NO_COLUMNS,
    max_row_group: int = MAX_ROW_GROUP,
) -> list[CorpusFile]:
    """The corpus files under files, folders (searched deeply) and globs, bytewise by identity, checked.

    A file's identity is its name below the folder given, or its own name, behind the corpus name: ``corpus``,
    else the folder's name (a file's: its parent's). A glob counts as if its matches had been given. Without
    ``preset`` each file's is detected. ``columns`` (canonical → source column) go before the preset's.
    CorpusError: no files, an unreadable or truncated one, one without the columns, one with a row group that
    unpacks to more than ``max_row_group`` bytes (of the columns that are read), two with one identity.
    """
    check_choice(preset, columns)
    places: dict[str, CorpusPath] = {}
    for argument in paths:
        for identity, path in files_at(str(argument), corpus):
            other = places.setdefault(identity, path)
            if other != path and not _is_same(other, path):
                raise CorpusError(
                    f"{other} and {path} have one identity, {identity}: "
                    "index them apart, with different --corpus names"
                )
    if not places:
        raise CorpusError("no corpus files given")
    by_identity = sorted(places.items(), key=lambda item: item[0].encode())
    without_url: list[CorpusPath] = []
    files = [
        _corpus_file(identity, path, preset, columns, max_row_group=max_row_group, without_url=without_url)
        for identity, path in by_identity
    ]
    if without_url:
        logger.warning(
            "%s of %s no URL column that is known (--url-column names one), e.g. %s; its rows have the "
            "pictures in it, which [download] archives give",
            len(without_url), f"{counted(len(places), 'file')} {'has' if len(without_url) == 1 else 'have'}",
            without_url[0],
        )  # fmt: skip
    return files


def with_captions(
    files: Sequence[CorpusFile], columns: Sequence[str], *, max_row_group: int = MAX_ROW_GROUP
) -> list[CorpusFile]:
    """``files``, whose rows are matched by the further caption columns (or templates) too.

    CorpusError: no such column, or one with a row group that unpacks to more than ``max_row_group`` bytes.
    """
    if not columns:
        return list(files)
    for file in files:
        for column in columns:
            named = {**file.columns, "caption": column}
            _corpus_file(
                file.file, file.path, file.preset, named, max_row_group=max_row_group, without_url=[]
            )
    return [_with_captions(file, tuple(columns)) for file in files]


def _with_captions(file: CorpusFile, columns: tuple[str, ...]) -> CorpusFile:
    """Of another fingerprint: an index that has the file by its first caption has another version of it."""
    return replace(file, more_captions=columns, fingerprint=_with_columns(file.fingerprint, columns))


def fingerprint_with(path: CorpusPath, more_captions: Sequence[str]) -> Fingerprint:
    """The fingerprint of a file whose rows are matched by these further caption columns too."""
    mark = fingerprint(path)
    return _with_columns(mark, tuple(more_captions)) if more_captions else mark


def _with_columns(mark: Fingerprint, columns: tuple[str, ...]) -> Fingerprint:
    digest = hashlib.sha256(repr((mark.digest, columns)).encode()).hexdigest()
    return replace(mark, digest=digest)


def read_batches(file: CorpusFile, *, row_groups: range | None = None) -> Iterator[pa.RecordBatch]:
    """The file's rows in records.ROW_SCHEMA, in order, at most 16,384 a batch.

    ``row_groups`` reads only those of a Parquet file, or tables of SWAT's database (see row_group_rows); rows
    keep their numbers in the whole file. CorpusError names the file, and what of it can't be read.
    """
    unknown_tags: Counter[str] = Counter()
    for batch in _source_batches(file, row_groups):
        rows = canonical(file, batch, unknown_tags)
        others = {
            caption: canonical(file, _by_caption(batch, number), Counter())
            for number, caption in enumerate(file.more_captions, 2)
        }
        yield with_more_captions(rows, others) if others else rows
    if unknown_tags:
        words = ", ".join(f"{word!r:.40} ({count:,})" for word, count in unknown_tags.most_common(5))
        logger.warning(
            "%s: %s with a safety tag that isn't known, as good as without one: %s",
            file.path, counted(unknown_tags.total(), "row"), words,
        )  # fmt: skip


def _source_batches(file: CorpusFile, row_groups: range | None) -> Iterator[SourceBatch]:
    """The file, read once for all its captions."""
    kind = format_of(file.path)
    if kind is Format.PARQUET:
        present, has_pictures = parquet_columns(file.path)
        read = _columns_read(file, present, has_pictures=has_pictures)
        return parquet_batches(file.path, read, row_groups, has_pictures=has_pictures)
    if kind is Format.SQLITE:
        return sqlite_batches(file.path, _columns_read(file, sqlite_columns(file.path)), row_groups)
    if row_groups is not None:
        raise CorpusError(f"{file.path} has no row groups to read apart")
    if kind is Format.TAR:
        read = _columns_read(file, sample_columns(file.path), has_pictures=True)
        return sample_batches(file.path, read)
    named = {**file.columns, **{caption: caption for caption in file.more_captions}}
    layout = text_layout(file.path, _column_names(named))
    return text_batches(file.path, layout, _columns_read(file, layout.columns))


def _columns_read(file: CorpusFile, present: Sequence[str], *, has_pictures: bool = False) -> dict[str, str]:
    """Canonical column → source column; of the further captions behind their number."""
    named = [file.columns, *({**file.columns, "caption": caption} for caption in file.more_captions)]
    first, *others = [
        sources(file.path, file.preset, present, columns, has_pictures=has_pictures) for columns in named
    ]
    more = {
        f"{number}. {name}": column
        for number, read in enumerate(others, 2)
        for name, column in read.items()
        if name.startswith("caption")
    }
    return first | more


def _by_caption(batch: SourceBatch, number: int) -> SourceBatch:
    """What is read of ``batch`` by its ``number``-th caption: that, and its language."""
    mark = f"{number}. "
    captions = {
        name.removeprefix(mark): column for name, column in batch.columns.items() if name.startswith(mark)
    }
    language = {name: column for name, column in batch.columns.items() if name == "language"}
    return SourceBatch(batch.first_row, batch.rows, captions | language)


def _corpus_file(
    identity: str,
    path: CorpusPath,
    preset: str,
    columns: Mapping[str, str],
    *,
    max_row_group: int,
    without_url: list[CorpusPath],
) -> CorpusFile:
    """The file, checked: the columns that are read of it are there, and no row group of them is too large.

    A table with pictures and without a URL column is added to ``without_url``.
    """
    kind = format_of(path)
    has_pictures = False
    if kind is Format.PARQUET:
        present, has_pictures = parquet_columns(path)
        detected = detect(present)
    elif kind is Format.TAR:
        present, detected, has_pictures = sample_columns(path), SAMPLES, True
    elif kind is Format.SQLITE:
        present, detected = sqlite_columns(path), SQLITE
    else:
        layout = text_layout(path, _column_names(columns))
        present = list(layout.columns)
        detected = detect(present) if layout.header else layout.preset
    preset_name = preset or detected
    read = sources(path, preset_name, present, columns, has_pictures=has_pictures)
    if kind is Format.PARQUET:
        check_row_groups(path, frozenset(read.values()), max_row_group)
        without_url += [] if "url" in read else [path]
    return CorpusFile(identity, path, preset_name, fingerprint(path), dict(columns))


def _column_names(columns: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(name for column in columns.values() for name in fields_of(column) or [column])


def _is_same(one: CorpusPath, other: CorpusPath) -> bool:
    return isinstance(one, Path) and isinstance(other, Path) and one.samefile(other)


def expected_rows(files: Sequence[CorpusFile]) -> int | None:
    """The rows of all files together, or None where a text's aren't known before it is read.

    Of SWAT's database its rows as if none had been deleted.
    """
    total = 0
    for file in files:
        rows = file.fingerprint.rows
        if rows == UNKNOWN_ROWS:
            groups = row_group_rows(file.path)
            if not groups:
                return None
            rows = sum(groups)
        total += rows
    return total

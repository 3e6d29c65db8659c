"""Corpus files: found, told apart, and read as canonical record batches.

    find_files(["laion400m-meta"]) → CorpusFile records, in the order of their identities
    read_batches(file)             → record batches of records.ROW_SCHEMA, streamed

The presets are in presets.py, the formats in readers.py and texts.py, the types in columns.py.
"""

from __future__ import annotations

import glob
import hashlib
import logging
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from types import MappingProxyType

import pyarrow as pa

from ...core.errors import CorpusError
from ...core.records import CorpusFile, CorpusPath, Fingerprint
from ...core.wording import counted
from ..sources.listing import files_below
from ..sources.locations import is_remote
from ..sources.remote_path import RemotePath
from .columns import canonical, with_more_captions
from .fingerprints import UNKNOWN_ROWS, fingerprint
from .presets import SQLITE, check_choice, detect, sources
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
from .templates import fields_of
from .texts import SUFFIXES, text_batches, text_layout

_SUFFIXES = (".parquet", *SUFFIXES, *(f"{suffix}.gz" for suffix in SUFFIXES))
_TAKEN = f".parquet, {', '.join(SUFFIXES)}, and those with .gz"
"""What is taken from a folder; anything else, SWAT's database too, must be named itself."""

logger = logging.getLogger(__name__)

MAX_ROW_GROUP = 4 << 30
"""Bytes that a row group may unpack to: several times what corpora have."""

_NO_COLUMNS: Mapping[str, str] = MappingProxyType({})
_MAGIC_CHARACTERS = re.compile(r"[*?[]")


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
        for identity, path in _files_of(str(argument), corpus):
            other = places.setdefault(identity, path)
            if other != path and not _is_same(other, path):
                raise CorpusError(
                    f"{other} and {path} have one identity, {identity}: "
                    "index them apart, with different --corpus names"
                )
    if not places:
        raise CorpusError("no corpus files given")
    by_identity = sorted(places.items(), key=lambda item: item[0].encode())
    return [
        _corpus_file(identity, path, preset, columns, max_row_group=max_row_group)
        for identity, path in by_identity
    ]


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
            _corpus_file(file.file, file.path, file.preset, named, max_row_group=max_row_group)
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
    others = [replace(file, columns={**file.columns, "caption": column}) for column in file.more_captions]
    readings = [_source_batches(one, row_groups, [file, *others]) for one in (file, *others)]
    for first, *more in zip(*readings, strict=True):
        rows = canonical(file, first, unknown_tags)
        by_others = [canonical(file, one, Counter()) for one in more]
        others_of = dict(zip(file.more_captions, by_others, strict=True))
        yield with_more_captions(rows, others_of) if others_of else rows
    if unknown_tags:
        words = ", ".join(f"{word!r:.40} ({count:,})" for word, count in unknown_tags.most_common(5))
        logger.warning(
            "%s: %s with a safety tag that isn't known, as good as without one: %s",
            file.path, counted(unknown_tags.total(), "row"), words,
        )  # fmt: skip


def _source_batches(
    file: CorpusFile, row_groups: range | None, beside: Sequence[CorpusFile]
) -> Iterator[SourceBatch]:
    """``beside``: the same file, as it is read for each of its captions, batch by batch of the same rows."""
    kind = format_of(file.path)
    if kind is Format.PARQUET:
        present = parquet_columns(file.path)
        read = [sources(one.path, one.preset, present, one.columns) for one in (file, *beside)]
        return parquet_batches(
            file.path, read[0], row_groups, {name for one in read for name in one.values()}
        )
    if kind is Format.SQLITE:
        read = sources(file.path, file.preset, sqlite_columns(file.path), file.columns)
        return sqlite_batches(file.path, read, row_groups)
    if row_groups is not None:
        raise CorpusError(f"{file.path} is a text: it has no row groups to read apart")
    layout = text_layout(file.path, _column_names(file.columns))
    return text_batches(file.path, layout, sources(file.path, file.preset, layout.columns, file.columns))


def _corpus_file(
    identity: str, path: CorpusPath, preset: str, columns: Mapping[str, str], *, max_row_group: int
) -> CorpusFile:
    """The file, checked: the columns that are read of it are there, and no row group of them is too large."""
    kind = format_of(path)
    if kind is Format.PARQUET:
        present = parquet_columns(path)
        detected = detect(present)
    elif kind is Format.SQLITE:
        present, detected = sqlite_columns(path), SQLITE
    else:
        layout = text_layout(path, _column_names(columns))
        present = list(layout.columns)
        detected = detect(present) if layout.header else layout.preset
    preset_name = preset or detected
    read = frozenset(sources(path, preset_name, present, columns).values())
    if kind is Format.PARQUET:
        check_row_groups(path, read, max_row_group)
    return CorpusFile(identity, path, preset_name, fingerprint(path), dict(columns))


def _column_names(columns: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(name for column in columns.values() for name in fields_of(column) or [column])


def _is_same(one: CorpusPath, other: CorpusPath) -> bool:
    return isinstance(one, Path) and isinstance(other, Path) and one.samefile(other)


def _files_behind(url: str, corpus: str) -> list[tuple[str, CorpusPath]]:
    """(identity, path) of the file at a URL, or of the corpus files below it, in a store."""
    remote = RemotePath(url)
    above = PurePosixPath(str(remote).partition("://")[2])
    if remote.name.lower().endswith(_SUFFIXES):
        return [(f"{corpus or above.parent.name or 'corpus'}/{remote.name}", remote)]
    name = corpus or above.name or "corpus"
    files = [(file, where) for file, where in files_below(url) if file.lower().endswith(_SUFFIXES)]
    if not files:
        raise CorpusError(f"{remote} contains no corpus files ({_TAKEN})")
    return [(f"{name}/{file}", RemotePath(where)) for file, where in files]


def _files_of(argument: str, corpus: str) -> Sequence[tuple[str, CorpusPath]]:
    """(identity, path) of each file that one argument names."""
    if is_remote(argument):
        return _files_behind(argument, corpus)
    path = Path(os.path.abspath(Path(argument).expanduser()))  # noqa: PTH100 - keeps a symlink's own name
    if not path.exists() and _MAGIC_CHARACTERS.search(argument):
        matches = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207 - absolute patterns
        readable = [match for match in matches if Path(match).is_dir() or _is_corpus_name(Path(match))]
        if not readable:
            raise CorpusError(f"{argument} matches no corpus files ({_TAKEN})")
        return [pair for match in readable for pair in _files_of(match, corpus)]
    if path.is_dir():
        pairs = [(_identity(corpus or path.name, path, file), file) for file in _below(path)]
        if not pairs:
            raise CorpusError(f"{argument} contains no corpus files ({_TAKEN}; name others themselves)")
        return pairs
    if not path.is_file():
        raise CorpusError(
            f"{argument} isn't there" if not path.exists() else f"{argument} is no file or folder"
        )
    return [(_identity(corpus or path.parent.name, path.parent, path), path)]


def _below(folder: Path) -> Iterator[Path]:
    """Corpus files below ``folder``; hidden ones and Spark's `_…` leftovers aside."""
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)
        if not hidden and _is_corpus_name(path) and path.is_file():
            yield path


def _is_corpus_name(path: Path) -> bool:
    return path.name.lower().endswith(_SUFFIXES)


def _identity(corpus: str, folder: Path, path: Path) -> str:
    identity = f"{corpus or 'corpus'}/{path.relative_to(folder).as_posix()}"
    try:
        identity.encode()
    except UnicodeEncodeError as error:
        raise CorpusError(f"{path!r}: a file's name must be UTF-8 to be its identity: rename it") from error
    return identity


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

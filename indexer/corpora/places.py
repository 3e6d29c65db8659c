"""What a user names (files, folders, globs, URLs) → the corpus files there, and their identities."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import TypeVar

from ...core.errors import CorpusError
from ...core.records import CorpusPath
from ..sources.listing import files_below
from ..sources.locations import is_remote
from ..sources.remote_path import RemotePath
from .samples import SUFFIX
from .texts import SUFFIXES

T = TypeVar("T")
_SUFFIXES = (".parquet", *SUFFIXES, *(f"{suffix}.gz" for suffix in SUFFIXES))
_TAKEN = f".parquet, {', '.join(SUFFIXES)}, and those with .gz; else .tar"
"""What is taken from a folder, tars where nothing else is; others, SWAT's database too, must be named."""
_MAGIC_CHARACTERS = re.compile(r"[*?[]")


def files_at(argument: str, corpus: str) -> Sequence[tuple[str, CorpusPath]]:
    """(identity, path) of each file that one argument names."""
    if is_remote(argument):
        return _files_behind(argument, corpus)
    path = Path(os.path.abspath(Path(argument).expanduser()))  # noqa: PTH100 - keeps a symlink's own name
    if not path.exists() and _MAGIC_CHARACTERS.search(argument):
        matches = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207 - absolute patterns
        readable = [
            one for one in matches if Path(one).is_dir() or one.lower().endswith((*_SUFFIXES, SUFFIX))
        ]
        if not readable:
            raise CorpusError(f"{argument} matches no corpus files ({_TAKEN})")
        return [pair for match in readable for pair in files_at(match, corpus)]
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


def _files_behind(url: str, corpus: str) -> list[tuple[str, CorpusPath]]:
    """(identity, path) of the file at a URL, or of the corpus files below it, in a store."""
    remote = RemotePath(url)
    above = PurePosixPath(str(remote).partition("://")[2])
    if remote.name.lower().endswith((*_SUFFIXES, SUFFIX)):
        return [(f"{corpus or above.parent.name or 'corpus'}/{remote.name}", remote)]
    name = corpus or above.name or "corpus"
    files = _tables_or_tars(files_below(url), lambda pair: pair[0])
    if not files:
        raise CorpusError(f"{remote} contains no corpus files ({_TAKEN})")
    return [(f"{name}/{file}", RemotePath(where)) for file, where in files]


def _below(folder: Path) -> list[Path]:
    """Corpus files below ``folder``; hidden ones and Spark's `_…` leftovers aside."""
    visible = [
        path
        for path in sorted(folder.rglob("*"))
        if not any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)
    ]
    return [path for path in _tables_or_tars(visible, lambda path: path.name) if path.is_file()]


def _tables_or_tars(files: Sequence[T], name: Callable[[T], str]) -> list[T]:
    """The tables and texts of ``files``; the tars where there are none: img2dataset's have a table."""
    tables = [file for file in files if name(file).lower().endswith(_SUFFIXES)]
    return tables or [file for file in files if name(file).lower().endswith(SUFFIX)]


def _identity(corpus: str, folder: Path, path: Path) -> str:
    identity = f"{corpus or 'corpus'}/{path.relative_to(folder).as_posix()}"
    try:
        identity.encode()
    except UnicodeEncodeError as error:
        raise CorpusError(f"{path!r}: a file's name must be UTF-8 to be its identity: rename it") from error
    return identity

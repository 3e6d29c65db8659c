"""Errors that a user can cause, and the one tree they hang on.

    CaptrawlError              one or two clear lines: what was wrong, with the values, and what to do
    ├── InputError             something the user gave can't be used
    │   ├── CorpusError        a corpus file: missing, truncated, without the columns
    │   ├── ClassListError     a class list: no classes, a repeated id, a synonym without a token
    │   ├── QueryError         a phrase or filter that can't be asked
    │   ├── SettingsError      captrawl.toml: an unknown key, a value out of range
    │   └── UsageError         options of a command: contradictory, incomplete, or none of the choices
    ├── CaptionIndexError      a caption index: not there, not ours, already holding another version of a file
    │   ├── IndexBusyError     another process is writing the same thing
    │   └── ServerError        an Elasticsearch server: down, slow, unauthorised, of the wrong version
    ├── WorkspaceError         a workspace: not there, locked, a stage that must come first
    ├── StorageError           a file can't be written or read: no space, no permission, a read-only disk
    ├── DownloadError          fetching or packing can't go on (a full disk, no file descriptors)
    ├── ModelError             a model that can't be loaded or doesn't fit the stored vectors
    ├── LanguageModelError     a language model's server: unreachable, unauthorised, without quota
    └── MissingExtraError      an optional part of captrawl isn't installed

The CLI prints a CaptrawlError's text and exits with 1, with 2 after a UsageError. Anything else is a bug and
keeps its traceback. Foreign errors are translated once, where the foreign library is called, with
``raise … from``; what the disk refuses (StorageError) in workspace.atomic, and else by the CLI.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence

from .interrupts import causes


def nearest(given: str, known: Sequence[str], *, cutoff: float = 0.5, otherwise: str = "known:") -> str:
    """The end of an error on a name that isn't ``known``: the one that was meant, or what there is."""
    import difflib

    begun = sorted((name for name in known if given and name.lower().startswith(given.lower())), key=len)
    near = begun or difflib.get_close_matches(given, known, n=1, cutoff=cutoff)
    return f"did you mean {str(near[0])!r}?" if near else f"{otherwise} {', '.join(known)}"


class CaptrawlError(Exception):
    """The base: its text is what the user reads."""


class InputError(CaptrawlError):
    """Something the user gave can't be used."""


class CorpusError(InputError):
    """A corpus file is missing, truncated, or lacks the columns."""


class ClassListError(InputError):
    """A class list is empty, repeats an id, or holds a synonym without a token."""


class QueryError(InputError):
    """A phrase or filter that can't be asked."""


class SettingsError(InputError):
    """captrawl.toml holds an unknown key or a value out of range."""


class UsageError(InputError):
    """A command's options contradict one another, are too few, or none of the choices."""


class CaptionIndexError(CaptrawlError):
    """A caption index isn't there, isn't ours, or holds another version of a file."""


class IndexBusyError(CaptionIndexError):
    """Another process is writing the same thing."""


class ServerError(CaptionIndexError):
    """An Elasticsearch server is down, slow, unauthorised or of the wrong version."""


class WorkspaceError(CaptrawlError):
    """A workspace isn't there, is locked, or lacks a stage that must come first."""


class StorageError(CaptrawlError):
    """A file can't be written or read: the disk is full or read-only, or it isn't ours to touch."""

    @classmethod
    def of(cls, error: OSError, path: object = None) -> StorageError | None:
        """``error`` (at ``path``, else at the file it names) as one; None where it isn't of that kind."""
        remedy = _STORAGE.get(error.errno or 0)
        if remedy is None:
            return None
        where = str(path or error.filename or "a file")
        where = where if len(where) <= LONGEST_PATH else f"{where[:LONGEST_PATH]} …"
        return cls(f"{where}: {os.strerror(error.errno or 0)}; {remedy}")


LONGEST_PATH = 300
"""Characters of a path that an error quotes."""
_AGAIN = "then run the same command again: what is done stays"
_STORAGE = {
    errno.ENOSPC: f"free space there, {_AGAIN}",
    errno.EDQUOT: f"free space there, {_AGAIN}",
    errno.EROFS: f"make it writable, {_AGAIN}",
    errno.EACCES: "choose another place, or see to its permissions",
    errno.EPERM: "choose another place, or see to its permissions",
    errno.ENOTDIR: "a part of that path is a file; choose another place",
    errno.EISDIR: "that is a folder; name a file",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ELOOP: "its links lead in a circle; choose another place",
    errno.EEXIST: "a file is in the way; choose another place",
    errno.EMFILE: f"raise the limit of open files (ulimit -n), {_AGAIN}",
    errno.ENFILE: f"close other programs' files, {_AGAIN}",
    errno.ENOMEM: f"free memory or raise its limit (ulimit -v), {_AGAIN}",
}


class DownloadError(CaptrawlError):
    """Fetching or packing can't go on."""


class ModelError(CaptrawlError):
    """A model can't be loaded, or doesn't fit the stored vectors."""


class LanguageModelError(CaptrawlError):
    """A language model's server can't be reached, refuses the key, or has no quota or no such model."""


class MissingExtraError(CaptrawlError):
    """An optional part of captrawl isn't installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            f"{what} needs captrawl[{extra}], which isn't installed: pip install 'captrawl[{extra}]'"
        )


def import_failure(error: ImportError, what: str, extra: str) -> CaptrawlError:
    """Why ``what`` can't be imported: its extra isn't installed, or is and this machine can't load it."""
    if isinstance(error, ModuleNotFoundError):
        return MissingExtraError(what, extra)
    reason = " ".join(str(error).split())[:200]
    return CaptrawlError(
        f"{what} needs captrawl[{extra}], which is installed and can't be loaded ({reason}); is memory "
        "(ulimit -v) or the number of open files (ulimit -n) limited? captrawl doctor says what is there"
    )


_NO_MEMORY = (
    "can't start new thread", "failed to launch worker thread", "cannot allocate memory",
    "failed to map segment from shared object", "memoryerror", "blockingioerror",
)  # fmt: skip
"""In errors of libraries, and (the last two) in the last line of a process's traceback."""
NO_MEMORY = "this machine gives no more memory or threads; free some, or raise the limits (ulimit -v, -u)"


def lacks_memory(error: BaseException | None) -> bool:
    """Whether ``error``, or what it came of, is the machine's: no memory left, or no thread to be had."""
    return any(
        isinstance(cause, MemoryError) or any(words in str(cause).lower() for words in _NO_MEMORY)
        for cause in causes(error)
    )


def no_process(error: OSError) -> bool:
    """Whether no process was to be had (ulimit -u); a full pipe's error says what the pipe took, too."""
    return error.errno == errno.EAGAIN and not hasattr(error, "characters_written")


def machines_fault(error: CaptrawlError) -> str:
    """What a user reads of ``error``: no file is damaged where memory or a descriptor couldn't be had."""
    cause = error.__cause__
    if isinstance(cause, OSError) and cause.errno in {errno.EMFILE, errno.ENFILE, errno.ENOMEM}:
        return str(StorageError.of(cause))
    return NO_MEMORY if lacks_memory(cause) and not isinstance(cause, ImportError) else str(error)

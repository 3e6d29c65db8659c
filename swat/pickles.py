"""Pickles read as data: containers, texts, numbers, booleans and None; anything else is refused.

A pickle is a program, and its ordinary reader runs it. Here every opcode that would name a class or a
function ends the reading, and so does every value of another type.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, NoReturn, cast

from ..errors import InputError

_SCALARS = (str, int, float, bool, type(None))


class _Refused(Exception):  # noqa: N818 - it never leaves the module
    """The pickle asks for something that isn't data."""


class _Data(pickle.Unpickler):
    """An unpickler that builds nothing but builtin containers and scalars."""

    def find_class(self, module_name: str, global_name: str, /) -> NoReturn:
        """Refuse every class and function."""
        raise _Refused(f"names {module_name}.{global_name}")

    def persistent_load(self, pid: Any, /) -> NoReturn:
        """Refuse references to things outside."""
        raise _Refused(f"refers to something outside ({pid!r:.40})")


def load_pickle(path: Path) -> Any:
    """The lists, tuples, dicts, texts, numbers, booleans and None in the pickle at ``path``.

    InputError where it asks for anything else (classes, functions, bytes, sets) or is cut off.
    """
    try:
        with path.open("rb") as handle:
            value = _Data(handle).load()
        _check(value)
    except _Refused as refusal:
        raise InputError(
            f"{path} {refusal}: not plain data but a program, so it isn't read; a pickle of SWAT's holds "
            "only lists, tuples, dicts, texts and numbers"
        ) from refusal
    except OSError as error:
        raise InputError(f"{path} can't be read ({error.strerror or error})") from error
    except (pickle.UnpicklingError, EOFError, MemoryError, *_BROKEN) as error:
        raise InputError(f"{path} is cut off, or no pickle ({error or type(error).__name__})") from error
    return value


_BROKEN = (ValueError, TypeError, LookupError, AttributeError, ImportError, OverflowError, RecursionError)
"""What the unpickler raises on damaged bytes, by experience."""


def _check(value: Any) -> None:
    """Raise _Refused for a value of any other type in ``value``; every container is looked at once."""
    waiting: list[Any] = [value]
    seen: set[int] = set()
    while waiting:
        held = waiting.pop()
        if type(held) in _SCALARS:
            continue
        if id(held) in seen:
            continue
        seen.add(id(held))
        if type(held) is dict:
            pairs = cast("dict[Any, Any]", held)
            waiting.extend(pairs.keys())
            waiting.extend(pairs.values())
        elif type(held) in (list, tuple):
            waiting.extend(cast("list[Any]", held))
        else:
            raise _Refused(f"holds {type(held).__name__}")

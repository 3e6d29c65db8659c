"""Pickles read as data: containers, texts, numbers, booleans and None; anything else is refused.

A pickle is a program, and its ordinary reader runs it: it calls what the file names, and a few bytes make it
hash or allocate without end. This one knows the opcodes of plain data only, and hashes nothing nested.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, cast

from ..core.errors import InputError

_SETS = {"builtins set", "__builtin__ set"}
"""How protocols before 4 write a set: as a call of its class."""
_SCALARS = frozenset({str, int, float, bool, type(None)})
_REFUSED = {
    "GLOBAL": "names {0}",
    "INST": "names {0}",
    "STACK_GLOBAL": "names {1}.{2}",
    "EXT1": "names extension {0}",
    "EXT2": "names extension {0}",
    "EXT4": "names extension {0}",
    "PERSID": "refers to something outside ({0})",
    "BINPERSID": "refers to something outside ({2})",
    "NEXT_BUFFER": "refers to a buffer outside",
    "FROZENSET": "contains a frozenset",
    "BYTEARRAY8": "contains a bytearray",
    **dict.fromkeys(("STRING", "BINSTRING", "SHORT_BINSTRING"), "contains bytes"),
    **dict.fromkeys(("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"), "contains bytes"),
}
"""What is said of an opcode that isn't one of data: {0} its argument, {1} and {2} the last of the stack."""


DEEPEST = 8
"""How deep containers lie in each other at most; SWAT's are three: a dict of lists of tuples."""
LARGEST = 16
"""Elements a byte of the file at most, shared ones counted wherever they stand; SWAT's have less than one."""


def short(value: Any) -> str:
    """``value`` of a foreign file in at most some 150 characters, however large or deep it is."""
    if isinstance(value, list | tuple | set | dict):
        return f"a {type(value).__name__} of {len(cast('list[Any]', value))}"
    if isinstance(value, int) and not -(10**18) < value < 10**18:
        return f"a number of {value.bit_length()} bits"
    return repr(value[:120] if isinstance(value, str) else value)[:150]


def shown_row(entry: tuple[Any, ...]) -> str:
    """A row of a foreign file in at most some 120 characters."""
    return f"({', '.join(short(value) for value in entry[:12]):.120})"


def _measure(value: Any, measures: dict[int, tuple[int, int]], depth: int, limit: int) -> tuple[int, int]:
    """(height, elements) of ``value``, shared parts counted wherever they stand; ValueError beyond bounds."""
    if type(value) in _SCALARS:
        return 0, 1
    height, elements = measures.get(id(value), (-1, 0))
    if height < 0:
        height = 0
        if depth < DEEPEST:
            items: Any = cast("dict[Any, Any]", value).values() if type(value) is dict else value
            for item in items:
                if type(item) in _SCALARS:
                    elements += 1
                    continue
                above, inside = _measure(item, measures, depth + 1, limit)
                height, elements = max(height, above), elements + inside
        height, elements = height + 1, elements + 1
        measures[id(value)] = height, elements
    if depth + height > DEEPEST or elements > limit:
        raise ValueError("it nests or repeats its containers without end")
    return height, elements


class _NotData(Exception):  # noqa: N818 - it never leaves the module
    """The pickle asks for something that isn't data."""


def load_pickle(path: Path) -> Any:
    """The lists, tuples, sets, dicts, texts, numbers, booleans and None in the pickle at ``path``.

    InputError where it asks for anything else (classes, functions, bytes), is cut off, or is far larger or
    deeper than it looks: containers that share their parts grow without end in whatever walks them.
    """
    try:
        with path.open("rb") as handle:
            value = _Data().load(handle)
        _measure(value, {}, 0, LARGEST * (path.stat().st_size + 1))
        return value
    except _NotData as refusal:
        raise InputError(
            f"{path} {refusal}: not plain data but a program, so it isn't read; a pickle of SWAT's contains "
            "only lists, tuples, sets, dicts, texts and numbers"
        ) from refusal
    except OSError as error:
        raise InputError(f"{path} can't be read ({error.strerror or error})") from error
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError, MemoryError) as error:
        why = f"{error}"[:120] or type(error).__name__
        raise InputError(f"{path} is cut off, or no pickle ({why})") from error


class _Data:
    """A pickle machine whose opcodes can build nothing but builtin containers and scalars."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        """The stacks under each mark."""
        self.memo: list[Any] = []
        self.classes = 0
        """How often the class ``set`` was pushed and not called."""

    def load(self, handle: BinaryIO) -> Any:
        """What the pickle's data is."""
        for opcode, argument, _ in pickletools.genops(handle):
            name = opcode.name
            if name in _PUSH:
                self.stack.append(argument)
            elif (step := _STEPS.get(name)) is not None:
                step(self, argument)
            elif name not in ("PROTO", "FRAME", "STOP"):
                self.refuse(name, argument)
        if self.classes or len(self.stack) != 1 or self.below:
            raise _NotData("names builtins.set" if self.classes else "leaves its stack untidy")
        return self.stack[0]

    def refuse(self, name: str, argument: Any) -> NoReturn:
        """Say what an opcode would have done."""
        last = [*("?", "?"), *(short(value).strip("'")[:60] for value in self.stack[-2:])][-2:]
        text = (argument if isinstance(argument, str) else short(argument)).replace(" ", ".")[:120]
        raise _NotData(_REFUSED.get(name, f"uses {name}").format(text, *last))

    def push(self, value: Any) -> None:
        """Put ``value`` on the stack."""
        self.stack.append(value)

    def above_mark(self) -> list[Any]:
        """What was pushed since the last mark, which goes."""
        items, self.stack = self.stack, self.below.pop()
        return items

    def put(self, place: int) -> None:
        """Note the top of the stack; picklers count the places up."""
        if place == len(self.memo):
            self.memo.append(self.stack[-1])
        elif 0 <= place < len(self.memo):
            self.memo[place] = self.stack[-1]
        else:
            raise ValueError(f"memo place {place} of {len(self.memo)}")

    def get(self, place: int) -> None:
        """Push what was noted."""
        if not 0 <= place < len(self.memo):
            raise ValueError(f"memo place {place} of {len(self.memo)}")
        value = self.memo[place]
        self.classes += value is set
        self.stack.append(value)

    def name_class(self, name: str) -> None:
        """Push the class ``set``; no other one may be named."""
        if name not in _SETS:
            self.refuse("GLOBAL", name)
        self.classes += 1
        self.stack.append(set)

    def call(self) -> None:
        """Call ``set`` with a list, as pickles before protocol 4 do."""
        function, arguments = self.last(2)
        if function is not set or type(arguments) is not tuple:
            self.refuse("REDUCE", None)
        (items,) = cast("tuple[Any, ...]", arguments)
        if type(items) is not list:
            self.refuse("REDUCE", None)
        self.classes -= 1
        self.push(set[Any]())
        self.add(cast("list[Any]", items))

    def extend(self, items: list[Any]) -> None:
        """Append ``items`` to the list on top."""
        self.top(list).extend(items)

    def add(self, items: list[Any]) -> None:
        """Add ``items`` to the set on top: scalars, and tuples of scalars."""
        for item in items:
            if type(item) not in _SCALARS and not (
                type(item) is tuple
                and all(type(value) in _SCALARS for value in cast("tuple[Any, ...]", item))
            ):
                raise _NotData("contains a set of more than scalars and flat tuples")
        self.top(set).update(items)

    def set_items(self, items: list[Any]) -> None:
        """Set the pairs of ``items`` (key, value, key, value …) in the dict on top."""
        if len(items) % 2 or not all(type(key) in _SCALARS for key in items[::2]):
            raise _NotData("has keys that aren't texts or numbers")
        self.top(dict).update(zip(items[::2], items[1::2], strict=True))

    def top(self, kind: type[Any]) -> Any:
        """The top of the stack, which must be a ``kind``."""
        if type(self.stack[-1]) is not kind:
            raise TypeError(f"{type(self.stack[-1]).__name__} where a {kind.__name__} belongs")
        return self.stack[-1]

    def last(self, count: int) -> list[Any]:
        """Take the last ``count`` values."""
        if len(self.stack) < count:
            raise IndexError("the stack is empty")
        items = self.stack[-count:]
        del self.stack[-count:]
        return items


_PUSH = frozenset({
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
    "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8",
})  # fmt: skip
"""Opcodes whose argument is the value."""


def _mark(data: _Data, _: Any) -> None:
    data.below.append(data.stack)
    data.stack = []


def _pairs(data: _Data, items: list[Any]) -> None:
    data.stack.append(dict[Any, Any]())
    data.set_items(items)


_STEPS: dict[str, Callable[[_Data, Any], None]] = {
    "NONE": lambda data, _: data.push(None),
    "NEWTRUE": lambda data, _: data.push(True),
    "NEWFALSE": lambda data, _: data.push(False),
    "EMPTY_LIST": lambda data, _: data.push(list[Any]()),
    "EMPTY_TUPLE": lambda data, _: data.push(()),
    "EMPTY_DICT": lambda data, _: data.push(dict[Any, Any]()),
    "EMPTY_SET": lambda data, _: data.push(set[Any]()),
    "MARK": _mark,
    "LIST": lambda data, _: data.push(data.above_mark()),
    "TUPLE": lambda data, _: data.push(tuple(data.above_mark())),
    "TUPLE1": lambda data, _: data.push(tuple(data.last(1))),
    "TUPLE2": lambda data, _: data.push(tuple(data.last(2))),
    "TUPLE3": lambda data, _: data.push(tuple(data.last(3))),
    "DICT": lambda data, _: _pairs(data, data.above_mark()),
    "APPEND": lambda data, _: data.extend(data.last(1)),
    "APPENDS": lambda data, _: data.extend(data.above_mark()),
    "ADDITEMS": lambda data, _: data.add(data.above_mark()),
    "SETITEM": lambda data, _: data.set_items(data.last(2)),
    "SETITEMS": lambda data, _: data.set_items(data.above_mark()),
    "MEMOIZE": lambda data, _: data.put(len(data.memo)),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), lambda data, place: data.put(place)),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda data, place: data.get(place)),
    "GLOBAL": lambda data, name: data.name_class(name),
    "REDUCE": lambda data, _: data.call(),
}
"""What each opcode of plain data does."""

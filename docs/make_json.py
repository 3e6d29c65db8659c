"""Write docs/json.md on stdout: what --json prints, from the types that the commands build."""

from __future__ import annotations

import dataclasses
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from importlib import import_module
from typing import Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

from captrawl.commands.explore.shapes import OUTPUTS as EXPLORE
from captrawl.commands.make.shapes import OUTPUTS as MAKE
from captrawl.commands.results import VersionedJson
from captrawl.commands.share.shapes import OUTPUTS as SHARE

OUTPUTS = {**EXPLORE, **MAKE, **SHARE}
WORDS = {int: "integer", float: "number", str: "text", bool: "true or false", type(None): "null"}
HEAD = """# What --json prints

One JSON value on stdout. Below, words stand for types, and `?` behind a key says that it may be missing.
New keys may come; these stay. Numbers of 64 bits (`uid`, `priority`) are text, since JSON loses some of them.
Exit codes and the rest are in [output for programs](output.md).

Made from the types that the commands build, by `make docs`; tests check it, and the commands' output by it.
"""


def resolved(part: type | str) -> type:
    """The type; of ``module:name`` in the package, imported now."""
    if isinstance(part, type) or is_typeddict(part):
        return part
    module, _, name = part.partition(":")
    return getattr(import_module(f"captrawl.{module}"), name)


def keys(record: type) -> dict[str, Any]:
    """Key → type of a typed dictionary or a dataclass, in order."""
    hints = get_type_hints(record, include_extras=True)
    if dataclasses.is_dataclass(record):
        return {field.name: hints[field.name] for field in dataclasses.fields(record)}
    return hints


def is_record(kind: Any) -> bool:
    return is_typeddict(kind) or dataclasses.is_dataclass(kind)


def lines_of(kind: Any, indent: str = "") -> list[str]:
    """``kind`` as lines of JSON whose values are the names of types."""
    inner = indent + "  "
    origin, arguments = get_origin(kind), get_args(kind)
    if is_record(kind):
        return ["{", *members([kind], inner), f"{indent}}}"]
    if origin in (Union, types.UnionType):
        texts = [lines_of(one, indent) for one in arguments]
        first, *others = sorted(texts, key=len, reverse=True)
        return [*first[:-1], " or ".join([first[-1], *(other[-1] for other in others)])]
    if origin in (dict, Mapping):
        value = lines_of(arguments[1], indent)
        return [f'{{"…": {value[0]}', *value[1:-1], f"{value[-1]}, …}}"] if len(value) > 1 else [
            f'{{"…": {value[0]}, …}}'
        ]  # fmt: skip
    if origin is tuple and arguments[-1] is not Ellipsis:
        return [f"[{', '.join(lines_of(one, indent)[0] for one in arguments)}]"]
    if origin in (list, tuple, Sequence):
        value = lines_of(arguments[0], indent)
        return [f"[{value[0]}", *value[1:-1], f"{value[-1]}, …]"] if len(value) > 1 else [f"[{value[0]}, …]"]
    if origin is Literal:
        return [" or ".join(f'"{value}"' for value in arguments)]
    return [WORDS[str] if isinstance(kind, type) and issubclass(kind, StrEnum) else WORDS[kind]]


def members(records: Sequence[type], indent: str) -> Iterator[str]:
    """A line, or several, for every key of the records together."""
    pairs = [pair for record in records for pair in keys(record).items()]
    for place, (name, kind) in enumerate(pairs):
        optional = get_origin(kind) is NotRequired
        value = lines_of(get_args(kind)[0] if optional else kind, indent)
        comma = "," if place < len(pairs) - 1 else ""
        yield f'{indent}"{name}"{"?" if optional else ""}: {value[0]}' + ("" if value[1:] else comma)
        yield from value[1:-1]
        if value[1:]:
            yield value[-1] + comma


def write() -> None:
    """Print the page."""
    sys.stdout.write(HEAD)
    for command, parts in OUTPUTS.items():
        records = [resolved(part) for part in parts]
        about = next(record.__doc__ or "" for record in records if record is not VersionedJson)
        notes = about.partition("\n\n")[0].replace("``", "`")
        shape = "\n".join(["{", *members(records, "  "), "}"])
        sys.stdout.write(f"\n## captrawl {command} --json\n\n{notes}\n\n```text\n{shape}\n```\n")


if __name__ == "__main__":
    write()

"""Changes to captrawl.toml that leave a person's comments, order and other values as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.items import AoT

from .settings import Changes, SampleSettings, write_document


def edit_settings(path: Path, changes: Changes) -> None:
    """Put ``changes`` into captrawl.toml where they belong: comments, order and other values stay."""
    document = _document(path)
    for table, values in changes.items():
        part = document.setdefault(table, tomlkit.table())
        for key, value in values.items():
            part[key] = value
    write_document(path, document)


def put_sample(path: Path, spec: SampleSettings) -> None:
    """Put ``spec`` into captrawl.toml in the place of the [[sample]] with its name, else at the end.

    A file without [[sample]] means the default one, which is then written too.
    """
    document = _document(path)
    if "sample" not in document:
        document["sample"] = tomlkit.aot()
        if spec.name != SampleSettings().name:
            document["sample"].append(_sample_table(SampleSettings()))
    if not isinstance(document["sample"], AoT):  # written as an array, such as `sample = []`
        inline: Any = document.pop("sample")
        document["sample"] = tomlkit.aot()
        for one in inline:
            document["sample"].append(_sample_table(SampleSettings.model_validate(one)))
    tables: Any = document["sample"]
    place = next((at for at, one in enumerate(tables) if one.get("name") == spec.name), None)
    if place is None:
        if tables and not tables[-1].as_string().endswith("\n\n"):
            tables[-1].add(tomlkit.nl())
        tables.append(_sample_table(spec))
    else:
        table, values = tables[place], _sample_table(spec)
        for key in [key for key in table if key not in values]:
            del table[key]
        for key, value in values.items():
            if table.get(key) != value:
                table[key] = value
    write_document(path, document)


def _sample_table(spec: SampleSettings) -> Any:
    """The keys of a [[sample]] that aren't the defaults, and its name, order and size."""
    values = spec.model_dump(mode="json", exclude_none=True)
    plain = SampleSettings().model_dump(mode="json", exclude_none=True)
    table = tomlkit.table()
    for key, value in values.items():
        if key in {"name", "n"} or value != plain.get(key):
            table[key] = value
    return table


def _document(path: Path) -> tomlkit.TOMLDocument:
    return tomlkit.parse(path.read_text(encoding="utf-8-sig"))

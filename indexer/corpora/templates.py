"""Captions made of several columns: ``{common_name}, {genus} {species}``.

A column that a template names is read under ``caption {name}`` beside the canonical ones, and the caption is
put together once its batch is there. Of a row that lacks some, what stood between them goes too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

_FIELD = re.compile(r"\{([^{}]+)\}")
_MARK = "caption {"


def fields_of(template: str) -> list[str]:
    """The columns that ``template`` names, each once; none: it is a column's name."""
    return list(dict.fromkeys(_FIELD.findall(template)))


def key_of(template: str, place: int) -> str:
    """Under which name the ``place``-th column of ``template`` is read; the first carries the template."""
    return f"{_MARK}{place}}} {template}"


def with_template(columns: Mapping[str, pa.Array[Any]], rows: int) -> Mapping[str, pa.Array[Any]]:
    """``columns``, with the caption in the place of those that a template named."""
    keys = [name for name in columns if name.startswith(_MARK)]
    if not keys:
        return columns
    template = keys[0].partition("} ")[2]
    values = {
        field: [_text(value) for value in columns[key].to_pylist()]
        for field, key in zip(fields_of(template), keys, strict=True)
    }
    captions = [_filled(template, {field: of[row] for field, of in values.items()}) for row in range(rows)]
    others = {name: column for name, column in columns.items() if name not in keys}
    return {**others, "caption": pa.array(captions, pa.string())}


def _text(value: object) -> str:
    if value is None:
        return ""
    return value.decode(errors="replace").strip() if isinstance(value, bytes) else str(value).strip()


def _filled(template: str, values: Mapping[str, str]) -> str | None:
    """``template`` with ``values``; the text before one that is missing goes with it. None: all are."""
    parts = _FIELD.split(template)  # text, column, text, column, … text
    places = [place for place in range(1, len(parts), 2) if values[parts[place]]]
    if not places:
        return None
    pieces = [f"{parts[place - 1] if place > places[0] else ''}{values[parts[place]]}" for place in places]
    return f"{parts[0]}{''.join(pieces)}{parts[-1] if places[-1] == len(parts) - 2 else ''}"

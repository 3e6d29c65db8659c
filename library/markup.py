"""HTML of a table's first rows for notebooks: pictures embedded, every text escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import pyarrow as pa

from ..core.terminal import one_line
from ..core.wording import counted

ROWS = 20
"""Rows that a notebook shows."""
LONGEST = 200
"""Characters of a cell."""
SIDE = 96
"""The longer side of a picture, in pixels."""
BUDGET = 1_000_000
"""Characters of all the pictures of one table: a notebook keeps them in its file."""
PATHS = ("path", "image_path")
"""The columns that name a picture below the workspace."""


def table_html(table: pa.Table, root: Path | None) -> str:
    """The first rows of ``table``; with pictures from below ``root`` where it has a column of paths."""
    head = table.slice(0, ROWS)
    columns = [name for name in head.column_names if not _is_vector(head.schema.field(name).type)]
    pictures = _pictures(head, root)
    heads = ["picture", *columns] if pictures else columns
    lines = [f"<tr>{''.join(f'<th>{escape(name)}</th>' for name in heads)}</tr>"]
    for place, row in enumerate(head.select(columns).to_pylist()):
        cells = [f"<td>{pictures[place]}</td>"] if pictures else []
        cells += [f"<td>{_text(row[name])}</td>" for name in columns]
        lines.append(f"<tr>{''.join(cells)}</tr>")
    more = f", the first {ROWS} shown" if table.num_rows > ROWS else ""
    return f"<table>{''.join(lines)}</table><p>{counted(table.num_rows, 'row')}{more}</p>"


def pairs_html(title: str, pairs: Sequence[tuple[str, str]]) -> str:
    """A title over a table of two columns."""
    lines = [f"<tr><th>{escape(name)}</th><td>{_text(value)}</td></tr>" for name, value in pairs]
    return f"<p><b>{escape(one_line(title))}</b></p><table>{''.join(lines)}</table>"


def _pictures(head: pa.Table, root: Path | None) -> list[str]:
    """An ``img`` for each row, "" where there is no picture; [] where the table has no paths."""
    column = next((name for name in PATHS if name in head.column_names), "")
    if not column or root is None or not head.num_rows:
        return []
    from ..sampling.report.thumbnails import Size, Thumbnails

    thumbnails = Thumbnails(root, Size(SIDE, 1), expected=head.num_rows, budget=BUDGET)
    paths = head.column(column).to_pylist()
    uris = [thumbnails.uri(path) if path else None for path in paths]
    return [f'<img alt="" src="{escape(uri)}">' if uri else "" for uri in uris]


def _is_vector(kind: Any) -> bool:
    return pa.types.is_fixed_size_list(kind)


def _text(value: object) -> str:
    """A cell: a missing value is empty, a long text cut."""
    if value is None:
        return ""
    text = f"{value:.4f}" if isinstance(value, float) else one_line(str(value))
    return escape(text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…")

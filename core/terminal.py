"""What a person sees in the terminal: results on stdout, progress on stderr, hostile text made harmless."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import unicodedata
from collections.abc import Generator, Iterable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .records import Progress, silent

if TYPE_CHECKING:
    import pyarrow as pa

MATCH_STYLE = "bold yellow"
LONGEST_SHOWN = 500
"""Characters of a caption that a terminal shows; some corpora hold captions of 60,000."""
NARROW = 80
"""A terminal with fewer cells across has no room for URLs beside captions."""
UNBOUNDED = 20_000
"""Cells across a file or a pipe: a row is a line there, and no URL is broken."""
INVISIBLE = frozenset("\u00ad\u200b\u2060\ufeff")
"""Soft hyphen, zero-width blank, word joiner, byte-order mark: harmless, and nothing to show."""


def out() -> Console:
    """The console of results: markup and highlighting off, since captions are hostile text."""
    terminal = sys.stdout.isatty()
    width = None if terminal or "COLUMNS" in os.environ else UNBOUNDED
    return Console(markup=False, highlight=False, emoji=False, soft_wrap=not terminal, width=width)


def err() -> Console:
    """The console of progress and messages."""
    return Console(stderr=True, markup=False, highlight=False, emoji=False)


_CONTROLS = re.compile(r"[\x7f-\x9f]")


def say(text: str) -> None:
    """A message for a person, on stderr."""
    with paused():
        err().print(clean(text), soft_wrap=True)


def emit(text: str) -> None:
    """A line of results, on stdout."""
    with paused():
        out().print(clean(text), soft_wrap=True)


def emit_json(value: Any) -> None:
    """``value`` as JSON on stdout; the control characters that JSON lets stand, 7F to 9F, are escaped too."""
    plain = (sys.stdout.encoding or "utf-8").lower().replace("-", "") != "utf8"
    text = json.dumps(value, ensure_ascii=plain, indent=2)
    sys.stdout.write(_CONTROLS.sub(lambda one: f"\\u{ord(one[0]):04x}", text) + "\n")


def emit_csv(rows: pa.Table) -> None:
    """``rows`` as CSV on stdout, with a header; on a terminal with its texts cleaned."""
    import pyarrow as pa
    import pyarrow.csv

    if sys.stdout.isatty():  # files and pipes get what the corpus says
        for place, name in enumerate(rows.column_names):
            if pa.types.is_string(rows.schema.field(name).type):
                texts = [text and clean(text) for text in rows.column(name).to_pylist()]
                rows = rows.set_column(place, name, pa.array(texts, pa.string()))
    sys.stdout.flush()
    pyarrow.csv.write_csv(rows, sys.stdout.buffer)


def clean(text: str) -> str:
    """``text`` with every control, bidirectional and private-use character shown as ``�``; newlines stay.

    A caption can hold escape sequences that would move the cursor, or overrides that reorder the line.
    """
    if text.isascii() and text.isprintable():
        return text
    visible = (c for c in text if c not in INVISIBLE)
    return "".join(c if c == "\n" or _harmless(c) else "\N{REPLACEMENT CHARACTER}" for c in visible)


def one_line(text: str) -> str:
    """``text`` cleaned, with runs of white space as one blank."""
    return clean(" ".join(text.split()))


def _harmless(character: str) -> bool:
    kind = unicodedata.category(character)
    joiner = character in "\u200c\u200d"  # part of ordinary writing and of emoji
    return joiner or kind not in {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}


def highlighted(text: str, spans: Sequence[tuple[int, int]] = ()) -> Text:
    """``text`` on one line with ``spans`` (character positions in ``text``) marked.

    Of a text longer than LONGEST_SHOWN only the part around the first span, with … where it is cut.
    """
    begin = max(min(spans[0][0] - LONGEST_SHOWN // 4, len(text) - LONGEST_SHOWN), 0) if spans else 0
    stop = begin + LONGEST_SHOWN
    shown = Text("…" if begin else "")
    position = begin
    for start, end in spans:
        shown.append(_flat(text[position : min(start, stop)]))
        shown.append(_flat(text[start : min(end, stop)]), style=MATCH_STYLE)
        position = max(position, min(end, stop))
    shown.append(_flat(text[position:stop]))
    return shown.append("…") if stop < len(text) else shown


def _flat(text: str) -> str:
    return clean("".join(" " if c.isspace() else c for c in text))


def table(title: str, columns: Iterable[tuple[str, str]], rows: Iterable[Sequence[object]]) -> Table:
    """A rich table; ``columns`` are (header, justify) pairs, cells are text made harmless, or rich Text."""
    shown = Table(title=title or None, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for header, justify in columns:
        shown.add_column(header, justify="right" if justify == "right" else "left", overflow="fold")
    for row in rows:
        shown.add_row(*(cell if isinstance(cell, Text) else Text(one_line(str(cell))) for cell in row))
    return shown


def number(value: float) -> str:
    """A count with thousands separated: 1,470,858."""
    return f"{value:,}"


class _Live:
    """The one live display of the process: ``bars`` while it is drawn."""

    bars: Any = None


@contextlib.contextmanager
def paused() -> Generator[None]:
    """Take the live display off the terminal while the block prints: lines and bars would mix."""
    bars = _Live.bars
    if bars is None:
        yield
        return
    bars.stop()
    try:
        yield
    finally:
        if _Live.bars is bars:
            bars.start()


@contextlib.contextmanager
def progress_bars() -> Generator[Progress]:
    """Draw the progress of the long step under way as one bar on stderr: in a terminal, or in a notebook.

    The bar is of what was last told; nothing of it is left behind. Inside another display it is that one's.
    """
    if not (sys.stderr.isatty() or _in_notebook()):
        yield silent
        return
    if _Live.bars is not None:
        yield _teller(_Live.bars)
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bars

    bars = Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=err(),
        redirect_stdout=False,  # what we print steps aside by itself
        redirect_stderr=False,
        transient=True,
    )
    _Live.bars = bars
    try:
        with bars:
            yield _teller(bars)
    finally:
        _Live.bars = None


def _in_notebook() -> bool:
    """Whether a Jupyter cell is running that can redraw a bar: rich does it by ipywidgets."""
    return err().is_jupyter and find_spec("ipywidgets") is not None


def _teller(bars: Any) -> Progress:
    """What draws progress on ``bars``: one bar, of the last thing told."""

    def show(what: str, done: int, total: int | None = None) -> None:
        text = clean(what)
        task = next((one for one in bars.tasks if one.description == text), None)
        if task is None:
            for other in bars.task_ids:
                bars.remove_task(other)
            bars.add_task(text, total=total, completed=done, rate="")
            return
        rate = f"{task.speed:,.0f}/s" if task.speed and task.speed >= 1 else ""
        bars.update(task.id, completed=done, total=total, rate=rate)

    return show


def bar_room(*columns: Iterable[str]) -> int:
    """How long a bar may be beside these columns (with their headers) on this terminal: 8 to 40 cells."""
    columns_width = sum(max((cell_len(text) for text in column), default=0) + 2 for column in columns)
    return max(8, min(40, out().width - columns_width))


def bar(value: int, most: int, *, width: int = 40) -> str:
    """A bar of ``value`` against ``most``, at most ``width`` cells long; a sliver where it is above 0."""
    eighths = round(8 * width * value / most) if most else 0
    if value and not eighths:
        eighths = 1
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()

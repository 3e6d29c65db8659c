r"""Rows with several captions: one text in an index, taken apart where a row is shown or credited.

The first caption, and behind each border, which names its column, another: ``dog\ufdd0alt_text\ufdd1dogs``.
The borders are characters that no text interchanges; a corpus that has them all the same is read without.
A border is a token too, so that no phrase crosses it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import pyarrow as pa

from .arrow import pc

Column: TypeAlias = "pa.Array[Any] | pa.ChunkedArray[Any]"

_BORDER = re.compile("\ufdd0([^\ufdd0\ufdd1]+)\ufdd1")
_BORDER_TOKEN = "\ufdd0"  # noqa: S105


def joined(first: pa.Array[Any], others: Mapping[str, pa.Array[Any]]) -> pa.Array[Any]:
    """The captions of each row as one text; NULL where it has none, the first alone where it is the only."""
    text = first
    for column, captions in others.items():
        behind = pc.binary_join_element_wise(pc.fill_null(text, ""), captions, f"\ufdd0{column}\ufdd1")
        text = pc.coalesce(behind, text)  # a NULL makes the whole NULL
    return text


def without_borders(captions: pa.Array[Any]) -> pa.Array[Any]:
    """``captions`` with U+FFFD where a corpus itself has a border."""
    if not have_several(captions):
        return captions
    return pc.replace_substring_regex(captions, "[\ufdd0\ufdd1]", "\ufffd")


def apart(caption: str) -> list[tuple[str, str]]:
    """(column, text) of each caption of a row; the column of the first is ""."""
    first, *others = _BORDER.split(caption)
    return [("", first), *zip(others[::2], others[1::2], strict=True)]


def have_several(captions: Column) -> bool:
    """Whether any row of ``captions`` has more than one."""
    return bool(pc.any(pc.match_substring(captions, _BORDER_TOKEN)).as_py())


def bordered(tokens: Callable[[str], list[str]]) -> Callable[[str], list[str]]:
    """``tokens`` of each caption of a row, a border between them."""

    def of_row(text: str) -> list[str]:
        if _BORDER_TOKEN not in text:
            return tokens(text)
        first, *others = (tokens(caption) for _, caption in apart(text))
        return [*first, *(word for other in others for word in (_BORDER_TOKEN, *other))]

    return of_row


def bordered_column(
    column: Callable[[Column], pa.Array[Any]], tokens: Callable[[str], list[str]]
) -> Callable[[Column], pa.Array[Any]]:
    """``column`` of texts as tokens between blanks, with borders where a row has several captions."""
    of_row = bordered(tokens)

    def of_rows(captions: Column) -> pa.Array[Any]:
        if not have_several(captions):
            return column(captions)
        return pa.array([" ".join(of_row(text or "")) for text in captions.to_pylist()], pa.string())

    return of_rows


def matching(
    caption: str | None, phrase: Sequence[str], tokens: Callable[[str], list[str]]
) -> tuple[str, str]:
    """(column, text) of the first caption of a row that contains ``phrase``; of its first where none does."""
    captions = apart(caption or "")
    padded = f" {' '.join(phrase)} "
    return next((one for one in captions if padded in f" {' '.join(tokens(one[1]))} "), captions[0])

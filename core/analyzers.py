"""Every analyzer that an index may have been made with: it is asked and extended with its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import tantivy

from . import text, text_1
from .errors import CaptionIndexError
from .row_captions import Column, bordered, bordered_column


@dataclass(frozen=True, slots=True)
class Analyzer:
    """Text → tokens: one by one, and columns of captions for the engines."""

    tokens: Callable[[str], list[str]]
    tokenizer: tantivy.TextAnalyzer
    """Natively in the embedded engine: takes what ``native_column`` gives."""
    native_column: Callable[[Column], pa.Array[Any]]
    token_column: Callable[[Column], pa.Array[Any]]
    """The tokens joined by a blank each."""


def _each(change: Callable[[str], str]) -> Callable[[Column], pa.Array[Any]]:
    return lambda captions: pa.array([change(caption or "") for caption in captions.to_pylist()], pa.string())


ANALYZERS = {
    1: Analyzer(
        text_1.tokens,
        text_1.TOKENIZER,
        _each(text_1.prepared),
        _each(lambda caption: " ".join(text_1.tokens(caption))),
    ),
    text.ANALYZER_VERSION: Analyzer(
        bordered(text.tokens),
        text.TOKENIZER,
        bordered_column(text.word_column, text.tokens),
        bordered_column(text.token_column, text.tokens),
    ),
}


def check_analyzer(version: object, location: str) -> int:
    """``version`` where it is one of ANALYZERS; else CaptionIndexError: the index is of a later captrawl."""
    if version not in ANALYZERS:
        raise CaptionIndexError(
            f"{location} has analyzer {version}, this captrawl knows {', '.join(map(str, ANALYZERS))}; "
            "use the captrawl that made it, or build it again with captrawl index captions"
        )
    return version  # pyright: ignore[reportReturnType] - a key of ANALYZERS

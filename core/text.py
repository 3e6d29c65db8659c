"""The analyzer of new indices (number 2): text → tokens, the same for captions and phrases, for every engine.

In this order:

1. HTML entities are resolved, twice where they were escaped twice; HTML tags become a blank.
2. ``™ ℠ ® ©`` become a blank; quotes, apostrophes, soft hyphens and what else has no width are deleted. The
   apostrophe before a Turkish ending (``İstanbul'da``) is a blank.
3. NFKD; accents and points (of Latin, Greek, Cyrillic, Hebrew, Arabic, …) are dropped, marks that make
   another letter (of Indic scripts, Thai, kana) stay; lower case, ς as σ, ASCII for Latin letters; NFC.
4. A token is a run of letters, digits and marks. In scripts that write no blanks (Han, kana, Thai, Lao,
   Khmer, Burmese, Tibetan, …) every letter with its marks is one of its own: a phrase is a run of them.
5. Tokens of more than 100 characters are no words, and are left out.

Arrow and numpy do what they can: Python touches a caption only where it has another character than ASCII, or
something like an entity or a tag.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import pyarrow as pa
import tantivy

from .arrow import pc
from .folding import BORDERS, JOINED, folded, folded_character

ANALYZER_VERSION = 2
"""Noted in every index, which is asked and extended with its own (analyzers): tokens of another don't fit."""

LONGEST_RUN = 100
"""Characters that a token may have; a longer one is no word, and no engine need hold it."""

TOKENIZER = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build()
"""Takes text whose tokens stand between blanks; the embedded engine runs it natively."""

_ASCII_QUOTES = "'\"`"
_APOSTROPHE = re.compile(r"(?<=[^\W\d_])['’](?=[^\W_])")
_LAST_WORD = re.compile(r"[^\W\d_]{1,40}$")
_TURKISH = frozenset("İıŞşĞğ")
"""In Turkish an apostrophe stands between a name and its ending; these letters tell the language."""
_ENTITY = re.compile(r"&(?:#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[^\t\n\f <&#;]{1,32};?)")
_TAG = re.compile(
    r"<(?:!--[^<>]*--|/?(?:a|abbr|b|big|blockquote|body|br|center|cite|code|dd|del|div|dl|dt|em|figcaption|figure"
    r"|font|h[1-6]|head|hr|html|i|iframe|img|input|ins|kbd|label|li|link|meta|nobr|ol|option|p|pre|q|s|script"
    r"|select|small|span|strike|strong|style|sub|sup|table|tbody|td|tfoot|th|thead|title|tr|tt|u|ul|wbr)"
    r"(?P<attributes>(?=[\s/>])[^<>]*))>",
    re.IGNORECASE,
)
_SLOW_ASCII = "&[#A-Za-z]|<[/!A-Za-z]"
"""ASCII captions that may have an entity or a tag."""
_PLAIN = re.compile("[\x00-!#-%(-;=-_a-\x7f]*")
"""ASCII without ``" & ' <`` and the backtick: every character comes from itself."""
_BETWEEN = re.compile("[\x00-/:-@\\[-`{-\x7f]+")
_LONG_RUN = re.compile(f"[0-9A-Za-z\x80-\U0010ffff]{{{LONGEST_RUN + 1},}}")
_LONG_ASCII_RUN = f"[0-9A-Za-z]{{{LONGEST_RUN + 1}}}"

_ASCII_WORDS = np.array([ord(chr(c).lower()) if chr(c).isalnum() else ord(" ") for c in range(128)], np.uint8)
_ASCII_TABLE = "".join(map(chr, _ASCII_WORDS.tolist()))


def tokens(text: str) -> list[str]:
    """The tokens of ``text`` in order; empty where it has none."""
    return _BETWEEN.sub(" ", prepared(text)).lower().split()


def prepared(text: str) -> str:
    """``text`` folded, but for ASCII: its letters may be capitals, and any other of it is a blank."""
    for _ in range(2):
        if "&" in text:
            text = html.unescape(text)
    if "<" in text:
        text = _TAG.sub(_tag_as_blank, text)
    if not text.isascii() and ("'" in text or "’" in text):
        text = _APOSTROPHE.sub(_apostrophe, text)
    for quote in _ASCII_QUOTES:
        text = text.replace(quote, "")
    if not text.isascii():
        text = folded(text)
    return _LONG_RUN.sub("", text) if len(text) > LONGEST_RUN else text


def word_column(captions: pa.Array[Any] | pa.ChunkedArray[Any]) -> pa.Array[Any]:
    """The tokens of every caption with blanks between (NULL gives ""), as TOKENIZER takes them."""
    column = _plain_strings(captions)
    other = pc.or_(pc.invert(pc.string_is_ascii(column)), pc.match_substring_regex(column, _SLOW_ASCII))
    quoted = pc.and_not(_holding_any(column, _ASCII_QUOTES), other)
    column = _replaced(column, other, _each(prepared))
    column = _replaced(column, quoted, _without_ascii_quotes)
    long = pc.greater(pc.binary_length(column), LONGEST_RUN)
    long = pc.replace_with_mask(long, long, pc.match_substring_regex(column.filter(long), _LONG_ASCII_RUN))
    return _ascii_words(_replaced(column, long, _each(lambda text: _LONG_RUN.sub("", text))))


def token_column(captions: pa.Array[Any] | pa.ChunkedArray[Any]) -> pa.Array[Any]:
    """:func:`word_column` with one blank between tokens, and none around them."""
    column = pc.utf8_trim(word_column(captions), " ")
    doubled = pc.match_substring(column, "  ")
    return _replaced(column, doubled, lambda rows: pc.replace_substring_regex(rows, " +", " "))


def matching_spans(caption: str, phrases: Sequence[str]) -> list[tuple[int, int]]:
    """The (start, end) character spans of ``caption`` where a phrase stands, ascending and apart.

    Spans that overlap are joined. What an entity or NFKD makes out of several characters counts with all of
    them. Phrases without a token match nothing.
    """
    return token_spans(caption, [tokens(phrase) for phrase in phrases])


def token_spans(caption: str, phrases: Sequence[Sequence[str]]) -> list[tuple[int, int]]:
    """:func:`matching_spans` of phrases whose tokens are known already."""
    flat, origin = _flattened(caption)
    words = [word for word in re.finditer(r"\S+", flat) if word.end() - word.start() <= LONGEST_RUN]
    texts = [unicodedata.normalize("NFC", word.group()) for word in words]
    beginning: dict[str, list[list[str]]] = {}
    for phrase in filter(None, map(list, phrases)):
        beginning.setdefault(phrase[0], []).append(phrase)
    spans: set[tuple[int, int]] = set()
    for first, text in enumerate(texts):
        for phrase in beginning.get(text, ()):
            if texts[first : first + len(phrase)] == phrase:
                start, end = words[first].start(), words[first + len(phrase) - 1].end()
                spans.add(
                    _with_marks(caption, origin[start][0], origin[end - 1][1]) if origin else (start, end)
                )
    apart: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if apart and start < apart[-1][1]:
            apart[-1] = (apart[-1][0], max(apart[-1][1], end))
        else:
            apart.append((start, end))
    return apart


def _with_marks(caption: str, start: int, end: int) -> tuple[int, int]:
    """The span, and the marks behind it that were dropped."""
    while end < len(caption) and unicodedata.category(caption[end]).startswith("M"):
        end += 1
    return start, end


_Origin = list[tuple[int, int]]
"""Of every character of a text, the span of the caption that it came from."""


def _flattened(caption: str) -> tuple[str, _Origin | None]:
    """The caption's tokens with blanks between, and their origin; None where every character is itself."""
    if _PLAIN.fullmatch(caption):
        return caption.translate(_ASCII_TABLE), None
    text, origin = caption, [(at, at + 1) for at in range(len(caption))]
    for _ in range(2):
        text, origin = _mapped(text, origin, _ENTITY, lambda entity: html.unescape(entity[0]))
    text, origin = _mapped(text, origin, _TAG, _tag_as_blank)
    text, origin = _mapped(text, origin, _APOSTROPHE, _apostrophe)
    pieces = [folded_character(character) for character in text]
    text, origin = "".join(pieces), [span for span, piece in zip(origin, pieces, strict=True) for _ in piece]
    return _mapped(text, origin, BORDERS, lambda border: JOINED.get(border[0], " "))


def _mapped(
    text: str, origin: _Origin, pattern: re.Pattern[str], change: Callable[[re.Match[str]], str]
) -> tuple[str, _Origin]:
    """``text`` with what ``pattern`` finds changed, and the origin of the new text."""
    pieces: list[str] = []
    spans: _Origin = []
    position = 0
    for match in pattern.finditer(text):
        start, end = match.span()
        piece = change(match)
        pieces += [text[position:start], piece]
        spans += origin[position:start]
        spans += [(origin[start][0], origin[end - 1][1])] * len(piece)
        position = end
    return "".join([*pieces, text[position:]]), [*spans, *origin[position:]]


def _apostrophe(match: re.Match[str]) -> str:
    """A blank behind a word with a Turkish letter; else nothing."""
    place = match.start()
    word = _LAST_WORD.search(match.string, max(0, place - 40), place)
    return " " if word and not _TURKISH.isdisjoint(word[0]) else ""


def _tag_as_blank(tag: re.Match[str]) -> str:
    """A blank, for what has attributes as a tag has; else the text as it is."""
    attributes = (tag["attributes"] or "").strip(" /\t\r\n")
    return " " if not attributes or "=" in attributes else tag[0]


def _plain_strings(captions: pa.Array[Any] | pa.ChunkedArray[Any]) -> pa.Array[Any]:
    if isinstance(captions, pa.ChunkedArray):
        captions = captions.combine_chunks()
    return captions.cast(pa.string()).fill_null("")


def _each(change: Callable[[str], str]) -> Callable[[pa.Array[Any]], pa.Array[Any]]:
    return lambda rows: pa.array(list(map(change, cast("list[str]", rows.to_pylist()))), pa.string())


def _replaced(
    column: pa.Array[Any], where: pa.Array[Any], change: Callable[[pa.Array[Any]], pa.Array[Any]]
) -> pa.Array[Any]:
    """``column`` with the rows that ``where`` marks put through ``change``."""
    rows = column.filter(where)
    return pc.replace_with_mask(column, where, change(rows)) if len(rows) else column


def _holding_any(column: pa.Array[Any], characters: str) -> pa.Array[Any]:
    """Which rows hold one of the ASCII ``characters``; byte by byte, four times as fast as a regex."""
    if not len(column):
        return pa.array([], pa.bool_())
    _, offsets, data = cast("list[Any]", column.buffers())
    bounds = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1]
    bytes_ = np.frombuffer(data or b"", np.uint8)[bounds[0] : bounds[-1]]
    hits = np.zeros(len(bytes_), bool)
    for character in characters:
        hits |= bytes_ == ord(character)
    mask = np.zeros(len(column), bool)
    mask[np.searchsorted(bounds[1:], np.flatnonzero(hits) + bounds[0], side="right")] = True
    return pa.array(mask)


def _without_ascii_quotes(rows: pa.Array[Any]) -> pa.Array[Any]:
    for quote in _ASCII_QUOTES:
        rows = pc.replace_substring(rows, quote, "")
    return rows


def _ascii_words(column: pa.Array[Any]) -> pa.Array[Any]:
    """``column`` in lower case, ASCII other than letters and digits a blank; other bytes stay."""
    column = pa.concat_arrays([column])
    _, offsets, data = cast("list[Any]", column.buffers())
    table = np.concatenate([_ASCII_WORDS, np.arange(128, 256, dtype=np.uint8)])
    lowered: Any = table[np.frombuffer(data or b"", np.uint8)]
    return pa.StringArray.from_buffers(len(column), offsets, pa.py_buffer(lowered), None, 0, column.offset)

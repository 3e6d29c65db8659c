"""The one analyzer: text → tokens, the same for captions and phrases, for every engine.

In this order: HTML entities are resolved once; ``™ ℠ ® ©`` become a blank; quotes are deleted; NFKC; quotes
are deleted again; runs of more than 100 alphanumerics are cut out; what is left goes through one tantivy
analyzer (runs of Unicode alphanumerics, lower-cased and folded to ASCII character by character).

Arrow and numpy do what they can: Python touches a caption only where it holds another character than ASCII,
or something like an HTML entity.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tantivy

ANALYZER_VERSION = 1
"""Noted in every index: tokens of another version don't fit."""

LONGEST_RUN = 100
"""Alphanumerics a word may have; a longer run is no word, and no engine need hold it."""

_QUOTES = re.compile("['’‘\"“”´′ʼ`]+")
_ASCII_QUOTES = "'\"`"
_MARKS = re.compile("[™℠®©]")
_ENTITY = re.compile(r"&(?:#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[^\t\n\f <&#;]{1,32};?)")
_SURROGATES = re.compile("[\ud800-\udfff]")
_PLAIN = re.compile("[\x00-!#-%(-_a-\x7f]+(?![^\x00-\x7f])")
"""ASCII but ``" & '`` and the backtick: every character comes from itself, whatever stands around it."""
_LONG_STRETCH = re.compile(rf"\S{{{LONGEST_RUN + 1}}}")
_LONG_ASCII_RUN = f"[0-9A-Za-z]{{{LONGEST_RUN + 1}}}"

_RUNS = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple()).build()
ANALYZER = (
    tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    .filter(tantivy.Filter.lowercase())
    .filter(tantivy.Filter.ascii_fold())
    .build()
)
"""The end of the chain: takes prepared text. The embedded engine runs the same one natively."""

_ASCII_WORDS = np.array([ord(chr(c).lower()) if chr(c).isalnum() else ord(" ") for c in range(128)], np.uint8)


def tokens(text: str) -> list[str]:
    """The tokens of ``text`` in order; empty where it holds none."""
    return ANALYZER.analyze(_SURROGATES.sub(" ", prepared(text)))


def prepared(text: str) -> str:
    """``text`` as ANALYZER takes it: everything is done but splitting, lower-casing and folding."""
    if "&" in text:
        text = html.unescape(text)
    if text.isascii():
        text = _QUOTES.sub("", text)
    else:
        text = _QUOTES.sub("", _MARKS.sub(" ", text))
        text = _QUOTES.sub("", unicodedata.normalize("NFKC", text))
    return _without_long_runs(text) if len(text) > LONGEST_RUN else text


def prepared_column(captions: pa.Array[Any] | pa.ChunkedArray[Any]) -> pa.Array[Any]:
    """:func:`prepared` of every caption, as one string array without NULLs (NULL gives "")."""
    column = _plain_strings(captions)
    other = pc.or_(pc.invert(pc.string_is_ascii(column)), pc.match_substring_regex(column, "&[#A-Za-z]"))
    quoted = pc.and_not(_holding_any(column, _ASCII_QUOTES), other)
    column = _replaced(column, other, _each(prepared))
    column = _replaced(column, quoted, _without_ascii_quotes)
    lengths = cast("Any", pc).binary_length(column)
    long = cast("Any", pc).greater(lengths, LONGEST_RUN)
    long = pc.replace_with_mask(long, long, pc.match_substring_regex(column.filter(long), _LONG_ASCII_RUN))
    return _replaced(column, long, _each(_without_long_runs))


def token_column(captions: pa.Array[Any] | pa.ChunkedArray[Any]) -> pa.Array[Any]:
    """The tokens of every caption, joined by one blank each (NULL gives ""), as one string array."""
    column = prepared_column(captions)
    ascii_only = pc.string_is_ascii(column)
    column = _replaced(column, pc.invert(ascii_only), _each(lambda text: " ".join(ANALYZER.analyze(text))))
    column = pc.if_else(ascii_only, pc.utf8_trim(_ascii_words(column), " "), column)
    doubled = pc.match_substring(column, "  ")
    return _replaced(column, doubled, lambda rows: pc.replace_substring_regex(rows, " +", " "))


def matching_spans(caption: str, phrases: Sequence[str]) -> list[tuple[int, int]]:
    """The (start, end) character spans of ``caption`` where a phrase stands, ascending and apart.

    Spans that overlap are joined. What an entity or NFKC makes out of several characters counts with all of
    them. Phrases without a token match nothing.
    """
    return token_spans(caption, [tokens(phrase) for phrase in phrases])


def token_spans(caption: str, phrases: Sequence[Sequence[str]]) -> list[tuple[int, int]]:
    """:func:`matching_spans` of phrases whose tokens are known already."""
    flat, origin = _flattened(caption)
    words = [token for token in ANALYZER.pre_tokenize(flat).tokens if _length(token) <= LONGEST_RUN]
    texts = [token.text for token in words]
    beginning: dict[str, list[list[str]]] = {}
    for phrase in filter(None, map(list, phrases)):
        beginning.setdefault(phrase[0], []).append(phrase)
    spans: set[tuple[int, int]] = set()
    for first, text in enumerate(texts):
        for phrase in beginning.get(text, ()):
            if texts[first : first + len(phrase)] == phrase:
                start = words[first].char_offset_from
                end = words[first + len(phrase) - 1].char_offset_to
                spans.add((origin[start][0], origin[end - 1][1]) if origin else (start, end))
    apart: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if apart and start < apart[-1][1]:
            apart[-1] = (apart[-1][0], max(apart[-1][1], end))
        else:
            apart.append((start, end))
    return apart


def _flattened(caption: str) -> tuple[str, list[tuple[int, int]] | None]:
    """The caption prepared unit by unit, and for every character made the span it came from.

    None instead of the spans where every character comes from itself.
    """
    if _PLAIN.fullmatch(caption):
        return caption, None
    pieces: list[str] = []
    origin: list[tuple[int, int]] = []
    position = 0
    while position < len(caption):
        if plain := _PLAIN.match(caption, position):
            end, flat = plain.end(), plain.group()
            origin += [(at, at + 1) for at in range(position, end)]
        else:
            end = _unit_end(caption, position)
            flat = html.unescape(caption[position:end])
            flat = _QUOTES.sub("", _SURROGATES.sub(" ", _MARKS.sub(" ", flat)))
            flat = _QUOTES.sub("", unicodedata.normalize("NFKC", flat))
            origin += [(position, end)] * len(flat)
        pieces.append(flat)
        position = end
    return "".join(pieces), origin


def _unit_end(caption: str, start: int) -> int:
    """Where what is prepared as one ends: an entity, or a character with the combining marks behind it."""
    entity = _ENTITY.match(caption, start)
    if entity and html.unescape(entity.group()) != entity.group():
        return entity.end()
    end = start + 1
    while end < len(caption) and unicodedata.combining(caption[end]):
        end += 1
    return end


def _length(token: tantivy.Token) -> int:
    return token.char_offset_to - token.char_offset_from


def _without_long_runs(text: str) -> str:
    """``text`` with every run of more than LONGEST_RUN alphanumerics cut out."""
    if not _LONG_STRETCH.search(text):
        return text
    pieces: list[str] = []
    position = 0
    for token in _RUNS.pre_tokenize(_SURROGATES.sub(" ", text)).tokens:
        if _length(token) > LONGEST_RUN:
            pieces.append(text[position : token.char_offset_from])
            position = token.char_offset_to
    return "".join([*pieces, text[position:]])


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
    bytes_ = (
        np.frombuffer(data or b"", np.uint8)[bounds[0] : bounds[-1]] if len(column) else np.empty(0, np.uint8)
    )
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

"""Analyzer 1, of indexes made before analyzer 2 (text): kept as it was, so that they answer as they did.

In this order: HTML entities are resolved once; ``™ ℠ ® ©`` become a blank; quotes are deleted; NFKC; quotes
are deleted again; runs of more than 100 alphanumerics are cut out; what is left goes through one tantivy
analyzer (runs of Unicode alphanumerics, lower-cased and folded to ASCII character by character).
"""

from __future__ import annotations

import html
import re
import unicodedata

import tantivy

LONGEST_RUN = 100
_QUOTES = re.compile("['’‘\"“”´′ʼ`]+")
_MARKS = re.compile("[™℠®©]")
_SURROGATES = re.compile("[\ud800-\udfff]")
_LONG_STRETCH = re.compile(rf"\S{{{LONGEST_RUN + 1}}}")
_RUNS = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple()).build()
TOKENIZER = (
    tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    .filter(tantivy.Filter.lowercase())
    .filter(tantivy.Filter.ascii_fold())
    .build()
)
"""The end of the chain: takes prepared text. The embedded engine runs the same one natively."""


def tokens(text: str) -> list[str]:
    """The tokens of ``text`` in order."""
    return TOKENIZER.analyze(_SURROGATES.sub(" ", prepared(text)))


def prepared(text: str) -> str:
    """``text`` as TOKENIZER takes it: everything is done but splitting, lower-casing and folding."""
    if "&" in text:
        text = html.unescape(text)
    text = _QUOTES.sub("", _MARKS.sub(" ", text))
    text = _QUOTES.sub("", unicodedata.normalize("NFKC", text))
    return _without_long_runs(text) if len(text) > LONGEST_RUN else text


def _without_long_runs(text: str) -> str:
    """``text`` with every run of more than LONGEST_RUN alphanumerics cut out."""
    if not _LONG_STRETCH.search(text):
        return text
    pieces: list[str] = []
    position = 0
    for run in _RUNS.pre_tokenize(_SURROGATES.sub(" ", text)).tokens:
        if run.char_offset_to - run.char_offset_from > LONGEST_RUN:
            pieces.append(text[position : run.char_offset_from])
            position = run.char_offset_to
    return "".join([*pieces, text[position:]])

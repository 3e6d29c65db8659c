"""Characters other than ASCII as the analyzer folds them: accents, case, scripts without blanks."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

import tantivy

_QUOTES = frozenset("'\"`’‘‛“”‟′″‵´ʹʺʻʼʽʾʿˈꞋꞌ՚׳״ـ")
"""Deleted; ـ (tatweel) only stretches a word."""
_SPLITTING = re.compile("[´᾽᾿]")
"""Quotes that NFKD would cut a word at."""
_MARKS = re.compile("[™℠®©]")
_NOT_ASCII = re.compile("[^\x00-\x7f]+")
_SPACELESS = (
    "CJK ", "IDEOGRAPHIC ", "VERTICAL IDEOGRAPHIC ", "OLD CHINESE ", "HANGZHOU ", "VIETNAMESE ALTERNATE ",
    "HIRAGANA ", "HENTAIGANA ", "KATAKANA", "COMBINING KATAKANA", "BOPOMOFO ", "YI SYLLABLE ",
    "THAI ", "LAO ", "KHMER ", "MYANMAR ", "TIBETAN ", "TAI LE ", "NEW TAI LUE ", "TAI THAM ", "TAI VIET ",
)  # fmt: skip
"""How Unicode names the characters of scripts that write no blanks between words."""

_LETTER_ENDS, _MARK = "\x00", "\x01"
"""Borders in text that is being folded: the end of such a letter with its marks; a mark of one."""
BORDERS = re.compile("\x00\x01|\x00|\x01")
"""What is drawn at last: JOINED has some of them, any other is a blank."""
JOINED = {"\x00\x01": "", "\x01": ""}

_SELECTORS = ("VARIATION SELECTOR", "MONGOLIAN FREE VARIATION SELECTOR")
_WORD = 32
_FOLDING = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple()).filter(tantivy.Filter.ascii_fold()).build()
"""Letters to ASCII, as Lucene's ASCIIFoldingFilter has them."""


def folded(text: str) -> str:
    """``text`` with every run of characters other than ASCII as (parts of) tokens, a blank where one ends."""
    return _NOT_ASCII.sub(_folded_match, text)


@lru_cache(1 << 14)
def folded_character(character: str) -> str:
    """A character as :func:`folded` has it before its BORDERS are drawn."""
    return unicodedata.normalize("NFKD", _split(character)).translate(_CHARACTERS)


def _split(text: str) -> str:
    """``text`` with what NFKD would make letters or blanks of."""
    return _SPLITTING.sub("", _MARKS.sub(" ", text))


def _folded(segment: str) -> str:
    """A run of characters other than ASCII as (parts of) tokens, with a blank where one ends."""
    text = unicodedata.normalize("NFKD", _split(segment)).translate(_CHARACTERS)
    if _LETTER_ENDS in text or _MARK in text:
        text = text.replace(_LETTER_ENDS + _MARK, "").replace(_LETTER_ENDS, " ").replace(_MARK, "")
    return unicodedata.normalize("NFC", text)


_folded_word = lru_cache(1 << 16)(_folded)
"""Words come again and again."""


def _folded_match(segment: re.Match[str]) -> str:
    return (_folded_word if len(segment[0]) <= _WORD else _folded)(segment[0])


class _Characters(dict[int, str]):
    """What becomes of a character of NFKD text, by its code point; worked out when it first occurs."""

    def __missing__(self, code: int) -> str:
        text = self[code] = _becomes(chr(code))
        return text


_CHARACTERS = _Characters()


def _becomes(character: str) -> str:
    category = unicodedata.category(character)
    if character in _QUOTES or category == "Cf" or _is_accent(character, category):
        return ""
    spaceless = unicodedata.name(character, "").startswith(_SPACELESS)
    if category.startswith("M"):
        return _MARK + character + _LETTER_ENDS if spaceless else character
    if not category.startswith(("L", "N")):
        return " "
    if spaceless and category in ("Lo", "Lm", "Nl"):
        return f" {character}{_LETTER_ENDS}"
    lower = character.lower()
    return "σ" if lower == "ς" else "".join(_FOLDING.analyze(lower)) or lower


def _is_accent(character: str, category: str) -> bool:
    """Whether a mark is written above, below or through a letter that stays the same letter.

    By its canonical combining class: overlays, Hebrew and Arabic points, marks above and below. Those that
    make another letter (nukta, kana voicing, virama, vowel signs, Thai and Lao tones) have other classes.
    """
    order = unicodedata.combining(character)
    if category == "Mn" and not order:
        return character == "\u034f" or unicodedata.name(character, "").startswith(_SELECTORS)
    return category == "Me" or order == 1 or 10 <= order <= 36 or order >= 200

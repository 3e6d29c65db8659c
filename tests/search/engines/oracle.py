"""A plain-Python caption index: what docs/matching.md says, written a second time, with no engine in it.

Rows are dictionaries with the names of records.ROW_SCHEMA. conftest gives this module as a fixture.
"""

from __future__ import annotations

import html
import re
import unicodedata
from pathlib import Path

import regex

QUOTES_1 = "'’‘\"“”´′ʼ`"
QUOTES = "'\"`’‘‛“”‟′″‵´ʹʺʻʼʽʾʿˈꞋꞌ՚׳״ـ᾽᾿"
MARKS = "™℠®©"
WORD_1 = regex.compile(r"[\p{Alphabetic}\p{N}]+")

TAGS = (
    "a abbr b big blockquote body br center cite code dd del div dl dt em figcaption figure font "
    "h1 h2 h3 h4 h5 h6 head hr html i iframe img input ins kbd label li link meta nobr ol option p pre q s "
    "script select small span strike strong style sub sup table tbody td tfoot th thead title tr tt u ul wbr"
)
TAG = regex.compile(
    rf"<!--[^<>]*-->|</?(?:{TAGS.replace(' ', '|')})(?:[\s/]*|[\s/][^<>]*=[^<>]*)>", regex.IGNORECASE
)

SCRIPTS = (
    "Han Hiragana Katakana Bopomofo Yi Thai Lao Khmer Myanmar Tibetan Tai_Le New_Tai_Lue Tai_Tham Tai_Viet"
)
"""Those that write no blanks between words."""
OF_SCRIPTS = "".join(rf"\p{{Script={script}}}" for script in SCRIPTS.split()) + "ー〆"
LETTER = rf"[[{OF_SCRIPTS}]&&[\p{{Lo}}\p{{Lm}}\p{{Nl}}]]"
MARK = rf"[[{OF_SCRIPTS}\u3099\u309a]&&\p{{M}}]"
OTHER = rf"[[\p{{L}}\p{{N}}\p{{M}}]--[{LETTER}{MARK}]]"
TOKEN = regex.compile(rf"{LETTER}{MARK}*|{OTHER}*{MARK}+|{OTHER}+", regex.VERSION1)


def _fold_table():
    lines = (Path(__file__).parent / "fold.txt").read_text(encoding="utf-8").splitlines()
    table = {}
    for line in lines[1:]:
        fold, letters = line.split(" ", 1)
        table.update(dict.fromkeys(letters, fold))
    return table


FOLD = _fold_table()


PLAIN = re.compile(r"[A-Za-z0-9 .,:;!?()\[\]{}|/\\@#$%*+=~^_-]*")
"""Texts in which nothing is folded, dropped or unescaped: nine captions of ten."""
PLAIN_WORD = re.compile("[a-z0-9]+")


def tokens(text):
    """By analyzer 2."""
    if PLAIN.fullmatch(text or ""):
        return [word for word in PLAIN_WORD.findall((text or "").lower()) if len(word) <= 100]
    return tokens_of_any(text)


def tokens_of_any(text):
    text = html.unescape(html.unescape(text or ""))
    text = TAG.sub(" ", text)
    for mark in MARKS:
        text = text.replace(mark, " ")
    if "'" in text or "’" in text:
        text = "".join(" " if is_turkish_apostrophe(text, at) else ch for at, ch in enumerate(text))
    text = unicodedata.normalize("NFKD", without(QUOTES, text))
    text = without(QUOTES, regex.sub(r"\p{Cf}|\p{Me}|\p{Variation_Selector}|\u034f", "", text))
    text = "".join(ch for ch in text if not is_accent(unicodedata.combining(ch)))
    words = [fold("".join(map(lower, word))).lower() for word in TOKEN.findall(text)]
    return [word for word in (unicodedata.normalize("NFC", word) for word in words) if len(word) <= 100]


def is_turkish_apostrophe(text, at):
    if text[at] not in "'’" or not text[at + 1 : at + 2].isalnum():
        return False
    start = at
    while start > max(0, at - 40) and text[start - 1].isalnum() and not text[start - 1].isdecimal():
        start -= 1
    return any(ch in "İıŞşĞğ" for ch in text[start:at])


def lower(ch):
    return "σ" if ch in "Σς" else ch.lower()


def is_accent(order):
    return order == 1 or 10 <= order <= 36 or order >= 200


def without(characters, text):
    return text.translate(dict.fromkeys(map(ord, characters)))


def tokens_1(text):
    """By analyzer 1."""
    text = html.unescape(text or "")
    for mark in MARKS:
        text = text.replace(mark, " ")
    text = unicodedata.normalize("NFKC", without(QUOTES_1, text))
    words = [word for word in WORD_1.findall(without(QUOTES_1, text)) if len(word) <= 100]
    return [word.lower() if word.isascii() else fold("".join(ch.lower() for ch in word)) for word in words]


def fold(word):
    return "".join(FOLD.get(ch, ch) for ch in word)


def holds(caption_tokens, phrase_tokens):
    n = len(phrase_tokens)
    return any(caption_tokens[i : i + n] == phrase_tokens for i in range(len(caption_tokens) - n + 1))


def matches(row, query):
    split = tokens_1 if query.analyzer == 1 else tokens
    words = split(row["caption"])
    return (
        any(holds(words, split(phrase)) for phrase in query.synonyms)
        and (not query.prefix or holds(words, split(query.prefix)))
        and not any(holds(words, split(phrase)) for phrase in query.exclude)
        and passes(row, query.filters)
    )


def passes(row, filters):
    unknown = filters.keep_unknown

    def known(value, test):
        return unknown if value is None else test(value)

    sides = None if row["width"] is None or row["height"] is None else min(row["width"], row["height"])
    if filters.min_side and not known(sides, lambda side: side >= filters.min_side):
        return False
    least = filters.min_similarity
    if least is not None and not known(row["similarity"], lambda value: value >= least):
        return False
    licence = filters.licence.lower()
    if licence and not known(row["licence"], lambda value: value.lower().startswith(licence)):
        return False
    language = filters.language.lower()
    if language and not known(row["language"], lambda value: value.lower() == language):
        return False
    allowed = [tag.lower() for tag in filters.nsfw]
    if allowed and not known(row["nsfw"], lambda value: value.lower() in allowed):
        return False
    return is_safe(row, filters)


def is_safe(row, filters):
    punsafe, tag, bound = row["punsafe"], row["nsfw"], filters.max_punsafe
    if filters.safety == "off":
        if bound is None:
            return True
        return filters.keep_unknown if punsafe is None else punsafe <= bound
    if punsafe is not None and punsafe > (0.45 if bound is None else bound):
        return False
    if not filters.nsfw and tag is not None and tag.lower() == "nsfw":
        return False
    return not (filters.safety == "strict" and punsafe is None and tag is None)


def found(rows, query):
    """The matching rows in corpus order."""
    return sorted((row for row in rows if matches(row, query)), key=place)


def place(row):
    return row["file"].encode(), row["row"]


def first(rows, query, size, after=None):
    behind = [
        row for row in found(rows, query) if after is None or place(row) > (after[0].encode(), after[1])
    ]
    return behind[:size]


def sample(rows, query, size, seed):
    start = sample_start(seed)
    return sorted(found(rows, query), key=lambda row: ((row["priority"] - start) % 2**64, place(row)))[:size]


def sample_start(seed):
    """splitmix64's finaliser on an unsigned circle that begins at the lowest signed number."""
    mask = 2**64 - 1
    z = seed & mask
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & mask
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & mask
    return (z ^ (z >> 31)) - 2**63


def credited(row, synonyms, frequencies):
    """The synonym a matching row belongs to: the most frequent of those that match it, then the first."""
    words = tokens(row["caption"])
    matching = [s for s in synonyms if holds(words, tokens(s))]
    return max(matching, key=lambda s: (frequencies[s], -synonyms.index(s))) if matching else None


def count_groups(captions, groups):
    """How many captions hold one of the phrases of each group, in one pass over the captions.

    ``groups``: (phrases, prefix) pairs. Phrases are looked up by their first token and their length.
    """
    by_first, members, prefixes = {}, {}, []
    for number, (phrases, prefix) in enumerate(groups):
        prefixes.append(tuple(tokens(prefix)))
        for phrase in filter(None, [*phrases, prefix]):
            wanted = tuple(tokens(phrase))
            by_first.setdefault(wanted[0], set()).add(len(wanted))
            members.setdefault(wanted, set())
        for phrase in phrases:
            members[tuple(tokens(phrase))].add(number)
    counts = [0] * len(groups)
    for caption in captions:
        held = phrases_in(tokens(caption), by_first, members)
        for number in {number for wanted in held for number in members[wanted]}:
            counts[number] += not prefixes[number] or prefixes[number] in held
    return counts


def phrases_in(words, by_first, members):
    held = set()
    for at, word in enumerate(words):
        for length in by_first.get(word, ()):
            run = tuple(words[at : at + length])
            if run in members:
                held.add(run)
    return held

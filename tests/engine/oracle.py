"""A plain-Python caption index: what DESIGN 4 says, written a second time, with no engine in it.

Rows are dictionaries with the names of records.ROW_SCHEMA. conftest gives this module as a fixture.
"""

from __future__ import annotations

import html
import unicodedata
from pathlib import Path

import regex

QUOTES = "'’‘\"“”´′ʼ`"
MARKS = "™℠®©"
WORD = regex.compile(r"[\p{Alphabetic}\p{N}]+")


def _fold_table():
    lines = (Path(__file__).parent / "fold.txt").read_text(encoding="utf-8").splitlines()
    table = {}
    for line in lines[1:]:
        fold, letters = line.split(" ", 1)
        table.update(dict.fromkeys(letters, fold))
    return table


FOLD = _fold_table()


def tokens(text):
    text = html.unescape(text or "")
    text = "".join(" " if ch in MARKS else ch for ch in text if ch not in QUOTES)
    text = unicodedata.normalize("NFKC", text)
    text = "".join(ch for ch in text if ch not in QUOTES)
    words = [word for word in WORD.findall(text) if len(word) <= 100]
    return [fold("".join(ch.lower() for ch in word)) for word in words]


def fold(word):
    return "".join(FOLD.get(ch, ch) for ch in word)


def holds(caption_tokens, phrase_tokens):
    n = len(phrase_tokens)
    return any(caption_tokens[i : i + n] == phrase_tokens for i in range(len(caption_tokens) - n + 1))


def matches(row, query):
    words = tokens(row["caption"])
    return (
        any(holds(words, tokens(phrase)) for phrase in query.synonyms)
        and (not query.prefix or holds(words, tokens(query.prefix)))
        and not any(holds(words, tokens(phrase)) for phrase in query.exclude)
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


def count_phrases(captions, phrases):
    """How many captions hold each phrase, in one pass: the phrases by their first token."""
    by_first = {}
    for phrase in phrases:
        wanted = tuple(tokens(phrase))
        by_first.setdefault(wanted[0], set()).add(wanted)
    counts = dict.fromkeys((wanted for group in by_first.values() for wanted in group), 0)
    for caption in captions:
        words = tokens(caption)
        for wanted in phrases_in(words, by_first):
            counts[wanted] += 1
    return {phrase: counts[tuple(tokens(phrase))] for phrase in phrases}


def phrases_in(words, by_first):
    held = set()
    for at, word in enumerate(words):
        for wanted in by_first.get(word, ()):
            if tuple(words[at : at + len(wanted)]) == wanted:
                held.add(wanted)
    return held

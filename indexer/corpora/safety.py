"""What a corpus says of a row's safety: LAION's tags, other words, booleans, and probabilities."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pyarrow as pa

from ...core.arrow import pc
from ...search.query import DEFAULT_PUNSAFE

UNSAFE, SAFE = "NSFW", "UNLIKELY"
"""LAION's tags for what isn't safe and for what is."""

_UNSAFE_WORDS = frozenset({
    "nsfw", "unsafe", "porn", "porno", "pornography", "pornographic", "explicit", "adult", "sexual", "hentai",
    "nude", "nudity", "likely", "very_likely", "true", "yes", "t", "y", "r", "x", "xxx",
})  # fmt: skip
_SAFE_WORDS = frozenset({
    "unlikely", "very_unlikely", "unsure", "possible", "sfw", "safe", "neutral", "clean", "drawing",
    "drawings", "false", "no", "f", "n",
})  # fmt: skip
_NO_WORDS = frozenset(["", "nan", "null", "n/a", "none", "unknown", "?"])


def word_tags(words: pa.Array[Any], unknown: Counter[str]) -> pa.Array[Any]:
    """Words as tags: what means unsafe is UNSAFE, what is known stays as it is, a number is a probability.

    Any other word is NULL, and counted in ``unknown``.
    """
    encoded: Any = words.dictionary_encode()
    distinct: list[str] = encoded.dictionary.to_pylist()
    tags = [_tag(word.strip()) for word in distinct]
    for entry in pc.value_counts(encoded.indices).to_pylist():
        place = entry["values"]
        if place is not None and tags[place] is None and distinct[place].strip().lower() not in _NO_WORDS:
            unknown[distinct[place].strip()] += entry["counts"]
    return pa.array(tags, pa.string()).take(encoded.indices)


def boolean_tags(values: pa.Array[Any]) -> pa.Array[Any]:
    """UNSAFE where true, SAFE where false."""
    return pc.if_else(values, pa.scalar(UNSAFE), pa.scalar(SAFE))


def number_tags(numbers: pa.Array[Any], unknown: Counter[str]) -> pa.Array[Any]:
    """Probabilities (float64) as tags, by punsafe's bound; others are NULL, and counted in ``unknown``."""
    other = pc.or_(pc.less(numbers, 0), pc.greater(numbers, 1))
    unknown.update(f"{number:g}" for number in numbers.filter(other).to_pylist())
    tags = boolean_tags(pc.greater(numbers, DEFAULT_PUNSAFE))
    return pc.if_else(pc.fill_null(other, False), pa.scalar(None, pa.string()), tags)


def _tag(word: str) -> str | None:
    lower = word.lower().replace(" ", "_").replace("-", "_")
    if lower in _UNSAFE_WORDS:
        return word if lower == "nsfw" else UNSAFE
    if lower in _SAFE_WORDS:
        return word
    try:
        probability = float(lower)
    except ValueError:
        return None
    return (UNSAFE if probability > DEFAULT_PUNSAFE else SAFE) if 0 <= probability <= 1 else None

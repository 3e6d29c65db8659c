"""Numbers in sentences agree with their nouns."""

from __future__ import annotations

import pytest
from captrawl.core.wording import counted


@pytest.mark.parametrize(
    ("number", "noun", "words"),
    [
        (0, "row", "0 rows"),
        (1, "file", "1 file"),
        (2, "class", "2 classes"),
        (1, "class", "1 class"),
        (2574, "(class, row) pair", "2,574 (class, row) pairs"),
    ],
)
def test_counted(number: int, noun: str, words: str) -> None:
    assert counted(number, noun) == words

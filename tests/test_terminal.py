"""What the terminal shows of hostile text."""

from __future__ import annotations

import pytest
from captrawl.terminal import bar, clean, highlighted, one_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a plain caption", "a plain caption"),
        ("\x1b[2Jgone", "�[2Jgone"),
        ("bell\x07 and \x9b31m", "bell� and �31m"),
        ("evil \u202egpj.exe", "evil �gpj.exe"),
        ("soft\u00adhyphen", "softhyphen"),
        ("family 👩\u200d👩\u200d👧 café 猫", "family 👩\u200d👩\u200d👧 café 猫"),
        ("line\nline", "line\nline"),
    ],
)
def test_clean(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_one_line_folds_white_space() -> None:
    assert one_line("a\n b\t\u00a0c") == "a b c"


def test_highlighting_marks_the_spans_and_cleans_the_rest() -> None:
    shown = highlighted("a\x1b golden\nretriever", [(3, 19)])
    assert shown.plain == "a� golden retriever"
    assert [(span.start, span.end) for span in shown.spans] == [(3, 19)]


@pytest.mark.parametrize(
    ("value", "most", "shown"), [(0, 10, ""), (10, 10, "████"), (5, 10, "██"), (1, 1000, "▏"), (0, 0, "")]
)
def test_bar(value: int, most: int, shown: str) -> None:
    assert bar(value, most, width=4) == shown

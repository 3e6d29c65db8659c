"""What the terminal shows of hostile text."""

from __future__ import annotations

import pytest
from captrawl.commands.results import counts_text
from captrawl.core.terminal import bar, clean, highlighted, one_line


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


def test_a_huge_caption_is_cut_around_its_first_match() -> None:
    text = "word " * 2_000 + "husky" + " tail" * 2_000
    shown = highlighted(text, [(10_000, 10_005), (10_006, 10_010), (19_000, 19_010)])
    assert shown.plain == "…" + text[9_875:10_375] + "…"
    assert [(shown.plain[span.start : span.end], span.style) for span in shown.spans] == [
        ("husky", "bold yellow"),
        ("tail", "bold yellow"),
    ]
    assert highlighted(text).plain == text[:500] + "…"
    assert highlighted("a" * 500).plain == "a" * 500
    assert highlighted("a" * 495 + " husky", [(496, 501)]).plain == "…" + "a" * 494 + " husky"


def test_highlighting_marks_the_spans_and_cleans_the_rest() -> None:
    shown = highlighted("a\x1b golden\nretriever", [(3, 19)])
    assert shown.plain == "a� golden retriever"
    assert [(span.start, span.end) for span in shown.spans] == [(3, 19)]


@pytest.mark.parametrize(
    ("value", "most", "shown"), [(0, 10, ""), (10, 10, "████"), (5, 10, "██"), (1, 1000, "▏"), (0, 0, "")]
)
def test_bar(value: int, most: int, shown: str) -> None:
    assert bar(value, most, width=4) == shown


def test_counts_name_reasons_as_files_do() -> None:
    counts = {
        "packed": 1843,
        "failed": 86,
        "failed:http_404": 35,
        "failed:timeout": 51,
        "no_url": 24,
        "pending": 0,
    }
    assert counts_text(counts) == "packed 1,843, failed 86 (http_404 35, timeout 51), no url 24"


def test_that_nothing_was_kept_is_told() -> None:
    assert counts_text({"classes": 2, "without_pool": 0, "kept": 0, "leak": 7}) == "classes 2, kept 0, leak 7"

"""Answers of every shape → names, and what is dropped."""

from __future__ import annotations

import pytest
from captrawl.core.text import tokens
from captrawl.search.synonyms.names import clean_name, clean_names, parse_answer, says_none, too_common
from hypothesis import given
from hypothesis import strategies as st

PARSED = {
    "structured": ('{"synonyms": ["tench", "doctor fish"]}', ["tench", "doctor fish"]),
    "another key": ('{"names": ["tench"]}', ["tench"]),
    "a list": ('["tench", "doctor fish"]', ["tench", "doctor fish"]),
    "a list of objects": ('[{"name": "tench", "note": "x"}]', ["tench"]),
    "numbers as keys": ('{"1": "tench", "2": "doctor fish"}', ["tench", "doctor fish"]),
    "fenced": ('```json\n{"synonyms": ["tench"]}\n```', ["tench"]),
    "talk before": ('Sure! Here you are:\n{"synonyms": ["tench"]}', ["tench"]),
    "cut off": ('{"synonyms": ["tench", "doctor fish", "gre', ["tench", "doctor fish"]),
    "a comma too many": ('{"synonyms": ["tench", "doctor \\"fish\\"",]}', ["tench", 'doctor "fish"']),
    "single quotes": ("{'synonyms': ['tench', 'eel']}", ["tench", "eel"]),
    "no JSON at all": ("{synonyms", []),
    "an empty list": ('{"synonyms": []}', []),
    "numbered": ("1. tench\n2. doctor fish\n10) green tench", ["tench", "doctor fish", "green tench"]),
    "numbered with talk": ("Here are some:\n\n1. tench\n2. eel\n\nI hope this helps!", ["tench", "eel"]),
    "numbered with a bracket": ("1. tench [Tinca]\n2. eel", ["tench [Tinca]", "eel"]),
    "bulleted": ("- tench\n* doctor fish\n• eel", ["tench", "doctor fish", "eel"]),
    "numbers in brackets": ("(1) tench\n2] eel\n3: carp", ["tench", "eel", "carp"]),
    "bare lines": ("tench\ndoctor fish\n", ["tench", "doctor fish"]),
    "commas": ("tench, doctor fish, and green tench.", ["tench", "doctor fish", "green tench"]),
    "names that begin with a number": ("1. 737-800\n2. 747", ["737-800", "747"]),
    "a refusal in words": ("I'm sorry, but I can't help with that.", []),
    "a question": ("Which fish do you mean?", []),
    "nothing": ("", []),
    "spaces": ("  \n\n ", []),
}


@pytest.mark.parametrize("case", PARSED)
def test_parsing(case: str) -> None:
    text, wanted = PARSED[case]
    assert list(parse_answer(text)) == wanted


CLEANED = {
    '  "Tench" ': "Tench",
    "**tench**": "tench",
    "`tench`": "tench",
    "1. tench": "tench",
    "tench (a fish)": "tench",
    "tench [Tinca tinca] fish": "tench fish",
    "tench: a fish of still waters": "tench",
    "tench - a fish": "tench",
    "tench — a fish": "tench",
    "golden-retriever": "golden-retriever",
    "737-800": "737-800",
    "St. Bernard's dog": "St. Bernard's dog",
    "“doctor   fish”,": "doctor fish",
    "doctor_fish.": "doctor fish",
    "tench\x1b[31m": "tench[31m",
    "crème brûlée": "crème brûlée",
}


@pytest.mark.parametrize("raw", CLEANED)
def test_cleaning(raw: str) -> None:
    assert clean_name(raw) == CLEANED[raw]


def test_what_is_dropped_says_why() -> None:
    raw = ["Tench", "tench", "doctor-fish", "Doctor Fish", "линь", "鯉", "it", "ox", "***", "TENCH"]
    raw.append("a fish of still waters that lives on the muddy bottom of lakes")
    kept, dropped = clean_names(raw)
    assert kept == ["Tench", "doctor-fish"]
    assert {drop.name: drop.reason for drop in dropped} == {
        "tench": "the same words as 'Tench'",
        "Doctor Fish": "the same words as 'doctor-fish'",
        "линь": "not English: letters that aren't Latin",
        "鯉": "not English: letters that aren't Latin",
        "it": "only stop words",
        "ox": "too short: under 3 letters",
        "***": "no letter or digit",
        "TENCH": "the same words as 'Tench'",
        raw[-1]: "a sentence: 13 words",
    }


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("the one", "only stop words"), ("A 4", "too short: under 3 letters"), ("F16", ""), ("pug", "")],
)
def test_too_common_names(name: str, wanted: str) -> None:
    assert too_common(name) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('{"synonyms": []}', True),
        ("[]", True),
        ('```json\n{"synonyms": [], "note": 1}\n```', True),
        ("{}", False),
        ('{"synonyms": ["elver"]}', False),
        ('{"synonyms": [], "note": "it has no other name"}', True),
        ("null", False),
        ("[" * 100_000, False),
        ("", False),
    ],
)
def test_an_answer_that_there_are_none(text: str, wanted: bool) -> None:
    assert says_none(text) is wanted


@given(st.text(max_size=300))
def test_any_text_is_parsed_and_cleaned(text: str) -> None:
    kept, _ = clean_names(parse_answer(text))
    for name in kept:
        assert tokens(name)
        assert name.isprintable()
        name.encode()
    assert len({tuple(tokens(name)) for name in kept}) == len(kept)

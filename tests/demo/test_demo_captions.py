"""Captions: a class's hold a synonym, as the one analyzer sees it, and the rest of the web doesn't."""

from __future__ import annotations

import numpy as np
import pytest
from captrawl.classes.checks import check_classes
from captrawl.core.text import tokens
from captrawl.demo.captions import caption_beside, caption_elsewhere, caption_of
from captrawl.demo.drawings.catalogue import DRAWINGS
from captrawl.demo.run import demo_classes
from captrawl.demo.words import CLASSES, TALK, DemoClass


def holds(caption: str, phrases: tuple[str, ...]) -> bool:
    text = f" {' '.join(tokens(caption))} "
    return any(f" {' '.join(tokens(phrase))} " in text for phrase in phrases)


@pytest.mark.parametrize("entry", CLASSES, ids=lambda entry: entry.name)
def test_captions_of_a_class_hold_a_synonym(entry: DemoClass) -> None:
    rng = np.random.default_rng(0)
    for _ in range(60):
        caption = caption_of(rng, entry.drawing, entry.synonyms)
        assert holds(caption, entry.synonyms), caption
        beside, drawing = caption_beside(rng, entry)
        assert holds(beside, entry.synonyms), beside
        assert drawing in DRAWINGS
        assert drawing != entry.drawing


def test_the_rest_of_the_web_holds_no_synonym() -> None:
    rng = np.random.default_rng(0)
    phrases = tuple(phrase for entry in CLASSES for phrase in entry.synonyms)
    found = [caption for caption in (caption_elsewhere(rng) for _ in range(3000)) if holds(caption, phrases)]
    assert found == []


def test_every_drawing_is_spoken_of() -> None:
    assert TALK.keys() == DRAWINGS.keys()
    assert {entry.drawing for entry in CLASSES} <= DRAWINGS.keys()


def test_the_two_cranes_share_a_synonym_that_prompts_neither() -> None:
    classes = demo_classes()
    named = [entry for entry in classes if "crane" in entry.match_phrases()]
    assert [entry.name for entry in named] == ["crane", "tower crane"]
    assert [entry.prompt_names() for entry in named] == [
        ("red-crowned crane", "sandhill crane"),
        ("tower crane", "construction crane"),
    ]
    assert [w for w in check_classes(classes) if "crane" in w] != []

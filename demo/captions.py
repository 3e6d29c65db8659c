"""Captions as the web has them: a phrase somewhere in them, and noise all about it."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np

from .words import CLASSES, PHRASES, TALK, DemoClass


def _one(rng: np.random.Generator, choices: Sequence[str]) -> str:
    return choices[int(rng.integers(len(choices)))]


def dress(rng: np.random.Generator, text: str) -> str:
    """``text`` as somebody put it on a page: a file name, an entity, capitals, a place, a price."""
    roll = rng.random()
    if roll < 0.12:
        text = f"{text} {_one(rng, PHRASES.places)}"
    elif roll < 0.2:
        text = f"IMG_{int(rng.integers(1000, 9999))} {text}"
    elif roll < 0.26:
        text = f"{text}, ${int(rng.integers(3, 90))}.{int(rng.integers(10, 99))}"
    case = rng.random()
    if case < 0.22:
        text = text.title() if "'" not in text else text.capitalize()
    elif case < 0.27:
        text = text.upper()
    elif case < 0.55:
        text = text[:1].upper() + text[1:]
    mark = rng.random()
    if mark < 0.15:
        text = text.replace("'", "’")
    elif mark < 0.25:
        text = html.escape(text, quote=True)
    elif mark < 0.3:
        text = f"&quot;{text}&quot;"
    elif mark < 0.33:
        text = text.replace(" ", "  ", 1)
    return text


def caption_of(rng: np.random.Generator, drawing: str, nouns: Sequence[str] = ()) -> str:
    """A caption that says what is drawn, by one of ``nouns`` (default: by anything people call it)."""
    talk = TALK[drawing]
    noun = _one(rng, nouns or talk.nouns)
    about = _one(rng, talk.about) if rng.random() < 0.72 else ""
    if about and rng.random() < 0.2:
        about = f"{about}, {_one(rng, talk.about)}"
    reverse = about and rng.random() < 0.12
    body = f"{about}: {noun}" if reverse else f"{noun} {about}".strip()
    return dress(rng, f"{_one(rng, PHRASES.openings)}{body}{_one(rng, PHRASES.endings)}")


def caption_beside(rng: np.random.Generator, entry: DemoClass) -> tuple[str, str]:
    """A caption that holds a synonym of ``entry`` but means something else, and what its picture shows.

    For a class that shares a synonym with another class this may be the other class's thing.
    """
    shared = [c for c in CLASSES if c is not entry and set(c.synonyms) & set(entry.synonyms)]
    if shared and rng.random() < 0.55:
        other = shared[int(rng.integers(len(shared)))]
        common = [s for s in entry.synonyms if s in other.synonyms]
        return caption_of(rng, other.drawing, common), other.drawing
    text, drawing = entry.beside[int(rng.integers(len(entry.beside)))]
    if rng.random() < 0.35:
        text = f"{text}, {_one(rng, TALK[drawing].about)}"
    return dress(rng, f"{text}{_one(rng, PHRASES.endings)}"), drawing


def caption_elsewhere(rng: np.random.Generator) -> str:
    """A caption of the rest of the web: no class's phrase stands in it (a near miss may)."""
    roll = rng.random()
    if roll < 0.05:
        return dress(rng, f"{_one(rng, PHRASES.near)}{_one(rng, PHRASES.endings)}")
    if roll < 0.6:
        return dress(rng, f"{_one(rng, PHRASES.shopping)}{_one(rng, PHRASES.endings)}")
    return dress(rng, f"{_one(rng, PHRASES.news)}{_one(rng, PHRASES.endings)}")

"""Captions as the web has them: a phrase somewhere in them, and noise all about it."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np

from .words import CLASSES, TALK, DemoClass

OPENINGS = ("", "", "", "", "photo of a ", "picture of a ", "a ", "the ", "beautiful ", "old ", "my ", "drawing of a ", "illustration: ",
            "close-up of a ", "vintage ", "one ", "Free ", "How to draw a ", "Pin by Anna on ", "stock image of a ", "small ")  # fmt: skip
ENDINGS = ("", "", "", "", " - Stock Photo", " | iStock", " (2014)", " by J. Miller", " wallpaper", ", royalty free", " #photooftheday",
           " [HD]", " – buy online", " & more", " 1920x1080", "…", " ... read more", " @ flickr", " no. 7", " | Etsy", " (Set of 3)", "!")  # fmt: skip
PLACES = ("in Bergen", "from Lisbon", "Kyoto, 2011", "at my uncle's place", "near O'Hare", "in Hawaiʻi", "São Paulo", "on a Sunday", "in May")
SHOPPING = ("Handmade leather wallet", "Set of 4 dining chairs", "Women's running shoes", "Stainless steel water bottle", "Wireless headphones",
            "Summer dress with flowers", "Oak bookshelf", "Silver earrings", "Garden hose 20 m", "Kids' puzzle, 100 pieces", "Yoga mat", "Wool blanket",
            "LED desk lamp", "Cotton bed sheets", "Cast iron pan", "Phone case", "Wall clock", "Acoustic guitar", "Running jacket", "Bath towel")  # fmt: skip
NEWS = ("Mayor opens new library", "How to bake sourdough bread", "Five tips for your garden", "Wedding of Kate & Tom", "Our team in 2016",
        "Chocolate cake with cherries", "Living room in Scandinavian style", "Portrait of a young woman", "Abstract background texture",
        "Cat sleeping on the sofa", "Football match ends in a draw", "Conference programme", "Kitchen before and after", "Old town street",
        "Snow on the road", "Map of the region", "Children playing in the park", "Concert at the town hall", "Invoice template", "Baby shower ideas")  # fmt: skip
NEAR = ("light house keeping", "two snowmen", "sail boats race", "umbrellas and parasols", "mushrooms risotto", "cactuses on a sill", "flags of Norway and France",
        "mountains and lakes", "stop signs", "cranes", "bats", "mice", "anchors aweigh", "palms", "sunsets", "balloons", "lighthouses", "skylines")  # fmt: skip


def _one(rng: np.random.Generator, choices: Sequence[str]) -> str:
    return choices[int(rng.integers(len(choices)))]


def dress(rng: np.random.Generator, text: str) -> str:
    """``text`` as somebody put it on a page: a file name, an entity, capitals, a place, a price."""
    roll = rng.random()
    if roll < 0.12:
        text = f"{text} {_one(rng, PLACES)}"
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
    """A caption that says what is drawn, naming it by one of ``nouns`` (default: by anything people call it)."""
    talk = TALK[drawing]
    noun = _one(rng, nouns or talk.nouns)
    about = _one(rng, talk.about) if rng.random() < 0.72 else ""
    if about and rng.random() < 0.2:
        about = f"{about}, {_one(rng, talk.about)}"
    if about and rng.random() < 0.12:
        body = f"{about}: {noun}"
    else:
        body = f"{noun} {about}".strip()
    return dress(rng, f"{_one(rng, OPENINGS)}{body}{_one(rng, ENDINGS)}")


def caption_beside(rng: np.random.Generator, entry: DemoClass) -> tuple[str, str]:
    """A caption that holds a synonym of ``entry`` but means something else, and what its picture shows.

    For a class that shares a synonym with another class this may be the other class's thing.
    """
    shared = [c for c in CLASSES if c is not entry and set(c.synonyms) & set(entry.synonyms)]
    if shared and rng.random() < 0.55:
        other = shared[int(rng.integers(len(shared)))]
        common = [s for s in entry.synonyms if s in other.synonyms]
        return caption_of(rng, other.drawing, common), other.drawing
    text, drawing = entry.off[int(rng.integers(len(entry.off)))]
    if rng.random() < 0.35:
        text = f"{text}, {_one(rng, TALK[drawing].about)}"
    return dress(rng, f"{text}{_one(rng, ENDINGS)}"), drawing


def caption_elsewhere(rng: np.random.Generator) -> str:
    """A caption of the rest of the web: no class's phrase stands in it (a near miss may)."""
    roll = rng.random()
    if roll < 0.05:
        return dress(rng, f"{_one(rng, NEAR)}{_one(rng, ENDINGS)}")
    if roll < 0.6:
        return dress(rng, f"{_one(rng, SHOPPING)}{_one(rng, ENDINGS)}")
    return dress(rng, f"{_one(rng, NEWS)}{_one(rng, ENDINGS)}")

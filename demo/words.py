"""What people write (words.toml): how drawings are spoken of, the classes, what else a phrase may mean."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Talk:
    """How a drawing is named in captions (``nouns``) and what is said about it (``about``)."""

    nouns: tuple[str, ...]
    about: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DemoClass:
    """A class of the demo; its ``drawing`` is the one that is right.

    ``ambiguous`` synonyms are no good in a prompt; ``beside`` are captions that hold a synonym but mean
    something else, each with what its picture shows.
    """

    name: str
    drawing: str
    synonyms: tuple[str, ...]
    ambiguous: tuple[str, ...]
    beside: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Phrases:
    """What surrounds the words that count, and what the rest of the web writes."""

    openings: tuple[str, ...]
    endings: tuple[str, ...]
    places: tuple[str, ...]
    shopping: tuple[str, ...]
    news: tuple[str, ...]
    near: tuple[str, ...]


def _goods(phrase: str) -> tuple[tuple[str, str], ...]:
    """What shops print a phrase on."""
    return (
        (f"{phrase} mug, dishwasher safe", "mug"),
        (f"{phrase} t-shirt for men and women, cotton", "shirt"),
        (f"the history of the {phrase}, hardcover book", "book"),
    )


def _flag_talk(country: str, adjective: str, about: tuple[str, ...]) -> Talk:
    short = country.removeprefix("the ")
    return Talk(
        (
            f"flag of {country}",
            f"{adjective} flag",
            f"{short} flag",
            f"{short}'s flag",
            f"national flag of {country}",
        ),
        about,
    )


def _flag_class(drawing: str, words: tuple[str, str], near: tuple[str, str]) -> DemoClass:
    """A flag's class; ``near`` is the drawing it is mistaken for, and that flag's adjective."""
    country, adjective = words
    phrase = f"{adjective} flag"
    return DemoClass(
        f"flag of {country}",
        drawing,
        (f"flag of {country}", phrase.lower(), f"{country} flag", f"{country}'s flag"),
        (),
        (
            *_goods(phrase),
            (f"{near[1]} flag waving, often mistaken for the {phrase}", near[0]),
            (f"not the {phrase} but the {near[1]} flag", near[0]),
        ),
    )


def _class_of(entry: Mapping[str, Any]) -> DemoClass:
    return DemoClass(
        entry["name"],
        entry.get("drawing", entry["name"]),
        tuple(entry["synonyms"]),
        tuple(entry.get("ambiguous", ())),
        (
            *((text, drawing) for text, drawing in entry["beside"]),
            *(_goods(entry["goods"]) if "goods" in entry else ()),
        ),
    )


def _read() -> tuple[dict[str, Talk], tuple[DemoClass, ...], Phrases]:
    words = tomllib.loads(Path(__file__).with_name("words.toml").read_text(encoding="utf-8"))
    waving = tuple(words["flags"]["about"])
    countries: dict[str, list[str]] = words["flags"]["countries"]
    talk = {drawing: _flag_talk(entry[0], entry[1], waving) for drawing, entry in countries.items()}
    talk.update(
        {name: Talk(tuple(entry["nouns"]), tuple(entry["about"])) for name, entry in words["talk"].items()}
    )
    flags = [
        _flag_class(drawing, (entry[0], entry[1]), (entry[2], countries[entry[2]][1]))
        for drawing, entry in countries.items()
        if len(entry) == 3
    ]
    phrases = Phrases(**{name: tuple(values) for name, values in words["captions"].items()})
    return talk, (*flags, *map(_class_of, words["class"])), phrases


TALK, CLASSES, PHRASES = _read()
"""Talk by drawing; the classes, whose ids are their positions; and the phrases about them."""

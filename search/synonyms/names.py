"""A language model's answer → names: tolerant parsing, then cleaning with a reason for what is dropped."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from ...core.text import tokens

LONGEST_NAME = 8
"""Tokens a name may have; more is a sentence."""

SHORTEST_NAME = 3
"""Letters and digits a name needs: shorter ones stand for too much else in captions."""

_FUNCTION_WORDS = (
    "a about all also an and any are as at be been but by can do for from had has have he her here his "
    "how i if in into is it its just like me more most my new no none not of on one only or other our out "
    "over she so some such than that the their them then there these they this those to too up us was "
    "we were what when where which who will with you your"
)
STOP_WORDS = frozenset(_FUNCTION_WORDS.split())
"""Words that say nothing of a picture."""

_FENCE = re.compile(r"^\s*```[a-zA-Z]*\s*\n?|\n?```\s*$")
_ITEM = re.compile(r"^\s*(?:\(?\d{1,3}\s*[.):\]-]|[-*•–·‣])\s*(?P<name>\S.*)$")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"(\s*:)?')
_SINGLE = re.compile(r"'([^'\n]*)'(\s*:)?")
_BRACKETS = re.compile(r"\s*(?:\([^()]*\)|\[[^\[\]]*\]|\{[^{}]*\})")
_EXPLAINED = re.compile(r"(?::\s+|\s+[-–—]{1,2}\s+|\s+=\s+)")
_QUOTES = "\"'`“”‘’«»„*_ \t"


@dataclass(frozen=True, slots=True)
class Dropped:
    """A name of an answer that isn't used, and why."""

    name: str
    reason: str


def parse_answer(text: str) -> tuple[str, ...]:
    """The names in ``text``, as they stand there, in order; none where it holds no list.

    Takes a JSON list or object (also fenced, cut off or malformed), a numbered or bulleted list with or
    without other text, a line of names between commas, and bare lines.
    """
    body = _FENCE.sub("", text.strip()).strip()
    start = min((place for place in (body.find("{"), body.find("[")) if place >= 0), default=-1)
    items = [match["name"] for match in map(_ITEM.match, body.splitlines()) if match]
    if start == 0 or (start > 0 and not items):
        return _from_json(body[start:])
    return tuple(items) if items else tuple(_from_lines(body))


def says_none(text: str) -> bool:
    """Whether ``text`` is the JSON of an empty list, or of an object that holds one and no name."""
    try:
        value = json.loads(_FENCE.sub("", text.strip()))
    except (ValueError, RecursionError):
        return False
    values = list(cast("dict[str, Any]", value).values()) if isinstance(value, dict) else [value]
    return [] in values and not any(_texts(value))


def _from_json(text: str) -> tuple[str, ...]:
    """The names of the JSON value that ``text`` begins with; of a broken one the texts that aren't keys."""
    try:
        value, _ = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        strings = _STRING.findall(text) or _SINGLE.findall(text)
        return tuple(_unescaped(item) for item, key in strings if not key)
    return tuple(_texts(value))


def _unescaped(item: str) -> str:
    try:
        return str(json.loads(f'"{item}"', strict=False))
    except ValueError:
        return item


def _texts(value: Any) -> Iterator[str]:
    """The texts of a JSON list, of an object's lists, or of its ``name`` keys."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from _texts(item)
    elif isinstance(value, dict):
        record = cast("dict[str, Any]", value)
        name = record.get("name", record.get("synonym"))
        if isinstance(name, str):
            yield name
            return
        lists = [part for part in record.values() if isinstance(part, list | dict)]
        for part in lists or record.values():
            yield from _texts(part)


def _from_lines(body: str) -> Iterator[str]:
    lines = [line.strip() for line in body.splitlines() if line.strip()]
    for line in lines:
        parts = [part.strip() for part in re.split(r"[,;]", line.rstrip("."))]
        if len(parts) > 2 and all(0 < len(part.split()) <= LONGEST_NAME for part in parts):
            yield from (re.sub(r"^(?:and|or)\s+", "", part) for part in parts)
        elif not line.endswith((":", ".", "!", "?")):
            yield line


def clean_names(raw: Iterable[str], *, english: bool = True) -> tuple[list[str], list[Dropped]]:
    """Names fit to be synonyms, token-equal ones once, and what was dropped and why; both in order.

    ``english``: names in letters that aren't Latin are dropped.
    """
    names: dict[tuple[str, ...], str] = {}
    dropped: list[Dropped] = []
    for item in raw:
        name = clean_name(item)
        words = tuple(tokens(name))
        reason = unfit(name, english=english)
        if reason:
            dropped.append(Dropped(name or item.strip(), reason))
        elif words in names:
            if names[words] != name:
                dropped.append(Dropped(name, f"the same words as {names[words]!r}"))
        else:
            names[words] = name
    return list(names.values()), dropped


def clean_name(raw: str) -> str:
    """``raw`` without numbering, markup, brackets, quotes around it, and an explanation behind it."""
    name = raw.strip()
    item = _ITEM.match(name)
    if item and not re.match(r"^\d+-\S", name):  # 737-800 is a name
        name = item["name"]
    name = _BRACKETS.sub("", name).replace("**", "").replace("__", "")
    name = _EXPLAINED.split(name, maxsplit=1)[0]
    name = " ".join(name.replace("_", " ").split())
    name = "".join(character for character in name if character.isprintable())
    return name.strip(_QUOTES).rstrip(".,;:!?").strip(_QUOTES)


def unfit(name: str, *, english: bool = True) -> str:
    """Why ``name`` can't be a synonym of anything, or ""."""
    words = tokens(name)
    if not words:
        return "no letter or digit"
    if english and any(c.isalpha() and not _latin(c) for c in name):
        return "not English: letters that aren't Latin"
    if word_count(name) > LONGEST_NAME:
        return f"a sentence: {word_count(name)} words"
    return too_common(name)


def too_common(name: str) -> str:
    """Why ``name`` would stand in captions of anything (too short, only stop words), or ""."""
    words = tokens(name)
    if all(word in STOP_WORDS for word in words):
        return "only stop words"
    shortest = SHORTEST_NAME if all(_latin(c) or not c.isalpha() for c in name) else SHORTEST_NAME - 1
    if sum(map(len, words)) < shortest:
        return f"too short: under {shortest} letters"
    return ""


def word_count(name: str) -> int:
    """The words of ``name``; in scripts without blanks, where a letter is a token, three letters are one."""
    letters = sum(len(word) <= 2 and not word.isascii() for word in tokens(name))
    return len(tokens(name)) - letters + -(-letters // 3)


def _latin(character: str) -> bool:
    return unicodedata.name(character, "").startswith(("LATIN", "FEMININE", "MASCULINE"))

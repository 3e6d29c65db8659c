"""The records of a class list, and the name that most captions use for a class.

A class is one label of the user's task; its identity is the id. A synonym matches captions, prompts, or both;
a removed one does neither and says why.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

from ..core.errors import ClassListError
from ..core.text import tokens
from .species import scientific

PromptNames = Literal["synonyms", "name", "most_common_name"]
OWN_SCOPE = ("not", "exclude", "prefix")
"""Keys of a class, in every file that has keys: other senses, and what captions must not and must have."""


@dataclass(frozen=True, slots=True)
class Synonym:
    """A phrase that stands for a class. Removed: neither ``match`` nor ``prompt``, with a ``reason``."""

    text: str
    frequency: int | None = None
    match: bool = True
    prompt: bool = True
    reason: str = ""

    @property
    def kept(self) -> bool:
        """Whether it is used at all."""
        return self.match or self.prompt


@dataclass(frozen=True, slots=True)
class ClassEntry:
    """One class. ``extra`` holds what its file said besides, so that it can be written back."""

    id: int
    name: str
    synonyms: tuple[Synonym, ...]
    most_common_name: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def other_senses(self) -> tuple[str, ...]:
        """What its name means besides (``crane, a machine`` for a bird): prompts that speak against it."""
        return texts_of(self.extra.get("not"))

    @property
    def exclude(self) -> tuple[str, ...]:
        """Phrases that its captions must not contain, beside the task's."""
        return texts_of(self.extra.get("exclude"))

    @property
    def prefix(self) -> str:
        """A phrase that its captions must contain besides, in place of the task's."""
        return " ".join(texts_of(self.extra.get("prefix")))

    def match_phrases(self) -> tuple[str, ...]:
        """The synonyms that captions are searched for, in the list's order; token-equal keys each stand."""
        return tuple(synonym.text for synonym in self.synonyms if synonym.match)

    def prompt_names(self, names: PromptNames = "synonyms", *, distinct: bool = True) -> tuple[str, ...]:
        """The names that prompts are made of, token-equal ones once unless ``distinct`` is False.

        A class without a prompting synonym is prompted by its name; without a most common name of its own by
        the one that SWAT's relaxed rule gives for the frequencies it has.
        """
        texts = {
            "synonyms": tuple(synonym.text for synonym in self.synonyms if synonym.prompt) or (self.name,),
            "name": (self.name,),
            "most_common_name": (self.most_common_name or most_common_name(self),),
        }[names]
        if not distinct:
            return texts
        first: dict[tuple[str, ...], str] = {}
        for name in texts:
            first.setdefault(tuple(tokens(name)) or (name,), name)
        return tuple(first.values())


ClassList = tuple[ClassEntry, ...]
"""Classes in ascending order of their ids."""


def named(
    class_id: int, name: str, others: Iterable[str] = (), extra: Mapping[str, Any] | None = None
) -> ClassEntry:
    """A class whose name is its first synonym; ``others`` follow, equal texts once.

    A WordNet id is no name: the first of ``others`` is, and the id stands among the other keys. A scientific
    name with authors or ranks is matched as it is, and by what captions say of it; only that prompts.
    """
    texts = list(dict.fromkeys([name, *others]))
    if is_wnid(name) and len(texts) > 1:
        extra = {"wnid": name, **(extra or {})}
        texts = list(dict.fromkeys(text.replace("_", " ") for text in texts[1:]))
    synonyms = [Synonym(text) for text in texts]
    if (parts := scientific(texts[0])) is not None:
        own = [one for one in synonyms if one.text not in parts.names]
        if texts[0] not in parts.names:
            own[0] = Synonym(texts[0], prompt=False, reason="with authors or ranks")
        unlisted = [pair for pair in parts.optional if pair[0] not in texts]
        optional = [Synonym(text, None, match=False, prompt=False, reason=why) for text, why in unlisted]
        synonyms = [*map(Synonym, parts.names), *own, *optional]
        extra = {"query_name": parts.names[0], **(extra or {})}
    return ClassEntry(class_id, texts[0], tuple(synonyms), extra=extra or {})


def texts_of(value: Any) -> tuple[str, ...]:
    """The texts of a list or of one text; ClassListError for another value."""
    texts: Any = [value] if isinstance(value, str) else value or []
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        raise ClassListError(f"a text or a list of texts was expected, got {value!r:.80}")
    return tuple(dict.fromkeys(text for text in map(str.strip, cast("list[str]", texts)) if text))


def is_wnid(name: str) -> bool:
    """Whether ``name`` is a WordNet id, such as n02099601: ImageNet's folders, and in no caption."""
    return re.fullmatch(r"n\d{8}", name) is not None


def whole(value: Any, what: str) -> int:
    """``value`` (a number, or its decimal text) as an int from 0; ClassListError naming ``what``."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdecimal() and len(value) < 20:
        return int(value)
    raise ClassListError(f"{what} must be a whole number from 0, got {value!r:.80}")


# Checks -------------------------------------------------------------------------------------------


Rule = Literal["relaxed", "strict"]


def most_common_name(entry: ClassEntry, rule: Rule = "relaxed") -> str:
    """The class's most common name by SWAT's rule (docs/from-swat.md): the official one, or a synonym.

    Official is ``changed_name`` where the file gives one, else the name. Only the most frequent synonym is a
    candidate (the first of equals), and only if it is more frequent than the official name: ``strict`` takes
    it; ``relaxed`` takes it unless its words are a proper subset of the official name's.
    """
    new_name = entry.extra.get("changed_name")
    official = new_name if isinstance(new_name, str) and new_name else entry.name
    frequency = {synonym.text: synonym.frequency or 0 for synonym in entry.synonyms if synonym.kept}
    if not frequency:
        return official
    candidate = max(frequency, key=lambda text: frequency[text])
    if frequency[candidate] <= frequency.get(official, frequency.get(cleaned(official), 0)):
        return official
    if rule == "relaxed" and _words(candidate) < _words(official):
        return official
    return candidate


def with_common_names(classes: Iterable[ClassEntry], rule: Rule) -> ClassList:
    """``classes`` with every most common name set by ``rule`` from the frequencies that the list has."""
    return tuple(replace(entry, most_common_name=most_common_name(entry, rule)) for entry in classes)


def cleaned(name: str) -> str:
    """``name`` as SWAT writes synonyms: no quotes, ``-`` and ``_`` blanks, two blanks one, lower case."""
    bare = name.strip().replace("'", "").replace('"', "").replace("-", " ").replace("_", " ")
    return bare.replace("  ", " ").lower()


def _words(name: str) -> set[str]:
    return set(cleaned(name).translate(str.maketrans("", "", string.punctuation)).split())

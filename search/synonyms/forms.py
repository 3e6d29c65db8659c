"""Plurals and singulars of synonyms: other spellings of the same names, counted in the index.

Captions are matched token by token, so ``guitar`` doesn't match ``guitars``. The head noun is inflected, but
never that of a proper name, of a scientific name, or of one with a number in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from ...classes.model import ClassEntry, ClassList, Synonym
from ...core.text import tokens
from ..captions import CaptionIndex
from ..match import Scope

FORMS = ("plural",)
"""What ``--forms`` may ask for."""

_BEHIND_HEAD = re.compile(r"\s+(?:of|in|on|with|for|from|at|to|de|la|du)\s+")
_JOINED = re.compile(r"&|\band\b|\bor\b|/", re.IGNORECASE)
_LATIN = re.compile(
    r"[A-Z][a-z]{2,}(?:us|um|is|ia|ea|ax|ix|ella|ula|yx) [a-z-]+.*"
    r"|[A-Z][a-z-]+ [a-z-]+(?:us|um|is|ae|ii|ana|ata|osa|ea|ica|oides|ina|ora|ida|ella|ula)\b.*"
)
_SINGULAR_IN_S = re.compile(r".*(?:us|is|ss|ns|as|ics|ews)$")


@dataclass(frozen=True, slots=True)
class FormProposal:
    """A form of a class's synonym that isn't in the list, and the rows that match it."""

    class_id: int
    class_name: str
    synonym: str
    form: str
    kind: str
    """``plural`` or ``singular``."""
    rows: int


def other_form(phrase: str) -> tuple[str, str] | None:
    """(the plural of a singular phrase, or the reverse; which it is); None where there is none to offer."""
    if any(map(str.isdigit, phrase)) or _JOINED.search(phrase) or _LATIN.fullmatch(phrase):
        return None
    split = _BEHIND_HEAD.search(phrase)
    front, behind = (phrase[: split.start()], phrase[split.start() :]) if split else (phrase, "")
    *before, head = re.split(r"(?<=[\s-])", front)
    if len(head) < 3 or not head.isalpha() or not head.isascii():
        return None
    lower, engine = head.lower(), _engine()
    singular = "" if _SINGULAR_IN_S.fullmatch(lower) else engine.singular_noun(lower) or ""
    if singular and singular != lower and engine.plural_noun(singular) == lower:
        form, kind = singular, "singular"
    else:
        form, kind = str(engine.plural_noun(lower)), "plural"
    if form == lower:
        return None
    return "".join([*before, form.capitalize() if head[0].isupper() else form, behind]), kind


def is_proper(phrase: str, *, titled: bool) -> bool:
    """Whether ``phrase`` is a proper name: capitals in a list that isn't ``titled`` throughout."""
    words = [word for word in re.split(r"[\s-]+", phrase) if word[:1].isalpha()]
    capitals = sum(word[0].isupper() for word in words)
    return any(word[1:].lower() != word[1:] for word in words) or (not titled and capitals > len(words) / 2)


def proposals(index: CaptionIndex, classes: ClassList, scope: Scope) -> list[FormProposal]:
    """The forms of ``classes``' synonyms that occur in ``index`` under ``scope``, in the list's order."""
    names = [entry.name for entry in classes]
    titled = sum(name[:1].isupper() for name in names) > len(names) / 2
    candidates = [
        (entry, phrase, form, kind)
        for entry in classes
        for phrase, (form, kind) in _forms_of(entry, titled=titled).items()
    ]
    counts = index.count([scope.of(entry).query((form,)) for entry, _, form, _ in candidates])
    return [
        FormProposal(entry.id, entry.name, phrase, form, kind, rows)
        for (entry, phrase, form, kind), rows in zip(candidates, counts, strict=True)
        if rows
    ]


def _forms_of(entry: ClassEntry, *, titled: bool) -> dict[str, tuple[str, str]]:
    """Synonym → its other form, token-equal ones and those that the list has once."""
    spelled = {tuple(tokens(synonym.text)) for synonym in entry.synonyms}
    forms: dict[str, tuple[str, str]] = {}
    for phrase in entry.match_phrases():
        form = None if is_proper(phrase, titled=titled) else other_form(phrase)
        if form and (words := tuple(tokens(form[0]))) not in spelled:
            spelled.add(words)
            forms[phrase] = form
    return forms


def with_forms(classes: ClassList, forms: Iterable[FormProposal]) -> ClassList:
    """``classes`` with ``forms`` as synonyms that match and don't prompt, each with its reason."""
    by_class: dict[int, list[Synonym]] = {}
    for one in forms:
        reason = f"{one.kind} of {one.synonym!r}"
        by_class.setdefault(one.class_id, []).append(Synonym(one.form, one.rows, prompt=False, reason=reason))
    return tuple(replace(e, synonyms=(*e.synonyms, *by_class.get(e.id, ()))) for e in classes)


def shown_forms(forms: Sequence[FormProposal]) -> list[tuple[str, str, str, str]]:
    """Cells of a table: class, synonym, form, rows."""
    return [(f"{one.class_id} {one.class_name}", one.synonym, one.form, f"{one.rows:,}") for one in forms]


@cache
def _engine() -> Any:
    import inflect

    return inflect.engine()

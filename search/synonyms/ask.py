"""Synonyms from a language model: one question a class, journaled, cleaned, merged into classes.json.

The journal (synonyms.jsonl in the workspace) holds every answer as soon as it comes, and what was merged: so
nothing is asked twice, and what a person changed in classes.json stays changed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...classes.files import load_classes, save_classes
from ...classes.model import ClassEntry, ClassList, Synonym
from ...classes.native import check_own
from ...core.records import Progress, silent
from ...workspace.workspace import Workspace
from ..vectors.models import model_of
from .asking import ANSWERED, Outcome, ask_round, naming, unanswered
from .journal import Journal
from .languages import ENGLISH, LANGUAGES, is_multilingual
from .llm import ModelServer
from .names import LONGEST_NAME, word_count
from .questions import SynonymQuestion, questions, spelt

JOURNAL = "synonyms.jsonl"
OWN, MERGED = "own", "merged"


# Asking -------------------------------------------------------------------------------------------


def synonyms(
    workspace: Workspace,
    server: ModelServer,
    *,
    domain: str = "",
    languages: Sequence[str] = (ENGLISH,),
    again: bool = False,
    progress: Progress = silent,
) -> Outcome:
    """Ask a synonym list in each of ``languages`` (codes) for every class that has none in the journal, and
    merge all into classes.json.

    ``again`` asks every class anew. Killed, it goes on where it stopped. LanguageModelError where the server
    can't be used at all; what was answered before that is kept and merged. ClassListError, and nothing is
    asked, where the task's class list is no classes.json.
    """
    with workspace.locked("synonyms"):
        check_own(workspace.classes_path())  # before anything is paid for
        journal = Journal(workspace.root / JOURNAL)
        every = _every_question(workspace, server, domain, languages)
        return ask_round(
            naming(server, journal),
            every,
            again=again,
            merge=lambda: merge(workspace, journal),
            progress=progress,
        )


def pending_questions(
    workspace: Workspace,
    server: ModelServer,
    domain: str,
    *,
    again: bool = False,
    languages: Sequence[str] = (ENGLISH,),
) -> list[SynonymQuestion]:
    """The questions of the classes that have no answer in the journal, or of all (``again``)."""
    every = _every_question(workspace, server, domain, languages)
    return unanswered(Journal(workspace.root / JOURNAL), every, again=again)


def _every_question(
    workspace: Workspace, server: ModelServer, domain: str, languages: Sequence[str]
) -> list[SynonymQuestion]:
    brought = brought_names(Journal(workspace.root / JOURNAL).records())
    names = {code: LANGUAGES[code] for code in languages}
    return questions(load_classes(workspace.classes_path()), server, domain, brought, names)


# Merging ------------------------------------------------------------------------------------------


def merge(workspace: Workspace, journal: Journal) -> tuple[int, dict[int, str]]:
    """Add every journaled name to classes.json once: (synonyms added, class id → refusal).

    A name that was merged before and isn't in the list any more was deleted by a person, and stays away.
    Names that aren't fit for use are added as removed, with the reason.
    """
    path, records = workspace.classes_path(), journal.records()
    classes = load_classes(path)
    names = {entry.id: entry.name for entry in classes}
    latest = {
        (record["class_id"], record.get("language", ENGLISH)): record
        for record in records
        if record["kind"] == ANSWERED and names.get(record["class_id"]) == record["name"]
    }
    before, prompts = merged_names(records), is_multilingual(model_of(workspace))
    fresh: dict[int, list[Synonym]] = {}
    in_order = sorted(latest.items(), key=lambda item: (item[0][1] != ENGLISH, item[0][1]))
    for (class_id, _), answer in in_order:  # not as the answers came in
        offered = _offered(answer, before.get(class_id, set()), prompts=prompts)
        fresh.setdefault(class_id, []).extend(offered)
    _note_own(classes, fresh, journal)
    union = [with_synonyms(entry, fresh.get(entry.id, ())) for entry in classes]
    save_classes(union, path)
    journal.append(
        *(
            {"kind": MERGED, "class_id": class_id, "names": [synonym.text for synonym in new]}
            for class_id, new in fresh.items()
            if new
        )
    )
    added = sum(len(entry.synonyms) for entry in union) - sum(len(entry.synonyms) for entry in classes)
    refusals = {id_: answer["refusal"] for (id_, _), answer in latest.items() if not answer["names"]}
    return added, {id_: refusal for id_, refusal in refusals.items() if refusal}


def _offered(answer: Mapping[str, Any], before: Collection[str], *, prompts: bool) -> list[Synonym]:
    """The names of an ``answer`` that weren't merged ``before``, the unfit ones as removed.

    One in another language than English says which, and prompts only where the model reads it (``prompts``).
    """
    code = answer.get("language", ENGLISH)
    reason, prompt = ("", True) if code == ENGLISH else (code, prompts)
    unfit = [
        Synonym(d["name"], None, False, False, d["reason"]) for d in answer["dropped"] if shown(d["name"])
    ]
    fit = [Synonym(name, prompt=prompt, reason=reason) for name in answer["names"]]
    return [s for s in (*fit, *unfit) if spelt(s.text) not in before]


def _note_own(classes: ClassList, fresh: Mapping[int, Sequence[Synonym]], journal: Journal) -> None:
    """Journal which names of answers the list had already: the user's own, which the filter doesn't judge.

    Before the list is saved with the others; after a kill in between, what was noted first holds.
    """
    notes_before = _of_kind(journal.records(), OWN, "names")
    notes: list[dict[str, Any]] = []
    for entry in classes:
        own_words = {spelt(synonym.text) for synonym in entry.synonyms}
        earlier = notes_before.get(entry.id, set())
        names = [s.text for s in fresh.get(entry.id, ()) if spelt(s.text) not in earlier]
        if names:
            own = [name for name in names if spelt(name) in own_words]
            notes.append({"kind": OWN, "class_id": entry.id, "names": names, "own": own})
    journal.append(*notes)


def shown(name: str) -> bool:
    """Whether a name that isn't fit for use is worth showing a person: words, and not a sentence."""
    return 0 < word_count(name) <= LONGEST_NAME


def with_synonyms(entry: ClassEntry, new: Iterable[Synonym]) -> ClassEntry:
    """``entry`` with those of ``new`` behind its synonyms whose tokens none of these has in any state."""
    words = {spelt(synonym.text) for synonym in entry.synonyms}
    fresh: dict[str, Synonym] = {}
    for synonym in new:
        if spelt(synonym.text) not in words:
            fresh.setdefault(spelt(synonym.text), synonym)
    return replace(entry, synonyms=(*entry.synonyms, *fresh.values()))


def merged_names(records: Iterable[Mapping[str, Any]]) -> dict[int, set[str]]:
    """Class id → the names (as tokens) of answers merged at any time, those that the list had too."""
    return _of_kind(records, MERGED, "names")


def brought_names(records: Sequence[Mapping[str, Any]]) -> dict[int, set[str]]:
    """Class id → the names (as tokens) that the list has from answers, not from the user."""
    own = _of_kind(records, OWN, "own")
    return {class_id: names - own.get(class_id, set()) for class_id, names in merged_names(records).items()}


def _of_kind(records: Iterable[Mapping[str, Any]], kind: str, key: str) -> dict[int, set[str]]:
    """Class id → the names (as tokens) under ``key`` of the records of ``kind``."""
    names: dict[int, set[str]] = {}
    for record in records:
        if record["kind"] == kind:
            names.setdefault(record["class_id"], set()).update(map(spelt, record[key]))
    return names

"""Other senses of the classes' names, asked of a language model: one question a class, journaled, merged.

A word for a class may name other things that a photo can show (a crane is a bird and a machine). They go to
``not`` of the class in classes.json, and speak against a row wherever classes are compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...classes.files import load_classes, save_classes
from ...classes.model import ClassEntry
from ...classes.native import check_own
from ...core.files import digest
from ...core.records import Progress, silent
from ...workspace.workspace import Workspace
from .asking import ANSWERED, Outcome, ask_round, naming, unanswered
from .journal import Journal
from .llm import ModelServer
from .questions import SynonymQuestion, messages, spelt

JOURNAL = "senses.jsonl"
MERGED = "merged"
MOST = 8
"""Senses taken of an answer; later ones are rarer."""


def senses(
    workspace: Workspace,
    server: ModelServer,
    *,
    domain: str = "",
    again: bool = False,
    progress: Progress = silent,
) -> Outcome:
    """Ask for the other senses of every class that has no answer in the journal; merge all into classes.json.

    As for synonyms: killed, it goes on where it stopped, and what a person deleted stays away.
    """
    with workspace.locked("synonyms"):
        check_own(workspace.classes_path())
        journal = Journal(workspace.root / JOURNAL)
        every = _every_question(workspace, server, domain)
        return ask_round(
            naming(server, journal),
            every,
            again=again,
            merge=lambda: merge_senses(workspace, journal),
            progress=progress,
        )


def pending_senses(
    workspace: Workspace, server: ModelServer, domain: str, *, again: bool = False
) -> list[SynonymQuestion]:
    """The questions of the classes that have no answer in the journal, or of all (``again``)."""
    every = _every_question(workspace, server, domain)
    return unanswered(Journal(workspace.root / JOURNAL), every, again=again)


def _every_question(workspace: Workspace, server: ModelServer, domain: str) -> list[SynonymQuestion]:
    return [_question(entry, server, domain) for entry in load_classes(workspace.classes_path())]


def _question(entry: ClassEntry, server: ModelServer, domain: str) -> SynonymQuestion:
    phrases = entry.match_phrases() or (entry.name,)
    what = f"{domain}, i.e. {entry.name}" if domain else entry.name
    also = [phrase for phrase in phrases if spelt(phrase) != spelt(entry.name)]
    words = f" or {', '.join(repr(phrase) for phrase in also)}" if also else ""
    body = (
        f"A photo collection is searched for {what}, by the words {entry.name!r}{words} in captions. Which "
        "other things that a photo can show do these words name as well? Write each as the word, a comma, "
        "and what the thing is, such as 'crane, a machine' where cranes, the birds, are wanted. Leave out "
        "kinds and parts of what is looked for, and give an empty list where the words name nothing else."
    )
    return SynonymQuestion(
        entry.id,
        entry.name,
        digest([entry.id, entry.name, *phrases, domain, server.model, "senses"]),
        messages(f'{body} Answer with JSON: {{"synonyms": ["…", "…"]}}.'),
        messages(f"{body} Give me a numbered list only. Don't give any other text."),
    )


def merge_senses(workspace: Workspace, journal: Journal) -> tuple[int, dict[int, str]]:
    """Add every journaled sense to its class once: (senses added, class id → refusal)."""
    path, records = workspace.classes_path(), journal.records()
    classes = load_classes(path)
    names = {entry.id: entry.name for entry in classes}
    latest = {
        record["class_id"]: record
        for record in records
        if record["kind"] == ANSWERED and names.get(record["class_id"]) == record["name"]
    }
    before = {
        (record["class_id"], spelt(sense))
        for record in records
        if record["kind"] == MERGED
        for sense in record["names"]
    }
    fresh = {
        class_id: [sense for sense in answer["names"][:MOST] if (class_id, spelt(sense)) not in before]
        for class_id, answer in latest.items()
    }
    union = [_with_senses(entry, fresh.get(entry.id, ())) for entry in classes]
    added = sum(len(entry.other_senses) for entry in union) - sum(len(e.other_senses) for e in classes)
    if added:
        save_classes(union, path)
    journal.append(*({"kind": MERGED, "class_id": i, "names": new} for i, new in fresh.items() if new))
    return added, {i: answer["refusal"] for i, answer in latest.items() if answer["refusal"]}


def _with_senses(entry: ClassEntry, new: Sequence[str]) -> ClassEntry:
    """``entry`` with those of ``new`` that are none of its own phrases and that it hasn't yet."""
    words = {spelt(text) for text in (entry.name, *entry.match_phrases(), *entry.other_senses)}
    senses_once = {spelt(sense): sense for sense in new if spelt(sense) not in words}
    if not senses_once:
        return entry
    return replace(entry, extra={**entry.extra, "not": [*entry.other_senses, *senses_once.values()]})

"""Synonyms from a language model: one question a class, journaled, cleaned, merged into classes.json.

The journal (synonyms.jsonl in the workspace) holds every answer as soon as it comes, and what was merged: so
nothing is asked twice, and what a person changed in classes.json stays changed.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ...classes.files import load_classes, save_classes
from ...classes.model import ClassEntry, ClassList, Synonym
from ...classes.native import check_own
from ...core.errors import LanguageModelError
from ...core.records import Progress, silent
from ...workspace.workspace import Workspace
from ..vectors.models import model_of
from .journal import Journal
from .languages import ENGLISH, LANGUAGES, is_multilingual
from .llm import Asker, ModelServer, Unanswered
from .names import LONGEST_NAME, clean_names, parse_answer, says_none, word_count
from .questions import SynonymQuestion, Use, questions, spelt

logger = logging.getLogger(__name__)

JOURNAL = "synonyms.jsonl"
ANSWERED, UNNAMED, OWN, MERGED = "answer", "no names", "own", "merged"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run of questions did."""

    use: Use
    answered: int
    """Questions that had an answer before: a class each, in one language."""
    added: int
    """Synonyms that are new in classes.json, removed ones too."""
    refused: Mapping[int, str] = field(default_factory=dict[int, str])
    """Class id → what the model said instead of names, in any run; not asked until ``again``."""
    failed: Mapping[int, str] = field(default_factory=dict[int, str])
    """Class id → why there is no answer; these are asked again by the next run."""
    declined: int = 0
    """Classes that the model refused in this run."""


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
        earlier = journal.records()
        pending = pending_questions(workspace, server, domain, again=again, languages=languages)
        classes = load_classes(workspace.classes_path())
        failed: dict[int, str] = {}
        stopped: LanguageModelError | None = None
        try:
            _ask_all(pending, server, journal, failed, progress)
        except LanguageModelError as error:
            stopped = error
        fresh = journal.records()[len(earlier) :]
        use = _use(fresh)
        added, refused = merge(workspace, journal)
        if stopped:
            raise _with_use(stopped, use) from stopped
        declined = sum(record["kind"] == ANSWERED and bool(record["refusal"]) for record in fresh)
        answered = len(classes) * len(languages) - len(pending)
        return Outcome(use, answered, added, refused, dict(sorted(failed.items())), declined)


def pending_questions(
    workspace: Workspace,
    server: ModelServer,
    domain: str,
    *,
    again: bool = False,
    languages: Sequence[str] = (ENGLISH,),
) -> list[SynonymQuestion]:
    """The questions of the classes that have no answer in the journal, or of all (``again``)."""
    records = Journal(workspace.root / JOURNAL).records()
    keys = {record["key"] for record in records if record["kind"] == ANSWERED}
    classes = load_classes(workspace.classes_path())
    names = {code: LANGUAGES[code] for code in languages}
    every = questions(classes, server, domain, brought_names(records), names)
    return [question for question in every if again or question.key not in keys]


def _use(records: Iterable[Mapping[str, Any]]) -> Use:
    """What the answers among ``records`` took, those without names too."""
    replies = [record for record in records if record["kind"] in {ANSWERED, UNNAMED}]
    sums = [sum(int(record[key]) for record in replies) for key in ("prompt_tokens", "completion_tokens")]
    return Use(len(replies), *sums)


def _with_use(stopped: LanguageModelError, use: Use) -> LanguageModelError:
    """``stopped``, saying what was answered, and paid for, before."""
    if not use.questions:
        return stopped
    return LanguageModelError(
        f"{stopped} ({use.questions:,} answers came before that and are kept: "
        f"{use.prompt_tokens:,} tokens in, {use.completion_tokens:,} out)"
    )


def _ask_all(
    pending: Sequence[SynonymQuestion],
    server: ModelServer,
    journal: Journal,
    failed: dict[int, str],
    progress: Progress,
) -> None:
    """Ask ``pending``, several at once, each answer journaled as it comes; ``failed`` notes why one has none.

    After a whole round of failures in a row the server counts as gone: LanguageModelError.
    """
    if not pending:
        return
    with contextlib.closing(Asker(server)) as asker:
        pool = ThreadPoolExecutor(server.concurrency)
        futures = {pool.submit(_answer, asker, question, journal): question for question in pending}
        row, waits = 0, True
        try:
            for done, future in enumerate(as_completed(futures), start=1):
                try:
                    future.result()
                    row = 0
                except Unanswered as error:
                    row += 1
                    failed[futures[future].class_id] = str(error)
                    if error.passing and row >= max(3, server.concurrency):
                        raise LanguageModelError(
                            f"{row} questions in a row have no answer ({error}); run it again to go on"
                        ) from error
                progress("ask for synonyms", done, len(pending))
        except KeyboardInterrupt:
            waits = False  # a second Ctrl-C may come anywhere below
            asker.stop.set()
            logger.warning(
                "waiting %.0f s at most for answers under way, which are kept; Ctrl-C again leaves at once",
                server.timeout,
            )
            pool.shutdown(cancel_futures=True)
            raise
        finally:
            asker.stop.set()
            pool.shutdown(waits, cancel_futures=True)


def _answer(asker: Asker, question: SynonymQuestion, journal: Journal) -> None:
    """Ask, and put the answer into the journal; Unanswered where it is empty.

    A text without names is a refusal: an answer, which the next run doesn't pay for again.
    """
    answers = [asker.ask(question.structured, question.plain)]
    english = question.language == ENGLISH
    names, unusable = clean_names(parse_answer(answers[0].text), english=english)
    if not names and not answers[0].refusal:
        answers.append(asker.ask_plainly(question.plain))
        names, unusable = clean_names(parse_answer(answers[1].text), english=english)
    last = answers[-1]
    settled = bool(names or says_none(answers[0].text))
    refusal = last.refusal or ("" if settled else last.text.strip())
    journal.append(
        {
            "kind": ANSWERED if settled or refusal else UNNAMED,
            "key": question.key,
            "class_id": question.class_id,
            "name": question.name,
            "language": question.language,
            "model": asker.server.model,
            "server": asker.server.shown(),
            "names": names,
            "dropped": [asdict(drop) for drop in unusable],
            "refusal": refusal,
            "text": last.text,
            "prompt_tokens": sum(answer.prompt_tokens for answer in answers),
            "completion_tokens": sum(answer.completion_tokens for answer in answers),
        }
    )
    if not settled and not refusal:
        raise Unanswered("the answer is empty", passing=False)


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

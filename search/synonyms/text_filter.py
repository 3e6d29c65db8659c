"""The text filter: a synonym stays where, among all classes' prompts, its own class's is nearest.

One prompt per class, from its name, never from the synonyms under test: that would be circular.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ...classes.files import load_classes, save_classes
from ...classes.model import ClassEntry, ClassList, Synonym
from ...core.records import Progress, silent
from ...workspace.workspace import Workspace
from ..vectors.models import model_of
from .ask import JOURNAL, brought_names
from .journal import Journal
from .languages import foreign_names, is_multilingual
from .questions import spelt

TEMPLATE = "a photo of a {}"
JUDGED = "judged"


class TextEncoder(Protocol):
    """What the filter needs of search.vectors.encoder.Encoder."""

    def encode_texts(self, texts: Sequence[str | None], progress: Progress = silent) -> NDArray[np.float32]:
        """Unit rows in input order."""
        ...


@dataclass(frozen=True, slots=True)
class FilterVerdict:
    """What the filter says of one synonym: cosines to its own class's prompt and to the nearest one's."""

    class_id: int
    text: str
    kept: bool
    own: float
    nearest_id: int
    nearest_name: str
    nearest: float

    @property
    def reason(self) -> str:
        """Why it goes, as classes.json holds it."""
        return (
            f"nearer to class {self.nearest_id} ({self.nearest_name}): {self.nearest:.3f}, own {self.own:.3f}"
        )


def query_name(entry: ClassEntry) -> str:
    """The name that stands for a class in the filter: SWAT's query_name, the common name, else the name."""
    for key in ("query_name", "common_name"):
        value = entry.extra.get(key)
        if isinstance(value, str) and value:
            return value
    return entry.name


def own_names(entry: ClassEntry) -> set[str]:
    """The class's own, scientific and common names as tokens; they always stay."""
    others = (entry.extra.get(key) for key in ("query_name", "common_name", "changed_name", "species"))
    return {spelt(name) for name in (entry.name, *others) if isinstance(name, str)}


def judge(
    classes: ClassList,
    encoder: TextEncoder,
    *,
    candidates: Mapping[int, Iterable[str]] | None = None,
    progress: Progress = silent,
) -> list[FilterVerdict]:
    """The verdict on every kept synonym (or on ``candidates``, by class id), by class, then list order.

    Classes of one query name are one target, and so nearest together. The nearest of several equally near
    prompts is that of the lowest id.
    """
    targets: dict[str, ClassEntry] = {}
    for entry in classes:
        targets.setdefault(query_name(entry), entry)
    names = list(targets)
    place = {name: position for position, name in enumerate(names)}
    pairs = [
        (entry, text)
        for entry in classes
        for text in (candidates.get(entry.id, ()) if candidates is not None else _kept(entry))
    ]
    if not pairs:
        return []
    texts = [TEMPLATE.format(text) for text in dict.fromkeys([*names, *(text for _, text in pairs)])]
    row = {text: position for position, text in enumerate(texts)}
    vectors = encoder.encode_texts(texts, progress)
    prompts = vectors[[row[TEMPLATE.format(name)] for name in names]]
    verdicts: list[FilterVerdict] = []
    for entry, text in pairs:
        cosines = prompts @ vectors[row[TEMPLATE.format(text)]]
        own, nearest = place[query_name(entry)], int(np.argmax(cosines))
        stays = own == nearest or spelt(text) in own_names(entry)
        target = targets[names[nearest]]
        score = float(cosines[own]), float(cosines[nearest])
        verdicts.append(FilterVerdict(entry.id, text, stays, score[0], target.id, target.name, score[1]))
    return verdicts


def _kept(entry: ClassEntry) -> list[str]:
    return [synonym.text for synonym in entry.synonyms if synonym.kept]


def with_verdicts(classes: ClassList, verdicts: Iterable[FilterVerdict]) -> ClassList:
    """``classes`` with the judged synonyms kept or removed, the reason with each removed one.

    A class that would be left with none gets its query name as its one synonym.
    """
    by_synonym = {(verdict.class_id, verdict.text): verdict for verdict in verdicts}
    entries: list[ClassEntry] = []
    for entry in classes:
        synonyms = tuple(
            _judged(synonym, by_synonym.get((entry.id, synonym.text))) for synonym in entry.synonyms
        )
        if not any(synonym.match for synonym in synonyms):
            name = query_name(entry)
            synonyms = (*(synonym for synonym in synonyms if synonym.text != name), Synonym(name))
        entries.append(replace(entry, synonyms=synonyms))
    return tuple(entries)


def _judged(synonym: Synonym, verdict: FilterVerdict | None) -> Synonym:
    if verdict is None:
        return synonym
    if verdict.kept:
        return synonym if synonym.kept else replace(synonym, match=True, prompt=True, reason="")
    return replace(synonym, match=False, prompt=False, reason=verdict.reason)


def filter_synonyms(
    workspace: Workspace, encoder: TextEncoder, *, everything: bool = False, progress: Progress = silent
) -> list[FilterVerdict]:
    """Judge the synonyms that answers brought (or ``everything``) and save classes.json; gives the verdicts.

    What a person changed since the last verdict (put back, removed) isn't judged again.
    """
    with workspace.locked("synonyms"):
        journal = Journal(workspace.root / JOURNAL)
        records = journal.records()
        classes = load_classes(workspace.classes_path())
        candidates = _candidates(classes, records, _unreadable(workspace, records), everything=everything)
        verdicts = judge(classes, encoder, candidates=candidates, progress=progress)
        save_classes(with_verdicts(classes, verdicts), workspace.classes_path())
        by_class: dict[int, dict[str, bool]] = {}
        for verdict in verdicts:
            by_class.setdefault(verdict.class_id, {})[verdict.text] = verdict.kept
        journal.append(*({"kind": JUDGED, "class_id": key, "kept": stays} for key, stays in by_class.items()))
        return verdicts


def unfiltered(workspace: Workspace) -> bool:
    """Whether the list has names of answers that the filter hasn't judged yet."""
    records = Journal(workspace.root / JOURNAL).records()
    before = _judgements(records)
    brought, unreadable = brought_names(records), _unreadable(workspace, records)
    return any(
        synonym.kept
        and spelt(synonym.text) in brought.get(entry.id, set()) - unreadable.get(entry.id, set())
        and (entry.id, synonym.text) not in before
        for entry in load_classes(workspace.classes_path())
        for synonym in entry.synonyms
    )


def _judgements(records: Sequence[Mapping[str, Any]]) -> dict[tuple[int, str], bool]:
    """(class id, synonym) → whether the filter's last verdict kept it."""
    before: dict[tuple[int, str], bool] = {}
    for record in records:
        if record["kind"] == JUDGED:
            before.update({(record["class_id"], text): kept for text, kept in record["kept"].items()})
    return before


def _unreadable(workspace: Workspace, records: Sequence[Mapping[str, Any]]) -> dict[int, set[str]]:
    """Class id → the names (as tokens) in languages that the workspace's model doesn't read: not judged."""
    return {} if is_multilingual(model_of(workspace)) else foreign_names(records)


def _candidates(
    classes: ClassList,
    records: Sequence[Mapping[str, Any]],
    unreadable: Mapping[int, set[str]],
    *,
    everything: bool,
) -> dict[int, list[str]]:
    """The synonyms to judge by class id: kept ones, and those the filter removed, not a person's choices, and
    none that is ``unreadable``.
    """
    from_answers = brought_names(records)
    before = _judgements(records)
    candidates: dict[int, list[str]] = {}
    for entry in classes:
        for synonym in entry.synonyms:
            if not everything and spelt(synonym.text) not in from_answers.get(entry.id, set()):
                continue
            if spelt(synonym.text) in unreadable.get(entry.id, ()):
                continue
            if synonym.kept == before.get((entry.id, synonym.text), True):
                candidates.setdefault(entry.id, []).append(synonym.text)
    return candidates

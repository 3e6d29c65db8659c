"""judge.jsonl: a record for each answered question; what it says of a picture, as a score and in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any

from ...classes.model import ClassList
from ...core.files import atomic, digest
from ...core.wording import counted
from ...search.synonyms.asking import ANSWERED
from ...search.synonyms.journal import Journal
from ...workspace.workspace import Workspace

NAME = "judge.jsonl"
OWN, OTHER, NOT_JUDGED = 1.0, 0.0, 0.5
"""The values of the score ``judge``: the own name, another or none, not asked or declined."""


@dataclass(frozen=True, slots=True)
class JudgeAnswer:
    """What a model said of a picture in a class's pool: ``fits`` is the class it named, None for no name."""

    class_id: int
    sha256: str
    fits: int | None
    name: str
    """The name that fits, "" for none of them."""
    model: str
    declined: bool

    @property
    def value(self) -> float:
        """The score."""
        if self.declined:
            return NOT_JUDGED
        return OWN if self.fits == self.class_id else OTHER

    @property
    def words(self) -> str:
        """The answer in a word or two: yes, the other class's name, none of the names."""
        if self.declined:
            return "declined"
        return "yes" if self.value == OWN else self.name or "none of the names"


@dataclass(frozen=True, slots=True)
class JudgeCounts:
    """How many pictures the judge was asked about, and what it said."""

    models: tuple[str, ...]
    pictures: int
    own: int
    other: int
    none: int
    declined: int

    def text(self) -> str:
        """The counts in a line."""
        declined = f", {self.declined:,} declined" if self.declined else ""
        return (
            f"judge ({', '.join(self.models)}): {counted(self.pictures, 'picture')}; the own name fits "
            f"{self.own:,}, another {self.other:,}, none {self.none:,}{declined}"
        )


class JudgeAnswers(Mapping[tuple[int, str], JudgeAnswer]):
    """The last answer of each (class id, sha256), of the classes whose names are as they were asked."""

    def __init__(self, workspace: Workspace, classes: ClassList) -> None:
        names = {entry.id: entry.name for entry in classes}
        self._answers: dict[tuple[int, str], JudgeAnswer] = {}
        for record in Journal(workspace.root / NAME).records():
            if record["kind"] == ANSWERED and names.get(record["class_id"]) == record["name"]:
                answer = _answer(record)
                self._answers[answer.class_id, answer.sha256] = answer

    def __getitem__(self, key: tuple[int, str]) -> JudgeAnswer:
        return self._answers[key]

    def __iter__(self) -> Iterator[tuple[int, str]]:
        return iter(self._answers)

    def __len__(self) -> int:
        return len(self._answers)

    def of(self, class_id: int) -> dict[str, float]:
        """The score of each picture of a class that was asked about, by sha256."""
        return {key: one.value for (own, key), one in self._answers.items() if own == class_id}

    def fingerprint(self) -> str:
        """A hash of the answers; "" where there are none."""
        entries = sorted([*key, one.value] for key, one in self._answers.items())
        return digest(entries) if entries else ""

    def counts(self) -> JudgeCounts | None:
        """What the judge said, None where it wasn't asked."""
        if not self._answers:
            return None
        kinds = Counter(
            "declined"
            if one.declined
            else "own"
            if one.value == OWN
            else "other"
            if one.fits is not None
            else "none"
            for one in self._answers.values()
        )
        models = tuple(sorted({one.model for one in self._answers.values()}))
        numbers = (kinds[kind] for kind in ("own", "other", "none", "declined"))
        return JudgeCounts(models, len(self._answers), *numbers)


def forget(workspace: Workspace, hashes: Set[str]) -> int:
    """Take what was answered of the pictures ``hashes`` out of the journal; how many records that were."""
    path = workspace.root / NAME
    records = Journal(path).records()
    left = [record for record in records if record["sha256"] not in hashes]
    if len(left) < len(records):
        with atomic(path) as temporary:
            temporary.touch()
            Journal(temporary).append(*left)
    return len(records) - len(left)


def _answer(record: Mapping[str, Any]) -> JudgeAnswer:
    return JudgeAnswer(
        record["class_id"],
        record["sha256"],
        record["fits"],
        record["fits_name"],
        record["model"],
        bool(record["refusal"]),
    )

"""Our class totals beside a metrics file's ``actual_freq``, for people who have the same corpus."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..classes.files import load_classes
from ..classes.model import ClassList, cleaned
from ..core.errors import ClassListError
from ..indexer.match_stage import index_location, task_of
from ..indexer.opening import open_index
from ..search.match import class_counts
from ..workspace.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Compared:
    """One class: rows that match any of its synonyms here, and the file's figure."""

    id: int
    name: str
    total: int
    theirs: int

    @property
    def ratio_text(self) -> str:
        """Ours by theirs, such as ``1.003``; "–" where theirs is 0."""
        return f"{self.total / self.theirs:.3f}" if self.theirs else "–"


def compare(workspace: Workspace, metrics: Path) -> list[Compared]:
    """The workspace's classes that ``metrics`` has an ``actual_freq`` for; nothing is written.

    Counted over the whole index with the workspace's own synonyms, prefix and filters, whatever its sample.
    ClassListError where the file has the figure for none of them, or names none of them so.
    """
    task = task_of(workspace)
    theirs = load_classes(metrics)
    figures = {entry.id: entry.extra.get("actual_freq") for entry in theirs}
    numbers = {key: value for key, value in figures.items() if isinstance(value, int)}
    classes = tuple(entry for entry in task.classes if entry.id in numbers)
    if not classes:
        raise ClassListError(
            f"{metrics} has no actual_freq of any class of {workspace.root}; name a metrics JSON of SWAT's, "
            "such as semi-aves_metrics-LAION400M.json"
        )
    _check_names(metrics, theirs, classes)
    with open_index(index_location(workspace)) as index:
        counts = class_counts(index, classes, task.scope)
    return [Compared(count.id, count.name, count.total, numbers[count.id]) for count in counts]


def _check_names(metrics: Path, theirs: ClassList, classes: ClassList) -> None:
    """ClassListError where no class has its name in the file: ids of another data set say nothing."""
    names = {entry.id: entry.name for entry in theirs}
    if not any(cleaned(names[entry.id]) == cleaned(entry.name) for entry in classes):
        first = classes[0]
        raise ClassListError(
            f"{metrics} is of other classes: its {first.id} is {names[first.id]!r}, the workspace's is "
            f"{first.name!r}; name the metrics JSON of this data set"
        )

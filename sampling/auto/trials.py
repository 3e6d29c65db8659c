"""What auto tried and what it chose, and NAME_auto.json, which has both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.errors import WorkspaceError
from ...core.files import write_json
from ...core.wording import counted
from ...workspace.workspace import StageRecord, read_document
from ..methods import Method
from ..probe import wilson
from ..task import file_digest

FORMAT = 2
ALONE = "shots alone"
BEST = 5
"""Orders whose accuracy against n is shown."""
NAMED = 6
"""Classes of another n that a line names."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One line of the table: how well shots are told apart by a probe on this method's first n images."""

    method: str
    n: int
    accuracy: float
    error: float
    """The standard error of the accuracy."""
    low: float
    high: float
    """Its 95 % interval (Wilson)."""
    images: int
    """Images a fold's sample has, on average."""


def trial_of(method: str, n: int, correct: NDArray[np.bool_], images: int) -> Trial:
    """The line of ``method`` at ``n``, by which shots are classified rightly."""
    accuracy = float(correct.mean())
    error = float(np.sqrt(accuracy * (1 - accuracy) / len(correct)))
    low, high = wilson(int(correct.sum()), len(correct))
    return Trial(method, n, round(accuracy, 6), round(error, 6), round(low, 6), round(high, 6), images)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The method and n chosen (n 0: no sample is better than the shots alone), and the trials behind them.

    ``numbers``: the n of each class, by its id, that has one of its own. ``accuracy`` and ``alone`` are of
    what each fold's others would have chosen, and of the shots alone; None where there were no shots.
    """

    method: Method
    n: int
    numbers: Mapping[int, int]
    accuracy: float | None
    alone: float | None
    trials: tuple[Trial, ...] = ()

    def save(self, path: Path) -> None:
        """Write the choice and the table as JSON, the most accurate first."""
        trials = sorted(self.trials, key=lambda trial: -trial.accuracy)
        numbers = {str(class_id): n for class_id, n in self.numbers.items()}
        values = {"format": FORMAT, "method": str(self.method), "n": self.n, "n_of_classes": numbers}
        accuracies = {"accuracy": self.accuracy, "alone": self.alone, "best": best_orders(self.trials)}
        write_json(path, {**values, **accuracies, "trials": [asdict(trial) for trial in trials]})


def best_orders(trials: Sequence[Trial]) -> list[str]:
    """The orders with the highest accuracy at any n, BEST at most; of equal ones the first tried."""
    most: dict[str, float] = {}
    for trial in trials:
        if trial.method != ALONE:
            most[trial.method] = max(trial.accuracy, most.get(trial.method, 0.0))
    return sorted(most, key=lambda name: -most[name])[:BEST]


@dataclass(frozen=True, slots=True)
class AutoRecord:
    """What NAME_auto.json says of the list that stands."""

    method: str
    n: int
    numbers: Mapping[int, int]
    accuracy: float | None
    alone: float | None
    best: tuple[str, ...]
    trials: tuple[Trial, ...]

    def number(self, class_id: int) -> int:
        """The n of a class."""
        return self.numbers.get(class_id, self.n)

    def line(self, names: Mapping[int, str]) -> str:
        """What was chosen and how good that is; ``names`` are the classes'."""
        if self.accuracy is None or self.alone is None:
            return (
                f"auto: no shots or no images to compare by, so {self.method}: as many per class as the "
                f"mixture of its scores lets pass, {self.n:,} at most; nothing measured how good that is"
            )
        alone = f"{100 * self.alone:.1f} %"
        if not self.n:
            return (
                f"auto: none, no sample is better than the shots alone ({alone} of held-out shots are right)"
            )
        figure = f"{100 * self.accuracy:.1f} % of held-out shots are right, by the shots alone {alone}"
        return f"auto: {self.method}, {self.n:,} per class{self._others(names)}; {figure}"

    def _others(self, names: Mapping[int, str]) -> str:
        if not self.numbers:
            return ""
        some = list(self.numbers.items())
        text = ", ".join(f"{names.get(i, f'class {i}')} {n:,}" for i, n in some[:NAMED])
        more = f" and {len(some) - NAMED:,} more" if len(some) > NAMED else ""
        return f", another n for {counted(len(some), 'class')} by their own shots ({text}{more})"


def read_auto(path: Path, record: StageRecord | None) -> AutoRecord | None:
    """NAME_auto.json, if it is the table of the list that ``record`` is of.

    None where it is gone, of an older captrawl, or of another draw: those say nothing of this list.
    """
    if record is None or record.details.get(DETAIL, "") != (file_digest(path) or None):
        return None
    data: Any = read_document(path, "sample", dict[str, Any])
    if data.get("format") != FORMAT:
        return None
    try:
        return AutoRecord(
            data["method"],
            data["n"],
            {int(class_id): n for class_id, n in data["n_of_classes"].items()},
            data["accuracy"],
            data["alone"],
            tuple(data["best"]),
            tuple(Trial(**trial) for trial in data["trials"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise WorkspaceError(
            f"{path} isn't the table of auto ({error!r:.100}); draw the sample again"
        ) from error


DETAIL = "auto"
"""The record of a sample that auto chose has the digest of its table under this name."""

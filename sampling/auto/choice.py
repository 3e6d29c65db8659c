"""Auto's rule: from which shots are classified rightly, by order and by n, to an order and an n, or to none.

The same rule is asked of all folds, for the sample, and of all but one, for the figure that is reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

CLEARLY = 1.64
"""Standard errors by which another answer must be better to be taken (95 %, one-sided)."""
ENOUGH = 8
"""Shots left out that a class must have for an n of its own."""
TASK_SHOTS = 16
"""The task's n weighs as much as so many shots of the class."""


@dataclass(frozen=True, slots=True)
class AutoChoice:
    """The place of an order, -1 for the shots alone, and n; ``numbers``: by class index, where it differs."""

    order: int
    n: int
    numbers: dict[int, int] = field(default_factory=dict[int, int])

    def number(self, index: int) -> int:
        """The n of the class at ``index``."""
        return self.numbers.get(index, self.n)


@dataclass(frozen=True, slots=True)
class ShotVerdicts:
    """Which shots are classified rightly.

    ``correct`` (orders, numbers, shots) with a sample, ``alone`` (shots,) without; ``truth`` and ``folds``
    (shots,): their class indices and folds; ``numbers``: the n tried.
    """

    correct: NDArray[np.bool_]
    alone: NDArray[np.bool_]
    truth: NDArray[np.int64]
    folds: NDArray[np.int64]
    numbers: Sequence[int]

    def where(self, shots: NDArray[np.bool_]) -> ShotVerdicts:
        """Those of some of the shots."""
        correct, alone = self.correct[:, :, shots], self.alone[shots]
        return ShotVerdicts(correct, alone, self.truth[shots], self.folds[shots], self.numbers)

    def choice(self) -> AutoChoice:
        """The answer of these shots."""
        order, place = chosen_of(self.correct, self.alone)
        if order < 0:
            return AutoChoice(-1, 0)
        return AutoChoice(order, self.numbers[place], self._of_classes(order, place))

    def choices(self) -> dict[int, AutoChoice]:
        """For each fold, the answer of the other folds; none where there is no other."""
        folds = np.unique(self.folds).tolist()
        if len(folds) == 1:
            return {folds[0]: AutoChoice(-1, 0)}
        return {fold: self.where(self.folds != fold).choice() for fold in folds}

    def right(self, fold: int, choice: AutoChoice) -> NDArray[np.bool_]:
        """Which shots of ``fold`` are classified rightly by what ``choice`` draws, one n for all classes."""
        here = self.folds == fold
        if choice.order < 0:
            return self.alone[here]
        return self.correct[choice.order, self.numbers.index(choice.n), here]

    def _of_classes(self, order: int, place: int) -> dict[int, int]:
        """The n of every class whose own shots are clearly better with another one than the task's.

        Between the two, on a logarithmic scale, by the class's shots against TASK_SHOTS.
        """
        out: dict[int, int] = {}
        lines = np.concatenate([self.alone[None], self.correct[order]])
        tried = (0, *self.numbers)
        for index in np.unique(self.truth).tolist():
            own = lines[:, self.truth == index]
            if own.shape[1] < ENOUGH:
                continue
            means = own.mean(axis=1)
            best = min(np.flatnonzero(means == means.max()).tolist(), key=lambda at: abs(at - place - 1))
            if clearly(own[best], own[place + 1], CLEARLY):
                weight = own.shape[1] / (own.shape[1] + TASK_SHOTS)
                logs = np.log1p([tried[best], tried[place + 1]])
                out[index] = round(float(np.expm1(weight * logs[0] + (1 - weight) * logs[1])))
        return out


def chosen_of(correct: NDArray[np.bool_], alone: NDArray[np.bool_]) -> tuple[int, int]:
    """The places of the order and of the number chosen, (-1, 0) for the shots alone.

    ``correct`` (orders, numbers, shots), ``alone`` (shots,): which shots are classified rightly. The number
    is the best on the mean over the orders, the larger of equal ones. Of the orders within one standard error
    (of the paired difference) of the best, the first; none where the shots alone are clearly better.
    """
    means = correct.mean(axis=(0, 2))
    number = len(means) - 1 - int(means[::-1].argmax())
    lines = correct[:, number].astype(np.float64)
    best = lines[int(lines.mean(axis=1).argmax())]
    if clearly(alone, best, CLEARLY):
        return -1, 0
    return next(place for place, line in enumerate(lines) if not clearly(best, line, 1.0)), number


def clearly(better: NDArray[Any], other: NDArray[Any], errors: float) -> bool:
    """Whether ``better`` (shots,) is so by more than so many standard errors; a single shot never decides."""
    difference = better.astype(np.float64) - other
    if len(difference) < 2:
        return False
    error = float(difference.std(ddof=1)) / np.sqrt(len(difference))
    return float(difference.mean()) > errors * error + 1e-9

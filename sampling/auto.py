"""``--method auto``: the order and the n that cross-validation on the shots likes best, or no sample at all.

The shots are cut into folds. For each fold and order a sample is drawn with the other folds' shots; a linear
probe is fitted on its first n images and those shots, and the fold's own shots are classified with it. What
doesn't look at shots is drawn once. n is the most accurate of NUMBERS on the mean over the orders; of the
orders that lie within one standard error of the best there, the first of :func:`orders` is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import InputError
from ..core.files import write_json
from ..core.records import Progress, silent
from .methods import Method, compose, named
from .pool import Pool
from .probe import Probe, probe_of
from .references import Shots

FOLDS = 5
CLEARLY = 1.64
"""Standard errors by which the shots alone must be better for no sample at all (95 %, one-sided)."""
NUMBERS = (2, 5, 10, 20, 50, 100, 200, 500, 1000)
"""How many images a class are tried, besides the sample's own n."""
ALONE = "shots alone"

Choosing = Callable[[Pool, int, int, Sequence[Method]], list[NDArray[np.float32]]]
"""(pool, class index, fold, methods) → the image vectors of what each method keeps, with the shots outside
that fold, by rank."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One line of the table: how well shots are told apart by a probe on this method's first n images."""

    method: str
    n: int
    accuracy: float
    error: float
    """The standard error of the accuracy."""
    images: int
    """Images a fold's sample has, on average."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The method and n chosen (n 0: no sample is better than the shots alone), and the trials behind them.

    ``accuracy`` and ``alone`` are of what each fold's others would have chosen, and of the shots alone.
    """

    method: Method
    n: int
    accuracy: float
    alone: float
    trials: tuple[Trial, ...]

    def save(self, path: Path) -> None:
        """Write the table as JSON, the most accurate first."""
        values = {"method": str(self.method), "n": self.n, "accuracy": self.accuracy, "alone": self.alone}
        trials = sorted(self.trials, key=lambda trial: -trial.accuracy)
        write_json(path, {**values, "trials": [asdict(trial) for trial in trials]})


def folds_of(shots: Shots, seed: int) -> NDArray[np.int64]:
    """The fold of each shot, -1 for the only shot of a class (always fitted, never classified)."""
    folds = np.full(len(shots.labels), -1, dtype=np.int64)
    generator = np.random.default_rng(seed)
    for label in np.unique(shots.labels):
        mine = np.flatnonzero(shots.labels == label)
        if len(mine) > 1:
            folds[generator.permutation(mine)] = np.arange(len(mine)) % FOLDS
    return folds


def orders() -> tuple[Method, ...]:
    """The orders tried: of those that do equally well the first is taken."""
    return (
        named("clean", None),
        named("fit", None),
        compose("T2I+I2I", []),
        named("I2I-rank", 0.0),
        named("clean-text", None),
        named("fit-text", None),
        named("T2T-rank-T2I-tshd", 0.25),
        named("T2I-rank", 0.0),
        named("T2T-rank", 0.0),
        named("Random", None),
    )


@dataclass(frozen=True, slots=True)
class Contest:
    """The methods compared on these shots. ``truth`` is each shot's class index, ``folds`` its fold or -1."""

    shots: Shots
    truth: NDArray[np.int64]
    folds: NDArray[np.int64]
    methods: tuple[Method, ...]
    numbers: tuple[int, ...]
    classes: int

    @classmethod
    def of(cls, shots: Shots, class_ids: Sequence[int], *, n: int, seed: int = 0) -> Contest:
        """The contest of :func:`orders`, ``n`` images at most; InputError where no class has two shots."""
        folds = folds_of(shots, seed)
        if not (folds >= 0).any():
            raise InputError(
                "method auto leaves shots out to compare methods, and no class has two; name a method"
            )
        place = {class_id: index for index, class_id in enumerate(class_ids)}
        truth = np.array([place[label] for label in shots.labels.tolist()], dtype=np.int64)
        numbers = (*(number for number in NUMBERS if number < n), n)
        return cls(shots, truth, folds, orders(), numbers, len(class_ids))

    @property
    def fold_numbers(self) -> list[int]:
        """The folds that have shots."""
        return [fold for fold in range(FOLDS) if (self.folds == fold).any()]

    def asked_in(self) -> dict[int, list[Method]]:
        """Each fold's methods to draw with the shots outside it; those without shots are the first's only."""
        folds = self.fold_numbers
        return {
            fold: [method for method in self.methods if method.needs_shots or fold == folds[0]]
            for fold in folds
        }

    def run(self, pools: Iterable[Pool], choosing: Choosing, progress: Progress = silent) -> Chosen:
        """Draw, fit, classify and choose.

        A method's probes are built from the images between one of the numbers and the next.
        """
        asked_in = self.asked_in()
        parts = {
            (method, fold): [Probe(self.classes, self.shots.vectors.shape[1]) for _ in self.numbers]
            for fold, methods in asked_in.items()
            for method in methods
        }
        for index, pool in enumerate(pools):
            for fold, methods in asked_in.items():
                kept = choosing(pool, index, fold, methods)
                for method, vectors in zip(methods, kept, strict=True):
                    starts = (0, *self.numbers)
                    for probe, start, end in zip(parts[method, fold], starts, self.numbers, strict=False):
                        probe.add(index, vectors[start:end])
            progress("try methods", index + 1, self.classes)
        return self._chosen(parts)

    def _chosen(self, parts: dict[tuple[Method, int], list[Probe]]) -> Chosen:
        folds = self.fold_numbers
        where = np.concatenate([np.flatnonzero(self.folds == fold) for fold in folds])
        correct = np.zeros((len(self.methods), len(self.numbers), len(where)), dtype=bool)
        images = np.zeros(correct.shape[:2])
        alone: list[NDArray[np.bool_]] = []
        start = 0
        for fold in folds:
            fitted, rows = self._fitted(fold), self.folds == fold
            here = slice(start, start + int(rows.sum()))
            start = here.stop
            alone.append(self._right(fitted, rows))
            for place, method in enumerate(self.methods):
                probe = fitted
                for number, part in enumerate(parts.get((method, fold)) or parts[method, folds[0]]):
                    probe = probe.added(part)
                    correct[place, number, here] = self._right(probe, rows)
                    images[place, number] += int(part.counts.sum()) / len(folds)
        shots_right = np.concatenate(alone)
        order, number = chosen_of(correct, shots_right)
        return Chosen(
            self.methods[max(order, 0)],
            self.numbers[number] if order >= 0 else 0,
            round(nested(correct, shots_right, self.folds[where]), 6),
            round(float(shots_right.mean()), 6),
            (_trial(ALONE, 0, shots_right, 0), *self._trials(correct, images.cumsum(axis=1))),
        )

    def _right(self, probe: Probe, rows: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return probe.log_posterior(self.shots.vectors[rows]).argmax(axis=1) == self.truth[rows]

    def _trials(self, correct: NDArray[np.bool_], images: NDArray[np.float64]) -> Iterable[Trial]:
        for place, method in enumerate(self.methods):
            for at, number in enumerate(self.numbers):
                yield _trial(str(method), number, correct[place, at], round(images[place, at]))

    def _fitted(self, fold: int) -> Probe:
        """A probe of the shots outside ``fold``."""
        by_index = Shots(self.shots.vectors, self.truth)
        return probe_of(by_index.where(self.folds != fold), self.classes)


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
    if _clearly(alone, best, CLEARLY):
        return -1, 0
    return next(place for place, line in enumerate(lines) if not _clearly(best, line, 1.0)), number


def _clearly(better: NDArray[Any], other: NDArray[Any], errors: float) -> bool:
    """Whether ``better`` (shots,) is so by more than so many standard errors; a single shot never decides."""
    difference = better.astype(np.float64) - other
    if len(difference) < 2:
        return False
    error = float(difference.std(ddof=1)) / np.sqrt(len(difference))
    return float(difference.mean()) > errors * error + 1e-9


def nested(correct: NDArray[np.bool_], alone: NDArray[np.bool_], folds: NDArray[np.int64]) -> float:
    """The accuracy on each fold of what the other folds choose."""
    right = 0
    for fold in np.unique(folds):
        here = folds == fold
        if here.all():
            return float(alone.mean())
        order, number = chosen_of(correct[:, :, ~here], alone[~here])
        right += int((alone if order < 0 else correct[order, number])[here].sum())
    return right / len(folds)


def _trial(method: str, n: int, correct: NDArray[np.bool_], images: int) -> Trial:
    accuracy = float(correct.mean())
    error = float(np.sqrt(accuracy * (1 - accuracy) / len(correct)))
    return Trial(method, n, round(accuracy, 6), round(error, 6), images)

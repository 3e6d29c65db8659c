"""Auto compares orders and numbers of images by cross-validation on the shots.

The shots are cut into folds. For each fold and order a sample is drawn with the other folds' shots; a linear
probe is fitted on its first n images and those shots, and the fold's own shots are classified with it. What
doesn't look at shots is drawn once. :mod:`.choice` has the rule by which order and n follow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...core.errors import InputError
from ...core.records import Progress, silent
from ..methods import Method, compose, named
from ..pool import Pool
from ..probe import Probe, probe_of
from ..references import Shots
from .choice import ShotVerdicts
from .trials import ALONE, Chosen, Trial, trial_of

FOLDS = 5
NUMBERS = (2, 5, 10, 20, 50, 100, 200, 500, 1000)
"""How many images per class are tried, besides the sample's own n."""

Choosing = Callable[[Pool, int, int, Sequence[Method]], list[NDArray[np.float32]]]
"""(pool, class index, fold, methods) → the image vectors of what each method keeps, with the shots outside
that fold, by rank."""


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
    class_ids: tuple[int, ...]

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
        return cls(shots, truth, folds, orders(), numbers, tuple(class_ids))

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self.class_ids)

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

    def run(
        self, pools: Callable[[], Iterable[Pool]], choosing: Choosing, progress: Progress = silent
    ) -> Chosen:
        """Draw, fit, classify and choose.

        A method's probes are built from the images between one of the numbers and the next.
        """
        asked_in = self.asked_in()
        parts = {
            (method, fold): [self._nothing() for _ in self.numbers]
            for fold, methods in asked_in.items()
            for method in methods
        }
        for index, pool in enumerate(pools()):
            for fold, methods in asked_in.items():
                kept = choosing(pool, index, fold, methods)
                for method, vectors in zip(methods, kept, strict=True):
                    starts = (0, *self.numbers)
                    for probe, start, end in zip(parts[method, fold], starts, self.numbers, strict=False):
                        probe.add(index, vectors[start:end])
            progress("try methods", index + 1, self.classes)
        fitted = {fold: self._fitted(fold) for fold in self.fold_numbers}
        verdicts, images = self._verdicts(parts, fitted, progress)
        choice = verdicts.choice()
        return Chosen(
            self.methods[max(choice.order, 0)],
            choice.n,
            {self.class_ids[index]: n for index, n in choice.numbers.items()},
            round(self._nested(verdicts, pools, choosing, fitted), 6),
            round(float(verdicts.alone.mean()), 6),
            (trial_of(ALONE, 0, verdicts.alone, 0), *self._trials(verdicts.correct, images)),
        )

    def _verdicts(
        self,
        parts: dict[tuple[Method, int], list[Probe]],
        fitted: dict[int, Probe],
        progress: Progress = silent,
    ) -> tuple[ShotVerdicts, NDArray[np.float64]]:
        """Which shots are classified rightly, fold by fold, and the images of a sample (orders, numbers)."""
        where = np.concatenate([np.flatnonzero(self.folds == fold) for fold in fitted])
        correct = np.zeros((len(self.methods), len(self.numbers), len(where)), dtype=bool)
        images = np.zeros(correct.shape[:2])
        alone: list[NDArray[np.bool_]] = []
        start = 0
        for done, (fold, shots_probe) in enumerate(fitted.items()):
            here = slice(start, start + int((self.folds == fold).sum()))
            start = here.stop
            alone.append(self._right(shots_probe, fold))
            for place, method in enumerate(self.methods):
                probe, right_of_fold = shots_probe, alone[-1]
                first = self.fold_numbers[0]
                for number, part in enumerate(parts.get((method, fold)) or parts[method, first]):
                    if part.counts.any():  # else the pools end before this number
                        probe = probe.added(part)
                        right_of_fold = self._right(probe, fold)
                    correct[place, number, here] = right_of_fold
                    images[place, number] += int(part.counts.sum()) / len(fitted)
                progress(
                    "judge methods", done * len(self.methods) + place + 1, len(fitted) * len(self.methods)
                )
        right = ShotVerdicts(
            correct, np.concatenate(alone), self.truth[where], self.folds[where], self.numbers
        )
        return right, images.cumsum(axis=1)

    def _nested(
        self,
        verdicts: ShotVerdicts,
        pools: Callable[[], Iterable[Pool]],
        choosing: Choosing,
        fitted: dict[int, Probe],
    ) -> float:
        """The accuracy on each fold of what the other folds choose.

        Where they choose another n for some class, that sample is drawn, since no probe of it is there.
        """
        choices = verdicts.choices()
        mixed = {fold: self._nothing() for fold, choice in choices.items() if choice.numbers}
        for index, pool in enumerate(pools()) if mixed else ():
            for fold, probe in mixed.items():
                choice = choices[fold]
                method = self.methods[choice.order]
                drawing = fold if method.needs_shots else self.fold_numbers[0]
                probe.add(index, choosing(pool, index, drawing, [method])[0][: choice.number(index)])
        right = [
            self._right(fitted[fold].added(mixed[fold]), fold)
            if fold in mixed
            else verdicts.right(fold, choice)
            for fold, choice in choices.items()
        ]
        return float(np.concatenate(right).mean())

    def _nothing(self) -> Probe:
        return Probe(self.classes, self.shots.vectors.shape[1])

    def _right(self, probe: Probe, fold: int) -> NDArray[np.bool_]:
        """Which shots of ``fold`` the probe classifies rightly."""
        rows = self.folds == fold
        return probe.log_posterior(self.shots.vectors[rows]).argmax(axis=1) == self.truth[rows]

    def _trials(self, correct: NDArray[np.bool_], images: NDArray[np.float64]) -> Iterable[Trial]:
        for place, method in enumerate(self.methods):
            for at, number in enumerate(self.numbers):
                yield trial_of(str(method), number, correct[place, at], round(images[place, at]))

    def _fitted(self, fold: int) -> Probe:
        """A probe of the shots outside ``fold``."""
        by_index = Shots(self.shots.vectors, self.truth)
        return probe_of(by_index.where(self.folds != fold), self.classes)

"""``--method auto``: the method and threshold that cross-validation on the shots likes best.

The shots are cut into folds. For each fold and each trial a sample is drawn with the other folds' shots, a
linear probe is fitted on that sample and those shots, and the fold's own shots are classified with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core.errors import InputError
from ..core.files import write_json
from ..core.records import Progress, silent
from .methods import Condition, Method, Score, named
from .pool import Pool
from .probe import Probe
from .references import Shots

FOLDS = 5
QUANTILES = (0.1, 0.25, 0.5)
"""Thresholds tried: what these shares of the shots themselves would fail."""

Choosing = Callable[[Pool, int, Shots, Sequence[Method]], list[NDArray[np.float32]]]
"""(pool, class index, shots, methods) → the image vectors of what each method keeps."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One line of the table: how well shots are told apart by a probe on this method's samples."""

    method: str
    accuracy: float
    error: float
    """The standard error of the accuracy."""
    loss: float
    """Mean negative log posterior of the true class; settles equal accuracies."""
    images: int
    """Images a fold's sample holds, on average."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The method chosen, and the trials that led to it, best first."""

    method: Method
    trials: tuple[Trial, ...]

    def save(self, path: Path) -> None:
        """Write the table as JSON."""
        write_json(path, {"method": str(self.method), "trials": [asdict(trial) for trial in self.trials]})


def folds_of(shots: Shots, seed: int) -> NDArray[np.int64]:
    """The fold of each shot, -1 for the only shot of a class (always fitted, never classified)."""
    folds = np.full(len(shots.labels), -1, dtype=np.int64)
    generator = np.random.default_rng(seed)
    for label in np.unique(shots.labels):
        mine = np.flatnonzero(shots.labels == label)
        if len(mine) > 1:
            folds[generator.permutation(mine)] = np.arange(len(mine)) % FOLDS
    return folds


def grid(t2i: NDArray[np.float64], i2i: NDArray[np.float64]) -> list[Method]:
    """The methods tried: SWAT's, with thresholds of theirs and at quantiles of the shots' own scores.

    ``t2i`` are the shots' products with their class's prompt, ``i2i`` with the class's nearest other shot.
    """
    methods = [named(name, 0.0) for name in ("T2T-rank", "T2I-rank", "I2I-rank", "I2T-rank")]
    methods.append(named("Random", None))
    for score, own, values in (
        (Score.T2I, 0.25, t2i),
        (Score.I2I_MAX, 0.5, i2i),
        (Score.I2T_MAX, 0.25, None),
    ):
        usable = [] if values is None else values[~np.isnan(values)]
        quantiles = np.quantile(usable, QUANTILES).round(2).tolist() if len(usable) else []
        for threshold in sorted({own, *quantiles}):
            keep = Condition(score, ">=", threshold)
            methods.append(Method(f"T2T-rank {keep}", Score.T2T, (keep,)))
            if score is not Score.I2T_MAX:
                methods.append(Method(f"Random {keep}", None, (keep,)))
    return methods


@dataclass(frozen=True, slots=True)
class Contest:
    """The methods compared on these shots. ``truth`` is each shot's class index, ``folds`` its fold or -1."""

    shots: Shots
    truth: NDArray[np.int64]
    folds: NDArray[np.int64]
    methods: tuple[Method, ...]
    classes: int

    @classmethod
    def of(
        cls, shots: Shots, prompts: NDArray[np.float32], class_ids: Sequence[int], *, seed: int = 0
    ) -> Contest:
        """The contest of :func:`grid`; ``prompts`` (classes, d). InputError where no class has two shots."""
        folds = folds_of(shots, seed)
        if not (folds >= 0).any():
            raise InputError(
                "method auto holds shots out to compare methods, and no class has two; name a method"
            )
        place = {class_id: index for index, class_id in enumerate(class_ids)}
        truth = np.array([place[label] for label in shots.labels.tolist()], dtype=np.int64)
        methods = grid(*own_scores(shots, truth, prompts))
        return cls(shots, truth, folds, tuple(methods), len(class_ids))

    def run(self, pools: Iterable[Pool], choosing: Choosing, progress: Progress = silent) -> Chosen:
        """The best method: highest accuracy, then smallest loss, then the grid's order.

        A method without shots chooses alike in every fold, so it is asked once.
        """
        folds = self._numbers()
        probes = {
            (method, fold): Probe(self.classes, self.shots.vectors.shape[1])
            for method in self.methods
            for fold in (folds if method.needs_shots else folds[:1])
        }
        for index, pool in enumerate(pools):
            for fold in folds:
                methods = [method for method in self.methods if (method, fold) in probes]
                kept = choosing(pool, index, self.shots.where(self.folds != fold), methods)
                for method, vectors in zip(methods, kept, strict=True):
                    probes[method, fold].add(index, vectors)
            progress("try methods", index + 1, self.classes)
        fitted = {fold: self._fitted(fold) for fold in folds}
        trials: list[tuple[Trial, Method]] = []
        for method in self.methods:
            samples = {fold: probes.get((method, fold)) or probes[method, folds[0]] for fold in folds}
            posterior = np.concatenate(
                [
                    fitted[fold].added(sample).log_posterior(self.shots.vectors[self.folds == fold])
                    for fold, sample in samples.items()
                ]
            )
            truth = np.concatenate([self.truth[self.folds == fold] for fold in folds])
            sizes = [int(sample.counts.sum()) for sample in samples.values()]
            trials.append((_trial(method, posterior, truth, sizes), method))
        trials.sort(key=lambda pair: (-pair[0].accuracy, pair[0].loss))
        return Chosen(trials[0][1], tuple(trial for trial, _ in trials))

    def _numbers(self) -> list[int]:
        return [fold for fold in range(FOLDS) if (self.folds == fold).any()]

    def _fitted(self, fold: int) -> Probe:
        """A probe of the shots outside ``fold``."""
        probe = Probe(self.classes, self.shots.vectors.shape[1])
        outside = self.folds != fold
        for index in np.unique(self.truth[outside]):
            probe.add(int(index), self.shots.vectors[outside & (self.truth == index)])
        return probe


def own_scores(
    shots: Shots, truth: NDArray[np.int64], prompts: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Each shot's T2I with its class, and its I2I with the nearest other shot of its class (NaN if alone)."""
    t2i = np.einsum("ij,ij->i", shots.vectors, prompts[truth]).astype(np.float64)
    i2i = np.full(len(truth), np.nan)
    for index in np.unique(truth):
        mine = np.flatnonzero(truth == index)
        if len(mine) > 1:
            among = shots.vectors[mine] @ shots.vectors[mine].T
            np.fill_diagonal(among, -np.inf)
            i2i[mine] = among.max(axis=1)
    return t2i, i2i


def _trial(
    method: Method, posterior: NDArray[np.float64], truth: NDArray[np.int64], sizes: Sequence[int]
) -> Trial:
    correct = posterior.argmax(axis=1) == truth
    accuracy = float(correct.mean())
    true = np.maximum(posterior[np.arange(len(truth)), truth], -50.0)  # a class nothing was fitted for
    return Trial(
        str(method),
        round(accuracy, 6),
        round(float(np.sqrt(accuracy * (1 - accuracy) / len(truth))), 6),
        round(float(-true.mean()), 6),
        round(sum(sizes) / len(sizes)),
    )

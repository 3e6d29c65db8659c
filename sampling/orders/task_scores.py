"""The scores that look at the whole task: margins over the other classes, all shots, the shots' probe."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ...core.records import Vectors
from ...search.vectors.exact import rounded
from ...search.vectors.store import Embeddings, Matrix
from ..probe import Probe, probe_of
from ..prompts import pooled
from ..references import Senses, Shots
from ..scores import ORDER, Scores
from .blends import Values
from .cleaning import Cleaning, halves_of
from .fit import fit, fit_text, joint_margins
from .margins import fits, margin, mean_vector, picture_numbers
from .names import PRODUCTS, Score
from .shot_probe import posterior

BLOCK = 4096
Rows = NDArray[np.int64]
JOINT = "joint"
"""The margin by prompts and shots together, a part of ``fit``."""
NEEDS: Mapping[str, frozenset[str]] = {
    Score.FIT: frozenset({JOINT}),
    Score.FIT_TEXT: frozenset({Score.T2I_MARGIN}),
    Score.CLEAN: frozenset({Score.FIT, JOINT}),
    Score.CLEAN_TEXT: frozenset({Score.FIT_TEXT, Score.T2I_MARGIN}),
}


@dataclass(frozen=True, slots=True)
class TaskReferences:
    """What rows are compared with: row i of ``prompts`` and ``centroids`` (classes, d) is class i's.

    ``centroids`` are the normalised means of each class's shots, NaN where it has none; ``shots`` are
    labelled by class index. A class's other ``senses`` are rivals of it alone.
    """

    prompts: Vectors
    centroids: Vectors
    shots: Shots
    senses: Senses

    def prompts_for(self, index: int) -> Vectors:
        """The prompts that the class at ``index`` is judged by: the classes', and its other senses'."""
        return self.senses.beside(self.prompts, index)

    def centroids_for(self, index: int) -> Vectors:
        """``centroids``, and a row of NaN for each other sense of the class at ``index``."""
        senses = len(self.prompts_for(index)) - len(self.prompts)
        if not senses:
            return self.centroids
        return np.pad(self.centroids, ((0, senses), (0, 0)), constant_values=np.nan)

    @classmethod
    def of(cls, prompts: Vectors, shots: Shots, class_ids: Sequence[int], senses: Senses) -> TaskReferences:
        """Of the shots of the classes ``class_ids``, which label them; others are passed over."""
        place = {class_id: index for index, class_id in enumerate(class_ids)}
        labels = np.array([place.get(label, -1) for label in shots.labels.tolist()], dtype=np.int64)
        shots = Shots(shots.vectors, labels).where(labels >= 0)
        groups = [shots.of(index) for index in range(len(prompts))]
        return cls(prompts, pooled(groups, prompts.shape[1]), shots, senses)


@dataclass(frozen=True, slots=True)
class TaskScorer:
    """Adds ``scores`` to a pool's products.

    The means are those of all the task's rows. ``verdicts`` are each class's rows, ascending, and their
    values by a score of cleaning.
    """

    embeddings: Embeddings
    references: TaskReferences
    scores: frozenset[str]
    probe: Probe
    image_mean: NDArray[np.float64]
    caption_mean: NDArray[np.float64]
    verdicts: Mapping[Score, Sequence[tuple[Rows, Values]]] = field(
        default_factory=dict[Score, Sequence[tuple[Rows, Values]]]
    )
    judged: Callable[[int, Rows], Values] | None = None
    """(class index, embedding rows) → what the judge said."""

    @classmethod
    def of(
        cls, embeddings: Embeddings, references: TaskReferences, scores: frozenset[Score]
    ) -> TaskScorer | None:
        """What scores the pools of a task; None where ``scores`` are products only."""
        extras: frozenset[str] = frozenset(scores - set(PRODUCTS))
        if not extras:
            return None
        needed = extras.union(*(NEEDS.get(score, frozenset()) for score in extras))
        return cls(
            embeddings,
            references,
            needed,
            probe_of(references.shots, len(references.prompts)),
            _mean(embeddings.images, bool(needed & {Score.T2I_MARGIN, Score.I2I_MARGIN, JOINT})),
            _mean(embeddings.captions, Score.T2T_MARGIN in needed),
        )

    def with_cleaning(self, pools: Iterable[Rows], products: Callable[[int, Rows], Scores]) -> TaskScorer:
        """Let ``pools``, all of the task's, judge each other where a score asks for it."""
        pairs = ((Score.CLEAN, Score.FIT), (Score.CLEAN_TEXT, Score.FIT_TEXT))
        pairs = [(score, base) for score, base in pairs if score in self.scores]
        if not pairs:
            return self
        distinct = [np.unique(rows) for rows in pools]
        halves = halves_of(picture_numbers(self.embeddings))
        scored = [self.added(products(index, rows), index, rows) for index, rows in enumerate(distinct)]
        verdicts: dict[Score, list[tuple[Rows, Values]]] = {}
        for score, base in pairs:
            shots = self.probe if score is Score.CLEAN else Probe(*self.references.prompts.shape)
            cleaning = Cleaning(distinct, self.embeddings.images.take, halves, shots)
            judged = cleaning.judged([scores.of(base) for scores in scored])
            verdicts[score] = list(zip(distinct, judged, strict=True))
        return replace(self, verdicts=verdicts)

    def added(self, scores: Scores, index: int, rows: Rows) -> Scores:
        """``scores`` with these too, for the embedding ``rows`` of the class at ``index``."""
        columns = {score: np.full(len(rows), np.nan) for score in self.scores}
        of_images = self.scores & VALUES.keys()
        for start in range(0, len(rows), BLOCK):
            part = slice(start, start + BLOCK)
            if of_images:
                images = self.embeddings.images.take(rows[part])
                for score in of_images:
                    columns[score][part] = VALUES[score](self, images, index)
            if Score.T2T_MARGIN in self.scores:
                captions = self.embeddings.captions.take(rows[part])
                prompts = self.references.prompts_for(index)
                fit_of = fits(captions, prompts, self.caption_mean)
                columns[Score.T2T_MARGIN][part] = margin(fit_of, index, prompts)
        if Score.FIT in columns:
            columns[Score.FIT] = fit(scores, columns[JOINT])
        if Score.FIT_TEXT in columns:
            columns[Score.FIT_TEXT] = fit_text(scores, columns[Score.T2I_MARGIN])
        if Score.JUDGE in columns and self.judged:
            columns[Score.JUDGE] = self.judged(index, rows)
        for score, by_class in self.verdicts.items():
            judged, values = by_class[index]
            columns[score] = values[np.searchsorted(judged, rows)]
        values = scores.values.copy()
        for score in columns.keys() - {JOINT}:
            values[:, ORDER.index(Score(score))] = columns[score]
        return Scores(values)

    def prompt_margin(self, images: Vectors, index: int) -> Values:
        """T2I.margin."""
        prompts = self.references.prompts_for(index)
        return margin(fits(images, prompts, self.image_mean), index, prompts)

    def shot_margin(self, images: Vectors, index: int) -> Values:
        """I2I.margin."""
        centroids = self.references.centroids
        return margin(fits(images, centroids, self.image_mean), index, centroids)

    def joint_margin(self, images: Vectors, index: int) -> Values:
        """The margin by prompts and shots together."""
        prompts, centroids = self.references.prompts_for(index), self.references.centroids_for(index)
        return joint_margins(images, prompts, centroids, self.image_mean, index)

    def nearest_shot(self, images: Vectors, index: int) -> Values:
        """I2I.any."""
        del index
        shots = self.references.shots.vectors
        return rounded((images @ shots.T).max(axis=1)) if len(shots) else np.full(len(images), np.nan)

    def posterior(self, images: Vectors, index: int) -> Values:
        """probe; missing for a class without shots."""
        shots = self.references.shots.of(index)
        return posterior(self.probe, images, index, shots) if len(shots) else np.full(len(images), np.nan)


VALUES: Mapping[str, Callable[[TaskScorer, Vectors, int], Values]] = {
    Score.T2I_MARGIN: TaskScorer.prompt_margin,
    Score.I2I_MARGIN: TaskScorer.shot_margin,
    Score.I2I_ANY: TaskScorer.nearest_shot,
    Score.PROBE: TaskScorer.posterior,
    JOINT: TaskScorer.joint_margin,
}
"""How each score of the images is taken: (scorer, images, class index) → (rows,)."""


def _mean(vectors: Matrix, needed: bool) -> NDArray[np.float64]:
    return mean_vector(vectors) if needed else np.full(vectors.dimension, np.nan)

"""The scores that look at the whole task: margins over the other classes, all shots, the shots' probe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...core.records import Vectors
from ...search.vectors.exact import rounded
from ...search.vectors.store import Embeddings, Matrix
from ..probe import Probe, probe_of
from ..prompts import pooled
from ..references import Shots
from ..scores import ORDER, Scores
from .margins import fits, margin, mean_vector
from .names import PRODUCTS, Score
from .shot_probe import posterior

BLOCK = 4096


@dataclass(frozen=True, slots=True)
class TaskScorer:
    """Adds ``scores`` to a pool's products; row i of ``prompts`` and of ``centroids`` is class i's.

    ``centroids`` are the normalised means of each class's shots, NaN where it has none. ``shots`` are
    labelled by class index. The means are those of all the task's rows, NaN where no score asks for them.
    """

    embeddings: Embeddings
    scores: frozenset[Score]
    prompts: Vectors
    centroids: Vectors
    shots: Shots
    probe: Probe
    image_mean: NDArray[np.float64]
    caption_mean: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        embeddings: Embeddings,
        prompts: Vectors,
        shots: Shots,
        class_ids: Sequence[int],
        scores: frozenset[Score],
    ) -> TaskScorer | None:
        """What scores the pools of a task; None where ``scores`` are products only."""
        scores = scores - set(PRODUCTS)
        if not scores:
            return None
        place = {class_id: index for index, class_id in enumerate(class_ids)}
        known_labels = np.array([place.get(label, -1) for label in shots.labels.tolist()], dtype=np.int64)
        shots = Shots(shots.vectors, known_labels).where(known_labels >= 0)
        return cls(
            embeddings,
            scores,
            prompts,
            pooled([shots.of(index) for index in range(len(prompts))], embeddings.dimension),
            shots,
            probe_of(shots, len(prompts)),
            _mean(embeddings.images, bool(scores & {Score.T2I_MARGIN, Score.I2I_MARGIN})),
            _mean(embeddings.captions, Score.T2T_MARGIN in scores),
        )

    def added(self, scores: Scores, index: int, rows: NDArray[np.int64]) -> Scores:
        """``scores`` with these too, for the embedding ``rows`` of the class at ``index``."""
        values = scores.values.copy()
        for start in range(0, len(rows), BLOCK):
            part = slice(start, start + BLOCK)
            images = self.embeddings.images.take(rows[part])
            for score in self.scores - {Score.T2T_MARGIN}:
                values[part, ORDER.index(score)] = VALUES[score](self, images, index)
            if Score.T2T_MARGIN in self.scores:
                captions = self.embeddings.captions.take(rows[part])
                fit = fits(captions, self.prompts, self.caption_mean)
                values[part, ORDER.index(Score.T2T_MARGIN)] = margin(fit, index, self.prompts)
        return Scores(values)

    def prompt_margin(self, images: Vectors, index: int) -> NDArray[np.float64]:
        """T2I.margin."""
        return margin(fits(images, self.prompts, self.image_mean), index, self.prompts)

    def shot_margin(self, images: Vectors, index: int) -> NDArray[np.float64]:
        """I2I.margin."""
        return margin(fits(images, self.centroids, self.image_mean), index, self.centroids)

    def nearest_shot(self, images: Vectors, index: int) -> NDArray[np.float64]:
        """I2I.any."""
        del index
        if not len(self.shots.labels):
            return np.full(len(images), np.nan)
        return rounded((images @ self.shots.vectors.T).max(axis=1))

    def posterior(self, images: Vectors, index: int) -> NDArray[np.float64]:
        """probe; missing for a class without shots."""
        shots = self.shots.of(index)
        return posterior(self.probe, images, index, shots) if len(shots) else np.full(len(images), np.nan)


VALUES: dict[Score, Callable[[TaskScorer, Vectors, int], NDArray[np.float64]]] = {
    Score.T2I_MARGIN: TaskScorer.prompt_margin,
    Score.I2I_MARGIN: TaskScorer.shot_margin,
    Score.I2I_ANY: TaskScorer.nearest_shot,
    Score.PROBE: TaskScorer.posterior,
}
"""How each score of the images is taken: (scorer, images, class index) → (rows,)."""


def _mean(vectors: Matrix, needed: bool) -> NDArray[np.float64]:
    return mean_vector(vectors) if needed else np.full(vectors.dimension, np.nan)

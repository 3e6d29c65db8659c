"""What a task's pools are compared with, as unit vectors: prompts, shots, test images to keep out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..classes.model import ClassList
from ..core.errors import ModelError
from ..core.records import Progress, Vectors, silent
from ..search.vectors.store import EmbeddingsInfo
from ..workspace.settings import ModelSettings
from ..workspace.workspace import Workspace
from .prompts import prompt_embeddings
from .shots import Labelled, embed_labelled

if TYPE_CHECKING:
    from ..search.vectors.encoder import Encoder
    from ..search.vectors.models import ModelId


class LazyEncoder:
    """Loads the model on the first call; ModelError where its weights aren't those of the stored vectors."""

    def __init__(self, model: ModelId, settings: ModelSettings, info: EmbeddingsInfo) -> None:
        self._model, self._settings, self._info = model, settings, info
        self._encoder: Encoder | None = None

    def __call__(self) -> Encoder:
        """The loaded model."""
        if self._encoder is None:
            from ..search.vectors.loading import load_encoder

            encoder = load_encoder(self._model, device=self._settings.device, batch=self._settings.batch)
            if (encoder.weights, encoder.dimension) != (self._info.weights, self._info.dimension):
                raise ModelError(
                    f"{self._model} now has weights {encoder.weights[:12]} ({encoder.dimension}-d), stored "
                    f"vectors are of {self._info.weights[:12]} ({self._info.dimension}-d); run captrawl embed"
                )
            self._encoder = encoder
        return self._encoder


class References:
    """The vectors of one model's prompts and labelled images, kept in the workspace by content."""

    def __init__(
        self, workspace: Workspace, model: ModelId, info: EmbeddingsInfo, *, progress: Progress = silent
    ) -> None:
        self._folder = workspace.vectors_folder(model.slug)
        self._info = info
        self._encoder = LazyEncoder(model, workspace.settings().model, info)
        self._progress = progress

    def prompts(self, names: Sequence[Sequence[str]], templates: Sequence[str]) -> Vectors:
        """The prompt embedding of each class (classes, d)."""
        return prompt_embeddings(
            names,
            templates,
            self._encoder,
            store=self._folder / "prompts.npz",
            weights=self._info.weights,
            dimension=self._info.dimension,
        )

    def images(self, paths: Sequence[Path]) -> Vectors:
        """The vectors of the user's own images (images, d)."""
        return embed_labelled(
            paths,
            self._encoder,
            store=self._folder / "labelled.npz",
            weights=self._info.weights,
            dimension=self._info.dimension,
            progress=self._progress,
        )


@dataclass(frozen=True, slots=True)
class Shots:
    """The vectors of labelled images: row i of ``vectors`` (shots, d) has class ``labels[i]``."""

    vectors: Vectors
    labels: NDArray[np.int64]

    def of(self, class_id: int) -> Vectors:
        """The class's shots (0 rows where it has none)."""
        return self.vectors[self.labels == class_id]

    def where(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Shots:
        """The shots where ``rows`` holds, or at these rows."""
        return Shots(self.vectors[rows], self.labels[rows])

    def joined(self, other: Shots) -> Shots:
        """These and then ``other``'s."""
        return Shots(
            np.concatenate([self.vectors, other.vectors]), np.concatenate([self.labels, other.labels])
        )


@dataclass(frozen=True, slots=True)
class Senses:
    """Other senses of the classes' names: row i of ``vectors`` (senses, d) is one of class ``owners[i]``."""

    vectors: Vectors
    owners: NDArray[np.int64]

    def beside(self, prompts: Vectors, index: int) -> Vectors:
        """``prompts`` (classes, d), and behind them those of the class at ``index``'s other senses."""
        own = self.vectors[self.owners == index]
        return np.concatenate([prompts, own]) if len(own) else prompts


def senses_of(classes: ClassList, references: References, templates: Sequence[str], dimension: int) -> Senses:
    """The prompts of the senses that ``classes`` list under ``not``."""
    pairs = [(index, text) for index, entry in enumerate(classes) for text in entry.other_senses]
    vectors = references.prompts([(text,) for _, text in pairs], templates) if pairs else None
    owners = np.array([index for index, _ in pairs], dtype=np.int64)
    return Senses(np.zeros((0, dimension), np.float32) if vectors is None else vectors, owners)


def shots_of(labelled: Labelled | None, references: References, dimension: int) -> Shots:
    """The vectors of ``labelled``; no shots at all for None."""
    if labelled is None:
        return Shots(np.zeros((0, dimension), dtype=np.float32), np.zeros(0, dtype=np.int64))
    return Shots(references.images(labelled.paths), labelled.labels)


def read_shots(workspace: Workspace, classes: ClassList) -> Labelled | None:
    """The task's shots as its settings name them, or None; InputError as in shots.read_labelled."""
    from .shots import read_labelled

    task = workspace.settings().task
    if not task.shots:
        return None
    return read_labelled(workspace.root / task.shots, workspace.root / task.root, classes)

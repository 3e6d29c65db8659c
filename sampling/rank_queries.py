"""What a pool is ranked by before any image is fetched: prompts, or the mean of the shots."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..classes.files import load_classes
from ..core.errors import InputError
from ..core.files import digest
from ..core.records import silent
from ..search.vectors.models import ModelId, fingerprint, model_of
from ..workspace.workspace import Workspace
from .prompts import class_names, prompt_embeddings, templates_of
from .references import read_shots
from .shots import Labelled, embed_labelled

if TYPE_CHECKING:
    from ..search.vectors.encoder import Encoder


class RankQueries:
    """The vector of each class that ``score`` (T2T, T2I, I2I) compares rows with, by the task's own model."""

    def __init__(self, workspace: Workspace, score: str) -> None:
        self._workspace, self._score = workspace, score
        self._settings = workspace.settings()
        self._classes = load_classes(workspace.classes_path())
        self.model: ModelId = model_of(workspace)

    def weights(self) -> str:
        """The fingerprint of a local model, "" of others."""
        return fingerprint(self.model) if self.model.is_local else ""

    def digest(self) -> str:
        """A hash of the prompts' texts, or of the shots."""
        if self._score == "I2I":
            return self._shots.fingerprint()
        ids = [entry.id for entry in self._classes]
        names = class_names(self._classes, self._settings)
        return digest([list(zip(ids, names, strict=True)), templates_of(self._settings)])

    def encoder(self) -> Encoder:
        """The loaded model."""
        return self._loaded

    def queries(self) -> Mapping[int, NDArray[np.float32]]:
        """The vector of each class that has one, by class id."""
        folder = self._workspace.vectors_folder(self.model.slug)
        weights, dimension = self._loaded.weights, self._loaded.dimension
        if self._score == "I2I":
            vectors = embed_labelled(
                self._shots.paths, self.encoder, store=folder / "labelled.npz", weights=weights,
                dimension=dimension, progress=silent,
            )  # fmt: skip
            labels = self._shots.labels
            return {int(label): vectors[labels == label].mean(axis=0) for label in np.unique(labels)}
        prompts = prompt_embeddings(
            class_names(self._classes, self._settings), templates_of(self._settings), self.encoder,
            store=folder / "prompts.npz", weights=weights, dimension=dimension,
        )  # fmt: skip
        rows = zip(self._classes, prompts, strict=True)
        return {entry.id: vector for entry, vector in rows if np.isfinite(vector).all()}

    @cached_property
    def _loaded(self) -> Encoder:
        from ..search.vectors.loading import load_encoder

        return load_encoder(self.model, device=self._settings.model.device, batch=self._settings.model.batch)

    @cached_property
    def _shots(self) -> Labelled:
        shots = read_shots(self._workspace, self._classes)
        if shots is None:
            raise InputError(
                "I2I ranks by few shots and the task has none; set shots in [task] of captrawl.toml"
            )
        return shots

"""What an embeddings folder's vectors must be made with, and whether those that are there were."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import replace as replaced
from pathlib import Path

from ...search.vectors.encoder import AUTO, Encoder, compute_of
from ...search.vectors.models import INFO, ModelId
from ...search.vectors.store import EmbeddingsInfo
from ...workspace.settings import ModelSettings


@dataclass(frozen=True, slots=True)
class EmbeddingTarget:
    """What the vectors must be made with.

    ``weights`` is "" while a hub's model isn't loaded, ``compute`` AUTO where any will do.
    """

    model: ModelId
    weights: str
    precision: str
    caption_text: str
    compute: str

    @classmethod
    def of(cls, model: ModelId, weights: str, settings: ModelSettings) -> EmbeddingTarget:
        """As the settings ask."""
        return cls(model, weights, settings.precision, settings.caption_text, settings.compute)

    def settled(self, encoder: Encoder, folders: Iterable[Path]) -> tuple[EmbeddingTarget, Encoder]:
        """With the encoder's weights, and for both one type of forward pass.

        Where any will do, that of the first of ``folders`` whose vectors can be added to, else the
        device's.
        """
        target = replaced(self, weights=encoder.weights)
        compute = compute_of(self.compute, encoder.device)
        if self.compute == AUTO:
            there = (folder for folder in folders if (folder / INFO).is_file() and not target.misfit(folder))
            compute = next((EmbeddingsInfo.load(folder).compute for folder in there), compute)
        return replaced(target, compute=compute), replaced(encoder, compute=compute)

    def info(self, encoder: Encoder) -> EmbeddingsInfo:
        """What a folder's model.json says of vectors that ``encoder`` made."""
        name, pretrained = self.model.name, self.model.pretrained
        return EmbeddingsInfo(
            name,
            pretrained,
            encoder.weights,
            encoder.dimension,
            self.precision,
            self.caption_text,
            encoder.compute,
        )

    def misfit(self, folder: Path) -> str:
        """Why vectors of this target can't join those in ``folder``; "" where they can, or none are there."""
        if not (folder / INFO).is_file():
            return ""
        info = EmbeddingsInfo.load(folder)
        model = ModelId(info.name, info.pretrained)
        same_weights = bool(self.weights) and info.weights == self.weights
        if model != self.model and not same_weights:
            return f"{folder} contains vectors of {model}, the settings ask for {self.model}"
        if info.precision != self.precision:
            return f"{folder} contains {info.precision} vectors, the settings ask for {self.precision}"
        if self.compute not in (AUTO, info.compute):
            return (
                f"{folder} contains vectors computed in {info.compute}, the settings ask for {self.compute}"
            )
        if info.caption_text != self.caption_text:
            was = info.caption_text
            return (
                f"{folder} contains vectors of {was} captions, the settings ask for {self.caption_text} ones"
            )
        if self.weights and info.weights and info.weights != self.weights:
            was, now = info.weights[:12], self.weights[:12]
            return f"{folder} was made with weights {was}…, {self.model} has {now}… now"
        return ""

"""How fast this machine embeds, measured on a few rows with the model that is at hand."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from ...core.errors import ModelError
from ...search.vectors.encoder import compute_of
from ...search.vectors.loading import load_encoder, local_weights
from ...search.vectors.models import model_of
from ...workspace.workspace import Workspace
from ..download.enqueue import matched_batches
from .rows import packed_images

if TYPE_CHECKING:
    from pathlib import Path

    from PIL.Image import Image

ROWS = 64


@dataclass(frozen=True, slots=True)
class EmbeddingSpeed:
    """Seconds for an image and its caption, and on what device."""

    seconds_a_row: float
    device: str


def measure(workspace: Workspace, rows: int = ROWS) -> EmbeddingSpeed:
    """The time of ``rows`` images and captions of the workspace; images that are missing are drawn.

    Fetches no weights: ModelError where they aren't on this machine. MissingExtraError without open_clip.
    """
    model = model_of(workspace)
    if not local_weights(model):
        raise ModelError(f"{model}: its weights aren't on this machine yet")
    settings = workspace.settings().model
    encoder = load_encoder(model, device=settings.device, batch=settings.batch)
    encoder = replace(encoder, compute=compute_of(settings.compute, encoder.device))
    batches = matched_batches(workspace.matches_path, ["caption"])
    captions = list(islice((text for batch in batches for text in batch.column(0).to_pylist()), rows))
    images: list[Path | Image] = [*_packed(workspace, rows)]
    images += [_drawing(seed) for seed in range(rows - len(images))]
    encoder.encode_images(images[:4])  # the first pass makes what the others use again
    encoder.encode_texts(captions[:4])
    began = time.perf_counter()
    encoder.encode_images(images)
    encoder.encode_texts(captions)
    return EmbeddingSpeed((time.perf_counter() - began) / rows, encoder.device)


def _packed(workspace: Workspace, rows: int) -> list[Path]:
    """The first images that are there."""
    if not workspace.images_path.is_file():
        return []
    names = packed_images(workspace)["path"].slice(0, rows).to_pylist()
    return [path for path in (workspace.root / str(name) for name in names) if path.is_file()]


def _drawing(seed: int) -> Image:
    """A picture of the size that web pictures often have."""
    import numpy as np
    from PIL import Image

    pixels = np.random.default_rng(seed).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((640, 480))

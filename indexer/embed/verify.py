"""Imported vectors, compared with the model that is said to have made them."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow.compute as pc

from ...core.errors import ModelError
from ...search.vectors.encoder import Encoder
from ...search.vectors.models import INFO
from ...search.vectors.store import Embeddings
from ...workspace.workspace import Workspace
from .caption_text import CAPTION_TEXTS

CHECKED = 32
"""Rows that are embedded again and compared."""
ENOUGH = 0.99
"""The least mean cosine of a vector of the same weights; devices and roundings differ by less than 0.001."""


def confirm_imported(workspace: Workspace, folder: Path, encoder: Encoder) -> None:
    """Give the vectors in ``folder`` the fingerprint of ``encoder`` where they have none and agree with it.

    A few rows spread over the folder are embedded again, images and captions. ModelError where their mean
    cosine says that another model made them; nothing happens where the folder has a fingerprint.
    """
    if not (folder / INFO).is_file():
        return
    stored = Embeddings.open(folder)
    if stored.info.weights:
        return
    if stored.info.dimension != encoder.dimension:
        raise ModelError(
            f"{folder} contains imported {stored.info.dimension}-d vectors, {encoder.model} gives "
            f"{encoder.dimension}-d; delete it to embed anew"
        )
    for what, cosine in _cosines(workspace, stored, encoder).items():
        if cosine < ENOUGH:
            raise ModelError(
                f"the imported {what} vectors in {folder} aren't of {encoder.model}: their mean cosine to "
                f"its own is {cosine:.3f}; name the model that made them, or delete the folder"
            )
    replace(stored.info, weights=encoder.weights).save(folder)


def _cosines(workspace: Workspace, stored: Embeddings, encoder: Encoder) -> dict[str, float]:
    """The mean cosine of stored and new vectors, of captions and of images; {} where there is no row."""
    captioned = np.flatnonzero(pc.is_valid(stored.metadata["caption"]).to_numpy())
    if not len(captioned):
        return {}
    rows = np.unique(captioned[np.linspace(0, len(captioned) - 1, CHECKED).astype(np.int64)]).astype(np.int64)
    some = stored.metadata.take(rows)
    text_of = CAPTION_TEXTS[stored.info.caption_text]
    texts = cast("list[str]", some["caption"].to_pylist())
    captions = encoder.encode_texts([text_of(text) for text in texts])
    cosines = {"caption": float((captions * stored.captions.take(rows)).sum(axis=1).mean())}
    files = [workspace.root / path for path in cast("list[str]", some["image_path"].to_pylist())]
    old = stored.images.take(rows)
    with contextlib.closing(encoder.image_batches(files)) as batches:
        cosines_by_batch = [(batch.vectors * old[batch.indices]).sum(axis=1) for batch in batches]
    products = np.concatenate(cosines_by_batch)
    return {**cosines, "image": float(products.mean())} if len(products) else cosines

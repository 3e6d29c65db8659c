"""SWAT's {dataset}_{model}_mined.pth → embeddings/<model>/.

The vectors keep no fingerprint of the weights they came from, so model.json has "" for it until
``captrawl embed`` has compared some of them with the loaded model's own (indexer.embed).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ..core.errors import InputError, import_failure
from ..indexer.embed.rows import rows_to_embed
from ..search.vectors.models import MODELS, ModelId, resolve
from ..search.vectors.store import EmbeddingsInfo, shard_rows, write_shard
from ..workspace.workspace import Workspace
from .folder import SwatFolder

logger = logging.getLogger(__name__)

PRECISION = "float32"


@dataclass(frozen=True, slots=True)
class Features:
    """A _mined.pth: float32 unit rows of images and captions, and each row's (class, image number)."""

    images: NDArray[np.float32]
    captions: NDArray[np.float32]
    keys: list[tuple[int, int]]


def model_named(folder: SwatFolder, config: str, model: str) -> ModelId | None:
    """The model that SWAT's name ``config`` stands for; else ``model``, where it is called so or no other is.

    A user's own name of a model says nothing: ``model`` is what the one _mined.pth of such a name holds.
    """
    if config in MODELS:
        return MODELS[config]
    others = [name for name, _ in folder.features if name not in MODELS]
    if model and ((candidate := resolve(model)).slug == config or len(others) == 1):
        return candidate
    return None


def load_features(path: Path) -> Features:
    """The vectors in ``path``; InputError where it isn't such a file, or contains anything but data."""
    try:
        import torch
    except ImportError as error:
        raise import_failure(error, "reading SWAT's _mined.pth", "cpu") from error
    import pickle

    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, ValueError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"{path} isn't read: it is cut off, or contains more than tensors ({first:.200})"
        ) from error
    names = {"image_features", "caption_features", "labels", "filepath"}
    if not isinstance(content, dict) or not names <= set(cast("dict[Any, Any]", content)):
        raise InputError(f"{path} isn't SWAT's: it lacks one of {', '.join(sorted(names))}")
    images, captions = (_vectors(path, content[name]) for name in ("image_features", "caption_features"))
    files = content["filepath"]
    if not isinstance(files, list | tuple) or not all(isinstance(t, str) for t in cast("list[Any]", files)):
        raise InputError(f"{path}: filepath is no list of paths")
    keys = [_key(path, text) for text in cast("list[str]", files)]
    if not len(images) == len(captions) == len(keys) or images.shape != captions.shape:
        raise InputError(
            f"{path} contains {images.shape} image and {captions.shape} caption vectors of {len(keys)} files"
        )
    return Features(images, captions, keys)


def store_features(
    workspace: Workspace, features: Features, model: ModelId, rows: Mapping[tuple[int, int], tuple[str, int]]
) -> int:
    """Write the vectors of the workspace's usable rows; returns how many rows have some.

    ``rows`` are the (URL, uid) of (class, image number), in the order that the images were linked in: one URL
    may stand with several captions, and its image is the first that was linked.
    """
    places = {key: place for place, key in reversed([*enumerate(features.keys)])}
    of_url: dict[str, int] = {}
    of_uid: dict[int, int] = {}
    for key, (url, uid) in rows.items():
        if (place := places.get(key)) is not None:
            of_url.setdefault(url, place)
            of_uid.setdefault(uid, place)
    rows_to_fill = rows_to_embed(workspace)
    places_of: list[NDArray[np.int64]] = []
    for name, place_of in (("url", of_url), ("uid", of_uid)):
        values = cast("list[Any]", rows_to_fill[name].to_pylist())
        places_of.append(np.array([place_of.get(value, -1) for value in values], np.int64))
    there = (places_of[0] >= 0) & (places_of[1] >= 0)
    rows_to_fill, images, captions = (
        rows_to_fill.filter(pa.array(there)),
        places_of[0][there],
        places_of[1][there],
    )
    folder = workspace.embeddings_folder(model.slug)
    text = workspace.settings().model.caption_text
    info = EmbeddingsInfo(model.name, model.pretrained, "", features.images.shape[1], PRECISION, text)
    info.save(folder)
    start = shard = 0
    while start < rows_to_fill.num_rows:
        some = slice(start, start + shard_rows(shard))
        write_shard(
            folder,
            shard,
            rows_to_fill.slice(start, shard_rows(shard)),
            images=features.images[images[some]],
            captions=features.captions[captions[some]],
        )
        start, shard = start + shard_rows(shard), shard + 1
    return rows_to_fill.num_rows


def _vectors(path: Path, value: Any) -> NDArray[np.float32]:
    try:
        vectors: NDArray[np.float32] = np.asarray(value.float().numpy(), np.float32)
    except (AttributeError, TypeError, RuntimeError) as error:
        raise InputError(f"{path} contains {type(value).__name__} where vectors belong") from error
    if vectors.ndim != 2 or not np.isfinite(vectors).all():
        raise InputError(f"{path} contains vectors of shape {vectors.shape}, or not-a-numbers")
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def _key(path: Path, text: str) -> tuple[int, int]:
    """(class, image number) of …/{class}/{n}.jpg."""
    words = text.replace("\\", "/").split("/")
    if len(words) < 2 or not words[-2].isdecimal() or not words[-1].partition(".")[0].isdecimal():
        raise InputError(f"{path}: {text!r:.120} isn't …/CLASS/NUMBER.jpg")
    return int(words[-2]), int(words[-1].partition(".")[0])

"""A model that was trained to tell copies (SSCD, ISC), from a TorchScript file that the user has.

It takes (images, 3, SIDE, SIDE) normalised as for ImageNet, and gives (images, dimension). The authors of the
models publish such files; none is fetched.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.errors import ModelError, import_failure
from ...core.files import sha256_file
from ...core.records import Progress, Vectors, silent
from ...search.vectors.decode import Undecodable, decoded
from ..vector_cache import cached

SIDE = 320
NEAR = 0.75
"""The cosine above which SSCD's authors count copies."""
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_BATCH, _AT_ONCE = 32, 4096


class CopyModel:
    """The model in the file ``path``; ModelError where it is none, or gives no vectors."""

    def __init__(self, path: Path, device: str) -> None:
        try:
            import torch
        except ImportError as error:
            raise import_failure(error, "copy models", "cpu") from error
        if not path.is_file():
            raise ModelError(f"{path} isn't there: [model] copies names a TorchScript file, such as SSCD's")
        self.weights = sha256_file(path)
        self._torch: Any = torch
        self._device = device
        try:
            with warnings.catch_warnings():  # PyTorch advises its successor, which these files aren't in
                warnings.simplefilter("ignore", FutureWarning)
                self._model = torch.jit.load(str(path), map_location=device).eval()
            self.dimension = self._forward(np.zeros((1, 3, SIDE, SIDE), np.float32)).shape[1]
        except (RuntimeError, ValueError, IndexError) as error:
            line = str(error).strip().splitlines()[-1][:200]
            raise ModelError(
                f"{path} is no TorchScript model of {SIDE} × {SIDE} images to vectors: {line}"
            ) from error

    def vectors(
        self, pictures: Sequence[tuple[str, Path]], store: Path, progress: Progress = silent
    ) -> Vectors:
        """Unit rows of ``pictures`` (their sha256, their file), kept in ``store``; zeros if undecodable."""

        def compute(positions: Sequence[int]) -> Vectors:
            rows = [self._rows([pictures[at][1] for at in some]) for some in _batches(positions)]
            progress("copy model", positions[-1] + 1, len(pictures))
            return np.concatenate(rows)

        keys = [key for key, _ in pictures]
        return cached(store, keys, compute, weights=self.weights, dimension=self.dimension, chunk=_AT_ONCE)

    def _rows(self, paths: Sequence[Path]) -> Vectors:
        pixels = [
            np.zeros((3, SIDE, SIDE), np.float32) if isinstance(one, Undecodable) else one
            for one in decoded(paths, _pixels, ahead=_BATCH)
        ]
        readable = np.array([one.any() for one in pixels])
        vectors = self._forward(np.stack(pixels)) * readable[:, None]
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        return (vectors / np.maximum(norms, 1e-12)).astype(np.float32)

    def _forward(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        with self._torch.inference_mode():
            answer = self._model(self._torch.from_numpy(pixels).to(self._device))
        vectors: NDArray[np.float32] = answer.float().cpu().numpy()
        if vectors.ndim != 2 or len(vectors) != len(pixels) or not np.isfinite(vectors).all():
            raise ValueError(f"it gives {vectors.shape} of {pixels.shape}")
        return vectors


def _batches(positions: Sequence[int]) -> list[Sequence[int]]:
    return [positions[start : start + _BATCH] for start in range(0, len(positions), _BATCH)]


def _pixels(picture: Any) -> NDArray[np.float32]:
    from PIL.Image import Resampling

    levels = np.asarray(picture.convert("RGB").resize((SIDE, SIDE), Resampling.BILINEAR), np.float32) / 255
    normal = (levels - np.array(_MEAN, np.float32)) / np.array(_DEVIATION, np.float32)
    return np.ascontiguousarray(normal.transpose(2, 0, 1), np.float32)

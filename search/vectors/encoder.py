"""Texts and images → unit vectors, with an open_clip model.

The forward pass runs in float32, or by torch's autocast in a shorter type (:func:`compute_of`); how vectors
are stored is another setting (precision). It runs with the model's own tokenizer and image transform.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.errors import InputError, ModelError
from ...core.records import Progress, Vectors, silent
from .decode import Source, Undecodable, decoded, split_transform
from .decode_processes import decode_processes, decoded_in_processes
from .models import FLOAT32, ModelId
from .text_tower import TextTower, text_tower
from .tokenizing import token_blocks, token_processes

AUTO = "auto"


def compute_of(setting: str, device: str) -> str:
    """What ``[model] compute`` stands for on ``device``: auto is float16 on CUDA, else float32.

    On an H200 float16 took 0.22 of the time of float32, at a cosine of 1 - 1e-6 to it (ViT-B-32).
    """
    if setting != AUTO:
        return setting
    return "float16" if device.startswith("cuda") else FLOAT32


@dataclass(frozen=True, slots=True)
class ImageBatch:
    """Some of the images asked for: ``vectors[i]`` belongs to image ``indices[i]``; ``failed`` have none."""

    indices: NDArray[np.int64]
    vectors: Vectors
    failed: dict[int, str]
    """Index of an image that couldn't be decoded → reason."""


@dataclass(frozen=True, slots=True)
class Encoder:
    """A loaded model. ``weights`` is its weights' fingerprint, ``batch`` the images a forward pass takes."""

    model: ModelId
    weights: str
    dimension: int
    context: int
    device: str
    batch: int
    preprocess: Callable[[Any], Any]
    """open_clip's evaluation transform: PIL image → float32 tensor (3, height, width)."""
    network: Any
    tokenizer: Callable[[list[str]], Any]
    compute: str = FLOAT32
    """The type of the forward pass: FLOAT32, or float16 or bfloat16 by autocast."""

    def encode_texts(self, texts: Sequence[str | None], progress: Progress = silent) -> Vectors:
        """Unit rows (len(texts), dimension) in input order; None is read as ""."""
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        done = 0
        for indices, rows in self.text_batches(texts):
            vectors[indices] = rows
            done += len(indices)
            progress("encode texts", done, len(texts))
        return vectors

    def encode_images(self, images: Sequence[Source], progress: Progress = silent) -> Vectors:
        """Unit rows (len(images), dimension) in input order, of files or PIL images.

        Raises InputError naming the first image that can't be decoded; image_batches tells instead.
        """
        vectors = np.zeros((len(images), self.dimension), np.float32)
        done = 0
        with contextlib.closing(self.image_batches(images)) as batches:
            for batch in batches:
                for index, reason in batch.failed.items():
                    raise InputError(f"can't read image {images[index]}: {reason}")
                vectors[batch.indices] = batch.vectors
                done += len(batch.indices)
                progress("encode images", done, len(images))
        return vectors

    def text_batches(self, texts: Sequence[str | None]) -> Iterator[tuple[NDArray[np.int64], Vectors]]:
        """(indices, unit rows) of every text once, short ones first within a block of TEXT_BLOCK.

        A causal tower that pools at the end token runs at the batch's longest text; a batch then holds as
        many tokens as ``batch`` texts of full length at most, and at most 8 × ``batch`` texts.
        """
        tower = text_tower(self.network)
        for start, tokens in self._token_blocks(texts):
            if tower is None:
                for first in range(0, len(tokens), self.batch):
                    rows = slice(first, first + self.batch)
                    features = self._features(self.network.encode_text, tokens[rows])
                    yield np.arange(start + first, start + first + len(features)), features
                continue
            ends = tower.ends(tokens).numpy()
            order = np.argsort(ends, kind="stable")
            for some in self._by_length(order, ends):
                length = int(ends[some].max()) + 1
                yield start + some, self._features(tower, tokens[some][:, :length])

    def _token_blocks(self, texts: Sequence[str | None]) -> Iterator[tuple[int, Any]]:
        # what has no fingerprint was wrapped, and its tokenizer may be anyone's
        processes = token_processes(self.device, len(texts)) if self.weights else 0
        return token_blocks(texts, self.tokenizer, self.model, self.context, processes=processes)

    def image_batches(self, images: Sequence[Source]) -> Generator[ImageBatch, None, None]:
        """Every image once, in input order, ``batch`` at a time; decoding runs ahead.

        It runs in threads, or in processes where those are worth it (:mod:`decode_processes`). A GPU is given
        the next batch before the vectors of the one before are waited for.
        """
        prepare, finish = split_transform(self.preprocess)
        arrays: list[NDArray[Any]] = []
        indices: list[int] = []
        reasons: dict[int, str] = {}
        started: list[Callable[[], ImageBatch]] = []

        def start() -> None:
            of_batch, failed = np.array(indices, np.int64), dict(reasons)
            pixels = self._moved(np.stack(arrays), finish) if arrays else None
            units = None if pixels is None else self._units(self.network.encode_image, pixels)
            started.append(
                lambda: ImageBatch(of_batch, self._empty() if units is None else self._fetched(units), failed)
            )
            arrays.clear()
            indices.clear()
            reasons.clear()

        processes = decode_processes(self.device, images)
        stream = (
            decoded_in_processes(images, self.preprocess, processes=processes)
            if processes
            else decoded(images, prepare, ahead=3 * self.batch)
        )
        with contextlib.closing(stream):
            for index, image in enumerate(stream):
                if isinstance(image, Undecodable):
                    reasons[index] = image.reason
                    continue
                arrays.append(image)
                indices.append(index)
                if len(arrays) == self.batch:
                    start()
                    if len(started) > 1:
                        yield started.pop(0)()
        if arrays or reasons:
            start()
        for batch in started:
            yield batch()

    def _by_length(self, order: NDArray[np.int64], ends: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        """Cut ``order`` (indices, shortest first) into batches of bounded tokens and texts."""
        first = 0
        while first < len(order):
            size = 8 * self.batch
            while size > self.batch:
                last = order[min(first + size, len(order)) - 1]
                if size * (int(ends[last]) + 1) <= self.batch * self.context:
                    break
                size = max(self.batch, size * 3 // 4)
            yield order[first : first + size]
            first += size

    def _features(self, forward: TextTower | Callable[[Any], Any], batch: Any) -> Vectors:
        """Run ``forward`` on ``batch`` and give float32 unit rows on the host."""
        return self._fetched(self._units(forward, batch.to(self.device)))

    def _moved(self, pixels: NDArray[Any], finish: Callable[[Any], Any]) -> Any:
        """``pixels`` finished on the device; to a GPU they go from pinned memory, while it computes."""
        import torch

        tensor = torch.from_numpy(pixels)
        with self._memory():
            pinned = tensor.pin_memory() if self.device.startswith("cuda") else tensor
            return finish(pinned.to(self.device, non_blocking=True))

    def _units(self, forward: TextTower | Callable[[Any], Any], batch: Any) -> Any:
        """Unit rows of ``batch`` on the device; on a GPU they may still be computed."""
        import torch

        kind = self.device.partition(":")[0]
        shorter = self.compute != FLOAT32
        cast = torch.autocast(kind, getattr(torch, self.compute)) if shorter else contextlib.nullcontext()
        with self._memory(), torch.inference_mode():
            with cast:
                if isinstance(forward, TextTower):
                    features = forward.encode(batch, forward.ends(batch))
                else:
                    features = forward(batch)
            return torch.nn.functional.normalize(features.float(), dim=-1)

    def _fetched(self, units: Any) -> Vectors:
        """``units`` on the host; ModelError where they aren't numbers."""
        with self._memory():
            rows = units.cpu().numpy()
        if not np.isfinite(rows).all():
            raise ModelError(
                f"{self.model} gives vectors that aren't numbers in {self.compute}; its weights don't fit it "
                "or are damaged"
                + ("" if self.compute == FLOAT32 else f', or it needs [model] compute = "{FLOAT32}"')
            )
        return rows

    @contextlib.contextmanager
    def _memory(self) -> Generator[None]:
        """Lack of the device's memory as a ModelError."""
        import torch

        try:
            yield
        except torch.OutOfMemoryError as error:
            raise ModelError(
                f"{self.device} ran out of memory with batches of {self.batch}; set a smaller model.batch"
            ) from error

    def _empty(self) -> Vectors:
        return np.zeros((0, self.dimension), np.float32)

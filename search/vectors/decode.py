"""Image files → pixels, decoded in threads while the model works on the batch before.

Pillow gives up the interpreter lock while it decodes and resizes, so threads are enough for a model on the
CPU, and no image is copied between processes. What is in flight is bounded, and a file that can't be decoded
is a value.
"""

from __future__ import annotations

import contextlib
import warnings
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.parallel import cores
from ...core.pictures import Fault, UnreadablePictureError, read_upright

Source = Path | Any
"""An image file, or a PIL image that is already decoded."""

MISSING_FILE = "missing file"


@dataclass(frozen=True, slots=True)
class Undecodable:
    """Why an image couldn't be read; ``reason`` is one short line."""

    reason: str


Decoded = NDArray[Any] | Undecodable
Prepare = Callable[[Any], NDArray[Any]]
"""A PIL image → the array that a batch is stacked from."""


def threads() -> int:
    """How many threads decode: one a usable core, at most 32."""
    return min(32, cores())


def decoded(images: Sequence[Source], prepare: Prepare, *, ahead: int) -> Generator[Decoded, None, None]:
    """``prepare(image)`` of every image in the order given, or why it can't be had.

    At most ``ahead`` images are decoded or waiting at any time.
    """
    pool = ThreadPoolExecutor(threads(), thread_name_prefix="decode")
    waiting: deque[Future[Decoded]] = deque()
    try:
        with _bombs_refused():
            for image in images:
                if len(waiting) >= ahead:
                    yield waiting.popleft().result()
                waiting.append(pool.submit(decode, image, prepare))
            while waiting:
                yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def decode(source: Source, prepare: Prepare) -> Decoded:
    """``prepare(image)``, or why it can't be had."""
    from PIL import Image

    try:
        if not isinstance(source, Path):
            return prepare(source)
        data = source.read_bytes()
        return prepare(read_upright(data, formats=None, max_pixels=Image.MAX_IMAGE_PIXELS))
    except FileNotFoundError:
        return Undecodable(MISSING_FILE)
    except UnreadablePictureError as error:
        many = error.fault is Fault.TOO_MANY_PIXELS
        return Undecodable(f"more than {Image.MAX_IMAGE_PIXELS:,} pixels" if many else str(error))
    except Exception as error:  # noqa: BLE001 a file that can't be read, a transform that can't take it
        text = " ".join(str(error).split()) or type(error).__name__
        return Undecodable(text.replace(str(source), "the file")[:200])


@contextlib.contextmanager
def _bombs_refused() -> Generator[None, None, None]:
    """Pillow's warning of a decompression bomb is an error here; its remarks on odd metadata are silent.

    Set by the thread that waits for the decoders: warning filters belong to the whole process.
    """
    with warnings.catch_warnings():
        refuse_bombs()
        yield


def refuse_bombs() -> None:
    """The same for the rest of a process that does nothing else."""
    from PIL import Image

    warnings.filterwarnings("ignore", module=r"PIL\.")
    warnings.simplefilter("error", Image.DecompressionBombWarning)


def split_transform(
    transform: Callable[[Any], Any],
) -> tuple[Callable[[Any], NDArray[Any]], Callable[[Any], Any]]:
    """open_clip's evaluation transform in two: one image → array (in a thread), batch of arrays → tensor.

    Of a Compose that ends in ToTensor and Normalize, the threads do what comes before and hand over uint8
    pixels (height, width, 3): a quarter of the memory, and scaling and normalising done once a batch, the
    same operations in the same order. Any other transform runs wholly in the threads.
    """
    import torch
    from torchvision.transforms import Compose, Normalize, ToTensor

    steps: list[Any] = list(transform.transforms) if isinstance(transform, Compose) else []
    if len(steps) < 2 or not isinstance(steps[-2], ToTensor) or not isinstance(steps[-1], Normalize):

        def whole(image: Any) -> NDArray[Any]:
            return transform(image).numpy()

        return whole, lambda batch: batch
    before, normalise = Compose(steps[:-2]), steps[-1]

    def prepare(image: Any) -> NDArray[Any]:
        return np.array(before(image), dtype=np.uint8)

    def finish(batch: Any) -> Any:
        pixels = batch.permute(0, 3, 1, 2).contiguous()
        return normalise(pixels.to(torch.get_default_dtype()).div_(255))

    return prepare, finish

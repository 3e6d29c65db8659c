"""Texts → tokens, a block at a time; in processes where a GPU takes more than one can give."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...core.parallel import cores, run_jobs
from .models import ModelId

if TYPE_CHECKING:
    from torch import Tensor

    from ...core.records import OnRows

TEXT_BLOCK = 8192
"""Texts tokenized and sorted by length at a time: bounds the memory, and batches hardly get longer."""
WORTH = 200_000
"""Texts for which processes are started: one takes some five seconds to import what it needs."""
_MOST_PROCESSES = 8
"""One tokenizes some 11,000 captions a second, an H200 encodes some 100,000."""

Tokenizer = Callable[[list[str]], Any]


def token_processes(device: str, texts: int) -> int:
    """How many processes should tokenize for a model on ``device``; 0: this one does."""
    return min(_MOST_PROCESSES, cores()) if device.startswith("cuda") and texts >= WORTH else 0


@dataclass(frozen=True, slots=True)
class _Job:
    model: ModelId
    context: int
    start: int
    texts: list[str]


def token_blocks(
    texts: Sequence[str | None], tokenizer: Tokenizer, model: ModelId, context: int, *, processes: int
) -> Generator[tuple[int, Tensor], None, None]:
    """(place of the first, tokens (n, ``context``)) of every block of ``texts``; None is read as "".

    In order from this process; from others, which load the ``model``'s tokenizer, as they come.
    """
    import torch

    if not processes:
        for start, block in _blocks(texts):
            yield start, tokenizer(block)
        return
    jobs = (_Job(model, context, start, block) for start, block in _blocks(texts))
    with contextlib.closing(run_jobs(_tokens, jobs, workers=processes, on_units=lambda _: None)) as blocks:
        for start, tokens in blocks:
            yield start, torch.from_numpy(tokens.astype(np.int64))


def _blocks(texts: Sequence[str | None]) -> Iterator[tuple[int, list[str]]]:
    for start in range(0, len(texts), TEXT_BLOCK):
        yield start, [text or "" for text in texts[start : start + TEXT_BLOCK]]


def _tokens(job: _Job, _: OnRows) -> tuple[int, NDArray[np.int32]]:
    return job.start, _tokenizer(job.model, job.context)(job.texts).numpy().astype(np.int32)


@lru_cache(1)
def _tokenizer(model: ModelId, context: int) -> Tokenizer:
    import open_clip

    tokenizer: Any = open_clip.get_tokenizer(model.name, context_length=context)
    return tokenizer

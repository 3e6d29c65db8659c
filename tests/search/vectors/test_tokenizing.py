"""Tokens made in processes are those made here, and so are the vectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from captrawl.search.vectors import encoder as encoder_module
from captrawl.search.vectors import tokenizing
from captrawl.search.vectors.loading import load_encoder
from captrawl.search.vectors.models import resolve
from captrawl.search.vectors.tokenizing import WORTH, token_blocks, token_processes

TEXTS = [None, "", *(f"{'long ' * (n % 13)}text {n} été 犬" for n in range(300))]


def test_processes_give_the_same_tokens_and_vectors(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenizing, "TEXT_BLOCK", 64)
    encoder = load_encoder(resolve(f"local-dir:{tiny_model}"), batch=5)
    here, there = (
        dict(token_blocks(TEXTS, encoder.tokenizer, encoder.model, encoder.context, processes=processes))
        for processes in (0, 2)
    )
    assert sorted(there) == list(here) == [0, 64, 128, 192, 256]
    for start, tokens in here.items():
        assert there[start].dtype == tokens.dtype
        assert (there[start] == tokens).all()
    alone = encoder.encode_texts(TEXTS)
    monkeypatch.setattr(encoder_module, "token_processes", lambda *_: 2)
    np.testing.assert_array_equal(encoder.encode_texts(TEXTS), alone)


@pytest.mark.parametrize(
    ("device", "texts", "some"),
    [("cuda", WORTH, True), ("cuda", WORTH - 1, False), ("cpu", WORTH, False), ("mps", WORTH, False)],
)
def test_only_a_gpu_with_many_texts_has_processes(device: str, texts: int, some: bool) -> None:
    assert (token_processes(device, texts) > 0) is some

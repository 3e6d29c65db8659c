"""The small model: plain open_clip loads it, and it knows drawings that it has never seen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from captrawl.demo.accuracy import ModelAccuracy, measure
from captrawl.demo.run import MODEL


@pytest.fixture(scope="module")
def figures() -> ModelAccuracy:
    return measure(MODEL, pictures=6)


def test_it_knows_unseen_drawings(figures: ModelAccuracy) -> None:
    assert figures.top1 >= 0.9
    assert figures.recall1 >= 0.9
    assert figures.homonyms >= 0.9


def test_it_is_small(figures: ModelAccuracy) -> None:
    assert figures.megabytes <= 16


def test_its_weights_are_float16() -> None:
    safetensors = pytest.importorskip("safetensors")
    with safetensors.safe_open(MODEL / "open_clip_model.safetensors", "pt") as weights:
        kinds = {str(weights.get_tensor(name).dtype) for name in weights.keys()}  # noqa: SIM118 - no mapping
    assert kinds <= {"torch.float16", "torch.int64"}  # int64: how many batches a norm has seen


def test_the_tokenizer_takes_the_models_context_length() -> None:
    import open_clip

    tokens = open_clip.get_tokenizer(f"local-dir:{MODEL}")(["a bat " * 60])
    config = json.loads((MODEL / "open_clip_config.json").read_text(encoding="utf-8"))
    assert tokens.shape == (1, config["model_cfg"]["text_cfg"]["context_length"]) == (1, 32)


def test_the_readme_has_the_figures_of_these_weights() -> None:
    text = (Path(MODEL).parent / "README.md").read_text(encoding="utf-8")
    size = (MODEL / "open_clip_model.safetensors").stat().st_size / 1e6
    assert f"({size:.1f} MB)" in text
    assert "| zero-shot top-1 among 24 classes |" in text

"""What of a caption is embedded: all of it, or what SWAT's database keeps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from captrawl.core.errors import ModelError
from captrawl.indexer.embed.caption_text import swat_caption
from captrawl.indexer.embed.stage import embed, embed_status
from captrawl.search.vectors.loading import load_encoder
from captrawl.search.vectors.models import model_of
from captrawl.search.vectors.store import Embeddings
from captrawl.workspace.settings_edits import edit_settings
from captrawl.workspace.workspace import State, Workspace

CASES = {
    'A "red-star" flag': "A red star flag",
    "St. Bernard's puppy_01": "St. Bernards puppy 01",
    "“curly” ‘quotes’ – stay": "“curly” ‘quotes’ – stay",
    "Tom &amp; Jerry": "Tom &amp; Jerry",
    "": "N.A.",
}


@pytest.mark.parametrize("caption", CASES)
def test_captions_as_swats_database_has_them(caption: str) -> None:
    assert swat_caption(caption) == CASES[caption]


def with_text(workspace: Workspace, text: str) -> None:
    edit_settings(workspace.settings_path, {"model": {"caption_text": text}})


def test_the_swat_text_is_embedded_and_never_mixed(make_workspace: Any) -> None:
    captions = ['a "golden-retriever"', "a cat", None]
    rows = [(0, f"http://x/{at}", caption, at) for at, caption in enumerate(captions)]
    workspace = make_workspace(rows, precision="float32")
    embed(workspace)
    folder = workspace.embeddings_folder(model_of(workspace).slug)
    raw = Embeddings.open(folder)
    images = images_of(raw, captions)
    assert raw.info.caption_text == "raw"
    assert "caption_text" not in (folder / "model.json").read_text()  # as every folder before has it
    with_text(workspace, "swat")
    status = embed_status(workspace)
    assert status.state is State.STALE
    assert "contains vectors of raw captions, the settings ask for swat ones" in status.reason
    with pytest.raises(ModelError, match="vectors of raw captions"):
        embed(workspace)
    embed(workspace, replace=True)
    assert embed_status(workspace).state is State.DONE
    stored = Embeddings.open(folder)
    encoder = load_encoder(model_of(workspace), device="cpu")
    at = {caption: row for row, caption in enumerate(stored.metadata["caption"].to_pylist())}
    order = np.array([at[caption] for caption in captions])
    theirs = encoder.encode_texts(["a golden retriever", "a cat", "N.A."])
    np.testing.assert_allclose(stored.captions.take(order), theirs, atol=1e-5)
    np.testing.assert_allclose(stored.images.take(order), images, atol=1e-5)


def images_of(raw: Embeddings, captions: list[str | None]) -> np.ndarray:
    at = {caption: row for row, caption in enumerate(raw.metadata["caption"].to_pylist())}
    return raw.images.take(np.array([at[caption] for caption in captions]))

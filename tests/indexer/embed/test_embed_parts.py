"""Vectors made in parts and merged are those of the undivided embedding."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from captrawl.core.errors import InputError, WorkspaceError
from captrawl.indexer.embed import stage
from captrawl.indexer.embed.stage import embed, embed_part, embed_status, embedded_parts
from captrawl.search.vectors.encoder import Encoder
from captrawl.search.vectors.models import model_of
from captrawl.search.vectors.store import Embeddings
from captrawl.workspace.parts import StagePart, parts_folder
from captrawl.workspace.workspace import State, Workspace

ROWS = [(n % 2, f"http://h/{n}", f"caption {n % 9}", -1 if n == 7 else n % 20) for n in range(40)]


def stored(workspace: Workspace) -> Embeddings:
    return Embeddings.open(workspace.embeddings_folder(model_of(workspace).slug))


def test_parts_merge_into_the_undivided_vectors(
    make_workspace: Any, monkeypatch: pytest.MonkeyPatch, rewrite: Any
) -> None:
    whole, divided = make_workspace(ROWS, name="whole"), make_workspace(ROWS, name="divided")
    counts = embed(whole)
    for number in (3, 1, 2):
        if number == 2:
            with pytest.raises(WorkspaceError, match="lacks part 2 of 3"):
                embed(divided)
        embed_part(divided, StagePart(number, 3))
        assert number in embedded_parts(divided, 3)
    with pytest.raises(InputError, match="contains parts of 3"):
        embed_part(divided, StagePart(1, 2))

    def never(*_: Any) -> Any:
        raise AssertionError("a merge embeds nothing but what failed")

    monkeypatch.setattr(Encoder, "text_batches", lambda _, texts: iter(()) if not texts else never())
    assert embed(divided) == counts
    assert embed_status(divided).state is State.DONE
    theirs, ours = stored(whole), stored(divided)
    assert ours.metadata.equals(theirs.metadata)
    for one, other in ((ours.images, theirs.images), (ours.captions, theirs.captions)):
        every = np.arange(ours.rows)
        np.testing.assert_allclose(one.take(every), other.take(every), atol=2e-3)
    assert not parts_folder(divided, "embed", model_of(divided).slug).exists()


def test_a_part_of_other_rows_or_another_precision_is_not_complete(make_workspace: Any, rewrite: Any) -> None:
    workspace = make_workspace(ROWS)
    for number in (1, 2):
        embed_part(workspace, StagePart(number, 2))
    assert embedded_parts(workspace, 2) == {1, 2}
    other = make_workspace(ROWS, precision="float32")
    assert embedded_parts(other, 2) == set()
    with pytest.raises(WorkspaceError, match="lacks part 1, 2 of 2"):
        embed(other)
    make_workspace(ROWS)
    rewrite(workspace, ROWS[:30])
    assert embedded_parts(workspace, 2) == set()
    assert stage.EMBED_STAGE.status(workspace).state is State.MISSING

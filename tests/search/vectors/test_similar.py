"""search.similar on a small workspace."""

from __future__ import annotations

import json

import numpy as np
import pytest
from captrawl.core.errors import InputError, QueryError, WorkspaceError
from captrawl.core.records import MATCH_SCHEMA
from captrawl.indexer.embed.faiss_index import build_vectors
from captrawl.indexer.embed.stage import embed
from captrawl.search.vectors.loading import load_encoder
from captrawl.search.vectors.models import model_of
from captrawl.search.vectors.similar import similar
from captrawl.workspace.workspace import Workspace
from PIL import Image

ROWS = [
    *((0, f"http://x/{n}", f"a picture of thing number {n}", n) for n in range(8)),
    *((7, f"http://x/{n}", f"a picture of thing number {n}", n) for n in range(5, 12)),
    (8, "http://x/99", "not there", None),
]
CLASSES = [(0, "cat"), (7, "dog"), (8, "dog")]


@pytest.fixture
def workspace(make_workspace) -> Workspace:
    workspace = make_workspace(ROWS)
    entries = [
        {"id": at, "name": name, "most_common_name": name, "extra": {}}
        | {"synonyms": [{"text": name, "frequency": 1, "match": True, "prompt": True, "reason": ""}]}
        for at, name in CLASSES
    ]
    workspace.classes_path().write_text(json.dumps({"format": 1, "classes": entries}))
    embed(workspace)
    build_vectors(workspace)
    return workspace


def urls(table) -> list[str]:
    return table["url"].to_pylist()


def test_an_image_finds_itself_first(workspace):
    found = similar(workspace, image=workspace.root / "images/00000/6.png", k=3)
    assert found.schema.names == ["score", "path", *MATCH_SCHEMA.names]
    assert found["score"].to_pylist() == sorted(found["score"].to_pylist(), reverse=True)
    first = found.to_pylist()[0]
    assert (first["url"], first["path"], first["class_id"]) == ("http://x/6", "images/00000/6.png", 0)
    assert first["score"] == pytest.approx(1, abs=1e-3)


def test_a_text_finds_its_caption_and_each_row_once(workspace):
    found = similar(workspace, text="a picture of thing number 9", where="captions", k=100)
    assert urls(found)[0] == "http://x/9"
    assert sorted(urls(found)) == sorted(f"http://x/{n}" for n in range(12))


def test_scores_are_those_of_the_encoder(workspace):
    encoder = load_encoder(model_of(workspace))
    found = similar(workspace, text="an owl", k=12)
    (query,) = encoder.encode_texts(["an owl"])
    images = encoder.encode_images([workspace.root / path for path in found["path"].to_pylist()])
    np.testing.assert_allclose(found["score"].to_numpy(), images @ query, atol=2e-3)


@pytest.mark.parametrize(("given", "numbers"), [("cat", range(8)), ("7", range(5, 12)), ("0", range(8))])
def test_one_class(workspace, given, numbers):
    found = similar(workspace, text="thing", class_name=given, k=50)
    assert sorted(urls(found)) == sorted(f"http://x/{n}" for n in numbers)
    assert len(set(found["class_id"].to_pylist())) == 1


def test_a_class_without_images(workspace):
    assert similar(workspace, text="thing", class_name="8").num_rows == 0


def test_rows_no_longer_matched_are_left_out(workspace, rewrite):
    rewrite(workspace, ROWS[:3])
    assert sorted(urls(similar(workspace, text="thing"))) == ["http://x/0", "http://x/1", "http://x/2"]


class TestRefusals:
    def test_classes(self, workspace):
        with pytest.raises(InputError, match=r"classes 7, 8 are all named 'dog'"):
            similar(workspace, text="thing", class_name="dog")
        with pytest.raises(InputError, match=r"no class of .* '5'"):
            similar(workspace, text="thing", class_name="5")
        with pytest.raises(InputError, match=r"'Dgo'; did you mean 'dog'\?"):
            similar(workspace, text="thing", class_name="Dgo")

    def test_questions(self, workspace, tmp_path):
        for text, image in (("", None), ("  ", None), ("a", tmp_path)):
            with pytest.raises(QueryError):
                similar(workspace, text=text, image=image)
        damaged = tmp_path / "damaged.jpg"
        damaged.write_bytes(b"no image")
        with pytest.raises(InputError, match=r"damaged\.jpg: not an image"):
            similar(workspace, image=damaged)
        with pytest.raises(InputError, match=r"absent\.jpg: missing file"):
            similar(workspace, image=tmp_path / "absent.jpg")

    def test_before_embed(self, make_workspace):
        with pytest.raises(WorkspaceError, match="captrawl embed"):
            similar(make_workspace(ROWS, name="new"), text="thing")


def test_odd_images_are_read(workspace, tmp_path):
    """Grey, transparent and palette images."""
    for mode in ("L", "RGBA", "P", "CMYK", "1", "I;16"):
        path = tmp_path / f"{mode.replace(';', '')}.{'jpg' if mode == 'CMYK' else 'png'}"
        Image.new(mode, (50, 30)).save(path)
        assert similar(workspace, image=path, k=1).num_rows == 1

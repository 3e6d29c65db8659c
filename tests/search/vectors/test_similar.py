"""search.similar on a small workspace."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from captrawl.core.errors import InputError, QueryError, WorkspaceError
from captrawl.core.records import MATCH_SCHEMA
from captrawl.indexer.embed.faiss_index import build_vectors
from captrawl.indexer.embed.stage import embed
from captrawl.search.vectors.loading import load_encoder
from captrawl.search.vectors.models import model_of
from captrawl.search.vectors.similar import SearchIn, Similarity, similar
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
    assert found.schema.names == ["score", "path", *MATCH_SCHEMA.names, "captions"]
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


COPIES = [
    (0, "http://x/1", "a red kite", 1),
    (0, "http://x/2", "a kite, red", 1),
    (0, "http://x/3", "a red kite", 1),
    (7, "http://x/4", "a kite of another class", 1),
    *((0, f"http://y/{n}", f"thing {n}", n) for n in range(2, 9)),
]


@pytest.mark.parametrize("where", ["images", "captions"])
def test_a_hit_is_a_picture_with_all_its_captions(workspace, rewrite, where):
    rewrite(workspace, COPIES)
    embed(workspace)
    build_vectors(workspace)
    pictures = similar(workspace, text="a red kite", where=where, k=5)
    assert len(set(pictures["path"].to_pylist())) == pictures.num_rows == 5
    assert similar(workspace, text="a red kite", where=where, k=100).num_rows == 8
    captions = {row["path"]: row["captions"] for row in similar(workspace, text="x", k=8).to_pylist()}
    assert sorted(captions["images/00000/1.png"]) == [
        "a kite of another class", "a kite, red", "a red kite",
    ]  # fmt: skip
    of_class = similar(workspace, text="a red kite", where=where, class_name="cat", k=8).to_pylist()
    assert {caption for row in of_class for caption in row["captions"]}.isdisjoint(
        {"a kite of another class"}
    )
    if where == "captions":
        assert pictures["captions"].to_pylist()[0][0] == "a red kite"


def test_more_like_a_row_leaves_its_picture_out(workspace, rewrite):
    rewrite(workspace, COPIES)
    embed(workspace)
    build_vectors(workspace)
    [hit] = similar(workspace, text="a red kite", where="captions", k=1).to_pylist()
    near = Similarity.open(workspace).by_row(hit["uid"], "images", SearchIn(k=20))
    assert near.num_rows == 7
    assert hit["path"] not in near["path"].to_pylist()


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


def test_mutated_images_are_looked_for_or_refused(workspace, tmp_path):
    """20 of each format: a line of an answer, or one line that names the file."""
    path, chooser = tmp_path / "mutated", np.random.default_rng(4)
    opened, refusals = Similarity.open(workspace), []
    for kind in ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF"):
        whole = io.BytesIO()
        Image.linear_gradient("L").convert("RGB").resize((64, 48)).save(whole, kind)
        for _ in range(20):
            body = bytearray(whole.getvalue())
            for at in chooser.integers(2, len(body), 5):
                body[at] = int(chooser.integers(256))
            path.write_bytes(body)
            try:
                assert opened.by_image(path, SearchIn(k=1)).num_rows == 1
            except InputError as error:
                refusals.append(str(error))
    assert len(refusals) > 20
    assert all(str(path) in refusal and "\n" not in refusal for refusal in refusals)

"""A workspace from Python: stages, tables, neighbours, and how they look in a notebook."""

from __future__ import annotations

import tomllib
from pathlib import Path

import captrawl as ct
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from captrawl.core.records import MATCH_SCHEMA
from captrawl.demo.drawings.catalogue import draw
from captrawl.library.samples import SampleChoice
from captrawl.workspace.settings import SampleSettings


def test_the_stages_give_counts_and_tables(ready: ct.Workspace) -> None:
    assert {stage.stage: str(stage.state) for stage in ready.status()} == {
        "match": "done", "download": "done", "embed": "done", "vectors": "done",
        "sample:T2I4": "done", "report": "missing",
    }  # fmt: skip
    assert [entry.name for entry in ready.classes] == ["stop sign", "anchor", "palm tree"]
    assert ready.matches.schema.equals(MATCH_SCHEMA)
    assert np.bincount(ready.matches["class_id"].to_numpy()).tolist() == [6, 6, 6]
    assert ready.images["state"].to_pylist() == ["packed"] * 18
    sample = ready.samples["T2I4"]
    assert [(row["class_id"], row["rank"]) for row in sample] == [
        (c, r) for c in range(3) for r in (1, 2, 3, 4)
    ]
    assert sample.listing.read_text().splitlines()[0] == f"{ready.root / sample['path'][0].as_py()} 0 0"
    dropped = [row["reason"] for row in sample.pool if not row["kept"]]
    assert dropped == ["beyond_n"] * 6
    with ready.open_captions() as index:
        assert ct.count(index, "anchor").total == 6


def test_tables_are_arrow_for_everybody(ready: ct.Workspace) -> None:
    sample = ready.samples["T2I4"]
    assert pa.table(sample).equals(sample.arrow)
    frame = sample.to_pandas()
    assert frame.loc[frame["class_id"] == 1, "rank"].tolist() == [1, 2, 3, 4]
    assert sample.head(2).to_pylist() == sample.to_pylist()[:2]
    assert sample.select(["uid"]).column_names == ["uid"]
    polars = pytest.importorskip("polars")
    assert polars.DataFrame(sample)["uid"].to_list() == sample["uid"].to_pylist()
    assert sample.to_polars().filter(polars.col("class_id") == 2).height == 4


def test_embeddings_are_a_row_per_image(ready: ct.Workspace) -> None:
    table = ready.embeddings()
    vectors = np.stack(table.to_pandas()["image"].to_numpy()).astype(np.float32)
    assert vectors.shape == (18, 128)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=2e-3)
    assert table["uid"].to_pylist() == ready.embeddings(ready.settings().model.name)["uid"].to_pylist()
    with pytest.raises(ct.CaptrawlError, match=r"no embeddings are of 'ViT-B-32'; there are model"):
        ready.embeddings("ViT-B-32")


def test_similar_takes_words_or_a_picture(ready: ct.Workspace, tmp_path: Path) -> None:
    anchors = set(ready.matches.arrow.filter(pa.compute.field("class_id") == 1)["uid"].to_pylist())
    nearest = ready.similar("an anchor", k=6)
    assert set(nearest["uid"].to_pylist()) == anchors
    draw("anchor", 99).save(tmp_path / "anchor.png")
    assert set(ready.similar(image=str(tmp_path / "anchor.png"), k=3)["uid"].to_pylist()) < anchors
    assert ready.similar("an anchor", class_name="palm tree", k=1)["class_id"].to_pylist() == [2]
    with pytest.raises(ct.CaptrawlError, match="a text or an image"):
        ready.similar()


def test_similar_loads_the_model_once(ready: ct.Workspace) -> None:
    ready.similar("an anchor")
    first = ready._similarity
    ready.similar("a stop sign")
    assert ready._similarity is first
    ready.embed()  # what the vectors were made from is recorded anew only where something changed
    assert ready.similar("an anchor", k=1).num_rows == 1


def test_arguments_are_stored_as_the_commands_store_them(copy: ct.Workspace) -> None:
    assert copy.match(sample=2)["matches"] == 6
    assert tomllib.loads(copy.settings_path.read_text())["match"]["sample"] == 2
    with pytest.raises(ct.CaptrawlError, match="sample"):
        copy.match(sample=-1)
    assert copy.settings().match.sample == 2
    drawn = copy.sample("few", method="Random", n=1, seed=3)
    assert drawn.num_rows == 3
    assert list(copy.samples) == ["T2I4", "few"]
    assert [(spec.name, spec.n, spec.seed) for spec in copy.settings().sample] == [
        ("T2I4", 4, 0),
        ("few", 1, 3),
    ]
    with pytest.raises(ct.CaptrawlError, match="sample 'few' is another one"):
        copy.sample("few", method="T2T-rank")
    assert copy.sample("few", method="T2T-rank", n=2, replace=True).num_rows == 6
    assert copy.sample("few").to_pylist() == copy.samples["few"].to_pylist()
    assert {str(stage.state) for stage in copy.run()} == {"done"}
    assert copy.report().read_text().lower().startswith("<!doctype html>")
    with pytest.raises(KeyError, match="T2T500: not drawn; there are T2I4, few"):
        _ = copy.samples["T2T500"]


def test_a_choice_has_every_key_of_a_sample() -> None:
    assert SampleChoice.__annotations__.keys() == SampleSettings.model_fields.keys() - {"name"}


def test_what_is_missing_is_said(task, tmp_path: Path) -> None:
    with pytest.raises(ct.CaptrawlError, match=r"nowhere isn't a captrawl workspace .*Workspace\.new"):
        ct.Workspace(str(tmp_path / "nowhere"))
    workspace = task.new("fresh")
    with pytest.raises(ct.CaptrawlError, match=r"matches\.parquet isn't there; run captrawl match first"):
        _ = workspace.matches
    assert repr(workspace.samples) == "<samples none yet>"
    assert "match</th><td>missing" in workspace._repr_html_()
    assert ct.Workspace.open(workspace.root).root == workspace.root
    with pytest.raises(ct.CaptrawlError, match="already"):
        task.new("fresh")


def test_a_notebook_shows_pictures_and_no_markup_of_others(ready: ct.Workspace) -> None:
    html = ready.samples["T2I4"]._repr_html_()
    assert html.count('<img alt="" src="data:image/webp;base64,') == 12
    assert html.endswith("<p>12 rows</p>")
    page = ready.matches._repr_html_()
    assert "<script>" not in page
    assert "an anchor &lt;script&gt;alert(1)&lt;/script&gt; &amp; &lt;b&gt;more&lt;/b&gt;" in page
    assert "<img" not in page  # matches name no picture
    assert "fixed_size" not in ready.embeddings()._repr_html_()
    assert "sample:T2I4</th><td>done" in ready._repr_html_()
    assert "classes_without" not in ready._repr_html_(), "counts are worded as `captrawl status` words them"
    assert repr(ready) == f"Workspace('{ready.root}')"
    assert repr(ready.samples["T2I4"]).startswith("<12 rows of class_id, uid, url,")


def test_a_picture_outside_the_workspace_is_never_shown(ready: ct.Workspace, tmp_path: Path) -> None:
    from captrawl.library.tables import ArrowTable

    draw("anchor", 1).save(tmp_path / "secret.png")
    table = ArrowTable(pa.table({"path": ["../secret.png", None]}), tmp_path / "inside")
    (tmp_path / "inside").mkdir()
    assert "<img" not in table._repr_html_()


def test_embeddings_leave_out_what_came_anew(copy: ct.Workspace) -> None:
    metadata = next(copy.embeddings_folder("x").parent.glob("*/metadata/metadata_00.parquet"))
    for suffix in ("img_emb", "text_emb"):
        path = metadata.parents[1] / suffix / f"{suffix}_00.npy"
        np.save(path, np.concatenate([np.load(path), np.load(path)[:1]]))
    rows = pq.read_table(metadata)
    pq.write_table(pa.concat_tables([rows, rows.slice(0, 1)]), metadata)
    assert sorted(copy.embeddings()["uid"].to_pylist()) == sorted(rows["uid"].to_pylist())

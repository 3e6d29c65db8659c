"""The demo from end to end, small: every link ends as planned, and rankings choose better than chance."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from captrawl.core.errors import CaptionIndexError, WorkspaceError
from captrawl.demo.plan import MISSING, REASONS
from captrawl.demo.run import RAW, DemoResult, run_demo
from captrawl.demo.server import free_port, serving
from captrawl.demo.web import Web, WebSettings, make_web
from captrawl.indexer.captions import index_captions
from captrawl.indexer.corpora.files import find_files
from captrawl.workspace import pipeline
from captrawl.workspace.workspace import State, Workspace

SIZE = WebSettings(seed=1, rows_per_class=16, captions=1200)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> DemoResult:
    return run_demo(tmp_path_factory.mktemp("demo"), web=SIZE)


@pytest.fixture(scope="module")
def web(demo: DemoResult) -> Web:
    """The web of the demo, as it was drawn."""
    table = pq.read_table(demo.folder / "web" / "truth.parquet", columns=["url"])
    port = int(table["url"][0].as_py().split("/")[2].rpartition(":")[2])
    return make_web(demo.folder / "web", WebSettings(SIZE.seed, SIZE.rows_per_class, SIZE.captions, port))


def test_every_matched_link_ends_as_planned(demo: DemoResult, web: Web) -> None:
    planned = {
        web.url(row.path): "placeholder"
        if row.drawing == MISSING and not REASONS[row.kind]
        else REASONS[row.kind]
        for row in web.rows
        if row.path
    }
    images = pq.read_table(demo.folder / "images.parquet").to_pylist()
    assert {row["url"]: row["reason"] or "" for row in images} == {
        row["url"]: planned[row["url"]] for row in images
    }
    assert {row["url"] for row in images if row["path"]} == {
        row["url"] for row in images if not planned[row["url"]]
    }
    assert Counter(row["reason"] for row in images)["http_404"] > 0
    assert Counter(row["reason"] for row in images)["placeholder"] > 10


def test_every_row_about_a_class_is_matched(demo: DemoResult, web: Web) -> None:
    matched = pq.read_table(demo.folder / "matches.parquet", columns=["url", "file", "row"]).to_pylist()
    found = {row["url"] for row in matched if row["url"]}
    assert found == {
        web.url(row.path) for row in web.rows if row.picture >= 0 and row.path and row.nsfw != "NSFW"
    }


def test_rankings_beat_chance(demo: DemoResult) -> None:
    precision = {name: share.precision or 0.0 for name, share in demo.total.shares.items()}
    assert demo.samples == ("Random4", "T2T4", "T2I4")
    assert precision["T2T4"] >= precision[RAW] + 0.15
    assert precision["T2I4"] >= 0.9
    assert precision["T2I4"] >= precision["T2T4"] >= precision["Random4"]


def test_the_figures_add_up(demo: DemoResult) -> None:
    matches = pq.read_table(demo.folder / "matches.parquet", columns=["class_id"])["class_id"].to_pylist()
    assert [entry.matched for entry in demo.classes] == [matches.count(number) for number in range(24)]
    for entry in (*demo.classes, demo.total):
        assert entry.matched == entry.downloaded + sum(entry.failed.values())
        assert entry.shares[RAW].chosen == entry.downloaded
        assert all(entry.shares[name].chosen <= 4 for name in demo.samples) or entry is demo.total
    assert demo.total.failed["no_url"] >= 24


def test_a_sample_shows_its_class_as_the_list_says(demo: DemoResult, web: Web) -> None:
    truth = web.truth()
    table = pq.read_table(demo.folder / "samples" / "T2I4.parquet").to_pylist()
    right = [truth[row["url"]] == "snowman" for row in table if row["kept"] and row["class_id"] == 17]
    share = demo.classes[17].shares["T2I4"]
    assert (demo.classes[17].name, share.right, share.chosen) == ("snowman", sum(right), len(right))


def test_all_stages_are_done(demo: DemoResult) -> None:
    states = pipeline.status(Workspace.open(demo.folder))
    assert {stage.stage: stage.state for stage in states} == {stage.stage: State.DONE for stage in states}


def test_a_second_run_changes_nothing(demo: DemoResult) -> None:
    before = {path: path.stat().st_mtime_ns for path in demo.folder.rglob("*.parquet")}
    assert run_demo(demo.folder) == demo
    assert {path: path.stat().st_mtime_ns for path in demo.folder.rglob("*.parquet")} == before


def test_another_size_in_the_same_folder_is_refused(demo: DemoResult) -> None:
    with pytest.raises(WorkspaceError, match="rows_per_class 16, not 20"):
        run_demo(demo.folder, web=WebSettings(SIZE.seed, 20, SIZE.captions))


def test_a_folder_with_other_things_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("dear")
    with pytest.raises(WorkspaceError, match="contains no demo"):
        run_demo(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_folder_with_a_blank_is_refused_before_anything_is_drawn(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="space"):
        run_demo(tmp_path / "my demo")
    assert not (tmp_path / "my demo").exists()


def test_an_index_with_other_corpora_is_refused(small_web: Web, tmp_path: Path) -> None:
    index = tmp_path / "index"
    index_captions(str(index), find_files([small_web.corpus], corpus="another"))
    settings = WebSettings(rows_per_class=8, captions=300, port=free_port(0))
    with pytest.raises(CaptionIndexError, match="another/part-00000"):
        run_demo(tmp_path / "demo", captions=str(index), web=settings)
    assert not (tmp_path / "demo" / "captrawl.toml").exists()


def test_two_demos_at_once_take_two_ports(small_web: Web, tmp_path: Path) -> None:
    with serving(small_web):
        assert free_port(small_web.settings.port) != small_web.settings.port

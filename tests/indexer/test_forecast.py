"""What a plan says before a run, against what the matches, the ledger and the settings have."""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
from pathlib import Path

import captrawl
import pytest
from captrawl.cli import app
from captrawl.core.errors import WorkspaceError
from captrawl.indexer.corpora.presets import CORPORA
from captrawl.indexer.corpora.survival import ANY, SURVIVALS, survival_of
from captrawl.indexer.download.outlook import BYTES_AN_IMAGE, outlook
from captrawl.indexer.download.stage import download
from captrawl.indexer.forecast import forecast
from captrawl.workspace.plan_record import load_plan
from captrawl.workspace.settings_edits import edit_settings
from typer.testing import CliRunner

SMALL = f"local-dir:{Path(captrawl.__file__).parent / 'demo' / 'model'}"


@pytest.mark.parametrize(
    ("corpora", "survival"),
    [
        (["laion400m"], SURVIVALS["laion400m"]),
        (["LAION-400M_part"], SURVIVALS["laion400m"]),
        (["coyo-700m"], SURVIVALS["coyo700m"]),
        (["datacomp_1b"], SURVIVALS["commonpool"]),
        (["laion400m", "cc12m"], SURVIVALS["cc12m"]),
        (["birds"], ANY),
        ([], ANY),
    ],
)
def test_survival_is_that_of_the_corpus_and_names_its_source(corpora, survival) -> None:
    assert survival_of(corpora) == survival
    assert survival.source[-4:-2] == "20"  # the year


def test_survivals_are_of_presets() -> None:
    assert SURVIVALS.keys() <= CORPORA.keys()


def rows_of_three_classes() -> list[dict]:
    rows = [{"url": f"http://big.invalid/{n}", "class_id": 0, "file": "cc12m/a.tsv"} for n in range(60)]
    rows += [{"url": f"http://h{n}.invalid/x", "class_id": 1, "file": "cc12m/a.tsv"} for n in range(40)]
    rows += [{"url": f"http://big.invalid/{n}", "class_id": 2, "file": "cc12m/a.tsv"} for n in range(10)]
    rows += [
        {"url": "ftp://a.invalid/x"}, {"url": "http://10.0.0.1/x"}, {"url": "http://bad.invalid/"},
        {"url": None},
        {"url": "http://a.invalid/uid", "uid": 999}, {"url": "http://a.invalid:22/x"}, {"url": "nothing"},
    ]  # fmt: skip
    return [{"file": "cc12m/a.tsv", **row} for row in rows]


def test_a_plan_before_anything_is_fetched(make_workspace) -> None:
    workspace = make_workspace(
        rows_of_three_classes(), allow_private=False, blocklist=["block.txt"], threads=10, processes=2
    )
    (workspace.root / "block.txt").write_text("bad.invalid\nuid 999\n")
    look = outlook(workspace)
    assert (look.rows, look.urls, look.ended, look.asked_urls, look.hosts) == (117, 106, 0, 100, 41)
    assert look.refusals == {
        "scheme": 1, "private_address": 1, "blocked_host": 1, "blocked_uid": 1, "port": 1, "bad_url": 1
    }  # fmt: skip
    assert (look.slowest_host, look.slowest_urls, look.slowest_seconds) == ("big.invalid", 60, 30.0)
    assert look.survival == SURVIVALS["cc12m"]
    assert (look.images, look.new_images, look.bytes_an_image) == (0, 64, BYTES_AN_IMAGE)
    assert look.fetch_seconds == 30.0  # the host's bound: ten at once would take ten seconds
    assert not workspace.ledger_path.exists()


def test_a_plan_until_enough_asks_for_the_first_of_each_class(make_workspace) -> None:
    workspace = make_workspace(rows_of_three_classes()[:110], until=7)
    look = outlook(workspace)  # ceil(7 / 0.637) = 11 of each class; the third has ten of the first's eleven
    assert (look.asked_urls, look.hosts) == (22, 12)
    assert look.new_images == round(22 * 0.637)
    one = workspace.overriding({"download": {"until": 1}})
    assert (outlook(one).asked_urls, outlook(one).hosts) == (4, 3)  # the first two of the first and the third
    last = [{**row, "priority": -place} for place, row in enumerate(rows_of_three_classes()[:110])]
    backward = make_workspace(last, name="backward", until=1)
    edit_settings(backward.settings_path, {"match": {"sample": "all"}})
    look = outlook(backward)  # by priority: the last two of each class, none of them shared
    assert (look.asked_urls, look.hosts) == (6, 3)


def test_a_plan_goes_on_from_what_the_ledger_has(web, make_workspace, tools) -> None:
    urls = [web.give(f"/{n}", tools.jpeg(n)) for n in range(60)]
    urls += [web.url(f"/gone{n}") for n in range(38)]
    urls += [web.give(f"/no{n}", tools.jpeg(n), X_Robots_Tag="noai") for n in range(2)]
    workspace = make_workspace(urls)
    download(workspace)
    hits = len(web.hits)
    later = [web.url(f"/later{n}") for n in range(10)]
    make_workspace([*urls, *later])
    look = outlook(workspace)
    assert (look.urls, look.ended, look.asked_urls, look.hosts) == (110, 100, 10, 1)
    assert look.survival.share == 0.6
    assert look.survival.source == "this workspace, 100 URLs"
    assert (look.images, look.new_images, look.refusals) == (60, 6, {"x_robots_tag": 2})
    sizes = [path.stat().st_size for path in workspace.images_folder.rglob("*.jpg")]
    assert look.bytes_an_image == round(sum(sizes) / len(sizes))
    assert len(web.hits) == hits


def test_the_embedding_is_measured_with_the_model_at_hand(make_workspace) -> None:
    workspace = make_workspace([f"http://h.invalid/{n}" for n in range(100)])
    edit_settings(workspace.settings_path, {"model": {"name": SMALL, "pretrained": "", "device": "cpu"}})
    ahead = forecast(workspace)
    assert ahead.speed is not None
    assert ahead.speed.device == "cpu"
    assert 0 < ahead.speed.seconds_a_row < 1
    assert ahead.embed_seconds == 64 * ahead.speed.seconds_a_row
    assert ahead.disk_left > 0
    edit_settings(workspace.settings_path, {"model": {"name": "ViT-B-32", "pretrained": "laion2b_e16"}})
    ahead = forecast(workspace)
    assert (ahead.speed, ahead.embed_seconds) == (None, None)
    assert "aren't on this machine" in ahead.unmeasured


def test_the_commands_say_the_plan_and_fetch_nothing(web, make_workspace) -> None:
    workspace = make_workspace([web.url(f"/{n}") for n in range(10)])
    edit_settings(workspace.settings_path, {"model": {"name": SMALL, "pretrained": "", "device": "cpu"}})
    plain = CliRunner().invoke(app, ["-C", str(workspace.root), "plan"])
    assert plain.exit_code == 0, plain.stderr
    assert "10 URLs of 1 host" in plain.stdout
    dry = CliRunner().invoke(app, ["-C", str(workspace.root), "run", "--dry-run", "--json"])
    said = json.loads(dry.stdout)
    assert {"expected_images", "gigabytes", "gigabytes_free", "survival"} <= said.keys()
    assert (said["rows"], said["urls"], said["hosts"], said["refused"], said["reasons"]) == (10, 10, 1, 0, {})
    assert said["hours"]["fetch"] * 3600 == 5.0
    assert said["hours"]["embed"] > 0
    assert not web.hits
    assert not workspace.images_folder.exists()
    kept = load_plan(workspace)
    assert kept is not None
    assert (kept.ended_urls, kept.images, kept.refused, kept.fetch_hours * 3600) == (10, 6, 0, 5.0)


def test_a_plan_of_a_read_only_workspace_is_said_all_the_same(make_workspace) -> None:
    """Root too is refused what the permissions refuse (prctl: drop CAP_DAC_OVERRIDE)."""
    root = make_workspace([f"http://h.invalid/{n}" for n in range(10)]).root
    root.chmod(0o555)
    done = subprocess.run(
        [sys.executable, "-m", "captrawl", "-C", str(root), "plan"],
        capture_output=True, text=True, check=False, preexec_fn=lambda: ctypes.CDLL(None).prctl(24, 1),
    )  # fmt: skip
    root.chmod(0o755)
    assert done.returncode == 0, done.stderr
    assert "10 URLs of 1 host" in done.stdout
    assert "plan.json can't be written (Permission denied)" in " ".join(done.stderr.split())


def test_a_plan_needs_matches(tmp_path, make_workspace) -> None:
    workspace = make_workspace(["http://h.invalid/"])
    workspace.matches_path.unlink()
    with pytest.raises(WorkspaceError, match="contains no matches"):
        forecast(workspace)

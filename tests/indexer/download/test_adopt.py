"""urls.parquet for a cluster, and img2dataset's output taken back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from captrawl.core.errors import InputError
from captrawl.indexer.download.stage import adopt, download, download_status, plan_only
from captrawl.indexer.ledger import Ledger
from captrawl.workspace.workspace import State

IMG2DATASET = """
import os, sys
os.environ.update(NO_ALBUMENTATIONS_UPDATE="1", WANDB_MODE="disabled")
sys.modules["torch"] = None
from img2dataset.downloader import Downloader
from img2dataset.resizer import Resizer
from img2dataset import writer
import pyarrow as pa, pyarrow.parquet as pq
source, out, format = sys.argv[1:]
table = pq.read_table(source)
os.makedirs(out)
for shard, start in enumerate(range(0, len(table), 5)):
    feather = f"{out}/{shard}.feather"
    with pa.OSFile(feather, "wb") as sink, pa.ipc.new_file(sink, table.schema) as w:
        w.write_table(table.slice(start, 5))
    kind = {"files": writer.FilesSampleWriter, "webdataset": writer.WebDatasetSampleWriter,
            "parquet": writer.ParquetSampleWriter}[format]
    resizer = Resizer(256, "no", False, encode_quality=95, encode_format="jpg")
    ok, _ = Downloader(kind, resizer, 2, False, False, out, table.column_names, 5, 10000, 5, "sha256", None,
                       "jpg", 0, None, ["noai"])((shard, feather))
    assert ok
"""


def run_img2dataset(plan: Path, out: Path, format: str) -> None:  # noqa: A002
    subprocess.run(
        [sys.executable, "-c", IMG2DATASET, str(plan), str(out), format], check=True, capture_output=True
    )


def rows_of(web, tools) -> list[dict]:
    rows = [
        {"url": web.give(f"/{n}.jpg", tools.jpeg(n)), "uid": 100 + n, "class_id": n % 3} for n in range(9)
    ]
    rows += [
        {"url": web.give("/0.jpg", tools.jpeg(0)), "uid": 50, "class_id": 7, "priority": -1},
        {"url": web.url("/gone.jpg"), "uid": 200},
        {"url": web.give("/noai.jpg", tools.jpeg(30), X_Robots_Tag="noai"), "uid": 201},
        {"url": web.give("/page", b"<html>no picture</html>"), "uid": 202},
        {"url": web.give("/small.jpg", tools.jpeg(31, 50, 50)), "uid": 203},
        {"url": None},
        {"url": "file:///etc/hostname"},
        {"url": "http://127.0.0.1:22/x.jpg"},
    ]
    return rows


def test_the_plan_names_what_may_be_asked(web, make_workspace, tools) -> None:
    rows = rows_of(web, tools)
    workspace = make_workspace(rows)
    table = pq.read_table(plan_only(workspace))
    assert table.schema.names == ["url", "uid", "class"]
    assert table.schema.field("class").type == pa.list_(pa.int64())
    planned = {row["url"]: (row["uid"], row["class"]) for row in table.to_pylist()}
    assert table["url"].to_pylist() == sorted(planned)
    assert len(planned) == 13
    assert planned[rows[0]["url"]] == (50, [0, 7])
    assert planned[rows[4]["url"]] == (104, [1])
    assert not web.hits
    make_workspace(rows, allow_private=False)
    assert pq.read_table(plan_only(workspace)).num_rows == 0


@pytest.mark.parametrize("format", ["files", "webdataset", "parquet"])
def test_a_plan_comes_back(web, make_workspace, tools, tmp_path, format) -> None:  # noqa: A002
    rows = rows_of(web, tools)
    workspace = make_workspace(rows)
    run_img2dataset(plan_only(workspace), tmp_path / "out", format)
    hits = len(web.hits)
    counts = adopt(workspace, tmp_path / "out")
    assert len(web.hits) == hits
    assert counts == {
        "packed": 9, "no_url": 1, "queued": 2,
        "failed": 1, "failed:http_404": 1, "refused": 1, "refused:x_robots_tag": 1,
        "dropped": 2, "dropped:undecodable": 1, "dropped:too_small": 1,
    }  # fmt: skip
    images = tools.images_of(workspace)
    assert images[rows[3]["url"]]["state"] == "packed"
    assert (workspace.root / images[rows[3]["url"]]["path"]).is_file()
    assert images[rows[10]["url"]]["status"] == 404
    assert download_status(workspace).state is State.PARTIAL
    with Ledger(workspace.ledger_path) as ledger:
        consents = {
            row[0] for row in ledger.database.execute("SELECT consent FROM urls WHERE state = 'packed'")
        }
    assert consents == {f"unchecked: adopted from {tmp_path / 'out'}"}
    assert adopt(workspace, tmp_path / "out") == counts
    settled = download(workspace)
    assert settled["packed"] == 9
    assert (settled["refused:scheme"], settled["refused:port"]) == (1, 1)
    assert len(web.hits) == hits


def test_rows_come_back_by_uid_where_the_url_is_another(web, make_workspace, tools, tmp_path) -> None:
    rows = [{"url": web.give(f"/{n}.jpg", tools.jpeg(n)), "uid": -(10**18) - n} for n in range(3)]
    workspace = make_workspace([{**row, "url": f"http://original.example/{n}"} for n, row in enumerate(rows)])
    mirror = tmp_path / "mirror.parquet"
    pq.write_table(
        pa.table({"url": [r["url"] for r in rows], "uid": [r["uid"] for r in rows[:2]] + [1]}), mirror
    )
    run_img2dataset(mirror, tmp_path / "out", "files")
    assert adopt(workspace, tmp_path / "out") == {"packed": 2, "queued": 1}
    states = {url: row["state"] for url, row in tools.images_of(workspace).items()}
    assert states == {
        "http://original.example/0": "packed", "http://original.example/1": "packed",
        "http://original.example/2": "queued",
    }  # fmt: skip


def test_blocked_originals_are_not_adopted(web, make_workspace, tools, tmp_path) -> None:
    import hashlib

    urls = [web.give(f"/{n}.jpg", tools.jpeg(n)) for n in range(2)]
    workspace = make_workspace(urls)
    run_img2dataset(plan_only(workspace), tmp_path / "out", "files")
    (workspace.root / "list").write_text(hashlib.sha256(tools.jpeg(0)).hexdigest())
    make_workspace(urls, blocklist=["list"])
    assert adopt(workspace, tmp_path / "out") == {"packed": 1, "refused": 1, "refused:blocked_hash": 1}


def test_what_a_kill_left_behind_is_passed_over(web, make_workspace, tools, tmp_path, caplog) -> None:
    urls = [web.give(f"/{n}.jpg", tools.jpeg(n)) for n in range(10)]
    workspace = make_workspace(urls)
    run_img2dataset(plan_only(workspace), tmp_path / "out", "webdataset")
    (tmp_path / "out" / "00001.parquet").write_bytes(b"")
    assert adopt(workspace, tmp_path / "out") == {"packed": 5, "queued": 5}
    assert "00001.parquet is cut off" in caplog.text


def test_a_folder_of_something_else_is_named(make_workspace, tmp_path) -> None:
    workspace = make_workspace(["http://a.example/"])
    with pytest.raises(InputError, match=r"contains no 00000\.parquet"):
        adopt(workspace, tmp_path / "nowhere")
    (tmp_path / "other").mkdir()
    pq.write_table(pa.table({"x": [1]}), tmp_path / "other" / "00000.parquet")
    with pytest.raises(InputError, match="has no columns url and key"):
        adopt(workspace, tmp_path / "other")


def test_mutated_images_are_adopted_or_dropped_each_for_itself(make_workspace, tools, tmp_path) -> None:
    """25 mutations of each format, as img2dataset's files would have them, among good ones."""
    chooser = np.random.default_rng(9)
    bodies: dict[str, bytes] = {"good": tools.jpeg(1)}
    for kind in ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF"):
        whole = tools.encoded(tools.picture(4, 160, 120), kind)
        for number in range(25):
            body = bytearray(whole)
            for at in chooser.integers(2, min(len(body), 400 if number % 2 else len(body)), 4):
                body[at] = int(chooser.integers(256))
            bodies[f"{kind}{number}"] = bytes(body)
    workspace = make_workspace([f"http://127.0.0.1/{name}" for name in bodies])
    shard = tmp_path / "out" / "00000"
    shard.mkdir(parents=True)
    for number, body in enumerate(bodies.values()):
        (shard / f"{number:09d}.jpg").write_bytes(body)
    rows = [
        {"url": f"http://127.0.0.1/{name}", "key": f"{number:09d}", "status": "success"}
        for number, name in enumerate(bodies)
    ]
    pq.write_table(pa.Table.from_pylist(rows), shard.with_suffix(".parquet"))
    counts = adopt(workspace, tmp_path / "out")
    images = tools.images_of(workspace)
    assert images["http://127.0.0.1/good"]["state"] == "packed"
    assert len(images) == counts["packed"] + counts["dropped"] == len(bodies)
    reasons = {name for name in counts if name.startswith("dropped:")}
    assert {"dropped:undecodable"} < reasons
    assert reasons <= {f"dropped:{reason}" for reason in ("undecodable", "truncated", "not_an_image",
                                                          "too_many_pixels", "too_small")}  # fmt: skip

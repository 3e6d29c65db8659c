"""How a whole run ends: what it names, and with which exit code."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from captrawl.library.samples import store_auto
from captrawl.workspace.workspace import Workspace
from PIL import Image

pytest.importorskip("open_clip")


def test_a_run_that_kept_nothing_says_why_and_fails(captrawl, tmp_path: Path, tiny_model: Path) -> None:
    """It once ended with 0 and every stage done, though every URL was refused."""
    rows = {"url": [f"http://127.0.0.1:48739/{n}.jpg" for n in range(9)], "caption": ["a dog"] * 9}
    pq.write_table(pa.table(rows), tmp_path / "rows.parquet")
    (tmp_path / "classes.txt").write_text("dog\n")
    captrawl("index", "captions", tmp_path / "rows.parquet", "--to", tmp_path / "captions")
    workspace = tmp_path / "ws"
    arguments = ("--classes", tmp_path / "classes.txt", "--index", tmp_path / "captions")
    captrawl("init", workspace, *arguments, "--model", f"local-dir:{tiny_model}")
    done = captrawl("-C", workspace, "run", check=False)
    assert done.returncode == 1
    assert "T2T500 kept nothing" in done.stderr
    assert "private_address 9" in done.stderr
    assert "--allow-private" in done.stderr
    again = captrawl("-C", workspace, "run", "--json", check=False)
    assert again.returncode == 1
    assert json.loads(again.stdout)["samples"][0]["kept"] == 0


def picture(path: Path, seed: int) -> None:
    """A little picture of its own at ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((96, 96)).save(path)


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Serves tmp_path/web on loopback."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path / "web")) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_run_with_shots_draws_auto_beside_the_default_sample(
    captrawl, tmp_path: Path, tiny_model: Path, address: str
) -> None:
    for number in range(24):
        picture(tmp_path / f"web/{number}.jpg", number)
    rows = {
        "url": [f"{address}/{number}.jpg" for number in range(24)],
        "caption": [f"a {('dog', 'cat')[number % 2]}, number {number}" for number in range(24)],
    }
    pq.write_table(pa.table(rows), tmp_path / "rows.parquet")
    (tmp_path / "classes.txt").write_text("dog\ncat\n")
    for number in range(6):
        picture(tmp_path / f"shots/{('dog', 'cat')[number % 2]}/{number}.jpg", 100 + number)
    captrawl("index", "captions", tmp_path / "rows.parquet", "--to", tmp_path / "captions")
    workspace = tmp_path / "ws"
    arguments = ("--classes", tmp_path / "classes.txt", "--index", tmp_path / "captions")
    model = f"local-dir:{tiny_model}"
    captrawl("init", workspace, *arguments, "--shots", tmp_path / "shots", "--model", model)
    done = captrawl("-C", workspace, "run", "--allow-private")
    assert "stored in captrawl.toml: [[sample]] auto500" in done.stderr
    assert "auto500.txt; auto: " in done.stdout
    assert "T2T500.txt; short of 500: 2 of 2 classes (dog 12, cat 12)" in done.stdout
    assert "All that was tried for auto500" in (workspace / "report/index.html").read_text()
    numbers = json.loads((workspace / "report/numbers.json").read_text())
    auto = next(sample for sample in numbers["samples"] if sample["name"] == "auto500")["auto"]
    assert len(auto["best"]) == 5
    settings = workspace / "captrawl.toml"
    text = settings.read_text()
    settings.write_text(text[: text.rindex("[[sample]]")])
    assert store_auto(Workspace(workspace)) == "", "taken out of the settings, it doesn't come back"
    (workspace / "captrawl.lock.json").unlink()
    assert store_auto(Workspace(workspace)) == "auto500"
    assert settings.read_text() == text
    assert store_auto(Workspace(workspace)) == "", "it is there"

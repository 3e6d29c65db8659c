"""How a whole run ends: what it names, and with which exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

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

"""captrawl as a library: what is exported, that it is light, and the example."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import captrawl
import pytest
from captrawl.classes.model import named

ROOT = Path(__file__).resolve().parents[2]


def test_every_exported_name_is_there_and_documented() -> None:
    assert set(captrawl.__all__) <= set(dir(captrawl))
    for name in captrawl.__all__:
        assert name == "__version__" or getattr(captrawl, name).__doc__, name
    page = (ROOT / "docs" / "python.md").read_text()
    assert [name for name in captrawl.__all__ if f"`{name}`" not in page] == ["__version__"]
    with pytest.raises(AttributeError, match="nothing"):
        _ = captrawl.nothing


def test_importing_is_light() -> None:
    heavy = {"pyarrow", "tantivy", "pydantic", "numpy", "typer"}
    code = f"import sys, captrawl; sys.exit(', '.join({heavy} & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_questions_give_tables(site: Any) -> None:
    with captrawl.open_captions(site.index) as index:
        counted = captrawl.count(index, ["golden retriever", "tabby cat"])
        assert (counted.total, dict(counted.synonyms)) == (115, {"golden retriever": 75, "tabby cat": 45})
        assert captrawl.count(index, "tabby cat").total == 45
        table = captrawl.query(index, ["golden retriever", "tabby cat"], size=200, order="corpus")
        assert table["synonym"].to_pylist().count("golden retriever") == 75
        assert table.to_pandas()["caption"].iloc[0] == "A Golden-Retriever, red number 0"
        first = captrawl.query(index, "tabby cat", size=3, order="random", seed=4)
        more = captrawl.query(index, "tabby cat", size=9, order="random", seed=4)
        assert more.slice(0, 3).equals(first)
        table = captrawl.count_classes(index, (named(4, "tabby cat", ["cat", "dog"]), named(5, "dog")))
        assert table.to_pylist() == [
            {"class_id": 4, "name": "tabby cat", "synonym": "tabby cat", "frequency": 45, "total": 45},
            {"class_id": 4, "name": "tabby cat", "synonym": "cat", "frequency": 45, "total": 45},
            {"class_id": 4, "name": "tabby cat", "synonym": "dog", "frequency": 0, "total": 45},
            {"class_id": 5, "name": "dog", "synonym": "dog", "frequency": 0, "total": 0},
        ]
        assert captrawl.count_classes(index, ()).num_rows == 0
        with pytest.raises(captrawl.CaptrawlError, match="contains no letter"):
            captrawl.query(index, "***")


def test_the_example_runs(site: Any) -> None:
    command = [
        sys.executable,
        str(ROOT / "examples" / "explore.py"),
        str(site.index),
        str(site.workspace.root),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "0 rows of 118 contain a flag or a banner: {'flag': 0, 'banner': 0}" in done.stdout
    assert "tabby cat" in done.stdout
    assert "images/00000/" in done.stdout
    missing = subprocess.run([*command[:2], "nowhere"], capture_output=True, text=True, check=False)
    assert missing.returncode == 1
    assert missing.stderr.startswith("explore.py: ")

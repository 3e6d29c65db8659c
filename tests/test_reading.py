"""docs/reading.md: each file is read by pandas, polars and DuckDB, and all three give the same rows."""

from __future__ import annotations

import ast
import math
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "reading.md").read_text()
LIBRARIES = ("pandas", "polars", "duckdb")
TABLES = {"parquet", "sqlite", "npy", "faiss", "json"}


def value_of(block: str, names: dict[str, Any]) -> Any:
    """What the last line of ``block`` gives."""
    tree = ast.parse(block)
    last = tree.body.pop()
    assert isinstance(last, ast.Expr), block
    exec(compile(tree, "docs/reading.md", "exec"), names)
    return eval(compile(ast.Expression(last.value), "docs/reading.md", "eval"), names)


def rows_of(value: Any) -> list[Sequence[Any]]:
    """The rows of a table of any of the three, a pandas index being columns too."""
    kind = type(value).__module__.partition(".")[0].removeprefix("_")
    assert kind in LIBRARIES, type(value)
    if kind == "polars":
        return value.rows()
    if kind == "duckdb":
        return value.fetchall()
    names = [name for name in value.index.names if name]
    return list((value.reset_index() if names else value).itertuples(index=False, name=None))


def plain(cell: Any) -> Any:
    """Numbers to four digits; what is missing as None."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return None
    return cell if isinstance(cell, str) else round(float(cell), 4) if isinstance(cell, float) else cell


@pytest.fixture(scope="module")
def sections() -> dict[str, list[str]]:
    parts = re.split(r"^## (.+)$", PAGE, flags=re.MULTILINE)[1:]
    blocks = [re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL) for text in parts[1::2]]
    return dict(zip(parts[::2], blocks, strict=True))


def test_three_libraries_read_the_same(
    sections: dict[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (*LIBRARIES, "faiss"):
        pytest.importorskip(name, reason="pip install 'captrawl[test]'")
    shutil.copytree(ROOT / "tests" / "golden" / "workspace-1" / "birds", tmp_path / "birds")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    sizes: dict[str, list[int]] = {}
    for title, blocks in sections.items():
        for at in range(0, len(blocks), 3):
            values = [value_of(block, names) for block in blocks[at : at + 3]]
            answers = [
                sorted([tuple(map(plain, row)) for row in rows_of(value)], key=repr) for value in values
            ]
            assert answers[0] == answers[1] == answers[2], title
            sizes.setdefault(title, []).append(len(answers[0]))
    assert sizes == {
        "matches.parquet": [6], "images.parquet": [2, 3], "images/ledger.sqlite": [2], "embeddings": [31],
        "vectors": [3], "samples/NAME.parquet": [3], "samples/NAME.txt": [3], "classes.json": [7],
        "captrawl.lock.json": [25],
    }  # fmt: skip


def test_every_table_of_a_workspace_is_named() -> None:
    files = re.findall(r"^\| `([^`]+)`", (ROOT / "docs" / "formats.md").read_text(), re.MULTILINE)
    tables = [file for file in files if file.rpartition(".")[2] in TABLES or file.endswith("/")]
    assert len(tables) >= 8
    for file in tables:
        assert all(part in PAGE for part in (file.partition("/")[0], file.rpartition("/")[2])), file

"""The house rules of docs/development.md, checked."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# What a folder may import from the package, besides the root's modules (errors, records, workspace …).
MAY_IMPORT = {
    "search": {"search", "datasets"},
    "indexer": {"indexer", "search", "datasets"},
    "sampling": {"sampling", "search", "datasets"},
    "datasets": {"datasets"},
    "swat": {"swat", "indexer", "sampling", "search", "datasets"},
}
FOLDERS = {"indexer", "search", "sampling", "datasets", "swat", "demo", "web", "commands"}


def package_files() -> list[Path]:
    return sorted(p for p in ROOT.glob("*.py")) + sorted(
        p for folder in FOLDERS for p in (ROOT / folder).rglob("*.py")
    )


def test_packages_are_the_folders() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    named = set(project["tool"]["setuptools"]["packages"])
    found = {"captrawl"} | {
        ".".join(["captrawl", *init.parent.relative_to(ROOT).parts])
        for init in ROOT.rglob("__init__.py")
        if init.parent != ROOT and not {"tests", "build", ".venv"} & set(init.relative_to(ROOT).parts)
    }
    assert named == found


@pytest.mark.parametrize("folder", sorted(MAY_IMPORT))
def test_dependencies_point_one_way(folder: str) -> None:
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level == 2:
                target = (node.module or "").split(".")[0]
                if target in FOLDERS:
                    assert target in MAY_IMPORT[folder], f"{path.name} imports {target}"


def test_nothing_heavy_is_imported_at_the_top() -> None:
    heavy = {"torch", "faiss", "img2dataset", "elasticsearch", "aiohttp", "open_clip", "pandas", "matplotlib"}
    for path in package_files():
        if path.name == "train.py":
            continue
        for node in ast.parse(path.read_text()).body:
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            assert not heavy & {name.split(".")[0] for name in names}, path


def test_help_and_a_folder_query_stay_light(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from captrawl.cli import app\n"
        "import captrawl.search.captions, captrawl.search.tantivy.index, captrawl.commands.explore.query\n"
        "heavy = {'torch', 'faiss', 'img2dataset', 'elasticsearch', 'aiohttp', 'open_clip', 'pandas'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr

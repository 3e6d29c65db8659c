"""The rules of docs/development.md on where code stands, checked."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections import Counter, defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NOT_THE_PACKAGE = {"tests", "benchmarks", "examples", "docs", "docker", "build", ".venv"}
WIDEST = 20
"""Modules that a folder holds at most."""

GROUND = {"core"}
RECORDS = {*GROUND, "classes", "datasets", "workspace"}
ASKING = {*RECORDS, "search"}
FILLING = {*ASKING, "indexer"}
CHOOSING = {*ASKING, "sampling"}
MAY_IMPORT = {
    "core": GROUND,
    "classes": {*GROUND, "classes"},
    "datasets": RECORDS,
    "workspace": RECORDS,
    "search": ASKING,
    "indexer": FILLING,
    "sampling": CHOOSING,
    "swat": {*FILLING, *CHOOSING, "swat"},
    "purge": {*FILLING, *CHOOSING, "purge"},
    "web": {*FILLING, *CHOOSING, "swat", "web"},
    "demo": {*FILLING, *CHOOSING, "swat", "demo"},
    "library": {*FILLING, *CHOOSING, "swat", "library"},
    "commands": {*FILLING, *CHOOSING, "swat", "web", "demo", "library", "purge", "commands"},
}
"""What the modules of a folder may import from the package, imports inside functions counted."""
BARE_PARTICIPLES = {"found", "asked", "held", "known", "told", "given", "made", "wanted", "shown", "listed"}
MEANT = {
    ("core.errors", "given"), ("core.errors", "known"),  # a user's word, and what there is for it
    ("workspace.settings", "given"),
    ("core.terminal", "shown"),
    ("sampling.report.page", "shown"), ("sampling.report.page", "given"),
    ("commands.explore.query", "shown"),
    ("commands.enough", "asked"),  # a key of JSON
}  # fmt: skip
"""(module, word) where the participle is the thing's name."""
ROOT_MODULES = {"__init__", "__main__", "cli"}
COLLECTS = {"workspace.pipeline", "workspace.doctor"}
"""The modules of workspace/ that stand above the stages: they collect them, or look at everything."""
ABOVE_STAGES = {"commands", "library", "web", "demo", "cli"}


def package_files() -> list[Path]:
    return sorted(
        path for path in ROOT.rglob("*.py") if path.relative_to(ROOT).parts[0] not in NOT_THE_PACKAGE
    )


def name_of(path: Path) -> str:
    """``search.query`` for search/query.py; a package by its folder, the root's own is ''."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in package_files()}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}


def imports(name: str) -> set[str]:
    """The modules of the package that ``name`` imports, wherever the import stands."""
    package = name if MODULES[name].name == "__init__.py" else name.rpartition(".")[0]
    found: set[str] = set()
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.ImportFrom) and node.level:
            parts = package.split(".") if package else []
            base = parts[: len(parts) - node.level + 1]
            module = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{module}.{alias.name}" if module else alias.name
                found.add(inner if inner in MODULES else module)
    return found - {name}


IMPORTS = {name: imports(name) for name in MODULES}


def test_packages_are_the_folders() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    named = set(project["tool"]["setuptools"]["packages"])
    folders = {"captrawl"} | {
        ".".join(["captrawl", *path.parent.relative_to(ROOT).parts])
        for path in package_files()
        if path.name == "__init__.py" and path.parent != ROOT
    }
    assert named == folders
    assert {path.parent for path in package_files()} <= {
        path.parent for path in package_files() if path.name == "__init__.py"
    }


def test_the_root_holds_the_entrances_only() -> None:
    assert {path.stem for path in ROOT.glob("*.py")} == ROOT_MODULES


def test_no_folder_is_wide() -> None:
    counts = Counter(path.parent.relative_to(ROOT).as_posix() for path in package_files())
    assert {folder: count for folder, count in counts.items() if count > WIDEST} == {}


def test_every_folder_opens_with_its_map() -> None:
    for path in package_files():
        if path.name != "__init__.py" or path.parent == ROOT:
            continue
        text = ast.get_docstring(ast.parse(path.read_text())) or ""
        modules = {other.stem for other in path.parent.glob("*.py")} - {"__init__"}
        modules |= {folder.parent.name for folder in path.parent.glob("*/__init__.py")}
        assert {name for name in modules if f"{name} " not in f"{text} ".replace("\n", " ")} == set(), path


def test_no_module_imports_itself_by_way_of_others() -> None:
    reached: dict[str, set[str]] = {}
    for name in MODULES:
        seen: set[str] = set()
        ahead = [*IMPORTS[name]]
        while ahead:
            module = ahead.pop()
            if module not in seen:
                seen.add(module)
                ahead.extend(IMPORTS[module])
        reached[name] = seen
    assert sorted(name for name in MODULES if name in reached[name]) == []


@pytest.mark.parametrize("folder", sorted(MAY_IMPORT))
def test_dependencies_point_one_way(folder: str) -> None:
    names = [name for name in MODULES if name.split(".")[0] == folder]
    assert names
    allowed = MAY_IMPORT[folder]
    if folder in ABOVE_STAGES:
        allowed = {*allowed, *COLLECTS}
    for name in names:
        for target in IMPORTS[name]:
            if name in COLLECTS:
                assert target.split(".")[0] not in ABOVE_STAGES, f"{name} imports {target}"
            elif target in COLLECTS:
                assert folder in ABOVE_STAGES, f"{name} imports {target}"
            else:
                assert target.split(".")[0] in allowed, f"{name} imports {target}"


def test_every_folder_has_its_line_in_the_table() -> None:
    assert {name.split(".")[0] for name in MODULES} - ROOT_MODULES - {""} == set(MAY_IMPORT)


def test_modules_are_imported_not_looked_up_by_name() -> None:
    """A name in a string is a dependency that no table sees."""
    lazy = {"", "commands.table"}
    foreign = {
        "core.pictures",
        "indexer.corpora.languages",
        "indexer.pack.worker",
        "library.mcp_server",
        "library.tables",
    }
    lookups = {"import_module", "resolve_name", "__import__"}
    looking_up = {
        name
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in lookups
    }
    assert looking_up == lazy | foreign


def test_indices_are_opened_with_what_reads_their_rows() -> None:
    """search.captions.open_captions alone gives no rows of an index that was made with --store none."""
    opening = {
        name
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and (node.module or "").endswith("search.captions")
        and "open_captions" in {alias.name for alias in node.names}
    }
    assert opening == {"indexer.opening"}


def test_a_class_name_means_one_thing() -> None:
    homes: dict[str, list[str]] = defaultdict(list)
    for name, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].append(name)
    assert {name: places for name, places in homes.items() if len(places) > 1} == {}


def test_values_are_named_by_what_they_hold() -> None:
    """A bare participle says what was done with a thing, not what it is, and nobody finds it again."""
    bare: list[str] = []
    for name, tree in TREES.items():
        for node in ast.walk(tree):
            word = node.id if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) else ""
            if isinstance(node, ast.arg):
                word = node.arg
            if word in BARE_PARTICIPLES and (name, word) not in MEANT:
                bare.append(f"{name}:{node.lineno} {word}")
    assert bare == []


def test_nothing_heavy_is_imported_at_the_top() -> None:
    heavy = {"torch", "faiss", "img2dataset", "elasticsearch", "aiohttp", "open_clip", "pandas", "matplotlib"}
    for name, tree in TREES.items():
        if name == "demo.train":
            continue
        for node in tree.body:
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            assert not heavy & {imported.split(".")[0] for imported in names}, name


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

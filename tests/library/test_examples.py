"""The programs and the notebook in examples/ do what their first lines say."""

from __future__ import annotations

import json
import re
import runpy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import captrawl as ct
import pytest
from captrawl.demo.drawings.catalogue import draw
from captrawl.demo.run import MODEL
from captrawl.workspace.settings import CaptionSettings, save_settings

ROOT = Path(__file__).resolve().parents[2]
CLASSES = ("stop sign", "anchor", "palm tree")  # as the task of conftest.py
SHOWN = 5
"""Test images per class."""


@pytest.fixture(scope="module")
def drawings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """New drawings of each class, in a folder named by its id."""
    folder = tmp_path_factory.mktemp("test")
    for label, name in enumerate(CLASSES):
        (folder / str(label)).mkdir()
        for seed in range(SHOWN):
            draw(name, 900_000 + seed).save(folder / str(label) / f"{seed}.png")
    return folder


@pytest.fixture
def train(
    drawings: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[Path], list[str]]:
    """train(listing) → the lines that examples/train.py prints."""

    def run(listing: Path) -> list[str]:
        program = ROOT / "examples" / "train.py"
        monkeypatch.setattr("sys.argv", [str(program), str(listing), str(MODEL), str(drawings)])
        runpy.run_path(str(program), run_name="__main__")
        return capsys.readouterr().out.splitlines()

    return run


def test_a_head_learns_what_the_list_says(
    ready: ct.Workspace, train: Callable[[Path], list[str]], tmp_path: Path
) -> None:
    listing = ready.samples["T2I4"].listing
    *epochs, last = train(listing)
    assert [line.partition(":")[0] for line in epochs] == ["epoch 20", "epoch 40", "epoch 60"]
    assert last == "15 of 15 test images are right: 100.0%"
    lies = tmp_path / "a list of lies.txt"
    rows = [line.rsplit(maxsplit=2) for line in listing.read_text().splitlines()]
    lies.write_text("".join(f"{path} {(int(label) + 1) % 3} 0\n" for path, label, _ in rows))
    assert train(lies)[-1] == "0 of 15 test images are right: 0.0%"


def test_the_tutorial_shows_the_programs_loop() -> None:
    program = (ROOT / "examples" / "train.py").read_text()
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "tutorial.md").read_text(), re.DOTALL)
    assert blocks[0] in program


@pytest.fixture
def demo(copy: ct.Workspace, task: Any, tmp_path: Path) -> Path:
    """A folder with the workspace ``demo`` and its captions, as captrawl demo leaves them."""
    copy.root.rename(tmp_path / "demo")
    shutil.copytree(task.index, tmp_path / "demo" / "captions")
    settings = ct.Workspace(tmp_path / "demo").settings()
    moved = settings.model_copy(update={"captions": CaptionSettings(index="captions")})
    save_settings(moved, tmp_path / "demo" / "captrawl.toml")
    return tmp_path


def test_the_notebook_runs_from_its_first_cell_to_its_last(
    demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nbformat = pytest.importorskip("nbformat", reason="pip install 'captrawl[test]'")
    nbclient = pytest.importorskip("nbclient", reason="pip install 'captrawl[test]'")
    pytest.importorskip("ipykernel", reason="pip install 'captrawl[test]'")
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(demo / name.lower()))
    notebook = nbformat.read(ROOT / "examples" / "workspace.ipynb", as_version=4)
    nbformat.validate(notebook)
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(demo)}}).execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    printed = [output["text"] for output in shown if output.get("name") == "stdout"]
    assert printed == [
        "12 rows contain one of {'anchor': 6, 'palm tree': 6}\n",
        f"{demo / 'demo' / 'images' / '00000'}/{Path(printed[1].split()[0]).name} 0 0\n",
        "12 images of 3 classes, 100% of them fitted\n",
    ]
    values = [output["data"] for output in shown if "data" in output]
    assert values[0]["text/plain"] == f"Workspace('{demo / 'demo'}')"
    lines = values[2]["text/plain"].splitlines()[2:]
    assert lines == [f"{name:16s} 6              6" for name in ("anchor", "palm tree", "stop sign")]
    assert "{'kept': 12, 'beyond_n': 6}" in [value["text/plain"] for value in values]
    tables = [value["text/html"] for value in values if "<img" in value.get("text/html", "")]
    assert [table.count('<img alt="" src="data:image/webp;base64,') for table in tables] == [4, 4]


def test_the_notebook_is_kept_without_its_outputs() -> None:
    notebook = json.loads((ROOT / "examples" / "workspace.ipynb").read_text())
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [(cell["outputs"], cell["execution_count"]) for cell in code] == [([], None)] * len(code)

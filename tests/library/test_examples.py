"""The programs and the notebook in examples/ do what their first lines say."""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable
from pathlib import Path

import captrawl as ct
import pytest
from captrawl.demo.drawings.catalogue import draw
from captrawl.demo.run import MODEL

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

"""Marks set by hand: how they are kept, and what a sample makes of them."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from captrawl.core.errors import InputError, WorkspaceError
from captrawl.sampling.files import read_sample
from captrawl.sampling.marks import Mark, Marks, set_marks
from captrawl.sampling.sample import draw, sample_status
from captrawl.sampling.task import paths_of
from captrawl.workspace.settings import SampleSettings
from captrawl.workspace.workspace import State, Workspace

E = np.eye(4, dtype=np.float32)


def towards(axis: int, cosine: float) -> np.ndarray:
    other = (axis + 1) % 4
    return (cosine * E[axis] + np.sqrt(1 - cosine**2) * E[other]).astype(np.float32)


def pool(workspace: Workspace, name: str = "T2T500") -> list[tuple[int, int, int | None, str]]:
    rows = read_sample(paths_of(workspace, name)).to_pylist()
    return [(row["class_id"], row["uid"], row["rank"], row["reason"]) for row in rows]


@pytest.fixture
def birds(make_workspace, make_row):
    """Rows 0 to 4 of class 0, T2T 0.9, 0.8, …, row 5 with row 1's image; row 4 stands in class 1 too."""
    rows = [make_row(0, i) for i in range(6)] + [make_row(1, 4), make_row(1, 7)]
    vectors = {i: (towards(0, 0.9 - i / 10), towards(0, 0.9 - i / 10)) for i in (0, 1, 2, 3, 4, 7)}
    vectors[5] = (towards(0, 0.8), towards(0, 0.1))
    same = {"http://127.0.0.1/1.jpg": "a" * 64, "http://127.0.0.1/5.jpg": "a" * 64}
    return make_workspace(rows, vectors, prompts=E[:2], hashes=same).workspace


def test_marks_are_kept_by_class_and_uid(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    assert Marks.load(workspace).fingerprint() == ""
    set_marks(workspace, 3, {-(2**63): Mark.REJECTED})
    set_marks(workspace, 3, {2**63 - 1: Mark.CONFIRMED})
    set_marks(workspace, 4, {2**63 - 1: Mark.REJECTED})
    marks = Marks.load(workspace)
    assert marks.of(3) == {-(2**63): Mark.REJECTED, 2**63 - 1: Mark.CONFIRMED}
    assert marks.of(4) == {2**63 - 1: Mark.REJECTED}
    assert json.loads((tmp_path / "marks.json").read_text()) == {
        "format": 1,
        "classes": {
            "3": {"confirmed": ["9223372036854775807"], "rejected": ["-9223372036854775808"]},
            "4": {"confirmed": [], "rejected": ["9223372036854775807"]},
        },
    }
    for class_id, uid in ((3, -(2**63)), (3, 2**63 - 1), (4, 2**63 - 1)):
        set_marks(workspace, class_id, {uid: None})
    assert Marks.load(workspace).fingerprint() == ""


def test_threads_that_mark_at_once_lose_nothing(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda uid: set_marks(workspace, uid % 3, {uid: Mark.REJECTED}), range(60)))
    assert [Marks.load(workspace).uids(i, Mark.REJECTED) for i in range(3)] == [
        list(range(i, 60, 3)) for i in range(3)
    ]


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"format": 2, "classes": {}}',
        '{"format": 1, "classes": {"0": {"odd": ["1"]}}}',
        '{"format": 1}',
    ],
)
def test_a_damaged_file_is_an_error_that_names_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "marks.json").write_text(text)
    with pytest.raises(WorkspaceError, match=r"marks\.json"):
        Marks.load(Workspace(tmp_path))


def test_a_rejected_image_is_dropped_with_its_copies_in_its_class_only(birds) -> None:
    set_marks(birds, 0, {1: Mark.REJECTED})
    set_marks(birds, 0, {4: Mark.REJECTED})
    draw(birds, SampleSettings(n=2))
    assert pool(birds) == [
        (0, 0, 1, ""),
        (0, 2, 2, ""),
        (1, 7, 1, ""),
        (1, 4, 2, ""),  # rejected in class 0 alone
        (0, 1, None, "rejected"),
        (0, 3, None, "beyond_n"),
        (0, 4, None, "rejected"),
        (0, 5, None, "rejected"),  # the same image
    ]


def test_a_confirmed_image_comes_first_whatever_its_scores(birds) -> None:
    set_marks(birds, 0, {4: Mark.CONFIRMED})
    draw(birds, SampleSettings(n=3, keep=["T2I>=0.75"], zeroshot=True))
    assert [line for line in pool(birds) if line[0] == 0] == [
        (0, 4, 1, ""),
        (0, 0, 2, ""),
        (0, 1, 3, ""),
        (0, 2, None, "T2I<0.75"),
        (0, 3, None, "T2I<0.75"),
        (0, 5, None, "same_image"),
    ]


def test_a_confirmed_image_is_a_shot_of_its_class(birds) -> None:
    spec = SampleSettings(name="near", method="I2I-rank", n=3)
    with pytest.raises(InputError, match="few shots"):
        draw(birds, spec)
    set_marks(birds, 0, {2: Mark.CONFIRMED})
    draw(birds, spec)
    rows = {(row["class_id"], row["uid"]): row for row in read_sample(paths_of(birds, "near")).to_pylist()}
    assert rows[0, 2]["I2I_max"] == 1
    assert rows[0, 0]["I2I_mean"] == pytest.approx(float(towards(0, 0.9) @ towards(0, 0.7)), abs=1e-6)
    assert rows[1, 4]["I2I_mean"] is None


def test_marks_make_a_sample_stale(birds) -> None:
    spec = SampleSettings(n=3)
    draw(birds, spec)
    assert sample_status(birds, spec).state is State.DONE
    set_marks(birds, 0, {1: Mark.REJECTED})
    stale = sample_status(birds, spec)
    assert (stale.state, stale.reason) == (State.STALE, "marks changed since")
    set_marks(birds, 0, {1: None})
    assert sample_status(birds, spec).state is State.DONE

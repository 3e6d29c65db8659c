"""--diverse: which of the best rows make the sample, against plain greedy choices."""

from __future__ import annotations

import numpy as np
import pytest
from captrawl.cli import app
from captrawl.core.errors import SettingsError
from captrawl.sampling.files import read_sample
from captrawl.sampling.orders.diversity import diverse
from captrawl.sampling.sample import draw
from captrawl.sampling.task import paths_of
from captrawl.workspace.settings import SampleSettings, sample_settings
from typer.testing import CliRunner


def random_units(rows: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(rows, 6))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def plain(images: np.ndarray, n: int, how: float | str, first: int) -> list[int]:
    """Every step looks at every row."""
    images = images[: 2 * n]
    likeness = np.clip(images @ images.T, 0, 1)
    taken: list[int] = []
    while len(taken) < n:
        values = {}
        for row in range(len(images)):
            if row in taken:
                continue
            if how == "facility":
                values[row] = round(float(likeness[[*taken, row]].max(axis=0).sum(dtype=np.float64)), 6)
            else:
                nearest = max((float(likeness[row, other]) for other in taken), default=0.0)
                values[row] = how * (1 - row / len(images)) - (1 - how) * nearest
        taken.append(len(taken) if len(taken) < first else max(values, key=lambda row: values[row]))
    return taken


@pytest.mark.parametrize("how", [0.3, 0.7, 1.0])
@pytest.mark.parametrize("first", [0, 2])
def test_each_step_takes_the_best_row(how, first) -> None:
    for seed in range(5):
        images = random_units(40, seed)
        assert diverse(images, 12, how, first=first).tolist() == plain(images, 12, how, first)


@pytest.mark.parametrize("first", [0, 2])
def test_lazy_steps_cover_as_much_as_plain_ones(first) -> None:
    """Two rows that are each other's nearest cover the same, so the rows themselves may differ."""
    for seed in range(5):
        images = random_units(40, seed)
        likeness = np.clip(images[:24] @ images[:24].T, 0, 1)
        taken = diverse(images, 12, "facility", first=first)
        others = plain(images, 12, "facility", first)
        assert taken[:first].tolist() == list(range(first))
        assert len(set(taken.tolist())) == 12
        for step in range(1, 13):
            covered = likeness[taken[:step]].max(axis=0).sum()
            assert covered == pytest.approx(likeness[others[:step]].max(axis=0).sum(), abs=1e-4)


def test_a_weight_of_one_is_the_order_itself() -> None:
    assert diverse(random_units(40, 0), 12, 1.0).tolist() == list(range(12))
    assert diverse(random_units(5, 0), 12, 0.5).tolist() == list(range(5))


@pytest.fixture
def copies(make_workspace, make_row):
    """Ten rows of one picture's vector, the best by T2I, and four unlike ones, and one in between."""
    axis = np.eye(6, dtype=np.float32)
    alike = np.sqrt(0.9) * axis[0] + np.sqrt(0.1) * axis[1]
    vectors = dict.fromkeys(range(10), (alike, axis[0]))
    unlike = [np.sqrt(0.5) * axis[0] + np.sqrt(0.5) * axis[at] for at in (2, 3, 4, 5, 1)]
    vectors |= {10 + at: (vector, axis[0]) for at, vector in enumerate(unlike)}
    rows = [make_row(0, number) for number in vectors]
    return make_workspace(rows, vectors, prompts=axis[:1]).workspace


@pytest.mark.parametrize("how", [0.3, "facility"])
def test_a_sample_shows_unlike_images(copies, how) -> None:
    draw(copies, SampleSettings(name="s", method="T2I-rank", n=8, diverse=how))
    table = read_sample(paths_of(copies, "s")).to_pylist()
    kept = [row["uid"] for row in table if row["kept"]]
    assert len(kept) == 8
    assert set(range(10, 14)) <= set(kept)
    assert {row["reason"] for row in table if not row["kept"]} == {"beyond_n"}


def test_the_command_takes_a_weight_or_facility(copies) -> None:
    for text, name in (("0.3", "T2I8+diverse0.3"), ("facility", "T2I8+facility")):
        words = ["-C", str(copies.root), "sample", "--method", "T2I-rank", "-n", "8", "--diverse", text]
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, done.output
        assert paths_of(copies, name).table.exists()
    with pytest.raises(SettingsError, match="diverse"):
        sample_settings(diverse="somewhat")

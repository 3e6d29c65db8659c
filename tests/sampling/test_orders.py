"""Scores of the whole task, blends and cuts, against plain re-implementations."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from captrawl.core.files import digest
from captrawl.sampling.files import SAMPLE_SCHEMA, read_sample
from captrawl.sampling.methods import compose
from captrawl.sampling.orders.blends import Blend
from captrawl.sampling.orders.cuts import mixture_cut, quantile_of
from captrawl.sampling.orders.names import PRODUCTS, Score
from captrawl.sampling.probe import Probe
from captrawl.sampling.sample import draw
from captrawl.sampling.task import paths_of
from captrawl.sampling.vector_cache import save
from captrawl.search.vectors.models import model_of
from captrawl.workspace.settings import SampleSettings

DIMENSION = 12
CLASSES = 3
ROWS = 15


def units(generator: np.random.Generator, *shape: int) -> np.ndarray:
    vectors = generator.normal(size=(*shape, DIMENSION))
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


@pytest.fixture
def task(make_workspace, make_row):
    """Three classes of random vectors; the last has no shots. Row 3 of class 0 is itself a shot."""
    generator = np.random.default_rng(0)
    images, captions = units(generator, CLASSES * ROWS), units(generator, CLASSES * ROWS)
    shots = {0: units(generator, 4), 1: units(generator, 3)}
    images[3] = shots[0][2]
    rows = [make_row(number // ROWS, number) for number in range(CLASSES * ROWS)]
    vectors = {number: (images[number], captions[number]) for number in range(CLASSES * ROWS)}
    return make_workspace(rows, vectors, prompts=units(generator, CLASSES), shots=shots)


def column(made, name: str, rank: str, keep: tuple[str, ...] = ()) -> dict[int, float | None]:
    """uid → value in ``column`` of a sample by ``rank``."""
    draw(made.workspace, SampleSettings(name="s", rank=rank, keep=list(keep), n=500))
    table = read_sample(paths_of(made.workspace, "s"), ["uid", name])
    return dict(zip(table["uid"].to_pylist(), table[name].to_pylist(), strict=True))


def plain_margin(made, of: int, references: np.ndarray) -> dict[int, float]:
    """The margin of every row by its image (``of`` 0) or caption (1) vector."""
    everything = np.array([pair[of] for pair in made.vectors.values()])
    out = {}
    for row in made.rows:
        vector = made.vectors[row["uid"]][of]
        fits = {
            index: float(vector @ reference - np.mean(everything @ reference))
            for index, reference in enumerate(references)
            if np.isfinite(reference).all()
        }
        own = fits.pop(row["class_id"], None)
        if own is not None:
            out[row["uid"]] = own - max(fits.values())
    return out


@pytest.mark.parametrize(("score", "of"), [(Score.T2I_MARGIN, 0), (Score.T2T_MARGIN, 1)])
def test_margins_of_prompts(task, score, of) -> None:
    values = column(task, score.column, score)
    assert values == pytest.approx(plain_margin(task, of, task.prompts), abs=2e-6)


def test_margins_of_shots_leave_out_classes_without_any(task) -> None:
    means = [task.shots[index].mean(axis=0) for index in (0, 1)]
    centroids = np.array([*(mean / np.linalg.norm(mean) for mean in means), np.full(DIMENSION, np.nan)])
    expected = plain_margin(task, 0, centroids)
    values = column(task, "I2I_margin", "I2I.margin")
    assert {uid: value for uid, value in values.items() if value is not None} == pytest.approx(
        expected, abs=2e-6
    )
    assert len(expected) == 2 * ROWS


def test_classes_of_one_prompt_are_not_rivals(make_workspace, make_row) -> None:
    generator = np.random.default_rng(1)
    prompts = units(generator, 3)
    prompts[1] = prompts[0]
    vectors = {number: (units(generator), units(generator)) for number in range(8)}
    made = make_workspace([make_row(0, number) for number in range(8)], vectors, prompts=prompts)
    values = column(made, "T2I_margin", "T2I.margin")
    assert values == pytest.approx(plain_margin(made, 0, np.delete(prompts, 1, axis=0)), abs=2e-6)


@pytest.mark.parametrize(("score", "of"), [(Score.T2I_MARGIN, 0), (Score.T2T_MARGIN, 1)])
def test_another_sense_of_a_name_is_a_rival_of_its_class_alone(task, senses, score, of) -> None:
    without = plain_margin(task, of, task.prompts)
    (machine,) = senses({1: ["a machine"]})
    mean = np.mean([pair[of] for pair in task.vectors.values()], axis=0)
    fits = {uid: pair[of] @ machine - mean @ machine for uid, pair in task.vectors.items()}
    own = {uid: pair[of] @ task.prompts[1] - mean @ task.prompts[1] for uid, pair in task.vectors.items()}
    expected = {
        uid: min(value, own[uid] - fits[uid]) if uid // ROWS == 1 else value for uid, value in without.items()
    }
    assert expected != without
    assert column(task, score.column, score) == pytest.approx(expected, abs=2e-6)


def test_an_image_of_another_sense_doesnt_agree_with_its_class(task, senses) -> None:
    def kept() -> set[int]:
        draw(task.workspace, SampleSettings(name="s", method="T2T-rank", zeroshot=True, n=500))
        return set(read_sample(paths_of(task.workspace, "s"), ["uid"], kept=True)["uid"].to_pylist())

    before = kept()
    machine = next(task.vectors[uid][0] for uid in sorted(before) if uid // ROWS == 1)
    senses({1: ["a machine"]}, machine[None])
    images = {uid: image for uid, (image, _) in task.vectors.items()}
    nearer = {
        uid for uid in before if uid // ROWS == 1 and images[uid] @ machine > images[uid] @ task.prompts[1]
    }
    assert nearer
    assert kept() == before - nearer


@pytest.fixture
def senses(task):
    """senses({class id: [sense]}, prompts) → the prompts, in order; the class list has the senses then."""

    def note(texts: dict[int, list[str]], vectors: np.ndarray | None = None) -> np.ndarray:
        path = task.workspace.classes_path()
        document = json.loads(path.read_text())
        for entry in document["classes"]:
            entry["not"] = texts.get(entry["id"], [])
        path.write_text(json.dumps(document))
        every = [text for some in texts.values() for text in some]
        vectors = units(np.random.default_rng(5), len(every)) if vectors is None else vectors
        store = task.workspace.vectors_folder(model_of(task.workspace).slug) / "prompts.npz"
        names = [*task.names, *every]
        save(
            store,
            [digest([name, ("a photo of {}.",)]) for name in names],
            np.concatenate([task.prompts, vectors]),
            "made up",
        )
        return vectors

    return note


def test_the_nearest_of_all_shots(task) -> None:
    shots = np.concatenate([task.shots[0], task.shots[1]])
    expected = {uid: float((shots @ image).max()) for uid, (image, _) in task.vectors.items()}
    assert column(task, "I2I_any", "I2I.any") == pytest.approx(expected, abs=2e-6)


def test_a_row_that_is_a_shot_is_judged_by_a_probe_that_never_saw_it(task) -> None:
    values = column(task, "probe", "probe")
    without = Probe(CLASSES, DIMENSION)
    without.add(0, np.delete(task.shots[0], 2, axis=0))
    without.add(1, task.shots[1])
    image = task.vectors[3][0]
    assert values[3] == pytest.approx(np.exp(without.log_posterior(image[None])[0, 0]), abs=1e-5)
    whole = Probe(CLASSES, DIMENSION)
    for index, shots in task.shots.items():
        whole.add(index, shots)
    other = task.vectors[ROWS][0]
    assert values[ROWS] == pytest.approx(np.exp(whole.log_posterior(other[None])[0, 1]), abs=1e-5)
    assert all(values[uid] is None for uid in range(2 * ROWS, 3 * ROWS))


def test_a_sample_has_the_scores_it_needs_and_the_products(task) -> None:
    draw(task.workspace, SampleSettings(name="s", rank="T2I", keep=["probe>=0.2"]))
    table = read_sample(paths_of(task.workspace, "s"))
    filled = {score for score in Score if table[score.column].null_count < table.num_rows}
    assert filled == {*PRODUCTS, Score.PROBE}


def test_a_blend_is_in_the_table_and_orders_the_sample(task) -> None:
    blend = column(task, "blend", "T2I+I2I")
    table = read_sample(paths_of(task.workspace, "s"), kept=True, class_id=1).to_pylist()
    t2i, i2i = (np.array([row[name] for row in table]) for name in ("T2I", "I2I_mean"))
    expected = (t2i - t2i.mean()) / t2i.std() + (i2i - i2i.mean()) / i2i.std()
    assert [row["blend"] for row in table] == pytest.approx(expected, abs=1e-5)
    assert np.all(np.diff(expected) <= 1e-6)
    assert all(blend[uid] is None for uid in range(2 * ROWS, 3 * ROWS))  # no shots there


def test_rank_fusion() -> None:
    first, second = np.array([0.9, 0.1, 0.1, np.nan]), np.array([0.2, 0.3, 0.1, 0.4])
    fused = Blend("rrf", (Score.T2T, Score.T2I)).of([first, second])
    # second: the row without a first score still has a rank there
    expected = [60 / 61 + 60 / 63, 60 / 62 + 60 / 62, 60 / 62 + 60 / 64]
    assert fused[:3] == pytest.approx(expected, abs=1e-6)
    assert np.isnan(fused[3])


def test_equal_scores_add_nothing() -> None:
    values = np.array([0.3, 0.1, 0.2])
    blended = Blend("sum", (Score.T2I, Score.T2T)).of([values, np.full(3, 0.7)])
    assert np.argsort(-blended).tolist() == [0, 2, 1]


@pytest.mark.parametrize(("percent", "kept"), [(0, 10), (40, 6), (75, 3), (100, 1)])
def test_a_quantile_is_of_the_class(percent, kept) -> None:
    values = np.array([*np.arange(10.0), np.nan])
    assert int((values >= quantile_of(values, percent)).sum()) == kept
    met = compose("T2I", [f"T2I>=q{percent}"]).conditions[0].met(values)
    assert int(met.sum()) == kept


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_a_mixture_is_cut_between_its_components(share) -> None:
    generator = np.random.default_rng(0)
    wrong = generator.normal(0.15, 0.03, round(400 * (1 - share)))
    right = generator.normal(0.30, 0.03, round(400 * share))
    cut = mixture_cut(np.concatenate([wrong, right, [np.nan]]))
    assert (right >= cut).mean() > 0.97
    assert (wrong >= cut).mean() < 0.05


def test_one_component_keeps_all() -> None:
    generator = np.random.default_rng(0)
    assert mixture_cut(generator.normal(0.2, 0.05, 300)) == -np.inf
    assert mixture_cut(np.array([0.1, 0.9])) == -np.inf
    assert np.isnan(quantile_of(np.array([np.nan]), 40))


def test_a_cut_is_a_reason_and_stands_in_the_name(task) -> None:
    counts = draw(task.workspace, SampleSettings(name="s", rank="T2I", keep=["T2I>=q40"]))
    assert counts["T2I<q40"] == CLASSES * ROWS * 2 // 5
    first = paths_of(task.workspace, "s").sampled.read_text().splitlines()[0]
    assert first.split(", ")[0].endswith("/q40")


def test_a_table_from_before_these_scores_opens(task) -> None:
    draw(task.workspace, SampleSettings())
    paths = paths_of(task.workspace, "T2T500")
    later = [name for name in SAMPLE_SCHEMA.names if name in ("blend", *(s.column for s in Score))][6:]
    table = pq.read_table(paths.table)
    pq.write_table(table.drop_columns(later), paths.table)
    assert read_sample(paths).equals(table)
    assert read_sample(paths, ["uid", "probe"], kept=True)["probe"].to_pylist() == [None] * 21


def test_fit_is_the_sum_of_its_three_terms(task) -> None:
    column(task, "fit", "fit")
    rows = read_sample(paths_of(task.workspace, "s"), class_id=1).to_pylist()
    everything = np.array([pair[0] for pair in task.vectors.values()])
    means = [task.shots[index].mean(axis=0) for index in (0, 1)]
    centroids = np.array([mean / np.linalg.norm(mean) for mean in means])
    images = np.array([task.vectors[row["uid"]][0] for row in rows])
    by_prompt = images @ task.prompts.T - (everything @ task.prompts.T).mean(axis=0)
    by_shots = images @ centroids.T - (everything @ centroids.T).mean(axis=0)
    by_prompt, by_shots = by_prompt / by_prompt.std(), by_shots / by_shots.std()
    both = np.stack([by_prompt[:, 0] + by_shots[:, 0], by_prompt[:, 1] + by_shots[:, 1], 2 * by_prompt[:, 2]])
    joint = both[1] - np.maximum(both[0], both[2])  # class 2, without shots, fits as its prompt says

    def z(values) -> np.ndarray:
        return (values - np.mean(values)) / np.std(values)

    expected = z([row["T2I"] for row in rows]) + z([row["I2I_mean"] for row in rows]) + z(joint)
    assert [row["fit"] for row in rows] == pytest.approx(expected, abs=1e-4)
    without_shots = read_sample(paths_of(task.workspace, "s"), ["fit"], class_id=2)
    assert without_shots["fit"].null_count == 0


def clouds(make_workspace, make_row, *, shots: bool):
    """Two classes about two axes; a third of each pool is the other class's, whatever the captions say."""
    generator = np.random.default_rng(2)
    axes = np.eye(DIMENSION, dtype=np.float32)

    def near(axis: int) -> np.ndarray:
        vector = axes[axis] + 0.9 * units(generator)
        return (vector / np.linalg.norm(vector)).astype(np.float32)

    rows, vectors, right = [], {}, {}
    for number in range(120):
        label, own = number % 2, number % 3 > 0
        rows.append(make_row(label, number))
        vectors[number] = (near(label if own else 1 - label), units(generator))
        right[number] = own
    prompts = np.array([axes[axis] + 2.5 * units(generator) for axis in (0, 1)])
    prompts /= np.linalg.norm(prompts, axis=1, keepdims=True)
    few = {label: prompts[label : label + 1] for label in (0, 1)} if shots else None  # no better
    return make_workspace(rows, vectors, prompts=prompts.astype(np.float32), shots=few), right


def precision(made, right: dict[int, bool], **choice) -> float:
    draw(made.workspace, SampleSettings(name="s", n=40, **choice))
    uids = read_sample(paths_of(made.workspace, "s"), ["uid"], kept=True)["uid"].to_pylist()
    assert len(uids) == 80
    return sum(right[uid] for uid in uids) / len(uids)


@pytest.mark.parametrize(
    ("shots", "name", "base"), [(True, "clean", "fit"), (False, "clean-text", "fit-text")]
)
def test_cleaning_sets_right_what_the_first_order_has_wrong(
    make_workspace, make_row, shots, name, base
) -> None:
    made, right = clouds(make_workspace, make_row, shots=shots)
    first, cleaned = precision(made, right, method=base), precision(made, right, method=name)
    raw = sum(right.values()) / len(right)
    assert raw < first < cleaned
    assert cleaned > 0.95
    values = [read_sample(paths_of(made.workspace, "s"), ["uid", name.replace("-", "_")]) for _ in (1, 2)]
    assert values[0].equals(values[1])
    filled = values[0][name.replace("-", "_")]
    assert filled.null_count == 0


def test_a_picture_is_in_one_half_whatever_its_rows() -> None:
    from captrawl.sampling.orders.cleaning import best, halves_of

    pictures = np.arange(1000)
    halves = halves_of(pictures)
    assert 450 < halves.sum() < 550
    assert np.array_equal(halves_of(pictures[::-1]), halves[::-1])
    assert best(np.array([0.1, np.nan, 0.5, 0.5, 0.2])).tolist() == [False, False, True, True, False]
    assert not best(np.array([np.nan, np.nan])).any()


def test_methods_that_need_shots_say_so(birds_without_shots) -> None:
    from captrawl.core.errors import InputError

    for method in ("fit", "clean"):
        with pytest.raises(InputError, match="few shots"):
            draw(birds_without_shots, SampleSettings(name="s", method=method))
    for method in ("fit-text", "clean-text"):
        assert draw(birds_without_shots, SampleSettings(name="s", method=method, n=2))["kept"] == 2


@pytest.fixture
def birds_without_shots(make_workspace, make_row):
    generator = np.random.default_rng(0)
    vectors = {number: (units(generator), units(generator)) for number in range(6)}
    prompts = units(generator, 2)
    return make_workspace([make_row(0, number) for number in range(6)], vectors, prompts=prompts).workspace

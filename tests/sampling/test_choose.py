"""Every method and step against a plain oracle, on made-up vectors whose products are exact."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

import numpy as np
import pytest
from captrawl.core.errors import QueryError
from captrawl.core.picture_hash import BYTES, CROPS
from captrawl.sampling.copies.guard import LeakGuard
from captrawl.sampling.filters import Candidates, Steps, choose, distinct, shuffle_keys
from captrawl.sampling.methods import METHODS, Score, compose, named, resolve
from captrawl.sampling.orders.blends import Blend
from captrawl.sampling.orders.names import PRODUCTS
from captrawl.sampling.scores import products, score
from captrawl.workspace.settings import SampleSettings
from hypothesis import given, settings
from hypothesis import strategies as st

DIMENSION = 4
NUMBERS = [-1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0]
vector = st.lists(st.sampled_from(NUMBERS), min_size=DIMENSION, max_size=DIMENSION)
broken = st.just([float("nan")] * DIMENSION)


@dataclass
class Case:
    """A pool as plain lists."""

    images: list[list[float]]
    captions: list[list[float]]
    prompt: list[float]
    prompts: list[list[float]]
    shots: list[list[float]]
    uids: list[int]
    urls: list[int]
    hashes: list[int]
    rows: list[int]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    size = draw(st.integers(0, 14))
    rows = st.lists(st.one_of(vector, vector, vector, broken), min_size=size, max_size=size)
    codes = st.lists(st.integers(0, 2 * size + 1), min_size=size, max_size=size)
    prompts = draw(st.lists(vector, min_size=1, max_size=3))
    return Case(
        draw(rows),
        draw(rows),
        prompts[0],
        prompts,
        draw(st.lists(vector, min_size=0, max_size=3)),
        draw(codes),
        draw(codes),
        draw(codes),
        draw(st.permutations(range(size))),
    )


def candidates(case: Case) -> Candidates:
    images = np.array(case.images, np.float32).reshape(-1, DIMENSION)
    captions = np.array(case.captions, np.float32).reshape(-1, DIMENSION)
    scores = score(
        products(images),
        products(captions),
        rows=len(images),
        prompt=np.array(case.prompt, np.float32),
        shots=np.array(case.shots, np.float32).reshape(-1, DIMENSION),
    )
    order = sorted(range(len(case.uids)), key=lambda i: (case.uids[i], case.rows[i]))
    position = np.zeros(len(order), np.int64)
    position[order] = np.arange(len(order))
    identity = np.array([case.uids, case.urls, case.hashes], np.int64).T.reshape(-1, 3)
    priority = np.array(case.uids, np.int64) * 977 + np.array(case.rows, np.int64)
    return Candidates(scores, priority, position, identity, images)


# The oracle: plain Python, one row at a time -------------------------------------------------------


def dot(a: list[float], b: list[float]) -> float | None:
    value = sum(x * y for x, y in zip(a, b, strict=True))
    return None if value != value else round(value, 6)


def oracle_scores(case: Case, i: int) -> dict[str, float | None]:
    out: dict[str, float | None] = {
        "T2T": dot(case.prompt, case.captions[i]),
        "T2I": dot(case.prompt, case.images[i]),
    }
    for name, vectors in (("I2I", case.images), ("I2T", case.captions)):
        each = [dot(shot, vectors[i]) for shot in case.shots]
        usable = bool(each) and None not in each
        out[f"{name}.mean"] = round(float(np.float32(sum(each) / len(each))), 6) if usable else None
        out[f"{name}.max"] = max(each) if usable else None
    return out


TESTS = {
    ">=": lambda a, b: a >= b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
    "<": lambda a, b: a < b,
}


def oracle(case: Case, order: str | None, conditions: list, *, n: int, seed: int, **steps) -> tuple:
    """(kept rows in order, reason of every row)."""
    size = len(case.uids)
    scores = [oracle_scores(case, i) for i in range(size)]
    reasons = [""] * size
    if steps.get("tail") and size >= n:
        conditions = []
    for i in range(size):
        if order is not None and scores[i][order] is None:
            reasons[i] = "no_score"
        for name, operator, value in conditions:
            if reasons[i]:
                break
            if scores[i][name] is None:
                reasons[i] = "no_score"
            elif not TESTS[operator](scores[i][name], value):
                opposite = {">=": "<", ">": "<=", "<=": ">", "<": ">="}[operator]
                reasons[i] = f"{name}{opposite}{value:g}"
    for i in range(size):
        if not reasons[i] and any((dot(leak, case.images[i]) or 0) > 0.95 for leak in steps.get("leaks", [])):
            reasons[i] = "leak"
    if steps.get("zeroshot"):
        for i in range(size):
            if reasons[i]:
                continue
            each = [dot(prompt, case.images[i]) for prompt in case.prompts]
            if None in each or each[0] < max(each):
                reasons[i] = "zeroshot"
    left = [i for i in range(size) if not reasons[i]]
    if order is None:
        keys = shuffle_keys(
            np.array([case.uids[i] * 977 + case.rows[i] for i in range(size)], np.int64), seed
        )
        left.sort(key=lambda i: (int(keys[i]), case.uids[i], case.rows[i]))
    else:
        left.sort(key=lambda i: (-scores[i][order], case.uids[i], case.rows[i]))
    distinct_rows: list[int] = []
    for i in left:
        for column, reason in ((case.uids, "same_uid"), (case.urls, "same_url"), (case.hashes, "same_image")):
            if not reasons[i] and any(column[i] == column[j] for j in distinct_rows):
                reasons[i] = reason
        if not reasons[i]:
            distinct_rows.append(i)
    kept: list[int] = []
    for i in distinct_rows:
        if len(kept) == n:
            reasons[i] = "beyond_n"
            continue
        near = steps.get("dedup") is not None and any(
            (dot(case.images[i], case.images[j]) or 0) > steps["dedup"] for j in kept
        )
        if near:
            reasons[i] = "near_duplicate"
        else:
            kept.append(i)
    return kept, reasons


METHOD_ORACLE = {  # SWAT's table: order, the condition's score, its default
    "Random": (None, "T2I", None),
    "Random-I2I": (None, "I2I.mean", 0.5),
    "T2T-rank": ("T2T", "T2T", 0.0),
    "T2I-rank": ("T2I", "T2I", 0.0),
    "I2I-rank": ("I2I.mean", "I2I.mean", 0.0),
    "I2T-rank": ("I2T.mean", "I2T.mean", 0.0),
    "T2T-rank-T2I-tshd": ("T2T", "T2I", 0.25),
    "T2T-rank-I2T-tshd": ("T2T", "I2T.max", 0.25),
    "T2T-rank-I2I-tshd": ("T2T", "I2I.max", 0.5),
    "I2T-tshd": ("I2T.mean", "I2T.mean", 0.25),
}


def test_the_table_has_every_method_of_swat() -> None:
    assert set(METHOD_ORACLE) == {name for name in METHODS if METHODS[name].on in PRODUCTS}


@pytest.mark.parametrize("name", sorted(METHOD_ORACLE))
@settings(max_examples=120, deadline=None)
@given(case=cases(), n=st.integers(1, 6), seed=st.integers(0, 3))
def test_each_method_equals_the_oracle(name: str, case: Case, n: int, seed: int) -> None:
    order, on, threshold = METHOD_ORACLE[name]
    method = named(name, threshold)
    choice = choose(candidates(case), method, Steps(n, seed))
    conditions = [] if threshold is None else [(on, ">=", threshold)]
    kept, reasons = oracle(case, order, conditions, n=n, seed=seed)
    assert choice.kept.tolist() == kept
    assert choice.reasons == reasons


def leaking(case: Case, leaks: list[list[float]]) -> np.ndarray:
    """The rows of pictures without a hash, whose vectors alone say that they are copies."""
    vectors = np.array(leaks, np.float32).reshape(-1, DIMENSION)
    guard = LeakGuard(np.zeros((len(leaks), CROPS, BYTES), np.uint8), vectors)
    images = candidates(case).images
    return guard.leaking(np.zeros((len(images), CROPS, BYTES), np.uint8), images)


@settings(max_examples=300, deadline=None)
@given(
    case=cases(),
    order=st.sampled_from([None, *PRODUCTS]),
    conditions=st.lists(
        st.tuples(
            st.sampled_from(PRODUCTS),
            st.sampled_from([">=", ">", "<=", "<"]),
            st.sampled_from([-0.5, 0.0, 0.25, 0.5]),
        ),
        max_size=3,
    ),
    n=st.integers(1, 8),
    dedup=st.sampled_from([None, 0.25, 0.5, 1.0]),
    zeroshot=st.booleans(),
    leaks=st.lists(vector, max_size=2),
    tail=st.booleans(),
)
def test_compositions_with_every_step_equal_the_oracle(
    case: Case, order, conditions, n, dedup, zeroshot, leaks, tail
) -> None:
    rank = "Random" if order is None else str(order)
    method = compose(rank, [f"{name}{operator}{value}" for name, operator, value in conditions])
    steps = Steps(
        n,
        7,
        tail,
        dedup,
        leaking=leaking(case, leaks) if leaks else None,
        prompts=np.array(case.prompts, np.float32) if zeroshot else None,
    )
    choice = choose(candidates(case), method, steps)
    kept, reasons = oracle(
        case,
        None if order is None else str(order),
        [(str(name), operator, value) for name, operator, value in conditions],
        n=n,
        seed=7,
        dedup=dedup,
        zeroshot=zeroshot,
        leaks=leaks,
        tail=tail,
    )
    assert choice.kept.tolist() == kept
    assert choice.reasons == reasons


def test_near_duplicates_over_several_blocks_equal_the_plain_greedy() -> None:
    generator = np.random.default_rng(3)
    base = generator.standard_normal((400, 16))
    vectors = np.concatenate([base, base + 0.15 * generator.standard_normal((400, 16)), base[:300]])
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    ranked = generator.permutation(len(vectors))
    from captrawl.sampling.filters import Verdicts

    for n in (1, 100, 511, 512, 513, 2000):
        verdicts = Verdicts(len(vectors))
        got = distinct(vectors, ranked, 0.9, n=n, verdicts=verdicts)
        kept: list[int] = []
        for row in ranked.tolist():
            if len(kept) == n:
                break
            if not kept or np.round((vectors[kept] @ vectors[row]).astype(float), 6).max() <= 0.9:
                kept.append(row)
        assert got[:n].tolist() == kept
        dropped = {row for row, reason in enumerate(verdicts.reasons()) if reason}
        assert dropped.isdisjoint(got.tolist())


def test_seeds_give_other_samples_and_the_same_seed_the_same() -> None:
    priority = np.arange(1000, dtype=np.int64)  # an arc: consecutive priorities
    first = [np.argsort(shuffle_keys(priority, seed))[:100] for seed in (0, 0, 1, 2)]
    assert first[0].tolist() == first[1].tolist()
    # disjoint arcs would share nothing, one arc all; a fresh hash shares about a tenth
    for other in (first[2], first[3]):
        assert 0 < len(set(first[0].tolist()) & set(other.tolist())) < 40


def test_a_larger_sample_begins_with_the_smaller_one() -> None:
    keys = shuffle_keys(np.arange(50, dtype=np.int64), 4)
    assert len(set(keys.tolist())) == 50


@pytest.mark.parametrize(
    ("rank", "keep", "order", "conditions"),
    [
        ("T2T", ["T2I>=0.25"], Score.T2T, ["T2I>=0.25"]),
        ("", ["T2I >= .25"], Score.T2T, ["T2I>=0.25"]),
        ("random", [], None, []),
        ("I2I", ["I2I>=0.65"], Score.I2I_MEAN, ["I2I.max>=0.65"]),
        ("I2T.max", ["i2t_mean<1e-1"], Score.I2T_MAX, ["I2T.mean<0.1"]),
        ("T2I.margin", ["probe>=0.5"], Score.T2I_MARGIN, ["probe>=0.5"]),
        ("T2I+I2I", ["T2I>=q40"], Blend("sum", (Score.T2I, Score.I2I_MEAN)), ["T2I>=q40"]),
        (
            "rrf(t2t, T2I,I2I)",
            ["I2I>=mix", "I2I.any>Q12.5"],
            Blend("rrf", (Score.T2T, Score.T2I, Score.I2I_MEAN)),
            ["I2I.max>=mix", "I2I.any>q12.5"],
        ),
        ("t2i", ["T2T≥0", "T2T≤0.5"], Score.T2I, ["T2T>=0", "T2T<=0.5"]),
    ],
)
def test_compositions_are_read(rank, keep, order, conditions) -> None:
    method = compose(rank, keep)
    assert method.order == order
    assert [str(condition) for condition in method.conditions] == conditions
    words = shlex.split(str(method))  # as the lock file has it, and as a command takes it
    assert compose(words[1], words[3::2]) == compose(rank, keep)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"method": "T2T-ranks"}, ["'T2T-ranks'", "did you mean 'T2T-rank'"]),
        ({"method": "nonsense"}, ["'nonsense'", "choose one of Random"]),
        ({"method": "Random-I2I"}, ["needs a threshold on I2I.mean"]),
        ({"rank": "T2X"}, ["no score 'T2X'", "T2T"]),
        ({"keep": ["T2I=0.25"]}, ["isn't a condition", "'T2I>=0.25'"]),
        ({"keep": ["T2I>=high"]}, ["'high' isn't a number"]),
        ({"keep": ["T2I>=nan"]}, ["'nan' isn't a number"]),
        ({"keep": ["T2I>=q101"]}, ["'q101' isn't a number", "q40"]),
        ({"rank": "T2I+T2X"}, ["no score 'T2X'"]),
        ({"rank": "rrf(T2I, T2I)"}, ["names a score twice"]),
        ({"keep": ["T2I<inf"]}, ["'inf' isn't a number"]),
        ({"rank": "T2T", "threshold": 0.3}, ["threshold 0.3", "--keep 'T2I>=0.3'"]),
    ],
)
def test_what_cannot_be_asked_is_said(spec, words) -> None:
    with pytest.raises(QueryError) as error:
        resolve(SampleSettings(**spec))
    for word in words:
        assert word in str(error.value)


def test_thresholds_come_from_the_sample_then_the_preset_then_the_method() -> None:
    name = "T2T-rank-I2I-tshd"
    preset = {name: 0.65}
    assert resolve(SampleSettings(method=name)).conditions[0].value == 0.5
    assert resolve(SampleSettings(method=name), preset).conditions[0].value == 0.65
    assert resolve(SampleSettings(method=name, threshold=0.7), preset).conditions[0].value == 0.7
    assert resolve(SampleSettings()).name == "T2T-rank"


@pytest.mark.parametrize("name", METHODS)
def test_every_method_can_be_written_with_rank_and_keep(name) -> None:
    """A report and the page read a drawn sample's method back from the lock file so."""
    method = resolve(SampleSettings(method=name, threshold=0.25 if METHODS[name].on else None))
    words = shlex.split(str(method))
    again = compose(words[1], words[3::2])
    assert (again.order, again.conditions, str(again)) == (method.order, method.conditions, str(method))

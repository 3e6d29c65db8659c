"""The same lists as SWAT's sampler, from an independent re-implementation of its scripts' rules in numpy.

What SWAT does: prompts are means over every spelling of a synonym times templates; scores are products; each
method sorts (stably, descending) and keeps what passes its threshold until n; lists as its scripts write
them. Ties and its documented defects aside, the swat profile must give the very same files.
"""

from __future__ import annotations

import json
from typing import ClassVar

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from captrawl.classes.files import load_classes
from captrawl.sampling.prompts import class_names, prompt_embeddings
from captrawl.sampling.sample import draw
from captrawl.sampling.task import paths_of
from captrawl.workspace.settings import SampleSettings

DIMENSION = 12
TEMPLATE = "a photo of {}."  # conftest's


def unit(values: np.ndarray) -> np.ndarray:
    return (values / np.linalg.norm(values, axis=-1, keepdims=True)).astype(np.float32)


def four(score: np.floating) -> float:
    """A score as SWAT prints it, but of its 6 decimals: all that captrawl keeps of a score."""
    return round(round(float(score), 6), 4)


class SwatSampler:
    """SWAT's methods as coded, one class at a time, over lists of (path, caption, features)."""

    def __init__(self, features, prompts, fewshot) -> None:
        self.features, self.prompts, self.fewshot = features, prompts, fewshot

    def scores(self, c: int) -> dict[str, np.ndarray]:
        images = np.array([f["image"] for f in self.features[c]], np.float32).reshape(-1, DIMENSION)
        captions = np.array([f["caption_feature"] for f in self.features[c]], np.float32)
        captions = captions.reshape(-1, DIMENSION)
        shots = self.fewshot[c]
        return {
            "T2T": captions @ self.prompts[c],
            "T2I": images @ self.prompts[c],
            "I2I mean": (images @ shots.T).mean(axis=1),
            "I2I max": (images @ shots.T).max(axis=1),
            "I2T mean": (captions @ shots.T).mean(axis=1),
            "I2T max": (captions @ shots.T).max(axis=1),
        }

    METHODS: ClassVar = {  # order, its threshold, the other score, its threshold
        "T2T-rank": ("T2T", 0.0, None, None),
        "T2I-rank": ("T2I", 0.0, None, None),
        "I2I-rank": ("I2I mean", 0.0, None, None),
        "I2T-rank": ("I2T mean", 0.0, None, None),
        "T2T-rank-T2I-tshd": ("T2T", None, "T2I", 0.25),
        "T2T-rank-I2T-tshd": ("T2T", None, "I2T max", 0.25),
        "T2T-rank-I2I-tshd": ("T2T", None, "I2I max", 0.5),
        "I2T-tshd": ("I2T mean", 0.25, None, None),
    }

    def run(self, method: str, n: int) -> tuple[str, str, str, str]:
        """({prefix}.txt, num_imgs_sampled.json, sampled_list.txt, filtered_list.txt)."""
        order, least, other, threshold = self.METHODS[method]
        listing, counts, sampled, filtered = [], {}, [], []
        for c in sorted(self.features):
            scores = self.scores(c)
            count = 0
            for at in sorted(range(len(self.features[c])), key=lambda i: -scores[order][i]):
                if count == n:
                    break
                item = self.features[c][at]
                shown = f"{four(scores[order][at])}/{least if least is not None else 0.0}"
                passes = least is None or scores[order][at] >= least
                if other is not None:
                    shown += f", {four(scores[other][at])}/{threshold}"
                    passes &= bool(scores[other][at] >= threshold)
                line = f"{shown}, {item['path']}, {item['caption']}"
                (sampled if passes else filtered).append(line)
                if passes:
                    listing.append(f"{item['path']} {c} 0\n")
                    count += 1
            counts[str(c)] = count
        return "".join(listing), json.dumps(counts, indent=4), "\n".join(sampled), "\n".join(filtered)


@pytest.fixture
def both(make_workspace, make_row):
    """A captrawl workspace and SWAT's sampler on the same vectors."""
    generator = np.random.default_rng(11)
    prompts = unit(generator.standard_normal((5, DIMENSION)))
    shots = {c: unit(prompts[c] + 0.3 * generator.standard_normal((16, DIMENSION))) for c in range(5)}
    rows, vectors = [], {}
    for c, size in enumerate((60, 1, 0, 25, 40)):
        for number in range(size):
            uid = 1000 * c + number
            rows.append(make_row(c, uid))
            vectors[uid] = tuple(
                unit(prompts[c] * generator.random() + 0.3 * generator.standard_normal((2, DIMENSION)))
            )
    made = make_workspace(
        rows, vectors, prompts=prompts, shots=shots, settings={"task": {"profile": "swat"}}, pictures=False
    )
    draw(made.workspace, SampleSettings(name="all", method="Random", n=10**6))
    where = {r["uid"]: r["path"] for r in pq.read_table(paths_of(made.workspace, "all").table).to_pylist()}
    features = {c: [] for c in range(5)}
    for row in rows:
        image, caption = vectors[row["uid"]]
        features[row["class_id"]].append(
            {"path": f"{made.workspace.root}/{where[row['uid']]}", "caption": row["caption"],
             "image": image, "caption_feature": caption}
        )  # fmt: skip
    return made.workspace, SwatSampler(features, prompts, shots)


@pytest.mark.parametrize("n", [1, 7, 500])
@pytest.mark.parametrize("method", sorted(SwatSampler.METHODS))
def test_the_same_files(both, method: str, n: int) -> None:
    workspace, swat = both
    draw(workspace, SampleSettings(name="X", method=method, n=n))
    paths = paths_of(workspace, "X")
    listing, counts, sampled, filtered = swat.run(method, n)
    assert paths.listing.read_text() == listing
    assert paths.counts.read_text() == counts
    assert paths.sampled.read_text() == sampled
    # SWAT stops looking once it has n; we note what fails after that too, in the same order before it
    ours, theirs = paths.filtered.read_text().splitlines(), filtered.splitlines()
    assert [line for line in ours if line in set(theirs)] == theirs
    if n == 500:
        assert ours == theirs


def test_random_keeps_a_threshold_and_n(both) -> None:
    workspace, swat = both
    draw(workspace, SampleSettings(name="X", method="Random", threshold=0.3, n=10))
    kept = [line.split(" ") for line in paths_of(workspace, "X").listing.read_text().splitlines()]
    for c, items in swat.features.items():
        if not items:
            continue
        passing = {item["path"] for item, t2i in zip(items, swat.scores(c)["T2I"], strict=True) if t2i >= 0.3}
        mine = [path for path, label, _ in kept if int(label) == c]
        assert set(mine) <= passing
        assert len(mine) == min(10, len(passing))


class FakeEncoder:
    """Other people's model: one fixed vector a text."""

    @staticmethod
    def vector(text: str) -> np.ndarray:
        return unit(np.random.default_rng(list(text.encode())).standard_normal(DIMENSION))

    def encode_texts(self, texts):
        return np.array([self.vector(text) for text in texts], np.float32)


@pytest.mark.parametrize("profile", ["", "swat"])
def test_prompts_are_swats_means(make_workspace, profile, tmp_path) -> None:
    """SWAT lets case variants of a synonym weigh double; captrawl's default counts token-equal ones once."""
    made = make_workspace(
        [], {}, prompts=np.eye(2, dtype=np.float32), settings={"task": {"profile": profile}}
    )
    alternates = {0: ["Abyssinian", "abyssinian", "Abyssinian cat"], 1: ["beagle"]}
    entries = [
        {"id": c, "name": names[0], "synonyms": [{"text": name} for name in names]}
        for c, names in alternates.items()
    ]
    (made.workspace.root / "classes.json").write_text(json.dumps({"format": 1, "classes": entries}))
    settings = made.workspace.settings()
    names = class_names(load_classes(made.workspace.classes_path()), settings)
    templates = ("a photo of a {}.", "a {} at home.")
    calls = []

    def encoder() -> FakeEncoder:
        calls.append(1)
        return FakeEncoder()

    def ask(weights: str = "w") -> np.ndarray:
        return prompt_embeddings(
            names, templates, encoder, store=tmp_path / "p.npz", weights=weights, dimension=DIMENSION
        )

    got = ask()
    for c, spelt in alternates.items():
        used = spelt if profile == "swat" else [name for name in spelt if name != "abyssinian"]
        texts = [template.replace("{}", name) for name in used for template in templates]
        mean = np.mean([FakeEncoder.vector(text) for text in texts], axis=0)
        assert got[c] == pytest.approx(unit(mean), abs=1e-6)
    before = len(calls)
    assert ask().tobytes() == got.tobytes()
    assert len(calls) == before  # kept by content …
    ask("other weights")
    assert len(calls) > before  # … of one set of weights


def test_a_killed_run_keeps_the_prompts_it_has(tmp_path, monkeypatch) -> None:
    import captrawl.sampling.prompts as module

    monkeypatch.setattr(module, "TEXTS_AT_ONCE", 2)
    names = [(f"name {number}",) for number in range(10)]

    class Dies(FakeEncoder):
        left = 3

        def encode_texts(self, texts):
            if not self.left:
                raise KeyboardInterrupt
            Dies.left -= 1
            return super().encode_texts(texts)

    def ask(encoder, store):
        return prompt_embeddings(
            names, ["a {}"], lambda: encoder, store=store, weights="w", dimension=DIMENSION
        )

    with pytest.raises(KeyboardInterrupt):
        ask(Dies(), tmp_path / "p.npz")
    asked: list[str] = []

    class Counts(FakeEncoder):
        def encode_texts(self, texts):
            asked.extend(texts)
            return super().encode_texts(texts)

    assert ask(Counts(), tmp_path / "p.npz").tobytes() == ask(FakeEncoder(), tmp_path / "q.npz").tobytes()
    assert asked == [f"a name {number}" for number in range(6, 10)]


def test_repeats_stay_as_in_swats_lists(make_workspace, make_row) -> None:
    """SWAT keeps each row of its corpus as an image of its own; so does captrawl by [task] repeats."""
    generator = np.random.default_rng(3)
    prompts = unit(generator.standard_normal((3, DIMENSION)))
    rows, vectors, features = [], {}, {c: [] for c in range(3)}
    for c in range(3):
        for number in range(12):
            uid = 1000 * c + number % 8  # four rows of each class stand twice in the corpus
            row = make_row(c, uid, row=100 * c + number)
            rows.append(row)
            if uid not in vectors:
                vectors[uid] = tuple(
                    unit(prompts[c] * generator.random() + 0.3 * generator.standard_normal((2, DIMENSION)))
                )
            image, caption = vectors[uid]
            path = f"{row['url']}"
            features[c].append(
                {"path": path, "caption": row["caption"], "image": image, "caption_feature": caption}
            )
    swat = SwatSampler(features, prompts, dict.fromkeys(range(3), prompts[:1]))
    listing = swat.run("T2T-rank", 9)[0].splitlines()
    theirs = [(line.split()[0], int(line.split()[1])) for line in listing]
    lists = {}
    for repeats in (True, False):
        made = make_workspace(
            rows,
            vectors,
            prompts=prompts,
            settings={"task": {"profile": "swat", "repeats": repeats}},
            folder=f"birds-{repeats}",
        )
        draw(made.workspace, SampleSettings(name="T2T9", n=9))
        table = pq.read_table(paths_of(made.workspace, "T2T9").table).filter(pc.field("kept"))
        lists[repeats] = list(zip(table["url"].to_pylist(), table["class_id"].to_pylist(), strict=True))
    assert lists[True] == theirs
    assert lists[False] == list(dict.fromkeys([*lists[False]]))
    assert {*lists[True]} <= {*lists[False]}
    assert len({*lists[True]}) < len(lists[True])

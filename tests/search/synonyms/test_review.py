"""The review: counts, samples, agreement and proposals, against values worked out plainly."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from captrawl.classes.files import load_classes
from captrawl.classes.model import ClassEntry, Synonym, named
from captrawl.core.errors import InputError
from captrawl.core.records import Progress, silent
from captrawl.core.text import tokens
from captrawl.indexer.captions import index_captions
from captrawl.indexer.corpora.files import find_files
from captrawl.search.captions import CaptionIndex, open_captions
from captrawl.search.match import Scope
from captrawl.search.synonyms.proposals import propose
from captrawl.search.synonyms.review import SHOWN, Plan, class_prompts, load_review, review, save_review
from captrawl.workspace.workspace import Workspace
from numpy.typing import NDArray

BIRD = ["bird", "wetland", "feather", "heron"]
MACHINE = ["tower", "building", "lift", "steel"]


class TwoSenses:
    """A text encoder by hand: one axis counts words of birds, one of machines, the third is the rest."""

    def encode_texts(self, texts: Sequence[str | None], progress: Progress = silent) -> NDArray[np.float32]:
        rows = []
        for text in texts:
            words = tokens(text or "")
            counts = (sum(w in BIRD for w in words), sum(w in MACHINE for w in words), 0.5)
            rows.append(np.array(counts) / np.linalg.norm(counts))
        return np.array(rows, np.float32).reshape(len(texts), 3)


CAPTIONS = [
    *(f"a crane bird in the wetland number {i}" for i in range(20)),
    *(f"crane lift of steel at the building site {i}" for i in range(40)),
    *(f"grey heron {i} with a feather" for i in range(30)),
    *(f"tower of steel {i}" for i in range(12)),
    "nothing of the kind",
]


@contextlib.contextmanager
def indexed(folder: Path, captions: Sequence[str]) -> Iterator[CaptionIndex]:
    table = pa.table({"url": [f"http://h/{i}" for i in range(len(captions))], "caption": captions})
    (folder / "corpus").mkdir()
    pq.write_table(table, folder / "corpus" / "a.parquet")
    index_captions(folder / "index", find_files([folder / "corpus"]), workers=1)
    with open_captions(folder / "index") as opened:
        yield opened


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CaptionIndex]:
    with indexed(tmp_path_factory.mktemp("index"), CAPTIONS) as opened:
        yield opened


CLASSES = (
    ClassEntry(
        4, "crane bird", (Synonym("crane"), Synonym("heron"), Synonym("egret"), Synonym("lift", prompt=False))
    ),
    ClassEntry(9, "tower", (Synonym("tower"), Synonym("steel tower", match=False))),
)


def test_every_figure_of_a_review(index: CaptionIndex) -> None:
    encoder = TwoSenses()
    found = review(index, CLASSES, encoder, scope=Scope())
    prompts = class_prompts(CLASSES, encoder)
    # egret has no captions and comes last; crane's captions are mostly of machines
    assert [(one.synonym, one.frequency) for one in found.synonyms] == [
        ("lift", 40),
        ("crane", 60),
        ("heron", 30),
        ("tower", 12),
        ("egret", 0),
    ]
    for one in found.synonyms[:-1]:
        place = [entry.id for entry in CLASSES].index(one.class_id)
        captions = index.sample(Scope().query((one.synonym,)), 20, 0).column("caption").to_pylist()
        scores = encoder.encode_texts(captions) @ prompts.T
        assert one.agreement == pytest.approx(float(scores[:, place].mean()), abs=1e-6)
        assert one.own_share == pytest.approx(float((scores[:, place] >= scores[:, 1 - place]).mean()))
        assert one.other_id == CLASSES[1 - place].id
        assert [shown.caption for shown in one.captions] == captions[:SHOWN]
        assert [shown.score for shown in one.captions] == pytest.approx(
            scores[:SHOWN, place].tolist(), abs=1e-6
        )
    egret = found.synonyms[-1]
    assert (egret.agreement, egret.own_share, egret.other_id, egret.captions) == (None, None, None, ())


def test_the_scope_counts_in_the_review(index: CaptionIndex) -> None:
    found = review(index, CLASSES, TwoSenses(), scope=Scope(prefix="wetland", exclude=("number 3",)))
    assert {one.synonym: one.frequency for one in found.synonyms} == {
        "crane": 19,
        "heron": 0,
        "egret": 0,
        "lift": 0,
        "tower": 0,
    }


def test_some_classes_are_reviewed_against_all(index: CaptionIndex) -> None:
    found = review(index, CLASSES, TwoSenses(), scope=Scope(), plan=Plan(only=frozenset({9})))
    assert [(one.class_id, one.synonym, one.other_id) for one in found.synonyms] == [(9, "tower", 4)]


def test_a_lone_class_has_no_other(index: CaptionIndex) -> None:
    found = review(index, (named(1, "heron"),), TwoSenses(), scope=Scope())
    assert (found.synonyms[0].own_share, found.synonyms[0].other_id, found.synonyms[0].other_name) == (
        1.0,
        None,
        "",
    )


def test_a_homonym_gets_a_prefix_and_exclusions_proposed_and_none_applied(index: CaptionIndex) -> None:
    crane = ClassEntry(4, "crane bird", (Synonym("crane"),))
    found = review(index, (crane, CLASSES[1]), TwoSenses(), scope=Scope())
    own = next(one for one in found.proposals if one.class_id == 4)
    assert {p.word for p in own.prefixes} <= {"bird", "wetland", "number"}
    assert "wetland" in {p.word for p in own.prefixes}
    assert {p.word for p in own.exclusions} <= {"lift", "steel", "building", "site"}
    assert "crane" not in {p.word for p in (*own.prefixes, *own.exclusions)}
    assert found.proposals[0].class_id is None


def test_a_repeated_caption_is_shown_once_and_proposes_nothing(tmp_path: Path) -> None:
    repeated = "crane lift of steel in an ancient collection of colors"
    captions = [text for text in CAPTIONS if "crane" in text] + [repeated] * 100
    crane = ClassEntry(4, "crane bird", (Synonym("crane"),))
    with indexed(tmp_path, captions) as index:
        found = review(index, (crane, CLASSES[1]), TwoSenses(), scope=Scope())
    shown = [one.caption for one in found.synonyms[0].captions]
    assert repeated in shown
    assert len(set(shown)) == len(shown) == SHOWN
    words = {p.word for one in found.proposals for p in (*one.prefixes, *one.exclusions)}
    assert "wetland" in words
    assert not words & {"ancient", "collection", "colors"}


def test_log_odds_are_the_formula() -> None:
    near = ["wetland bird"] * 9 + ["bird"]
    far = ["steel tower 5"] * 8 + ["the wetland it", "steel tower"]
    prefixes, exclusions = propose(near, far, ignore={"tower"})
    wanted = math.log((9.5 * 9.5) / (1.5 * 1.5))
    error = math.sqrt(1 / 9.5 + 1 / 1.5 + 1 / 1.5 + 1 / 9.5)
    by_word = {p.word: p for p in prefixes}
    assert (by_word["wetland"].log_odds, by_word["wetland"].z) == pytest.approx((wanted, wanted / error))
    assert (by_word["wetland"].near, by_word["wetland"].far) == (9, 1)
    assert [p.word for p in exclusions] == ["steel"]
    assert propose([], []) == ([], [])


def test_a_review_is_saved_as_json(index: CaptionIndex, tmp_path: Path) -> None:
    found = review(index, CLASSES, TwoSenses(), scope=Scope())
    save_review(found, tmp_path / "r.json")
    saved = json.loads((tmp_path / "r.json").read_text())
    assert saved["format"] == 1
    assert [one["synonym"] for one in saved["synonyms"]] == ["lift", "crane", "heron", "tower", "egret"]
    assert saved["synonyms"][0]["captions"][0] == {
        "caption": found.synonyms[0].captions[0].caption,
        "score": found.synonyms[0].captions[0].score,
    }


def test_a_saved_review_is_read_again(index: CaptionIndex, tmp_path: Path) -> None:
    found = review(index, CLASSES, TwoSenses(), scope=Scope())
    save_review(found, tmp_path / "r.json")
    assert load_review(tmp_path / "r.json") == found
    assert load_review(tmp_path / "absent.json") is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2}', '{"format": 1, "synonyms": [{"a": 1}]}'])
def test_a_damaged_review_is_told(text: str, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(InputError, match=r"r\.json isn't a review of synonyms .* captrawl synonyms --review"):
        load_review(tmp_path / "r.json")


# Real captions and a real, small model ------------------------------------------------------------

HOMONYMS = {"jersey": "T-shirt", "stole": "scarf", "specs": "sunglasses", "selections": "menu", "bale": "hay"}
"""A US state, what a thief did, a computer's, a museum's, a footballer; and the classes that have them."""


OTHERS = {"zebra", "lion", "castle", "umbrella", "laptop computer", "strawberry"}


@pytest.fixture(scope="module")
def real_task(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace of twelve ImageNet classes over those real captions that hold a word of theirs."""
    folder = tmp_path_factory.mktemp("real")
    metrics = json.loads((data_folder / "data" / "swat" / "imagenet_metrics-LAION400M.json").read_text())
    chosen = {key: held for key, held in metrics.items() if held["name"] in {*HOMONYMS.values(), *OTHERS}}
    (folder / "metrics.json").write_text(json.dumps(chosen))
    words = {token for held in chosen.values() for text in held["alternates"] for token in tokens(text)}
    tables = [pq.read_table(path) for path in sorted((data_folder / "data" / "captions").glob("*.parquet"))]
    table = pa.concat_tables(tables)
    held = pc.match_substring_regex(table["TEXT"], rf"\b({'|'.join(sorted(words))})\b", ignore_case=True)
    (folder / "corpus").mkdir()
    pq.write_table(table.filter(held), folder / "corpus" / "part.parquet")
    index_captions(folder / "index", find_files([folder / "corpus"]), workers=1)
    (folder / "task").mkdir()
    model = data_folder / "models" / "captrawl-small"
    (folder / "task" / "captrawl.toml").write_text(
        f'[captions]\nindex = "{folder}/index"\n[model]\nname = "local-dir:{model}"\npretrained = ""\n'
    )
    from captrawl.classes.files import save_classes

    save_classes(load_classes(folder / "metrics.json"), folder / "task" / "classes.json")
    return folder / "task"


@pytest.mark.data
def test_homonyms_have_the_lowest_agreement(real_task: Path, captrawl: Callable[..., Any]) -> None:
    pytest.importorskip("open_clip")
    shown = captrawl("-C", real_task, "synonyms", "--review", "--limit", "3").stdout
    found = json.loads((real_task / "synonyms-review.json").read_text())["synonyms"]
    judged = [(one["synonym"], one["class_name"]) for one in found if one["frequency"] >= 50]
    lowest = judged[: len(judged) // 3]
    assert set(HOMONYMS.items()) <= set(lowest), lowest
    first = next(one for one in found if one["frequency"] >= 20)
    assert f"{first['synonym']}  (class {first['class_id']} {first['class_name']})" in shown
    assert "the lowest agreement first" in shown
    assert Workspace.open(real_task).settings().task.prefix == ""  # proposals are never applied


def test_another_sense_of_a_class_is_its_rival(index: CaptionIndex) -> None:
    (crane,) = CLASSES[:1]
    lift = replace(crane, extra={"not": ["a lift of steel"]})
    alone = {one.synonym: one for one in review(index, (crane,), TwoSenses(), scope=Scope()).synonyms}
    beside = {one.synonym: one for one in review(index, (lift,), TwoSenses(), scope=Scope()).synonyms}
    assert (alone["lift"].own_share, alone["lift"].other_name) == (1.0, "")
    assert (beside["lift"].own_share, beside["lift"].other_id) == (0.0, None)
    assert beside["lift"].other_name == "a lift of steel"
    assert beside["heron"].own_share == 1.0


def test_a_class_that_matches_nothing_is_reviewed_as_nothing(index: CaptionIndex) -> None:
    silent_class = ClassEntry(7, "kite", (Synonym("kite", match=False),))
    found = review(index, (*CLASSES, silent_class), TwoSenses(), scope=Scope())
    assert {one.class_id for one in found.synonyms} == {4, 9}

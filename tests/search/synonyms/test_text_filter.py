"""The text filter against a plain numpy oracle, and a person's last word."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from captrawl.classes.files import load_classes, save_classes
from captrawl.classes.model import ClassEntry, ClassList, Synonym, named
from captrawl.core.records import Progress, silent
from captrawl.core.text import tokens
from captrawl.search.synonyms.ask import JOURNAL, brought_names, merge, synonyms
from captrawl.search.synonyms.journal import Journal
from captrawl.search.synonyms.llm import ModelServer
from captrawl.search.synonyms.text_filter import (
    FilterVerdict,
    filter_synonyms,
    judge,
    query_name,
    with_verdicts,
)
from captrawl.search.vectors.models import resolve
from captrawl.workspace.workspace import Workspace
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

Task = Callable[..., Workspace]


class HashedWords:
    """A text encoder of two lines: a text's vector is the sum of its words' random ones."""

    def encode_texts(self, texts: Sequence[str | None], progress: Progress = silent) -> NDArray[np.float32]:
        rows = np.stack([sum(map(self.word, (text or "").split()), np.zeros(16)) for text in texts])
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    def word(self, word: str) -> NDArray[np.float64]:
        seed = int.from_bytes(hashlib.sha256(word.lower().encode()).digest()[:4], "big")
        return np.random.default_rng(seed).normal(size=16)


def oracle(classes: ClassList, encoder: Any) -> dict[tuple[int, str], bool]:
    """SWAT.md's rule, one text at a time."""
    prompts = [encoder.encode_texts([f"a photo of a {query_name(entry)}"])[0] for entry in classes]
    kept: dict[tuple[int, str], bool] = {}
    for place, entry in enumerate(classes):
        always = [entry.name, entry.extra.get("common_name"), entry.extra.get("query_name")]
        for synonym in entry.synonyms:
            vector = encoder.encode_texts([f"a photo of a {synonym.text}"])[0]
            cosines = [float(np.dot(prompt, vector)) for prompt in prompts]
            best = max(range(len(classes)), key=lambda i: cosines[i])
            own = query_name(classes[best]) == query_name(classes[place])
            back = any(name and tokens(name) == tokens(synonym.text) for name in always)
            kept[entry.id, synonym.text] = own or back
    return kept


WORDS = st.sampled_from(
    ["crane", "bird", "tower", "machine", "jaguar", "cat", "car", "mouse", "pet", "computer", "red", "big"]
)
PHRASE = st.lists(WORDS, min_size=1, max_size=3).map(" ".join)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(PHRASE, st.lists(PHRASE, max_size=4), st.none() | PHRASE), min_size=1, max_size=5))
def test_the_filter_decides_as_the_oracle(given_classes: list[tuple[str, list[str], str | None]]) -> None:
    classes = tuple(
        named(3 * i, name, others, {"common_name": common} if common else {})
        for i, (name, others, common) in enumerate(given_classes)
    )
    encoder = HashedWords()
    verdicts = judge(classes, encoder)
    assert {(v.class_id, v.text): v.kept for v in verdicts} == oracle(classes, encoder)
    for verdict in verdicts:
        assert verdict.own <= verdict.nearest + 1e-6
    for before, after in zip(classes, with_verdicts(classes, verdicts), strict=True):
        assert after.match_phrases()
        said = {v.text: v for v in verdicts if v.class_id == before.id}
        for synonym in after.synonyms:
            if synonym.text in said:
                assert synonym.kept == said[synonym.text].kept
                assert synonym.reason == ("" if synonym.kept else said[synonym.text].reason)


def test_a_removal_says_which_class_was_nearer() -> None:
    crane = ClassEntry(
        3, "crane bird", (Synonym("crane bird", 4), Synonym("tower crane machine", 9, prompt=False))
    )
    tower = named(8, "tower crane machine")
    verdicts = judge((crane, tower), HashedWords())
    bad = next(
        verdict for verdict in verdicts if verdict.text == "tower crane machine" and verdict.class_id == 3
    )
    assert (bad.kept, bad.nearest_id, bad.nearest_name) == (False, 8, "tower crane machine")
    assert bad.nearest == pytest.approx(1)
    changed, _ = with_verdicts((crane, tower), verdicts)
    assert changed.synonyms == (
        Synonym("crane bird", 4),
        Synonym(
            "tower crane machine",
            9,
            False,
            False,
            f"nearer to class 8 (tower crane machine): 1.000, own {bad.own:.3f}",
        ),
    )


def test_names_of_ones_own_always_stay() -> None:
    crane = ClassEntry(
        0,
        "Grus grus",
        (Synonym("grus GRUS"), Synonym("common-crane"), Synonym("machine")),
        extra={"common_name": "common crane"},
    )
    verdicts = judge(
        (crane, named(1, "Grus grus machine")), HashedWords(), candidates={0: ["grus GRUS", "common-crane"]}
    )
    assert [(verdict.text, verdict.kept) for verdict in verdicts] == [
        ("grus GRUS", True),
        ("common-crane", True),
    ]
    assert query_name(crane) == "common crane"


def test_classes_of_one_name_are_nearest_together() -> None:
    verdicts = judge((named(657, "missile"), named(744, "missile", ["red missile"])), HashedWords())
    assert [(v.class_id, v.text, v.kept) for v in verdicts] == [
        (657, "missile", True),
        (744, "missile", True),
        (744, "red missile", True),
    ]


def test_a_class_never_loses_its_last_synonym() -> None:
    entry = ClassEntry(0, "kite (bird)", (Synonym("kite", 5),))
    verdict = FilterVerdict(0, "kite", False, 0.2, 1, "toy kite", 0.9)
    (changed,) = with_verdicts((entry,), [verdict])
    assert changed.match_phrases() == ("kite (bird)",)
    assert changed.synonyms[0].reason == "nearer to class 1 (toy kite): 0.900, own 0.200"


def test_nothing_to_judge() -> None:
    assert judge((named(0, "a"),), HashedWords(), candidates={}) == []


# In a workspace -----------------------------------------------------------------------------------


def fresh(task: Task, language_names: list[str]) -> Workspace:
    """A workspace where an answer brought ``language_names`` to the class crane bird."""
    classes = (named(0, "crane bird", ["lifting machine"]), named(1, "tower machine"))
    workspace = task(*classes)
    Journal(workspace.root / JOURNAL).append({"kind": "merged", "class_id": 0, "names": language_names})
    entries = (named(0, "crane bird", ["lifting machine", *language_names]), classes[1])
    save_classes(entries, workspace.classes_path())
    return workspace


def states(workspace: Workspace) -> dict[str, bool]:
    return {synonym.text: synonym.kept for synonym in load_classes(workspace.classes_path())[0].synonyms}


def test_only_answers_are_judged_unless_all_are_wanted(task: Task) -> None:
    workspace = fresh(task, ["tower machine", "red crane bird"])
    verdicts = filter_synonyms(workspace, HashedWords())
    assert [(v.text, v.kept) for v in verdicts] == [("tower machine", False), ("red crane bird", True)]
    assert states(workspace) == {
        "crane bird": True,
        "lifting machine": True,
        "tower machine": False,
        "red crane bird": True,
    }
    filter_synonyms(workspace, HashedWords(), everything=True)
    assert states(workspace)["lifting machine"] is False


def test_a_name_of_the_users_own_is_not_judged_because_an_answer_has_it_too(
    language: Any, task: Task
) -> None:
    reply = language.reply('{"synonyms": ["Tower Machine", "red crane bird"]}')
    workspace = task(named(0, "crane bird", ["tower machine"]), named(1, "tower machine"))
    synonyms(workspace, ModelServer("fake", language.start(lambda request: reply).url))
    verdicts = filter_synonyms(workspace, HashedWords())
    assert [v.text for v in verdicts if v.class_id == 0] == ["red crane bird"]
    assert states(workspace)["tower machine"] is True


def test_a_kill_before_the_merge_is_noted_makes_no_answer_the_users_own(language: Any, task: Task) -> None:
    reply = language.reply('{"synonyms": ["tower machine", "red crane bird"]}')
    workspace = task(named(0, "crane bird", ["lifting machine"]))
    synonyms(workspace, ModelServer("fake", language.start(lambda request: reply).url))
    journal = Journal(workspace.root / JOURNAL)
    lines = journal.path.read_text().splitlines(keepends=True)
    journal.path.write_text("".join(line for line in lines if '"kind": "merged"' not in line))
    merge(workspace, journal)
    assert brought_names(journal.records()) == {0: {"tower machine", "red crane bird"}}


def test_a_person_has_the_last_word(task: Task) -> None:
    workspace = fresh(task, ["tower machine", "red crane bird"])
    filter_synonyms(workspace, HashedWords())
    crane, tower = load_classes(workspace.classes_path())
    put_back = Synonym("tower machine")
    taken_out = Synonym("red crane bird", match=False, prompt=False)
    edited = (*crane.synonyms[:2], put_back, taken_out)
    save_classes((ClassEntry(0, crane.name, edited), tower), workspace.classes_path())
    for everything in (False, True):
        verdicts = filter_synonyms(workspace, HashedWords(), everything=everything)
        assert not {v.text for v in verdicts if v.class_id == 0} & {"tower machine", "red crane bird"}
    assert states(workspace)["tower machine"] is True
    assert states(workspace)["red crane bird"] is False


def test_a_rerun_decides_the_same(task: Task) -> None:
    workspace = fresh(task, ["tower machine", "red crane bird"])
    first = filter_synonyms(workspace, HashedWords())
    saved = load_classes(workspace.classes_path())
    assert filter_synonyms(workspace, HashedWords()) == first
    assert load_classes(workspace.classes_path()) == saved


@pytest.mark.data
def test_the_filter_with_a_real_model(data_folder: Path) -> None:
    encoder_module = pytest.importorskip("captrawl.search.vectors.loading")
    pytest.importorskip("open_clip")
    encoder = encoder_module.load_encoder(
        resolve(f"local-dir:{data_folder}/models/captrawl-small", ""), device="cpu"
    )
    classes = load_classes(data_folder / "data" / "swat" / "oxford_pets_metrics-LAION400M.json")
    verdicts = judge(classes, encoder)
    assert {(v.class_id, v.text): v.kept for v in verdicts} == oracle(classes, encoder)
    assert 0 < sum(not verdict.kept for verdict in verdicts) < len(verdicts) / 2

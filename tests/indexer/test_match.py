"""Frequencies, totals, credit and the match stage, against a plain search of the same captions."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from captrawl.classes.files import load_classes, save_classes
from captrawl.classes.model import ClassEntry, Synonym
from captrawl.core.errors import ClassListError, WorkspaceError
from captrawl.indexer.captions import index_captions
from captrawl.indexer.corpora.files import find_files
from captrawl.indexer.match_stage import match, match_status, read_matches
from captrawl.search.captions import open_captions
from captrawl.search.match import FEW, Credit, Scope, class_counts, count_safety, credited_counts
from captrawl.search.query import Filters, Safety
from captrawl.workspace.settings import Settings
from captrawl.workspace.workspace import State, Workspace

CAPTIONS = [
    "a dog on a lawn",
    "a puppy and its dog toy",
    "Golden-Retriever puppy",
    "golden retriever, a good dog",
    "a cat",
    "dog",
    None,
    "hot dog stand",
    "the cat and the dog",
]
CLASSES = (
    ClassEntry(0, "dog", (Synonym("dog"), Synonym("golden retriever"), Synonym("Dog"), Synonym("puppy"))),
    ClassEntry(1, "cat", (Synonym("cat"),)),
    ClassEntry(5, "yeti", (Synonym("yeti"), Synonym("bigfoot"))),
)


def write_corpus(
    folder: Path, captions: Sequence[str | None], nsfw: Sequence[str | None] | None = None
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    size = len(captions)
    table = {"url": [f"http://host/{n}.jpg" for n in range(size)], "caption": captions}
    if nsfw:
        table["NSFW"] = nsfw
    pq.write_table(pa.table(table), folder / "part.parquet")
    return folder


def build(corpus: Path, index: Path) -> Path:
    index_captions(str(index), find_files([str(corpus)]), part=None, replace=True, workers=1)
    return index


@pytest.fixture
def index(tmp_path: Path) -> Path:
    return build(write_corpus(tmp_path / "pets", CAPTIONS), tmp_path / "index")


def make_workspace(folder: Path, index: Path, **sections: object) -> Workspace:
    settings = Settings.model_validate({"captions": {"index": str(index)}, **sections})
    return Workspace.create(folder, settings, CLASSES)


@pytest.mark.parametrize(
    ("frequencies", "caption", "credited"),
    [
        ({"dog": 9, "puppy": 2}, "a puppy and a dog", "dog"),
        ({"dog": 2, "puppy": 9}, "a puppy and a dog", "puppy"),
        ({"puppy": 4, "dog": 4}, "a puppy and a dog", "puppy"),  # a tie: the list's order
        ({"Abyssinian": 7, "abyssinian": 7}, "an abyssinian cat", "Abyssinian"),  # equal tokens: the first
        ({"dog": 9, "hot dog": 3}, "HOT-DOG!", "dog"),
        ({"dog": 9}, "dogs", None),
        ({"dog": 9}, None, None),
        ({"st bernards": 1}, "St. Bernard’s café", "st bernards"),
    ],
)
def test_credit(frequencies: dict[str, int], caption: str | None, credited: str | None) -> None:
    for copies in (1, FEW + 1):  # one by one, and as a column
        captions = pa.array([caption] * copies, pa.string())
        assert Credit(frequencies)(captions).to_pylist() == [credited] * copies


def test_counts_of_classes_and_synonyms(index: Path) -> None:
    with open_captions(index) as captions:
        dog, cat, yeti = class_counts(captions, CLASSES, Scope())
    assert (dog.total, dict(dog.synonyms)) == (7, {"dog": 6, "golden retriever": 2, "Dog": 6, "puppy": 2})
    assert (cat.total, dict(cat.synonyms)) == (2, {"cat": 2})
    assert (yeti.total, dict(yeti.synonyms)) == (0, {"yeti": 0, "bigfoot": 0})
    with open_captions(index) as captions:
        assert credited_counts(captions, [dog, cat, yeti], [Scope()] * 3) == [
            {"dog": 6, "golden retriever": 1, "Dog": 0, "puppy": 0},
            {"cat": 2},
            {"yeti": 0, "bigfoot": 0},
        ]


def test_a_synonym_without_a_word_is_named(index: Path) -> None:
    classes = (ClassEntry(3, "star", (Synonym("***"),)),)
    with (
        open_captions(index) as captions,
        pytest.raises(ClassListError, match=r"class 3 \('star'\).*'\*\*\*'"),
    ):
        class_counts(captions, classes, Scope())


@pytest.mark.parametrize(
    ("safety", "total", "left_out", "unknown"),
    [(Safety.DEFAULT, 3, 1, 1), (Safety.STRICT, 2, 2, 0), (Safety.OFF, 4, 0, 1)],
)
def test_what_safety_does_is_counted(
    tmp_path: Path, safety: Safety, total: int, left_out: int, unknown: int
) -> None:
    corpus = write_corpus(
        tmp_path / "pets", ["dog", "dog", "dog", "dog"], ["UNLIKELY", "NSFW", None, "UNSURE"]
    )
    scope = Scope(filters=Filters(safety=safety))
    with open_captions(build(corpus, tmp_path / "index")) as captions:
        query = scope.query(["dog"])
        (count,) = captions.count([query])
        found = count_safety(captions, [query], count)
    assert (count, found.left_out, found.unknown) == (total, left_out, unknown)


@pytest.mark.parametrize(
    ("filters", "total", "left_out", "unknown"),
    [
        (Filters(), 4, 2, 1),
        (Filters(max_punsafe=0.95), 5, 1, 1),
        (Filters(max_punsafe=0.05), 2, 4, 1),
        (Filters(max_punsafe=0.95, safety=Safety.STRICT), 4, 2, 0),
        (Filters(max_punsafe=0.5, safety=Safety.OFF), 3, 0, 0),
        (Filters(max_punsafe=0.5, safety=Safety.OFF, keep_unknown=True), 5, 0, 1),
    ],
)
def test_a_bound_of_ones_own_is_the_bound_of_safety(
    tmp_path: Path, filters: Filters, total: int, left_out: int, unknown: int
) -> None:
    rows = {
        "url": [f"http://a/{n}.jpg" for n in range(6)],
        "caption": ["a dog"] * 6,
        "nsfw": ["UNLIKELY", None, "UNLIKELY", "UNSURE", "NSFW", None],
        "punsafe": [0.1, None, 0.9, None, 0.2, 0.4],
    }
    (tmp_path / "pets").mkdir()
    pq.write_table(pa.table(rows), tmp_path / "pets" / "part-0.parquet")
    with open_captions(build(tmp_path / "pets", tmp_path / "index")) as captions:
        query = Scope(filters=filters).query(["dog"])
        (count,) = captions.count([query])
        found = count_safety(captions, [query], count)
    assert (count, found.left_out, found.unknown) == (total, left_out, unknown)


@pytest.mark.parametrize("sample", [3, 100, "all"])
def test_the_stage_writes_every_class_in_order(tmp_path: Path, index: Path, sample: int | str) -> None:
    workspace = make_workspace(tmp_path / "w", index, match={"sample": sample})
    assert match_status(workspace).state is State.MISSING
    counts = match(workspace)
    rows = read_matches(workspace).to_pylist()
    dogs = [row for row in rows if row["class_id"] == 0]
    cats = [row for row in rows if row["class_id"] == 1]
    assert [row["class_id"] for row in rows] == [0] * len(dogs) + [1] * len(cats)
    assert len(dogs) == (3 if sample == 3 else 7)
    assert {row["row"] for row in cats} == {4, 8}
    assert {row["row"]: row["synonym"] for row in dogs if row["row"] in (2, 3)}.items() <= {
        2: "golden retriever",
        3: "dog",
    }.items()
    if sample != "all":
        priorities = [row["priority"] for row in dogs]
        assert priorities == sorted(priorities)  # seed 0 starts at the lowest
    assert counts["matching"] == 9
    assert counts["matches"] == len(rows)
    assert counts["classes_without_a_match"] == 1
    assert match_status(workspace).state is State.DONE
    listed = load_classes(workspace.classes_path())
    assert [s.frequency for s in listed[0].synonyms] == [6, 2, 6, 2]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"match": {"sample": 4}}, "sample changed since"),
        ({"match": {"seed": 4}}, "seed changed since"),
        ({"match": {"filters": {"min_side": 4}}}, "filters changed since"),
        ({"task": {"prefix": "lawn"}}, "prefix changed since"),
        ({"task": {"exclude": ["toy"]}}, "exclusions changed since"),
    ],
)
def test_other_values_make_it_stale(
    tmp_path: Path, index: Path, changes: dict[str, object], reason: str
) -> None:
    from captrawl.workspace.settings import save_settings

    workspace = make_workspace(tmp_path / "w", index)
    match(workspace)
    settings = Settings.model_validate({"captions": {"index": str(index)}, **changes})
    save_settings(settings, workspace.settings_path)
    status = match_status(workspace)
    assert (status.state, status.reason) == (State.STALE, reason)
    match(workspace)
    assert match_status(workspace).state is State.DONE


def test_more_corpus_makes_it_stale_and_a_frequency_does_not(tmp_path: Path, index: Path) -> None:
    workspace = make_workspace(tmp_path / "w", index)
    match(workspace)
    assert match_status(workspace).state is State.DONE
    build(write_corpus(tmp_path / "more", ["another dog"]), index)
    assert match_status(workspace).reason == "corpus changed since"
    match(workspace)
    assert {row["file"] for row in read_matches(workspace).to_pylist()} == {
        "pets/part.parquet",
        "more/part.parquet",
    }


def test_an_index_of_another_analyzer_makes_it_stale(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "pets", [*CAPTIONS, "a d&amp;#111;g", "İstanbul dog"])
    place = tmp_path / "index"
    with open_captions(place, create=True):
        pass
    mark = place / "captions.json"
    mark.write_text(mark.read_text().replace('"analyzer": 2', '"analyzer": 1'))
    workspace = make_workspace(tmp_path / "w", build(corpus, place))
    assert match(workspace)["matches"] == 10
    assert match_status(workspace).state is State.DONE
    shutil.rmtree(place)
    build(corpus, place)
    status = match_status(workspace)
    assert (status.state, status.reason) == (State.STALE, "corpus changed since")
    assert match(workspace)["matches"] == 11


def test_matches_before_the_stage_are_a_clear_error(tmp_path: Path, index: Path) -> None:
    with pytest.raises(WorkspaceError, match=r"no matches\.parquet; run captrawl -C .* match"):
        read_matches(make_workspace(tmp_path / "w", index))


def test_killed_matching_resumes_to_the_same_file(tmp_path: Path) -> None:
    words = [f"w{n}" for n in range(60)]
    chooser = random.Random(3)
    captions = [" ".join(chooser.sample(words, 6)) for _ in range(20_000)]
    index = build(write_corpus(tmp_path / "words", captions), tmp_path / "index")
    classes = tuple(ClassEntry(n, word, (Synonym(word),)) for n, word in enumerate(words))
    settings = Settings.model_validate({"captions": {"index": str(index)}, "match": {"sample": "all"}})
    calm = Workspace.create(tmp_path / "calm", settings, classes)
    match(calm)
    killed = Workspace.create(tmp_path / "killed", settings, classes)
    command = [sys.executable, "-m", "captrawl", "-C", str(killed.root), "match"]
    for _ in range(4):
        run = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
        time.sleep(chooser.uniform(0.4, 1.2))
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    assert match_status(killed).state in (State.MISSING, State.PARTIAL, State.DONE)
    match(killed)
    assert read_matches(killed).equals(read_matches(calm))
    assert not (killed.root / ".matches").exists()


def test_a_class_has_a_scope_of_its_own(tmp_path: Path, index: Path) -> None:
    dog, cat, _ = CLASSES
    own = (
        replace(dog, extra={"exclude": ["toy"]}),
        replace(cat, extra={"prefix": "the dog", "exclude": ["x"]}),
    )
    with open_captions(index) as captions:
        counts = class_counts(captions, own, Scope(prefix="a", exclude=("good",)))
        assert [count.total for count in counts] == [1, 1]  # "a dog on a lawn"; "the cat and the dog"
        scopes = [Scope().of(entry) for entry in own]
        counts = class_counts(captions, own, Scope())
        assert [count.total for count in counts] == [6, 1]
        assert [sum(shares.values()) for shares in credited_counts(captions, counts, scopes)] == [6, 1]
    workspace = make_workspace(tmp_path / "task", index, match={"sample": "all"})
    match(workspace)
    for classes, state in ((own, State.STALE), (CLASSES, State.DONE)):
        save_classes(classes, workspace.classes_path())
        assert match_status(workspace).state is state
    save_classes(own, workspace.classes_path())
    assert match(workspace)["matching"] == 7
    captions = read_matches(workspace, ["caption"]).column("caption").to_pylist()
    assert "a puppy and its dog toy" not in captions
    assert captions.count("the cat and the dog") == 2


def test_captions_go_to_the_class_of_the_longest_phrase(tmp_path: Path, captrawl: Any) -> None:
    corpus = write_corpus(
        tmp_path / "shop", ["a shirt", "a t-shirt", "t shirt on a shirt", "T-Shirt!", "dress"]
    )
    build(corpus, tmp_path / "index")
    (tmp_path / "names.txt").write_text("shirt\nT-shirt\n")
    task = tmp_path / "task"
    captrawl("init", task, "--classes", tmp_path / "names.txt", "--index", tmp_path / "index")

    def rows() -> dict[int, list[str]]:
        table = read_matches(Workspace.open(task), ["class_id", "caption"]).to_pylist()
        return {i: sorted(r["caption"] for r in table if r["class_id"] == i) for i in (0, 1)}

    done = captrawl("-C", task, "match")
    assert (
        "3 captions with 'T-shirt' of class 1 (T-shirt) match class 0 (shirt) too, by 'shirt'" in done.stderr
    )
    assert "captrawl match --longest" in done.stderr
    tees = ["T-Shirt!", "a t-shirt", "t shirt on a shirt"]
    assert rows() == {0: sorted(["a shirt", *tees]), 1: tees}
    done = captrawl("-C", task, "match", "--longest")
    assert "warning" not in done.stderr
    assert rows() == {0: ["a shirt"], 1: tees}
    assert captrawl("-C", task, "status").stdout.splitlines()[1].split()[:2] == ["match", "done"]
    captrawl("-C", task, "match", "--every")
    assert rows() == {0: sorted(["a shirt", *tees]), 1: tees}

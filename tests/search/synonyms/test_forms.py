"""Plurals and singulars: which are offered, which never, and what the index has of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from captrawl.classes.files import load_classes
from captrawl.search.synonyms.forms import is_proper, other_form

PLURALS = {
    "guitar": "guitars",
    "electric guitar": "electric guitars",
    "church": "churches",
    "lady": "ladies",
    "goose": "geese",
    "child": "children",
    "tooth": "teeth",
    "ox": "",
    "knife": "knives",
    "leaf": "leaves",
    "mouse": "mice",
    "computer mouse": "computer mice",
    "bus": "buses",
    "gas": "gases",
    "lens": "lenses",
    "cactus": "cactuses",
    "octopus": "octopuses",
    "axis": "axes",
    "glass": "glasses",
    "roof": "roofs",
    "flag of France": "flags of France",
    "loaf of bread": "loaves of bread",
    "piano": "pianos",
    "pot with flowers": "pots with flowers",
    "butterfly": "butterflies",
    "potato": "potatoes",
    "man": "men",
    "fireman": "firemen",
    "Pink Primrose": "Pink Primroses",
    "sea-horse": "sea-horses",
    "crane": "cranes",
    "box": "boxes",
}
SINGULARS = {
    "guitars": "guitar",
    "french fries": "french fry",
    "onion rings": "onion ring",
    "geese": "goose",
    "mice": "mouse",
    "knives": "knife",
    "buses": "bus",
    "spring rolls": "spring roll",
    "deviled eggs": "deviled egg",
}
NEVER = (
    *("sheep", "deer", "aircraft", "species", "scissors", "series", "news"),  # the same, or none
    *("Boeing 737-800", "macaroni & cheese", "fish and chips", "Turdus merula", "Quercus robur 2"),
    *("Rosa canina", "Canis lupus familiaris", "CD", "café"),
)


@pytest.mark.parametrize("phrase", PLURALS)
def test_a_singular_gives_its_plural(phrase: str) -> None:
    form = other_form(phrase)
    assert (form[0] if form else "") == PLURALS[phrase]
    assert form is None or form[1] == "plural"


@pytest.mark.parametrize("phrase", SINGULARS)
def test_a_plural_gives_its_singular(phrase: str) -> None:
    assert other_form(phrase) == (SINGULARS[phrase], "singular")


@pytest.mark.parametrize("phrase", NEVER)
def test_what_has_no_other_form(phrase: str) -> None:
    form = other_form(phrase)
    assert form is None or is_proper(phrase, titled=True)


@pytest.mark.parametrize(
    ("phrase", "titled", "proper"),
    [
        ("Golden Gate Bridge", False, True),
        ("Abyssinian", False, True),
        ("Pink Primrose", True, False),
        ("golden retriever", False, False),
        ("Statue of Liberty", False, True),
        ("BMW sedan", True, True),
        ("McLaren", True, True),
    ],
)
def test_proper_names_are_told_by_capitals(phrase: str, titled: bool, proper: bool) -> None:
    assert is_proper(phrase, titled=titled) is proper


def test_thirty_plurals_are_taken_and_counted(tmp_path: Path, captrawl: Any) -> None:
    names = {name: plural for name, plural in PLURALS.items() if plural and not name.istitle()}
    assert len(names) >= 30
    texts = [text for pair in names.items() for text in (f"one {pair[0]} here", f"two {pair[1]} here")]
    rows = "".join(f"http://a/{at}.jpg\t{text}\n" for at, text in enumerate([*texts, *texts[1::2]]))
    (tmp_path / "corpus.tsv").write_text(rows)
    (tmp_path / "names.txt").write_text("\n".join(names))
    index = ("--index", tmp_path / "idx")
    captrawl("index", "captions", tmp_path / "corpus.tsv", "--to", tmp_path / "idx")
    captrawl("init", tmp_path / "w", "--classes", tmp_path / "names.txt", *index, "--forms", "plural")
    said = captrawl("count", "--classes", tmp_path / "w" / "classes.json", *index, "--json").stdout
    by_name = {one["name"]: one for one in json.loads(said)["classes"]}
    words = [f" {text.replace('-', ' ').lower()} " for text in [*texts, *texts[1::2]]]
    for name, plural in names.items():
        spelled = [f" {form.replace('-', ' ').lower()} " for form in (name, plural)]
        total = sum(any(form in text for form in spelled) for text in words)
        assert (name, by_name[name]["total"]) == (name, total)
        assert total >= 3


CAPTIONS = (
    "a guitar",
    "three guitars",
    "guitars for sale",
    "a mouse",
    "mice",
    "a crane",
    "the Golden Gate Bridge",
)


@pytest.fixture
def home(tmp_path: Path, captrawl: Any) -> Path:
    rows = "".join(f"http://a/{place}.jpg\t{caption}\n" for place, caption in enumerate(CAPTIONS))
    (tmp_path / "corpus.tsv").write_text(rows)
    (tmp_path / "names.txt").write_text("guitar\nmouse\ncrane\nGolden Gate Bridge\n")
    captrawl("index", "captions", tmp_path / "corpus.tsv", "--to", tmp_path / "idx")
    return tmp_path


def test_the_command_proposes_what_the_index_has_and_takes_it_when_told(home: Path, captrawl: Any) -> None:
    line = ("-C", home / "w", "synonyms", "--forms", "plural")
    captrawl("init", home / "w", "--classes", home / "names.txt", "--index", home / "idx")
    before = (home / "w" / "classes.json").read_text()
    said = json.loads(captrawl(*line, "--json").stdout)
    assert [(one["synonym"], one["form"], one["rows"]) for one in said["forms"]] == [
        ("guitar", "guitars", 2),
        ("mouse", "mice", 1),
    ]
    assert "2 forms that the index has; none of them added" in captrawl(*line).stdout
    assert (home / "w" / "classes.json").read_text() == before
    captrawl(*line, "--take")
    guitar, mouse, crane, bridge = load_classes(home / "w" / "classes.json")
    assert guitar.match_phrases() == ("guitar", "guitars")
    assert guitar.prompt_names() == ("guitar",)
    assert guitar.synonyms[1].reason == "plural of 'guitar'"
    assert [entry.match_phrases()[1:] for entry in (mouse, crane, bridge)] == [("mice",), (), ()]
    assert json.loads(captrawl(*line, "--json").stdout)["forms"] == []


def test_init_takes_the_forms_that_occur(home: Path, captrawl: Any) -> None:
    made = captrawl(
        "init", home / "w", "--classes", home / "names.txt", "--index", home / "idx", "--forms", "plural"
    )
    assert "2 plurals and singulars added: guitars (2), mice (1)" in made.stderr
    assert "  0 guitar: guitars" in made.stdout.splitlines()
    counts = json.loads(
        captrawl("count", "--classes", home / "w" / "classes.json", "--index", home / "idx", "--json").stdout
    )
    assert [entry["total"] for entry in counts["classes"]] == [3, 2, 1, 1]
    wrong = captrawl("-C", home / "w", "synonyms", "--forms", "past", check=False)
    assert (wrong.returncode, "choose plural" in wrong.stderr) == (2, True)

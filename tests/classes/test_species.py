"""Scientific names: what captions say of them, and what is left alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from captrawl.classes.checks import unmatched_names, with_all_names
from captrawl.classes.files import load_classes
from captrawl.classes.model import ClassEntry, Synonym, named
from captrawl.classes.species import scientific

TAXA = {
    "Amanita huijsmanii F.Massart & Rouzeau": "Amanita huijsmanii",
    "Parus major (Linnaeus, 1758)": "Parus major",
    "Parus major Linnaeus, 1758": "Parus major",
    "Bombus terrestris (Linnaeus 1758)": "Bombus terrestris",
    "Agaricus bisporus (J.E.Lange) Imbach": "Agaricus bisporus",
    "Boletus edulis Bull.": "Boletus edulis",
    "Taraxacum officinale F.H.Wigg.": "Taraxacum officinale",
    "Carex nigra (L.) Reichard": "Carex nigra",
    "Xylaria polymorpha (Pers.) Grev.": "Xylaria polymorpha",
    "Cortinarius violaceus (L. : Fr.) Gray": "Cortinarius violaceus",
    "Papilio machaon de Lesse, 1960": "Papilio machaon",
    "Dryas iulia (Fabricius, 1775)": "Dryas iulia",
    "Hieracium murorum agg.": "Hieracium murorum",
    "Russula cf. emetica": "Russula emetica",
    "Russula aff. emetica (Schaeff.) Pers.": "Russula emetica",
    "Russula sp.": "Russula",
    "Russula spp.": "Russula",
    "Mentha × piperita L.": "Mentha x piperita|Mentha piperita",
    "Mentha x piperita": "Mentha x piperita|Mentha piperita",
    "×Cuprocyparis leylandii": "Cuprocyparis x leylandii|Cuprocyparis leylandii",
    "Helleborus × hybridus H.Vilm.": "Helleborus x hybridus|Helleborus hybridus",
    "Brassica oleracea var. capitata L.": "Brassica oleracea var. capitata|Brassica oleracea capitata",
    "Brassica oleracea L. var. capitata DC.": "Brassica oleracea var. capitata|Brassica oleracea capitata",
    "Quercus robur subsp. petraea (K.Koch) Men.": "Quercus robur subsp. petraea|Quercus robur petraea",
    "Salix alba L. f. vitellina": "Salix alba f. vitellina|Salix alba vitellina",
    "Canis lupus familiaris Linnaeus, 1758": "Canis lupus familiaris",
}
OTHERS = (
    *("Parus major", "P. major", "Golden retriever", "Black footed Albatross", "Canis lupus familiaris"),
    *("Passer domesticus Linnaeus", "St. Bernard", "Audi A5 Coupe 2012", "Toyota corolla (2012 sedan)"),
    *("Kite flying (Sport)", "Great white shark", "Mac and cheese", "Fish and chips (U.K.)", "Bus & coach"),
    *("Ice cream", "Rosa 'Peace'", "Macaroni & cheese", "Jack-in-the-box"),
)


@pytest.mark.parametrize("name", TAXA)
def test_names_with_authors_and_ranks(name: str) -> None:
    parts = scientific(name)
    assert parts is not None
    assert list(parts.names) == TAXA[name].split("|")


@pytest.mark.parametrize("name", OTHERS)
def test_other_names_are_left_alone(name: str) -> None:
    assert scientific(name) is None
    assert named(0, name) == ClassEntry(0, name, (Synonym(name),))


def test_a_class_keeps_its_name_and_is_prompted_by_the_clean_one() -> None:
    entry = named(0, "Brassica oleracea var. capitata L.", ["cabbage"])
    assert entry.name == "Brassica oleracea var. capitata L."
    clean = ("Brassica oleracea var. capitata", "Brassica oleracea capitata")
    assert entry.prompt_names() == (*clean, "cabbage")
    assert entry.match_phrases() == (*clean, entry.name, "cabbage")
    assert {s.text: s.reason for s in entry.synonyms if not s.kept} == {
        "Brassica oleracea": "broader: the species",
        "B. oleracea capitata": "other genera may be abbreviated so too",
    }
    assert entry.extra == {"query_name": clean[0]}  # what the text filter goes by


BESIDE = {
    "a table": ("a.csv", "name,common_name\nParus major,great tit\n"),
    "objects": ("a.json", '[{"name": "Parus major", "common_names": ["great tit"]}]'),
    "no alternates": ("a.json", '{"0": {"name": "Parus major", "most_common_name": "great tit"}}'),
}


@pytest.mark.parametrize("case", BESIDE)
def test_a_common_name_beside_a_latin_one_is_matched(case: str, tmp_path: Path) -> None:
    name, text = BESIDE[case]
    (tmp_path / name).write_text(text)
    (entry,) = load_classes(tmp_path / name)
    assert entry.match_phrases() == ("Parus major", "great tit")


def test_a_list_with_synonyms_says_itself_what_is_matched(tmp_path: Path, captrawl: Any) -> None:
    metrics = {
        "0": {"name": "Parus major", "alternates": {"great tit": 5}, "common_name": "Great Tit"},
        "1": {"name": "Pica pica", "alternates": {"Pica pica": 5}, "common_names": ["magpie"]},
    }
    (tmp_path / "m.json").write_text(json.dumps(metrics))
    entries = load_classes(tmp_path / "m.json")
    assert [entry.match_phrases() for entry in entries] == [("great tit",), ("Pica pica",)]
    assert [unmatched_names(entry) for entry in entries] == [["Parus major"], ["magpie"]]
    assert with_all_names(entries[1]).match_phrases() == ("Pica pica", "magpie")
    (tmp_path / "corpus.tsv").write_text("http://a/1.jpg\ta magpie\n")
    captrawl("index", "captions", tmp_path / "corpus.tsv", "--to", tmp_path / "idx")
    line = ("--classes", tmp_path / "m.json", "--index", tmp_path / "idx")
    said = captrawl("init", tmp_path / "w", *line).stderr
    assert "2 classes have names in their file that aren't matched (0: Parus major; 1: magpie)" in said
    assert "aren't matched" not in captrawl("init", tmp_path / "all", *line, "--names", "all").stderr
    entries = load_classes(tmp_path / "all" / "classes.json")
    assert entries[1].match_phrases() == ("Pica pica", "magpie")


@pytest.mark.data
def test_swats_own_lists_match_exactly_their_alternates(data_folder: Path) -> None:
    for path in sorted((data_folder / "data" / "swat").glob("*_metrics-LAION400M.json")):
        document = json.loads(path.read_text())
        for entry in load_classes(path):
            assert list(entry.match_phrases()) == list(document[str(entry.id)]["alternates"])

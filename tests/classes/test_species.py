"""Scientific names: what captions say of them, and what is left alone."""

from __future__ import annotations

import json
import re
import unicodedata
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
    "Passer domesticus Linnaeus": "Passer domesticus",
    "Russula aquosa Leclair": "Russula aquosa",
    "Mycena smithiana Kühner": "Mycena smithiana",
    "Clitocybe nitrophila Bon": "Clitocybe nitrophila",
    "Russula farinipes Romell": "Russula farinipes",
    "Turdus merula Linnaeus, 1758": "Turdus merula",
    "Panthera leo (Linnaeus, 1758)": "Panthera leo",
    "Apis mellifera Linnaeus, 1758": "Apis mellifera",
    "Danaus plexippus (Linnaeus, 1758)": "Danaus plexippus",
    "Coccinella septempunctata Linnaeus, 1758": "Coccinella septempunctata",
    "Harmonia axyridis (Pallas, 1773)": "Harmonia axyridis",
    "Arion vulgaris Moquin-Tandon, 1855": "Arion vulgaris",
    "Cornu aspersum (O. F. Müller, 1774)": "Cornu aspersum",
    "Cepaea nemoralis (Linnaeus, 1758)": "Cepaea nemoralis",
    "Lissachatina fulica (Bowdich, 1822)": "Lissachatina fulica",
    "Oncorhynchus mykiss (Walbaum, 1792)": "Oncorhynchus mykiss",
    "Danio rerio (F. Hamilton, 1822)": "Danio rerio",
    "Gambusia affinis (S. F. Baird & Girard, 1853)": "Gambusia affinis",
    "Pterois volitans (Linnaeus, 1758)": "Pterois volitans",
    "Lepomis macrochirus Rafinesque, 1819": "Lepomis macrochirus",
    "Corvus corone cornix Linnaeus, 1758": "Corvus corone cornix",
    "Calidris pusilla (Linnaeus, 1766)": "Calidris pusilla",
    "Spodoptera frugiperda (J.E. Smith, 1797)": "Spodoptera frugiperda",
    "Bactrocera dorsalis (Hendel, 1912)": "Bactrocera dorsalis",
    "Leptinotarsa decemlineata Say, 1824": "Leptinotarsa decemlineata",
    "Nezara viridula (Linnaeus, 1758)": "Nezara viridula",
    "Cicadella viridis (Linnaeus)": "Cicadella viridis",
    "Chenopodium album L.": "Chenopodium album",
    "Echinochloa crus-galli (L.) P.Beauv.": "Echinochloa crus-galli",
    "Capsella bursa-pastoris (L.) Medik.": "Capsella bursa-pastoris",
    "Cirsium setosum (Willd.) M.Bieb.": "Cirsium setosum",
    "Fragaria × ananassa (Weston) Duchesne ex Rozier": "Fragaria x ananassa|Fragaria ananassa",
    "Platanus ×hispanica Mill. ex Münchh.": "Platanus x hispanica|Platanus hispanica",
    "Plantago major subsp. intermedia (Gilib.) Lange": "Plantago major subsp. intermedia|"
    "Plantago major intermedia",
    "Pinus nigra J.F.Arnold": "Pinus nigra",
    "Prunus dulcis (Mill.) D.A.Webb": "Prunus dulcis",
    "Abies nordmanniana (Steven) Spach": "Abies nordmanniana",
    "Dactylorhiza maculata subsp. fuchsii (Druce) Hyl.": "Dactylorhiza maculata subsp. fuchsii|"
    "Dactylorhiza maculata fuchsii",
    "Amanita muscaria (L.) Lam.": "Amanita muscaria",
    "Amanita muscaria var. guessowii Veselý": "Amanita muscaria var. guessowii|Amanita muscaria guessowii",
    "Cantharellus cibarius Fr.": "Cantharellus cibarius",
    "Fomes fomentarius (L.) Fr.": "Fomes fomentarius",
    "Hypholoma fasciculare (Huds.) P.Kumm.": "Hypholoma fasciculare",
    "Armillaria mellea (Vahl) P.Kumm.": "Armillaria mellea",
    "Inocybe geophylla var. lilacina (Peck) Gillet": "Inocybe geophylla var. lilacina|"
    "Inocybe geophylla lilacina",
    "Cuphophyllus virgineus (Wulfen) Kovalenko": "Cuphophyllus virgineus",
    "Stropharia aeruginosa (Curtis) Quél.": "Stropharia aeruginosa",
    "Russula aurea Pers., 1796": "Russula aurea",
    "Tricholoma matsutake (S. Ito & S. Imai) Singer": "Tricholoma matsutake",
    "Lactarius sp. 1": "Lactarius",
    "Cortinarius aff. anomalus": "Cortinarius anomalus",
    "Pleurotus ostreatus (Jacq. : Fr.) P. Kumm.": "Pleurotus ostreatus",
    "Bovista plumbea Pers., nom. cons.": "Bovista plumbea",
    "Tubaria furfuracea sensu lato": "Tubaria furfuracea",
    "Larus fuscus x argentatus": "Larus fuscus x argentatus|Larus fuscus argentatus",
    "Passer domesticus × montanus": "Passer domesticus x montanus|Passer domesticus montanus",
    "Salmo trutta fario Linnaeus, 1758": "Salmo trutta fario",
}
OTHERS = (
    *("Parus major", "P. major", "Golden retriever", "Black footed Albatross", "Canis lupus familiaris"),
    *("St. Bernard", "Audi A5 Coupe 2012", "Toyota corolla (2012 sedan)"),
    *("Kite flying (Sport)", "Great white shark", "Mac and cheese", "Fish and chips (U.K.)", "Bus & coach"),
    *(
        "White shark Reef",
        "Golden retriever Dog",
        "Honda civic Sedan",
        "Apple pies French",
        "Great dane Puppy",
    ),
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


def test_a_list_of_taxa_is_converted_and_counted(tmp_path: Path, captrawl: Any) -> None:
    """Every taxon by its clean name; its caption once as people write it, once as the list has it."""
    (tmp_path / "taxa.txt").write_text("\n".join(TAXA), encoding="utf-8")
    captions = [f"{clean.split('|')[-1]}, photographed in May" for clean in TAXA.values()]
    captions += [f"Herbarium sheet: {name}." for name in TAXA]
    rows = "".join(f"http://a/{at}.jpg\t{caption}\n" for at, caption in enumerate(captions))
    (tmp_path / "corpus.tsv").write_text(rows, encoding="utf-8")
    captrawl("classes", "convert", tmp_path / "taxa.txt", "--to", "json", "-o", tmp_path / "classes.json")
    classes = load_classes(tmp_path / "classes.json")
    assert [entry.name for entry in classes] == list(TAXA)
    assert [list(entry.prompt_names()) for entry in classes] == [clean.split("|") for clean in TAXA.values()]
    captrawl("index", "captions", tmp_path / "corpus.tsv", "--to", tmp_path / "idx")
    line = ("--classes", tmp_path / "classes.json", "--index", tmp_path / "idx", "--json")
    counted = json.loads(captrawl("count", *line).stdout)["classes"]
    spelled = [f" {' '.join(re.findall('[a-z]+', fold(caption)))} " for caption in captions]
    for entry, count in zip(classes, counted, strict=True):
        phrases = [f" {' '.join(re.findall('[a-z]+', fold(text)))} " for text in entry.match_phrases()]
        expected = sum(any(phrase in caption for phrase in phrases) for caption in spelled)
        assert (entry.name, count["total"]) == (entry.name, expected)
        assert expected >= 2


def fold(text: str) -> str:
    """Small letters without accents and full stops' company, for the names above."""
    return unicodedata.normalize("NFKD", text.replace("×", " ")).encode("ascii", "ignore").decode().lower()


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
    assert "names of 2 classes in the file aren't matched (0: Parus major; 1: magpie)" in said
    assert "aren't matched" not in captrawl("init", tmp_path / "all", *line, "--names", "all").stderr
    entries = load_classes(tmp_path / "all" / "classes.json")
    assert entries[1].match_phrases() == ("Pica pica", "magpie")


def test_authors_in_metrics_are_named_and_taken_by_all_names(tmp_path: Path) -> None:
    name = "Amanita huijsmanii F.Massart & Rouzeau"
    metrics = {"0": {"name": name, "most_common_name": name, "alternates": {name: 0}}}
    (tmp_path / "labels.json").write_text(json.dumps(metrics))
    (entry,) = load_classes(tmp_path / "labels.json")
    assert entry.match_phrases() == (name,)
    assert unmatched_names(entry) == ["Amanita huijsmanii"]
    assert with_all_names(entry).match_phrases() == (name, "Amanita huijsmanii")


@pytest.mark.data
def test_swats_own_lists_match_exactly_their_alternates(data_folder: Path) -> None:
    for path in sorted((data_folder / "data" / "swat").glob("*_metrics-LAION400M.json")):
        document = json.loads(path.read_text())
        for entry in load_classes(path):
            assert list(entry.match_phrases()) == list(document[str(entry.id)]["alternates"])

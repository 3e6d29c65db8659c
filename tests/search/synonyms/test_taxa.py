"""Names from local taxon tables: GBIF's folder, the Catalogue of Life's, and one table."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
from captrawl.classes.files import load_classes, save_classes
from captrawl.classes.model import named
from captrawl.core.errors import InputError
from captrawl.search.synonyms.taxa import taxon_names

CLASSES = (
    named(0, "Parus major (Linnaeus, 1758)"),
    named(1, "Cyanistes caeruleus"),
    named(2, "Amanita huijsmanii F.Massart & Rouzeau"),
)
GBIF = {
    "Taxon.tsv": (
        "taxonID\tacceptedNameUsageID\tscientificName\tcanonicalName\ttaxonomicStatus\n"
        "1\t\tParus major Linnaeus, 1758\tParus major\taccepted\n"
        "2\t3\tParus caeruleus Linnaeus, 1758\tParus caeruleus\thomotypic synonym\n"
        "3\t\tCyanistes caeruleus (Linnaeus, 1758)\tCyanistes caeruleus\taccepted\n"
        "4\t\tPica pica (Linnaeus, 1758)\tPica pica\taccepted\n"
    ),
    "VernacularName.tsv": (
        "taxonID\tvernacularName\tlanguage\n"
        '1\tGreat Tit\ten\n1\tKohlmeise\tde\n1\tgreat tit\ten\n3\t"Blue" Tit\ten\n4\tMagpie\ten\n'
    ),
}
CATALOGUE = {
    "NameUsage.tsv": (
        "col:ID\tcol:parentID\tcol:status\tcol:scientificName\n"
        "A\tG\taccepted\tParus major\nB\tC\tsynonym\tParus caeruleus\nC\tG\taccepted\tCyanistes caeruleus\n"
    ),
    "VernacularName.tsv": "col:taxonID\tcol:name\tcol:language\nA\tGreat Tit\teng\nC\tBlue Tit\teng\n",
}


def folder_of(place: Path, files: dict[str, str]) -> Path:
    place.mkdir()
    for name, text in files.items():
        (place / name).write_text(text)
    return place


def test_gbifs_backbone(tmp_path: Path) -> None:
    names = taxon_names(CLASSES, folder_of(tmp_path / "gbif", GBIF))
    assert [(one.class_id, one.name, one.kind) for one in names] == [
        (1, "Parus caeruleus", "synonym"),
        (0, "Great Tit", "vernacular"),
        (1, '"Blue" Tit', "vernacular"),
    ]


def test_the_catalogue_of_life(tmp_path: Path) -> None:
    names = taxon_names(CLASSES, folder_of(tmp_path / "col", CATALOGUE))
    assert [(one.class_id, one.name, one.kind) for one in names] == [
        (1, "Parus caeruleus", "synonym"),
        (0, "Great Tit", "vernacular"),
        (1, "Blue Tit", "vernacular"),
    ]


@pytest.mark.parametrize("name", ["taxa.tsv", "taxa.tsv.gz"])
def test_one_table(name: str, tmp_path: Path) -> None:
    text = "scientificName\tvernacularName\nParus major Linnaeus, 1758\tGreat Tit\nPica pica\tMagpie\n\n"
    data = text.encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    (one,) = taxon_names(CLASSES, tmp_path / name)
    assert (one.class_id, one.name) == (0, "Great Tit")


def test_what_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(b"scientificName,vernacularName\n" * 99)[:40])
    with pytest.raises(InputError, match="can't be read as a taxon table"):
        taxon_names(CLASSES, tmp_path / "cut.csv.gz")
    (tmp_path / "a.csv").write_text("scientificName,vernacularName\n")
    with pytest.raises(InputError, match="no column of scientific names"):
        taxon_names(CLASSES, tmp_path / "a.csv")
    with pytest.raises(InputError, match=r"needs Taxon\.tsv or NameUsage\.tsv"):
        taxon_names(CLASSES, tmp_path)
    with pytest.raises(InputError, match="can't be read"):
        taxon_names(CLASSES, tmp_path / "gone.tsv")


def test_the_command_adds_them_and_names_who_got_none(tmp_path: Path, task: Any, captrawl: Any) -> None:
    workspace = task("a class")
    save_classes(CLASSES, workspace.root / "classes.json")
    source = folder_of(tmp_path / "gbif", GBIF)
    done = captrawl("-C", workspace.root, "synonyms", "--taxa", source)
    assert "2 vernacular names and 1 synonym added" in done.stdout
    assert "no further name for 1 class: 2 Amanita huijsmanii F.Massart & Rouzeau" in done.stderr.replace(
        "\n", " "
    )
    tit, blue, _ = load_classes(workspace.root / "classes.json")
    assert tit.prompt_names() == ("Parus major", "Great Tit")
    assert tit.synonyms[-1].reason == "vernacular name of gbif"
    assert blue.match_phrases() == ("Cyanistes caeruleus", "Parus caeruleus", '"Blue" Tit')

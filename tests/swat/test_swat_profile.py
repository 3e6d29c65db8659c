"""`--profile swat` is SWAT.md's left column; `match --compare` is SWAT's own figure beside ours."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from captrawl.classes.files import load_classes
from captrawl.core.errors import ClassListError, InputError
from captrawl.indexer.captions import index_captions
from captrawl.indexer.corpora.files import find_files
from captrawl.sampling.prompts import class_names, templates_of
from captrawl.swat.comparing import compare
from captrawl.swat.profile import with_profile
from captrawl.workspace.workspace import Workspace

METRICS = {
    "0": {
        "name": "Abyssinian",
        "alternates": {"Abyssinian": 3, "abyssinian cat": 1, "abyssinian": 3, "cat of kings": 0},
        "actual_freq": 3,
    },
    "1": {"name": "beagle", "alternates": {"beagle": 2}, "actual_freq": 4},
    "2": {"name": "pug", "alternates": {"pug": 0}},
}
ROWS = [
    ("an Abyssinian cat", "UNLIKELY"), ("abyssinian", "NSFW"), ("ABYSSINIAN!", ""), ("beagles", ""),
    ("a beagle", "UNSURE"), ("beagle puppy", "NSFW"), ("dog", ""),
]  # fmt: skip


@pytest.fixture
def index(tmp_path: Path) -> Path:
    corpus = tmp_path / "corpus" / "rows.tsv"
    corpus.parent.mkdir()
    lines = [f"http://127.0.0.1/{n}.jpg\t{text}\t{tag}" for n, (text, tag) in enumerate(ROWS)]
    corpus.write_text("\n".join(["url\tcaption\tNSFW", *lines, ""]))
    index_captions(str(tmp_path / "index"), find_files([corpus]), part=None, replace=False, workers=1)
    return tmp_path / "index"


@pytest.fixture
def metrics(tmp_path: Path) -> Path:
    path = tmp_path / "oxford_pets_metrics-LAION400M.json"
    path.write_text(json.dumps(METRICS))
    return path


def test_init_chooses_as_swat_does(captrawl, index: Path, metrics: Path, tmp_path: Path) -> None:
    given = ["--dataset", "oxford_pets", "--classes", metrics, "--index", index]
    done = captrawl("init", tmp_path / "w", *given, "--profile", "swat")
    assert "the swat profile leaves out no row for safety" in done.stderr
    workspace = Workspace.open(tmp_path / "w")
    settings = workspace.settings()
    assert settings.task.profile == "swat"
    assert settings.match.filters.safety == "off"
    assert (settings.download.retries, settings.download.resize, settings.download.min_side) == (0, 0, 85)
    model = settings.model
    assert (model.name, model.pretrained) == ("ViT-B-32-quickgelu", "laion400m_e32")
    assert (model.precision, model.compute, model.names) == ("float32", "float32", "synonyms")
    assert templates_of(settings) == ("a photo of a {}, a type of pet.",)
    names = class_names(load_classes(workspace.classes_path()), settings)
    assert names[0] == (
        "Abyssinian",
        "abyssinian cat",
        "abyssinian",
        "cat of kings",
    )  # the variant weighs twice
    captrawl("-C", tmp_path / "w", "match")
    assert workspace.recorded("match").counts["matching"] == 5


def test_options_go_before_the_profile(captrawl, index: Path, metrics: Path, tmp_path: Path) -> None:
    given = ["--classes", metrics, "--index", index, "--model", "vitb16_clip"]
    captrawl("init", tmp_path / "w", *given, "--profile", "swat")
    model = Workspace.open(tmp_path / "w").settings().model
    assert (model.name, model.pretrained, model.precision) == ("ViT-B-16-quickgelu", "openai", "float32")


def test_an_unknown_profile_is_named() -> None:
    with pytest.raises(InputError, match=r"no profile 'swta'; choose swat"):
        with_profile({}, "swta")
    assert with_profile({"task": {"name": "x"}}, "") == {"task": {"name": "x"}}


def test_compare(captrawl, index: Path, metrics: Path, tmp_path: Path) -> None:
    captrawl("init", tmp_path / "w", "--classes", metrics, "--index", index, "--profile", "swat")
    workspace = Workspace.open(tmp_path / "w")
    lines = compare(workspace, metrics)
    assert [(x.id, x.name, x.total, x.theirs, x.ratio_text) for x in lines] == [
        (0, "Abyssinian", 3, 3, "1.000"),
        (1, "beagle", 2, 4, "0.500"),
    ]
    done = captrawl("-C", workspace.root, "match", "--compare", metrics)
    assert "1 of 2 classes equal" in done.stdout
    assert not workspace.matches_path.exists()
    told = json.loads(captrawl("-C", workspace.root, "match", "--compare", metrics, "--json").stdout)
    assert told["classes"][1] == {"id": 1, "name": "beagle", "total": 2, "actual_freq": 4}
    other = tmp_path / "names.txt"
    other.write_text("dog\n")
    with pytest.raises(ClassListError, match=r"names\.txt has no actual_freq of any class"):
        compare(workspace, other)
    figures = json.loads(metrics.read_text())
    figures["0"]["name"], figures["1"]["name"] = "banded", "blotchy"
    other = tmp_path / "dtd_metrics-LAION400M.json"
    other.write_text(json.dumps(figures))
    with pytest.raises(
        ClassListError, match=r"dtd_.* is of other classes: its 0 is 'banded', the .* 'Abyssi"
    ):
        compare(workspace, other)

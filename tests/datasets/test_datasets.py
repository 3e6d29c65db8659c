"""Presets and a user's own data set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from captrawl.classes.checks import check_classes
from captrawl.classes.files import load_classes
from captrawl.classes.model import ClassEntry, Synonym
from captrawl.cli import app
from captrawl.core.errors import InputError
from captrawl.datasets import PRESETS, load_dataset, merge_lists
from captrawl.workspace.settings import parse_settings

NINE = {  # classes, prefix, sample, templates
    "dtd": (47, "", 2000, 8),
    "eurosat": (10, "satellite", "all", 3),
    "fgvc-aircraft": (100, "", "all", 2),
    "flowers102": (102, "", 2000, 1),
    "food101": (101, "", 2000, 1),
    "imagenet": (1000, "", 2000, 0),
    "oxford_pets": (37, "", 2000, 1),
    "semi-aves": (200, "", "all", 1),
    "stanford_cars": (196, "", 2000, 8),
}


SPECIES = {  # classes; the names in places
    "fish-vista-m": (286, {0: "Pollimyrus isidori", 113: "Amphiprion clarkii", 285: "Gobiocichla wonderi"}),
    "fungitastic-m": (196, {0: "Amanita huijsmanii", 35: "Singerocybe phaeophthalma", 195: "Boletus edulis"}),
    "species196_insecta": (78, {0: "Acanthocinus carinulatus", 42: "Leptinotarsa decemlineata"}),
    "species196_mollusca": (7, {0: "Achatina fulica", 6: "Theba pisana"}),
    "species196_weeds": (20, {0: "Ambrosia", 19: "Xanthium spp."}),
}


def test_the_presets_are_there() -> None:
    assert set(PRESETS) == set(NINE) | set(SPECIES)


@pytest.mark.parametrize("name", SPECIES)
def test_a_preset_of_species(name: str) -> None:
    preset = load_dataset(name)
    classes = preset.classes()
    number, names = SPECIES[name]
    assert len(classes) == number
    assert {place: classes[place].name for place in names} == names
    assert preset.templates[0].startswith("a photo of a {}, a type of ")
    assert all(entry.match_phrases() and entry.prompt_names() for entry in classes)
    assert len(check_classes(classes)) == (2 if name == "fungitastic-m" else 0), check_classes(classes)


def test_a_genus_and_a_common_name_match() -> None:
    broomrape = load_dataset("species196_weeds").classes()[14]
    assert broomrape.match_phrases() == ("Orobanche", "Orobanche spp.", "Broomrape")
    assert broomrape.prompt_names() == ("Orobanche", "Broomrape")


@pytest.mark.parametrize("name", NINE)
def test_a_preset_makes_valid_settings_and_classes(name: str) -> None:
    preset = load_dataset(name)
    classes = preset.classes()
    settings = parse_settings(preset.settings({"task": {"name": "x"}, "captions": {"index": "i"}}), name)
    assert (len(classes), settings.task.prefix, settings.match.sample, len(preset.templates)) == NINE[name]
    assert [entry.id for entry in classes] == list(range(len(classes)))
    assert (settings.task.name, settings.task.dataset) == ("x", name)
    assert preset.domain or name == "imagenet"


@pytest.mark.data
@pytest.mark.parametrize("name", NINE)
def test_names_are_the_benchmarks_in_label_order(name: str, data_folder: Path) -> None:
    names = [entry.name for entry in load_dataset(name).classes()]
    swat = load_classes(data_folder / "data" / "swat" / f"{name}_metrics-LAION400M.json")
    differing = [entry.id for entry, own in zip(swat, names, strict=True) if entry.name != own]
    # ImageNet's are the names of open_clip, of which SWAT renamed sixteen
    renamed = [27, 40, 46, 59, 101, 116, 288, 290, 389, 493, 750, 810, 884, 970, 992, 993]
    assert differing == (renamed if name == "imagenet" else [])


def test_imagenets_names_are_open_clips() -> None:
    metadata = pytest.importorskip("open_clip.zero_shot_metadata")
    assert [entry.name for entry in load_dataset("imagenet").classes()] == list(metadata.IMAGENET_CLASSNAMES)


def test_warnings_of_the_presets_own_names() -> None:
    for name in NINE:
        warnings = check_classes(load_dataset(name).classes())
        assert len(warnings) == (4 if name == "imagenet" else 0)


def test_templates_and_thresholds_are_swats() -> None:
    assert load_dataset("dtd").templates[:2] == ("a photo of a {} texture.", "a photo of a {} pattern.")
    assert load_dataset("stanford_cars").templates[3] == "i love my {}!"
    assert load_dataset("semi-aves").templates == ("a photo of a {}, a type of bird.",)
    assert load_dataset("eurosat").thresholds == {"T2T-rank-I2I-tshd": 0.65}
    assert load_dataset("food101").thresholds == {}


def test_birds_have_two_names_and_cars_a_coarse_one() -> None:
    plover = load_dataset("semi-aves").classes()[0]
    assert plover == ClassEntry(
        0,
        "Charadrius semipalmatus",
        (Synonym("Charadrius semipalmatus"), Synonym("Semipalmated Plover")),
        extra={"common_name": "Semipalmated Plover"},
    )
    car = load_dataset("stanford_cars").classes()[1]
    assert car.synonyms == (Synonym("Acura RL Sedan 2012"), Synonym("Acura RL", prompt=False))


@pytest.mark.data
def test_swats_folder_gives_both_lists(data_folder: Path) -> None:
    folder = data_folder / "data" / "swat"
    plover = load_dataset("semi-aves").classes_from(folder)[0]
    assert plover.match_phrases() == ("charadrius semipalmatus", "semipalmated plover")
    assert plover.prompt_names() == ("Charadrius semipalmatus", "Semipalmated Plover")
    assert plover.most_common_name == "Semipalmated Plover"
    hummer = load_dataset("stanford_cars").classes_from(folder)[0]
    assert hummer.match_phrases() == ("AM General Hummer", "AM General Hummer SUV 2000")
    assert "AM General Hummer" not in hummer.prompt_names()
    assert [s.frequency for s in hummer.synonyms if s.match] == [306, 1]
    flower = load_dataset("flowers102").classes_from(folder)
    assert flower == load_classes(folder / "flowers102_metrics-LAION400M.json")


@pytest.mark.data
def test_a_lone_file_is_taken_as_it_is(data_folder: Path) -> None:
    path = data_folder / "data" / "swat" / "semi-aves_metrics-LAION400M_query.json"
    assert load_dataset("semi-aves").classes_from(path) == load_classes(path)


def test_a_folder_that_lacks_one_of_two_lists(tmp_path: Path) -> None:
    (tmp_path / "semi-aves_metrics-LAION400M.json").write_text('{"0": {"name": "a", "alternates": {"a": 1}}}')
    with pytest.raises(InputError, match=r"contains no semi-aves_metrics-LAION400M_query\.json"):
        load_dataset("semi-aves").classes_from(tmp_path)


def test_merging_keeps_each_lists_flags() -> None:
    match = (ClassEntry(0, "a", (Synonym("x", 1), Synonym("y", 2))), ClassEntry(2, "only", (Synonym("q"),)))
    prompt = (ClassEntry(0, "A", (Synonym("y", None), Synonym("z", 3)), "z", {"freq": 9}),)
    merged, only = merge_lists([match], [prompt])
    assert (merged.name, merged.most_common_name, dict(merged.extra)) == ("A", "z", {"freq": 9})
    assert merged.synonyms == (
        Synonym("x", 1, match=True, prompt=False),
        Synonym("y", 2, match=True, prompt=True),
        Synonym("z", 3, match=False, prompt=True),
    )
    assert only.synonyms == (Synonym("q", None, match=True, prompt=False),)


def test_a_data_set_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "names.csv").write_text("crane,construction crane\nheron,\n")
    path = tmp_path / "site.toml"
    path.write_text(
        'title = "Site"\ndomain = "a machine"\nexclude = ["toy"]\nsample = 500\n'
        'templates = ["an aerial photo of a {}."]\n[classes]\nfile = "names.csv"\n'
    )
    own = load_dataset(path)
    assert (own.name, own.source, own.exclude, own.sample) == ("site", str(path.resolve()), ("toy",), 500)
    assert [entry.match_phrases() for entry in own.classes()] == [("crane", "construction crane"), ("heron",)]
    assert load_dataset(own.source) == own


BAD = {
    "unknown": ("eurosta", "", "did you mean 'eurosat'"),
    "nothing near": ("zzz", "", "known: dtd, eurosat"),
    "no file": ("absent.toml", "", "no such file"),
    "not TOML": ("x.toml", "a = ", "isn't valid TOML"),
    "a key that isn't one": (
        "x.toml",
        'prefx = "a"\n[classes]\nnames = ["a"]\n',
        "unknown key 'prefx'; did you mean 'prefix'",
    ),
    "a key in a table": (
        "x.toml",
        '[classes]\nname = ["a"]\n',
        "unknown key 'classes.name'; did you mean 'names'",
    ),
    "no classes": ("x.toml", 'prefix = "a"\n', "classes: Field required"),
    "neither names nor file": ("x.toml", "[classes]\n", "needs either names or file"),
    "too few common names": (
        "x.toml",
        '[classes]\nnames = ["a", "b"]\ncommon = ["c"]\n',
        "contains 1 names, classes.names 2",
    ),
    "a template without a place": (
        "x.toml",
        'templates = ["a photo"]\n[classes]\nnames = ["a"]\n',
        "needs one {}",
    ),
    "a sample of none": (
        "x.toml",
        'sample = 0\n[classes]\nnames = ["a"]\n',
        "sample: Input should be greater than or equal to 1; or: Input should be 'all' (got 0)",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_data_sets_name_the_file_and_key(case: str, tmp_path: Path) -> None:
    name, text, wanted = BAD[case]
    path = tmp_path / name if name.endswith(".toml") else name
    if text:
        Path(path).write_text(text)
    with pytest.raises(InputError) as raised:
        load_dataset(path)
    assert wanted in str(raised.value)
    assert str(path) in str(raised.value)


def test_a_mark_of_windows_before_the_text_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(b'\xef\xbb\xbftitle = "x"\r\n[classes]\r\nnames = ["a"]\r\n')
    assert load_dataset(path).title == "x"


WRONG_TASKS = {
    "a threshold of no method": (
        'names = ["a"]\n[thresholds]\n"T2T-rnk" = 0.3\n',
        (),
        "no method 'T2T-rnk'; did you mean 'T2T-rank'?",
    ),
    "a prefix without a word": (
        'names = ["a"]\n',
        ("--prefix", "***"),
        "the phrase '***' contains no letter",
    ),
}


@pytest.mark.parametrize("case", WRONG_TASKS)
def test_init_tells_what_a_later_stage_would_trip_over(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, options, wanted = WRONG_TASKS[case]
    (tmp_path / "x.toml").write_text(f"[classes]\n{text}")
    line = ["init", str(tmp_path / "task"), "--dataset", str(tmp_path / "x.toml"), "--index", "nowhere"]
    with pytest.raises(SystemExit) as left:
        app([*line, *options], prog_name="captrawl")
    assert left.value.code == 1
    assert wanted in capsys.readouterr().err
    assert not (tmp_path / "task").exists()


def test_init_warns_of_few_shots_that_are_not_there(captrawl: Callable[..., Any], tmp_path: Path) -> None:
    pq.write_table(pa.table({"url": ["http://h/1"], "caption": ["a cat"]}), tmp_path / "a.parquet")
    captrawl("index", "captions", tmp_path / "a.parquet", "--to", tmp_path / "index", "--workers", "1")
    (tmp_path / "names.txt").write_text("cat\n")
    (tmp_path / "shots.txt").write_text("a/1.jpg 0 1\n")
    line = [
        "--classes",
        tmp_path / "names.txt",
        "--index",
        tmp_path / "index",
        "--shots",
        tmp_path / "shots.txt",
    ]
    said = captrawl("init", tmp_path / "one", *line, "--root", tmp_path / "photos").stderr
    assert f"shots.txt:1: there is no image {tmp_path / 'photos' / 'a/1.jpg'}" in said
    (tmp_path / "photos" / "a").mkdir(parents=True)
    (tmp_path / "photos" / "a" / "1.jpg").write_bytes(b"")
    assert captrawl("init", tmp_path / "two", *line, "--root", tmp_path / "photos").stderr == ""


def test_an_unusable_name_in_a_preset_is_a_class_list_error(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text('[classes]\nnames = ["a", "🐟"]\n')
    with pytest.raises(InputError, match="🐟"):
        load_dataset(path).classes()

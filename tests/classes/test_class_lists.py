"""Class lists: every format in, its errors, the checks, and what round trips keep."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from captrawl.classes.checks import check_classes, drop_shared, shared_synonyms
from captrawl.classes.files import (
    FORMATS,
    IMAGE_FOLDER,
    convert,
    folder_name,
    load_classes,
    lost,
    read,
    render,
    save_classes,
    write,
)
from captrawl.classes.model import ClassEntry, ClassList, Synonym, named
from captrawl.classes.nested import longest, nested_phrases
from captrawl.cli import app
from captrawl.core.errors import ClassListError
from hypothesis import given, settings
from hypothesis import strategies as st

METRICS = {
    "1": {
        "name": "tiger cat",
        "alternates": {"Tiger Cat": 3, "tiger cat": 5},
        "most_common_name": "tiger cat",
    },
    "0": {"name": "tench", "freq": 813, "alternates": {"tench": 811, "green tench": 2}, "max_freq": ""},
}


def put(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def names_and_synonyms(classes: ClassList) -> list[tuple[int, str, list[str]]]:
    return [(entry.id, entry.name, [synonym.text for synonym in entry.synonyms]) for entry in classes]


READ = {
    "names": ("a.txt", "tench\nTiger Cat\n", [(0, "tench", ["tench"]), (1, "Tiger Cat", ["Tiger Cat"])]),
    "names, bom and crlf": (
        "a.txt",
        b"\xef\xbb\xbfcaf\xc3\xa9\r\nA/B\r\n",
        [(0, "café", ["café"]), (1, "A/B", ["A/B"])],
    ),
    "names, an old Mac's lines": ("a.txt", "tench\rcat\r", [(0, "tench", ["tench"]), (1, "cat", ["cat"])]),
    "csv with a header of other words": (
        "a.csv",
        "Class,Synonyms\ntench,Tinca tinca\n",
        [(0, "tench", ["tench", "Tinca tinca"])],
    ),
    "csv with a column synonym": ("a.csv", "name,synonym\ntench,a;b\n", [(0, "tench", ["tench", "a", "b"])]),
    "a header label": ("a.csv", "label\ndog\ncat\n", [(0, "dog", ["dog"]), (1, "cat", ["cat"])]),
    "a header of two words": (
        "a.csv",
        "class_id,class_name\n3,dog\n5,cat\n",
        [(3, "dog", ["dog"]), (5, "cat", ["cat"])],
    ),
    "a header label that is an id": ("a.csv", "label,class\n3,dog\n", [(3, "dog", ["dog"])]),
    "an id before the names": ("a.csv", "3,dog\n5,cat\n", [(3, "dog", ["dog"]), (5, "cat", ["cat"])]),
    "an id beside another word": ("a.csv", "id,breed\n17,dog\n", [(17, "dog", ["dog"])]),
    "a table of pandas": ("a.csv", ",name\n0,dog\n1,cat\n", [(0, "dog", ["dog"]), (1, "cat", ["cat"])]),
    "semicolons": (
        "a.csv",
        'bus;"coach, minibus"\ncar;auto;motor\n',
        [(0, "bus", ["bus", "coach", "minibus"]), (1, "car", ["car", "auto", "motor"])],
    ),
    "semicolons under a header": ("a.csv", "name;synonyms\ntench;a\n", [(0, "tench", ["tench", "a"])]),
    "commas in a TSV": ("a.tsv", "dog,hound\n", [(0, "dog", ["dog", "hound"])]),
    "commas in a cell": ("a.csv", 'bus,"coach, minibus"\n', [(0, "bus", ["bus", "coach", "minibus"])]),
    "synonyms under no header": ("a.csv", "name,\ndog,hound\n", [(0, "dog", ["dog", "hound"])]),
    "WordNet ids as ids": ("a.csv", "id,name\nn02099601,tench\n", [(0, "tench", ["tench"])]),
    "WordNet ids before the names": ("a.csv", "n02099601,tench\n", [(0, "tench", ["tench"])]),
    "data.yaml": (
        "data.yaml",
        "path: ../data\nnc: 2\nnames:\n  0: dog\n  1: no\n",
        [(0, "dog", ["dog"]), (1, "no", ["no"])],
    ),
    "data.yaml with a list": ("data.yml", "names: [dog, cat]\n", [(0, "dog", ["dog"]), (1, "cat", ["cat"])]),
    "Keras' class index": (
        "a.json",
        '{"0": ["n02099601", "golden_retriever"]}',
        [(0, "golden retriever", ["golden retriever"])],
    ),
    "LOC_synset_mapping": (
        "a.txt",
        "n02099601 golden retriever\nn02123045 tabby, tabby cat\n",
        [(0, "golden retriever", ["golden retriever"]), (1, "tabby", ["tabby", "tabby cat"])],
    ),
    "map_clsloc": ("a.txt", "n02119789 1 kit_fox\n", [(1, "kit fox", ["kit fox"])]),
    "ImageNet's Python dict": (
        "a.txt",
        "{3: 'tench, Tinca tinca'}",
        [(3, "tench", ["tench", "Tinca tinca"])],
    ),
    "CUB's classes.txt": (
        "classes.txt",
        "1 001.Black_footed_Albatross\n2 002.Laysan_Albatross\n",
        [
            (1, "Black footed Albatross", ["Black footed Albatross"]),
            (2, "Laysan Albatross", ["Laysan Albatross"]),
        ],
    ),
    "Places' categories": (
        "a.txt",
        "/a/airfield 0\n/a/apartment_building/outdoor 8\n",
        [(0, "airfield", ["airfield"]), (8, "outdoor apartment building", ["outdoor apartment building"])],
    ),
    "number: name": ("a.txt", "0: dog\n7: cat\n", [(0, "dog", ["dog"]), (7, "cat", ["cat"])]),
    "counted lines": ("a.txt", "1 dog\n2 cat\n", [(1, "dog", ["dog"]), (2, "cat", ["cat"])]),
    "names that begin with numbers": ("a.txt", "707 320\n", [(0, "707 320", ["707 320"])]),
    "tabs in a text": ("a.txt", "dog\thound\n", [(0, "dog", ["dog", "hound"])]),
    "alternates in a list": (
        "a.json",
        '[{"name": "dog", "alternates": {"hound": 2}}]',
        [(0, "dog", ["hound"])],
    ),
    "id2label": (
        "config.json",
        '{"id2label": {"0": "tench, Tinca tinca"}, "model_type": "vit"}',
        [(0, "tench", ["tench", "Tinca tinca"])],
    ),
    "COCO's categories": (
        "a.json",
        '{"images": [], "categories": [{"id": 3, "name": "dog", "supercategory": "animal"}]}',
        [(3, "dog", ["dog"])],
    ),
    "no suffix": ("classes", "tench", [(0, "tench", ["tench"])]),
    "csv without header": (
        "a.csv",
        "tench,green tench;Tinca tinca\ncat,\n",
        [(0, "tench", ["tench", "green tench", "Tinca tinca"]), (1, "cat", ["cat"])],
    ),
    "csv with header and ids": (
        "a.csv",
        'id,name,synonyms\n7,tench,"a, b|c"\n3,cat,cat\n',
        [(3, "cat", ["cat"]), (7, "tench", ["tench", "a, b", "c"])],
    ),
    "csv, a synonym a cell": (
        "a.csv",
        "tench,green tench,doctor fish\n",
        [(0, "tench", ["tench", "green tench", "doctor fish"])],
    ),
    "tsv": ("a.tsv", "tench\tgreen tench\n", [(0, "tench", ["tench", "green tench"])]),
    "own table": (
        "a.csv",
        "id,name,synonym,frequency,match,prompt\n0,tench,doctor fish,4,true,false\n",
        [(0, "tench", ["doctor fish"])],
    ),
    "list of names": ("a.json", '["tench", "cat"]', [(0, "tench", ["tench"]), (1, "cat", ["cat"])]),
    "list of lists": ("a.json", '[["tench", "green tench"]]', [(0, "tench", ["tench", "green tench"])]),
    "list of objects": (
        "a.json",
        '[{"id": 5, "name": "tench", "synonyms": ["green tench", "tench"]}]',
        [(5, "tench", ["tench", "green tench"])],
    ),
    "name to synonyms": (
        "a.json",
        '{"tench": ["green tench"], "cat": []}',
        [(0, "tench", ["tench", "green tench"]), (1, "cat", ["cat"])],
    ),
    "name to id": ("a.json", '{"cat": 1, "tench": 0}', [(0, "tench", ["tench"]), (1, "cat", ["cat"])]),
    "id to name": ("a.json", '{"1": "cat", "0": "tench"}', [(0, "tench", ["tench"]), (1, "cat", ["cat"])]),
    "id to names": ("a.json", '{"0": ["tench", "green tench"]}', [(0, "tench", ["tench", "green tench"])]),
    "name to frequencies": (
        "a.json",
        '{"tench": {"green tench": 2}}',
        [(0, "tench", ["tench", "green tench"])],
    ),
    "metrics: exactly alternates": (
        "a.json",
        json.dumps(METRICS),
        [(0, "tench", ["tench", "green tench"]), (1, "tiger cat", ["Tiger Cat", "tiger cat"])],
    ),
    "metrics: the name isn't among them": (
        "a.json",
        '{"0": {"name": "kite (bird of prey)", "alternates": {"kite": 1}}}',
        [(0, "kite (bird of prey)", ["kite"])],
    ),
    "on the way to metrics: the last step": (
        "a.json",
        '{"0": {"name": "Tinca", "synonyms": {"a": 0, "b": 0}, "synonyms_filtered": {"b": 0}}}',
        [(0, "Tinca", ["Tinca", "b"])],
    ),
    "species": (
        "a.json",
        '{"Tinca_tinca": {"class_id": 3, "species": "Tinca tinca", "common_name": "tench"}}',
        [(3, "Tinca tinca", ["Tinca tinca", "tench"])],
    ),
    "dataset_info": (
        "dataset_info.json",
        (
            '{"features": {"image": {"_type": "Image"}, '
            '"label": {"names": ["tench", "cat"], "_type": "ClassLabel"}}}'
        ),
        [(0, "tench", ["tench"]), (1, "cat", ["cat"])],
    ),
    "dataset_infos": (
        "dataset_infos.json",
        '{"default": {"features": {"label": {"num_classes": 1, "names": ["tench"], "_type": "ClassLabel"}}}}',
        [(0, "tench", ["tench"])],
    ),
    "ClassLabel": ("f.json", '{"names": ["tench"], "_type": "ClassLabel"}', [(0, "tench", ["tench"])]),
    "dataset card": (
        "f.json",
        '{"label": {"class_label": {"names": {"1": "cat", "0": "tench"}}}}',
        [(0, "tench", ["tench"]), (1, "cat", ["cat"])],
    ),
}


@pytest.mark.parametrize("case", READ)
def test_formats_in(case: str, tmp_path: Path) -> None:
    name, text, wanted = READ[case]
    assert names_and_synonyms(load_classes(put(tmp_path, name, text))) == wanted


def test_metrics_keep_counts_and_other_keys(tmp_path: Path) -> None:
    tench, cat = load_classes(put(tmp_path, "m.json", json.dumps(METRICS)))
    assert tench == ClassEntry(
        0, "tench", (Synonym("tench", 811), Synonym("green tench", 2)), "", {"freq": 813, "max_freq": ""}
    )
    assert cat.most_common_name == "tiger cat"
    assert cat.match_phrases() == ("Tiger Cat", "tiger cat")
    assert cat.prompt_names() == ("Tiger Cat",)
    assert cat.prompt_names(distinct=False) == ("Tiger Cat", "tiger cat")
    assert cat.prompt_names("name") == ("tiger cat",)
    assert tench.prompt_names("most_common_name") == ("tench",)


BAD = {
    "missing": ("", None, "no such file"),
    "empty": ("a.txt", "", "is empty"),
    "only spaces": ("a.txt", " \n\n", "is empty"),
    "latin-1": ("a.txt", b"caf\xe9\n", "isn't UTF-8 (byte 0xe9 at 3)"),
    "utf-16": ("a.txt", "tench".encode("utf-16"), "isn't UTF-8"),
    "utf-16 without a mark": ("a.txt", "tench".encode("utf-16-le"), "NUL"),
    "a line between": ("a.txt", "tench\n\ncat\n", "line 2 is empty"),
    "only emoji": (
        "a.txt",
        "tench\n🐟🐟\n",
        "class 1 ('🐟🐟'): the synonym '🐟🐟' contains no letter or digit",
    ),
    "emoji synonym": ("a.json", '{"0": {"name": "tench", "alternates": {"***": 1}}}', "'***'"),
    "not JSON": ("a.json", "{", "isn't valid JSON"),
    "a number": ("a.json", "5", "list or object"),
    "no classes": ("a.json", "[]", "contains no classes"),
    "no classes in own": ("a.json", '{"format": 1, "classes": []}', "contains no classes"),
    "another format": ("a.json", '{"format": 2, "classes": []}', "format 2"),
    "a repeated key": ("a.json", '{"0": {"name": "a", "alternates": {"x": 1, "x": 2}}}', "'x' stands twice"),
    "a repeated id": (
        "a.json",
        '[{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]',
        "the id 1 is given to 'a' and 'b'",
    ),
    "ids equal as numbers": (
        "a.json",
        '{"0": {"name": "a", "alternates": {"a": 1}}, "00": {"name": "b", "alternates": {"b": 1}}}',
        "the id 0",
    ),
    "a negative id": ("a.json", '{"-1": {"name": "a", "alternates": {"a": 1}}}', "'-1'"),
    "an id that isn't one": ("a.csv", "id,name\nx,tench\n", "'x'"),
    "an id of 70 bits": ("a.json", '[{"id": 1180591620717411303424, "name": "a"}]', "2^63"),
    "no synonyms": (
        "a.json",
        '{"3": {"name": "tench", "alternates": {}}}',
        "class 3 ('tench') has no synonyms",
    ),
    "all removed": (
        "a.json",
        (
            '{"format": 1, "classes": [{"id": 0, "name": "a", '
            '"synonyms": [{"text": "a", "match": false, "prompt": false}]}]}'
        ),
        "no synonyms in use",
    ),
    "no name": ("a.json", '{"3": {"alternates": {"tench": 1}}}', "'3' has no 'name'"),
    "an empty name": ("a.csv", "name,synonyms\n,tench\n", "empty name"),
    "a text as frequency": (
        "a.json",
        '{"0": {"name": "a", "alternates": {"a": "many"}}}',
        "the frequency of 'a'",
    ),
    "alternates of the wrong kind": (
        "a.json",
        '{"0": {"name": "a", "alternates": 7}}',
        "'alternates' must map",
    ),
    "a synonym twice": (
        "a.json",
        '{"format": 1, "classes": [{"id": 0, "name": "a", "synonyms": [{"text": "a"}, {"text": "a"}]}]}',
        "'a' is given twice",
    ),
    "an unknown key": (
        "a.json",
        '{"format": 1, "classes": [{"id": 0, "name": "a", "synonym": []}]}',
        "unknown key 'synonym'",
    ),
    "a flag of the wrong kind": (
        "a.json",
        '{"format": 1, "classes": [{"id": 0, "name": "a", "synonyms": [{"text": "a", "match": 1}]}]}',
        "'match' can't be 1",
    ),
    "half a surrogate": ("a.json", '["a\\ud800"]', "isn't valid Unicode"),
    "several kinds": ("a.json", '{"tench": 0, "cat": "x"}', "must map ids to names"),
    "two label features": (
        "a.json",
        '{"a": {"_type": "ClassLabel", "names": ["x"]}, "b": {"_type": "ClassLabel", "names": ["y"]}}',
        "several ClassLabel features (a, b)",
    ),
    "a quote that never ends": ("a.csv", 'name\n"tench\n', "isn't a table"),
    "a header whose names aren't clear": (
        "a.csv",
        "class,colour\ndog,brown\n",
        "the first line (class, colour)",
    ),
    "a header of no known word": ("a.csv", "kind,freq\ndog,5\ncat,6\n", "the first line (kind, freq)"),
    "a header alone": ("a.csv", "label\n", "has a header (label) and no classes"),
    "a line unlike the others": ("a.txt", "0: dog\n1: cat\nbird\n", "line 3 ('bird') isn't 'number: name'"),
    "a label map": ("a.pbtxt", "item {\n  id: 1\n}\n", "begins with 'item {', which isn't read"),
    "a YAML file without names": ("a.yaml", "train: images\nnc: 2\n", "a key 'names'"),
    "a YAML file that is none": ("a.yaml", "names: [dog\n", "isn't valid YAML"),
    "a dict of other things": ("a.txt", "{0: ['dog']}", "must be a dict of ids and names"),
    "a dict cut off": ("a.txt", "{0: 'dog',", "isn't one of ids and names"),
    "WordNet ids alone": ("a.txt", "n02099601\nn02123045\n", "class 0 is called n02099601, a WordNet id"),
    "WordNet ids as folders' names": (
        "a.json",
        '{"n02099601": 0}',
        "a WordNet id, which stands in no caption",
    ),
    "a long name without a word": (
        "a.txt",
        "n" * 300,
        "contains no word of 100 letters or fewer, so no caption can match it",
    ),
    "an own table with two names": ("a.csv", "id,name,synonym\n0,a,a\n0,b,b\n", "named 'a' and 'b'"),
    "an own table's flag": ("a.csv", "id,name,synonym,match\n0,a,a,maybe\n", "'maybe'"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_lists_name_the_file_and_the_key(case: str, tmp_path: Path) -> None:
    name, text, wanted = BAD[case]
    path = tmp_path / "absent.txt" if text is None else put(tmp_path, name, text)
    with pytest.raises(ClassListError) as raised:
        load_classes(path)
    message = str(raised.value)
    assert str(path) in message
    assert wanted in message
    assert len(message.splitlines()) <= 2
    assert len(message) < len(str(path)) + 400


def test_other_columns_of_a_table_are_kept(tmp_path: Path) -> None:
    table = "name,definition,synonyms\ntench,a fish,Tinca tinca\ncat,,\n"
    tench, cat = load_classes(put(tmp_path, "a.csv", table))
    assert tench == named(0, "tench", ["Tinca tinca"], {"definition": "a fish"})
    assert cat == named(1, "cat")


def test_deep_json_is_an_error_not_a_crash(tmp_path: Path) -> None:
    with pytest.raises(ClassListError):
        load_classes(put(tmp_path, "deep.json", "[" * 100_000))


# Image folders ------------------------------------------------------------------------------------


def test_an_image_folder_is_numbered_as_torchvision_does(tmp_path: Path) -> None:
    for folder in ("b", "A", "a c", ".cache"):
        (tmp_path / folder).mkdir()
    put(tmp_path, "z.txt", "no class")
    assert names_and_synonyms(load_classes(tmp_path)) == [
        (0, "A", ["A"]),
        (1, "a c", ["a c"]),
        (2, "b", ["b"]),
    ]


def test_an_image_folder_without_folders_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ClassListError, match="contains no folders"):
        load_classes(tmp_path)


@pytest.mark.parametrize(
    "name", ["a/b", "..", ".hidden", "../../etc", "50% off", "%2F", "a\\b", "x\x00y", 'a"b', "é"]
)
def test_names_never_become_paths(name: str, tmp_path: Path) -> None:
    classes = (named(0, f"{name} x"), named(1, name if any(c.isalnum() for c in name) else f"{name}a"))
    write(classes, tmp_path / "out", "imagefolder")
    assert {path.parent for path in (tmp_path / "out").rglob("*") if path.is_dir()} == {tmp_path / "out"}
    assert load_classes(tmp_path / "out") == classes
    (tmp_path / "out" / "classes.json").unlink()
    assert sorted(entry.name for entry in load_classes(tmp_path / "out")) == sorted(
        entry.name for entry in classes
    )


def test_a_name_too_long_for_a_folder() -> None:
    with pytest.raises(ClassListError, match="too long"):
        folder_name("é" * 128)


# Round trips --------------------------------------------------------------------------------------

WORD = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r"), min_size=1, max_size=12).map(
    lambda t: f"a{t}"
)
SYNONYM = st.builds(
    Synonym,
    WORD,
    st.none() | st.integers(0, 2**40),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["", "nearer to class 3 (cat)", 'a, "b"\n']),
)


@st.composite
def class_lists(draw: st.DrawFn, *, plain: bool = False) -> ClassList:
    ids = draw(st.lists(st.integers(0, 50), min_size=1, max_size=4, unique=True))
    ids = list(range(len(ids))) if plain else sorted(ids)
    names = draw(st.lists(WORD.map(str.strip), min_size=len(ids), max_size=len(ids), unique_by=lambda t: t))
    entries = []
    for class_id, name in zip(ids, names, strict=True):
        synonyms = draw(st.lists(SYNONYM, max_size=4, unique_by=lambda synonym: synonym.text))
        kept = any(synonym.kept for synonym in synonyms)
        extra = draw(
            st.dictionaries(st.sampled_from(["freq", "actual_freq", "changed_name"]), st.integers() | WORD)
        )
        synonyms = synonyms if kept else [*(s for s in synonyms if s.text != name), Synonym(name)]
        entries.append(ClassEntry(class_id, name, tuple(synonyms), draw(st.just("") | WORD), extra))
    return tuple(entries)


@settings(max_examples=60, deadline=None)
@given(class_lists())
@pytest.mark.parametrize("to", ["json", "metrics", "csv", "tsv"])
def test_these_formats_lose_nothing(
    to: str, tmp_path_factory: pytest.TempPathFactory, classes: ClassList
) -> None:
    path = tmp_path_factory.mktemp("trip") / f"list.{to if to in {'csv', 'tsv'} else 'json'}"
    write(classes, path, to)
    back = load_classes(path)
    if to == "metrics":  # removed synonyms are listed in order beside the kept ones
        assert lost(classes, back) == []
    assert back == classes


@settings(max_examples=30, deadline=None)
@given(class_lists(plain=True))
def test_huggingface_and_image_folders_lose_nothing(
    tmp_path_factory: pytest.TempPathFactory, classes: ClassList
) -> None:
    folder = tmp_path_factory.mktemp("trip")
    write(classes, folder / "dataset_info.json", "huggingface")
    assert load_classes(folder / "dataset_info.json") == classes
    features = json.loads((folder / "dataset_info.json").read_text())["features"]
    assert features == {"label": {"names": [entry.name for entry in classes], "_type": "ClassLabel"}}
    write(classes, folder / "images", "imagefolder")
    assert load_classes(folder / "images") == classes


def test_convert_says_what_a_format_cannot_hold(tmp_path: Path) -> None:
    source = put(tmp_path, "m.json", json.dumps(METRICS))
    assert convert(load_classes(source), tmp_path / "classes.json", "json") == []
    assert convert(load_classes(source), tmp_path / "names.txt", "txt") == [
        "synonyms of 2 of 2 classes",
        "frequencies of 2 of 2 classes",
        "most common names of 1 of 2 classes",
        "other keys of 1 of 2 classes",
    ]
    assert (tmp_path / "names.txt").read_text() == "tench\ntiger cat\n"


@pytest.mark.parametrize(
    ("to", "target"),
    [("json", "a.csv"), ("csv", "a.json"), ("metrics", "a.txt"), ("txt", "a.tsv"), ("tsv", "classes")],
)
def test_convert_writes_no_file_that_is_read_as_another_format(
    to: str, target: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = put(tmp_path, "source.csv", "name\ntench\n")
    path = put(tmp_path, target, "a person's own\n")
    with pytest.raises(SystemExit) as left:
        app(["classes", "convert", str(source), "--to", to, "-o", str(path)], prog_name="captrawl")
    assert left.value.code == 2
    assert f"{path} wouldn't be read as {to!r}" in capsys.readouterr().err
    assert path.read_text() == "a person's own\n"


def test_convert_writes_nothing_that_is_no_list(tmp_path: Path) -> None:
    source = put(tmp_path, "a.json", '{"0": {"name": "..", "alternates": {"dots": 1}}}')
    with pytest.raises(ClassListError, match="contains no letter or digit"):
        convert(load_classes(source), tmp_path / "names.txt", "txt")
    assert not (tmp_path / "names.txt").exists()


@pytest.mark.parametrize("wrong", [("--to", "jsn"), ("--to", "imagefolder")])
def test_a_format_that_is_none_is_wrong_usage(wrong: tuple[str, str], tmp_path: Path) -> None:
    source = put(tmp_path, "a.txt", "tench\n")
    with pytest.raises(SystemExit) as left:
        app(["classes", "convert", str(source), *wrong], prog_name="captrawl")
    assert left.value.code == 2


def test_a_person_may_edit_the_alternates_of_a_converted_list(tmp_path: Path) -> None:
    synonyms = (
        Synonym("tench", 3),
        Synonym("eel", 1, False, False, "nearer to class 9 (eel)"),
        Synonym("fish", prompt=False),
    )
    write((ClassEntry(0, "tench", synonyms),), tmp_path / "m.json", "metrics")
    document = json.loads((tmp_path / "m.json").read_text())
    assert document["0"]["alternates"] == {"tench": 3, "fish": 0}
    del document["0"]["alternates"]["fish"]
    document["0"]["alternates"]["doctor fish"] = 7
    (tmp_path / "m.json").write_text(json.dumps(document))
    (entry,) = load_classes(tmp_path / "m.json")
    assert entry.synonyms == (*synonyms[:2], Synonym("doctor fish", 7))


def test_edited_labels_of_a_feature_file_win(tmp_path: Path) -> None:
    write((named(0, "tench", ["eel"]),), tmp_path / "f.json", "huggingface")
    text = (
        (tmp_path / "f.json").read_text().replace('"names": [\n        "tench"', '"names": [\n        "carp"')
    )
    (tmp_path / "f.json").write_text(text)
    assert names_and_synonyms(load_classes(tmp_path / "f.json")) == [(0, "carp", ["carp"])]


@pytest.mark.parametrize(
    ("classes", "to", "wanted"),
    [
        ((named(0, "a"), named(1, "a", ["b"])), "huggingface", "two classes of one name: 0 and 1"),
        ((named(0, "a"), named(1, "a", ["b"])), "imagefolder", "two classes of one name: 0 and 1"),
        ((named(0, "a"), named(2, "b")), "txt", "class 1 is missing"),
        ((named(0, "a\nb"),), "txt", "can't stand on a line"),
        ((named(0, "a\rb"),), "txt", "can't stand on a line"),
        ((named(0, "a"),), "yaml", "no class list format 'yaml'"),
        ((named(0, "a"),), "metric", "did you mean 'metrics'"),
        ((named(0, "a"),), "hf", "did you mean 'huggingface'"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(
    classes: ClassList, to: str, wanted: str, tmp_path: Path
) -> None:
    with pytest.raises(ClassListError, match=wanted):
        write(classes, tmp_path / "out.json", to)
    assert not (tmp_path / "out.json").exists()


def test_a_list_that_would_be_read_as_another_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ClassListError, match="can't be read again as it is"):
        write((named(0, "1: a"), named(1, "2: b")), tmp_path / "names.txt", "txt")
    assert not (tmp_path / "names.txt").exists()


def test_the_first_classes_are_printed(tmp_path: Path, captrawl: Any) -> None:
    source = put(tmp_path, "a.csv", "bus,coach;minibus\ncar\nbike,a1;a2;a3;a4;a5;a6\ntram\n")
    done = captrawl("classes", "convert", source, "--to", "txt")
    assert done.stdout == "bus\ncar\nbike\ntram\n"
    assert done.stderr.splitlines() == [
        f"{source}: 4 classes",
        "  0 bus: coach, minibus",
        "  1 car",
        "  2 bike: a1, a2, a3, a4, a5 …",
        "  … 1 more",
    ]


CORPUS = ("a dog", "a cat", "a golden retriever", "a black footed albatross", "an airfield", "a hound")


def test_lists_of_data_sets_match_by_names_from_the_command(tmp_path: Path, captrawl: Any) -> None:
    rows = "".join(f"http://a/{place}.jpg\t{caption}\n" for place, caption in enumerate(CORPUS))
    index = tmp_path / "idx"
    captrawl("index", "captions", put(tmp_path, "corpus.tsv", rows), "--to", index)
    lists = {
        "label.csv": "label\ndog\ncat\n",
        "id_first.csv": "0,dog\n1,cat\n",
        "data.yaml": "path: ../data\nnames:\n  0: dog\n  1: cat\n",
        "cub_classes.txt": "1 001.Black_footed_Albatross\n2 002.A_hound\n",
        "index.json": '{"0": ["n02099601", "golden_retriever"], "1": ["n02123045", "cat"]}',
    }
    for name, text in lists.items():
        source = put(tmp_path, name, text)
        said = json.loads(captrawl("count", "--classes", source, "--index", index, "--json").stdout)
        assert [entry["total"] for entry in said["classes"]] == [1, 1], name
    made = captrawl("init", tmp_path / "task", "--classes", tmp_path / "label.csv", "--index", index)
    assert made.stdout.splitlines()[-2:] == ["  0 dog", "  1 cat"]


def test_help_and_docs_name_every_format(captrawl: Any) -> None:
    help_text = " ".join(captrawl("classes", "convert", "--help").stdout.split())
    assert f"--to FORMAT {', '.join(FORMATS)} or {IMAGE_FOLDER}." in help_text
    table = (Path(__file__).parents[2] / "docs" / "synonyms.md").read_text().partition("| `--to` |")[2]
    first_cells = [line.split("|")[1] for line in table.partition("\n\n")[0].splitlines()[2:]]
    assert set(re.findall("`([a-z]+)`", "".join(first_cells))) == {*FORMATS, IMAGE_FOLDER}


def test_every_format_is_written_as_text() -> None:
    classes = (named(0, "tench", ["doctor fish"]),)
    shown = {to: render(classes, to) for to in FORMATS}
    assert shown["list"] == '[\n  "tench"\n]\n'
    assert json.loads(shown["mapping"]) == {"tench": ["doctor fish"]}
    assert shown["csv"].splitlines()[1] == "0,tench,,tench,,true,true,,"
    assert shown["tsv"].splitlines()[2].split("\t")[3] == "doctor fish"


def test_a_bad_list_is_not_saved(tmp_path: Path) -> None:
    save_classes((named(0, "tench"),), tmp_path / "classes.json")
    with pytest.raises(ClassListError):
        save_classes((named(0, "tench"), named(0, "cat")), tmp_path / "classes.json")
    assert load_classes(tmp_path / "classes.json") == (named(0, "tench"),)


def test_a_persons_list_of_another_format_is_never_written_over(tmp_path: Path) -> None:
    for name, text in (("names.txt", "tench\n"), ("metrics.json", json.dumps(METRICS)), ("bad.json", "{")):
        path = put(tmp_path, name, text)
        with pytest.raises(ClassListError, match=r"isn't a classes\.json"):
            save_classes((named(0, "cat"),), path)
        assert path.read_text() == text


def test_classes_json_is_the_documented_document(tmp_path: Path) -> None:
    entry = ClassEntry(
        4, "tench", (Synonym("tench", 3), Synonym("eel", 1, False, False, "why")), "tench", {"freq": 4}
    )
    save_classes((entry,), tmp_path / "classes.json")
    assert json.loads((tmp_path / "classes.json").read_text()) == {
        "format": 1,
        "classes": [
            {
                "id": 4,
                "name": "tench",
                "most_common_name": "tench",
                "synonyms": [
                    {"text": "tench", "frequency": 3, "match": True, "prompt": True, "reason": ""},
                    {"text": "eel", "frequency": 1, "match": False, "prompt": False, "reason": "why"},
                ],
                "extra": {"freq": 4},
            }
        ],
    }


def test_read_gives_what_the_file_has_even_where_it_is_invalid(tmp_path: Path) -> None:
    assert list(read(put(tmp_path, "a.txt", "🐟"))) == [named(0, "🐟")]


# Checks -------------------------------------------------------------------------------------------


def test_warnings_name_both_ids() -> None:
    classes = (
        named(3, "crane", ["projectile", "bolt"]),
        named(6, "mug", ["a", "b"]),
        named(7, "Mug", ["projectile", "A", "B"]),
    )
    assert check_classes(classes) == [
        "classes 6 ('mug'), 7 ('Mug') have one name",
        "the synonym 'projectile' is shared by classes 3 ('crane') and 7 ('Mug'); their rows go to each",
        "3 synonyms are shared by classes 6 ('mug') and 7 ('Mug'): mug, a, b; their rows go to each",
    ]
    assert check_classes((named(0, "Abyssinian", ["abyssinian"]),)) == []


def test_a_removed_synonym_is_not_shared() -> None:
    removed = ClassEntry(1, "b", (Synonym("b"), Synonym("a", match=False, prompt=False, reason="x")))
    assert shared_synonyms((named(0, "a"), removed)) == {}


def test_dropping_shared_synonyms() -> None:
    crane, bird, missile, rocket = drop_shared(
        (
            named(0, "crane", ["lifting crane", "Grus"]),
            named(1, "sandhill bird", ["Crane", "grus"]),
            named(2, "missile"),
            named(3, "missile", ["rocket"]),
        )
    )
    # the class that has the phrase as its name keeps it
    assert crane.match_phrases() == ("crane", "lifting crane")
    assert crane.synonyms[2] == Synonym("Grus", None, False, False, "shared with class 1")
    assert bird.match_phrases() == ("sandhill bird",)
    assert bird.synonyms[1:] == (
        Synonym("Crane", None, False, False, "shared with class 0"),
        Synonym("grus", None, False, False, "shared with class 0"),
    )
    # both have it as their name: it goes, but never a class's last one
    assert missile.match_phrases() == ("missile",)
    assert rocket.match_phrases() == ("rocket",)


SENSES = """name,synonyms,not,exclude,prefix
crane,Grus;sandhill crane,"crane, a machine|crane, a paper bird",tower crane;truck,
bat,,baseball bat,,animal
"""


@pytest.mark.parametrize("end", ["json", "csv", "tsv"])
def test_a_class_has_senses_exclusions_and_a_prefix_of_its_own(tmp_path: Path, end: str) -> None:
    classes = load_classes(put(tmp_path, "senses.csv", SENSES))
    crane, bat = classes
    assert crane.match_phrases() == ("crane", "Grus", "sandhill crane")
    assert crane.other_senses == ("crane, a machine", "crane, a paper bird")
    assert (crane.exclude, crane.prefix) == (("tower crane", "truck"), "")
    assert (bat.other_senses, bat.exclude, bat.prefix) == (("baseball bat",), (), "animal")
    save_classes(classes, tmp_path / "own.json")
    assert '"not": [' in (tmp_path / "own.json").read_text()
    assert load_classes(tmp_path / "own.json") == classes
    write(classes, tmp_path / f"other.{end}", {"json": "metrics"}.get(end, end))
    assert load_classes(tmp_path / f"other.{end}") == classes


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("exclude", 3, "'exclude': a text or a list of texts was expected, got 3"),
        ("not", ["a", {}], "'not': a text or a list of texts was expected"),
        ("prefix", "***", "'prefix': '***' has no letter or digit"),
    ],
)
def test_what_a_class_excludes_is_texts(tmp_path: Path, key: str, value: Any, message: str) -> None:
    metrics = {"0": {"name": "crane", "alternates": {"crane": 1}, key: value}}
    with pytest.raises(ClassListError, match=re.escape(message)):
        load_classes(put(tmp_path, "metrics.json", json.dumps(metrics)))


def test_phrases_inside_other_classes_phrases() -> None:
    def counted(entry: ClassEntry, rows: int) -> ClassEntry:
        return replace(entry, synonyms=tuple(replace(one, frequency=rows) for one in entry.synonyms))

    shirt = counted(named(0, "shirt", ["dress shirt"]), 9)
    tee = counted(named(1, "T-Shirt", ["tee", "t shirts"]), 5)
    rock = counted(named(2, "t", ["dress", "red dress shirt"]), 2)
    pairs = [(p.entry.id, p.inner, p.other.id, p.outer, p.rows) for p in nested_phrases((shirt, tee, rock))]
    assert pairs == [
        (0, "shirt", 1, "T-Shirt", 5),
        (0, "shirt", 2, "red dress shirt", 2),
        (2, "dress", 0, "dress shirt", 9),
        (2, "t", 1, "T-Shirt", 5),
        (2, "t", 1, "t shirts", 5),
    ]
    alone = longest((shirt, tee, rock))
    assert [entry.exclude for entry in alone] == [
        ("T-Shirt", "red dress shirt"),
        (),
        ("T-Shirt", "dress shirt", "t shirts"),
    ]
    assert nested_phrases(alone) == []
    assert longest(alone) == alone


def test_a_class_that_has_the_longer_phrase_itself_loses_nothing() -> None:
    both = (named(0, "shirt", ["t shirt"]), named(1, "T-shirt"))
    assert nested_phrases(both) == []

"""Shots and other labelled images: lists, class folders, the leak guard, and what is said of bad ones."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from captrawl.classes.model import ClassEntry, Synonym
from captrawl.core.errors import InputError
from captrawl.core.pictures import NO_HEIF
from captrawl.sampling.export.class_folders import class_of_folder, folder_names
from captrawl.sampling.files import read_list, read_sample
from captrawl.sampling.sample import draw, sample_status
from captrawl.sampling.shots import picture_key, read_labelled
from captrawl.sampling.task import paths_of, task_of
from captrawl.sampling.vector_cache import save
from captrawl.search.vectors.models import model_of
from captrawl.workspace.settings import SampleSettings, save_settings
from captrawl.workspace.workspace import State

E = np.eye(3, dtype=np.float32)


def entry(number: int, name: str) -> ClassEntry:
    return ClassEntry(number, name, (Synonym("x"),))


CLASSES = (
    entry(0, "golden retriever"),
    entry(3, "crane"),
    entry(4, "crane"),
    entry(7, "a/b: c"),
    entry(12, "3"),
)


def folder_of(root: Path, *files: str) -> Path:
    for file in files:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.encode())
    return root


def test_class_folders_are_named_by_name_or_id(tmp_path) -> None:
    root = folder_of(
        tmp_path / "shots", "golden retriever/2.JPG", "golden retriever/deep/1.png", "4/a.jpg",
        "a_b__c/x.webp", "3/of class 12.jpg", "4/notes.txt", ".hidden/a.jpg",
    )  # fmt: skip
    found = read_labelled(root, Path("unused"), CLASSES)
    shown = zip(found.paths, found.labels.tolist(), strict=True)
    assert [(path.relative_to(root).as_posix(), label) for path, label in shown] == [
        ("golden retriever/2.JPG", 0), ("golden retriever/deep/1.png", 0), ("4/a.jpg", 4),
        ("a_b__c/x.webp", 7), ("3/of class 12.jpg", 12),
    ]  # fmt: skip


def test_class_folders_of_an_export_are_read_whatever_the_list_has_grown_to(tmp_path) -> None:
    names = folder_names(CLASSES)
    assert names == {
        0: "00_golden_retriever", 3: "03_crane", 4: "04_crane", 7: "07_a_b__c", 12: "12_3",
    }  # fmt: skip
    assert {class_of_folder(Path(name), CLASSES) for name in names.values()} == set(names)
    grown = (*CLASSES, entry(1200, "12 3"), entry(1201, "12_3 "))
    assert {number: class_of_folder(Path(name), grown) for number, name in names.items()} == {
        number: number for number in names
    }
    with pytest.raises(InputError, match="isn't named after a class"):
        class_of_folder(Path("05_crane"), CLASSES)  # class 5 is gone, or was never there


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("crane/1.jpg", ["classes 3, 4 have this name", "by its id"]),
        ("heron/1.jpg", ["heron isn't named after a class"]),
        ("4/notes.txt", ["contains no images"]),
    ],
)
def test_folders_that_are_no_class(tmp_path, file, words) -> None:
    with pytest.raises(InputError) as error:
        read_labelled(folder_of(tmp_path / "shots", file), Path(), CLASSES)
    for word in words:
        assert word in str(error.value)


def test_a_list_that_is_not_there_or_not_text(tmp_path) -> None:
    with pytest.raises(InputError, match="nowhere isn't there"):
        read_labelled(tmp_path / "nowhere", Path(), CLASSES)
    (tmp_path / "latin").write_bytes(b"caf\xe9.jpg 0 1\n")
    with pytest.raises(InputError, match="latin can't be read as a list"):
        read_labelled(tmp_path / "latin", Path(), CLASSES)


def test_lists_of_the_origin(data_folder) -> None:
    """The four few-shot lists and the heads of four published samples, as found."""
    lists = sorted((data_folder / "data/swat/lists").glob("*.txt"))
    assert len(lists) == 8
    for path in lists:
        lines = [line.split(" ") for line in path.read_text().splitlines()]
        assert [(e.path, e.label, e.flag) for e in read_list(path)] == [
            (p, int(c), int(f)) for p, c, f in lines
        ]
        assert {e.flag for e in read_list(path)} == {1 if "fewshot" in path.name else 0}
    counts = np.unique(
        [e.label for e in read_list(data_folder / "data/swat/lists/dtd-fewshot16_seed1.txt")],
        return_counts=True,
    )
    assert counts[1].tolist() == [16] * 47


def test_a_guards_list_starts_from_the_shots_root_or_from_its_own_folder(
    make_workspace, make_row, tmp_path
) -> None:
    made = make_workspace([make_row(0, 1)], {1: (E[0], E[0])}, prompts=E[:1])
    tests = folder_of(tmp_path / "tests", "t.jpg")
    (tests / "list.txt").write_text("t.jpg 0 0\n")
    spec = SampleSettings(leak_guard=str(tests / "list.txt"))
    found = task_of(made.workspace, spec).leaks
    assert found is not None
    assert found.paths == (tests / "t.jpg",)
    given = made.workspace.settings()
    task = given.task.model_copy(update={"root": str(tmp_path / "elsewhere")})
    save_settings(given.model_copy(update={"task": task}), made.workspace.settings_path)
    with pytest.raises(InputError, match=r"no image .*elsewhere/t\.jpg"):
        task_of(made.workspace, spec)


def test_the_leak_guard_drops_copies_of_test_images(make_workspace, make_row, tmp_path) -> None:
    rows = [make_row(0, uid) for uid in range(4)]
    near = (0.97 * E[0] + np.sqrt(1 - 0.97**2) * E[1]).astype(np.float32)
    edge = (0.95 * E[0] + np.sqrt(1 - 0.95**2) * E[1]).astype(np.float32)  # not above 0.95
    vectors = {0: (E[0], E[0]), 1: (near, E[0]), 2: (edge, E[0]), 3: (E[2], E[0])}
    made = make_workspace(rows, vectors, prompts=E[:1])
    root = folder_of(tmp_path / "tests", "t.jpg")
    (tmp_path / "tests.txt").write_text(f"{root}/t.jpg 99 1\n")  # a label of its own: the guard reads none
    cache = made.workspace.vectors_folder(model_of(made.workspace).slug) / "labelled.npz"
    save(cache, [picture_key(root / "t.jpg")], E[:1], "made up")
    spec = SampleSettings(leak_guard=str(tmp_path / "tests.txt"))
    counts = draw(made.workspace, spec)
    assert (counts["leak"], counts["kept"]) == (2, 2)
    table = read_sample(paths_of(made.workspace, "T2T500")).to_pylist()
    assert {row["uid"] for row in table if row["reason"] == "leak"} == {0, 1}
    assert sample_status(made.workspace, spec).state is State.DONE
    (root / "t.jpg").write_bytes(b"another")
    assert sample_status(made.workspace, spec).reason == "test images changed since"
    (root / "t.jpg").unlink()
    gone = sample_status(made.workspace, spec)
    assert gone.state is State.STALE
    assert "there is no image" in gone.reason


def test_hidden_files_are_no_shots_at_any_depth(data_folder, caplog) -> None:
    cases = data_folder / "cases" / "shots-folder"
    classes = (entry(0, "apple"), entry(1, "pear"))
    labelled = read_labelled(cases / "shots", Path(), classes)
    assert [(path.name, label) for path, label in zip(labelled.paths, labelled.labels, strict=True)] == [
        ("1.jpg", 0), ("1.jpg", 1), ("2.jfif", 1), ("3.avif", 1),
    ]  # fmt: skip
    assert [path.name for path in read_labelled(cases / "appledouble", Path(), classes[:1]).paths] == [
        "1.jpg"
    ]
    assert not caplog.records


def test_files_that_are_passed_over_are_named(tmp_path, caplog) -> None:
    folder = folder_of(
        tmp_path, "3/a.JPE", "3/deep/b.png", "3/deep/.c.png", "3/.d/e.png", "3/n.txt", "3/o.txt", "3/x"
    )
    assert [path.name for path in read_labelled(folder, Path(), CLASSES).paths] == ["a.JPE", "b.png"]
    assert "3 files not read as images (.txt 2, no suffix 1)" in caplog.text


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("photo.jxl", b"x"),
        ("photo", b"\xff\xd8\xff" + bytes(20)),
        ("sub/p.xyz", b"\x89PNG\r\n\x1a\n" + bytes(20)),
    ],
)
def test_a_leak_guard_passes_no_picture_over(tmp_path, name, content) -> None:
    folder = folder_of(tmp_path / "tests", "t.jpg", "notes.txt", name)
    (folder / name).write_bytes(content)
    with pytest.raises(InputError, match="1 file not read that may be pictures"):
        read_labelled(folder, Path(), None)
    (folder / name).unlink()
    assert [path.name for path in read_labelled(folder, Path(), None).paths] == ["t.jpg"]


@pytest.mark.parametrize("decoder", [False, True])
def test_heic_is_read_or_asked_for(tmp_path, caplog, monkeypatch, decoder) -> None:
    own, tests = folder_of(tmp_path / "own", "3/a.jpg", "3/b.heic"), folder_of(tmp_path / "tests", "c.HEIC")
    if decoder:
        pytest.importorskip("pillow_heif")
        assert [path.name for path in read_labelled(own, Path(), CLASSES).paths] == ["a.jpg", "b.heic"]
        assert [path.name for path in read_labelled(tests, Path(), None).paths] == ["c.HEIC"]
        return
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    assert [path.name for path in read_labelled(own, Path(), CLASSES).paths] == ["a.jpg"]
    assert f"1 file not read as images (.heic 1); {NO_HEIF}" in caplog.text
    with pytest.raises(InputError, match=r"1 file not read that may be pictures .*captrawl\[heic\]"):
        read_labelled(tests, Path(), None)

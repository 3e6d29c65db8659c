"""A SWAT folder becomes a workspace, goes through the stages, and goes back to SWAT."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from captrawl.classes.files import load_classes, save_classes
from captrawl.classes.model import Synonym
from captrawl.core.errors import InputError, ModelError, WorkspaceError
from captrawl.core.row_ids import uid_list
from captrawl.indexer.embed.stage import embed
from captrawl.sampling.export.formats import export
from captrawl.sampling.sample import draw
from captrawl.search.vectors.models import model_of
from captrawl.search.vectors.store import Embeddings, EmbeddingsInfo
from captrawl.swat.folder import find
from captrawl.swat.importing import SwatChoices, import_swat
from captrawl.workspace import pipeline
from captrawl.workspace.settings import SampleSettings, save_settings
from captrawl.workspace.workspace import State, Workspace
from PIL import Image


def rows_of(workspace: Workspace) -> list[dict]:
    return pq.read_table(workspace.matches_path).to_pylist()


@pytest.mark.parametrize("bare", [False, True])
def test_the_matches_are_swats_rows(make_swat, tmp_path: Path, bare: bool) -> None:
    swat = make_swat(bare=bare)
    counts = import_swat(swat.root, tmp_path / "w", SwatChoices(model=swat.model))
    assert counts == {"classes": 3, "matches": 9, "without_url": 0, "images": 7, "embedded": 7}
    workspace = Workspace.open(tmp_path / "w")
    rows = rows_of(workspace)
    meta = pickle.loads((swat.root / "shapes_metadata-random-0.0-LAION400M.meta").read_bytes())
    if bare:
        told = [(int(key), *entry[:5]) for key, entries in meta.items() for entry in entries]
    else:  # (synonym, shard, rowid, caption, url, nsfw[, n])
        told = [(int(key), f"part{entry[1]}", *entry[2:6]) for key, some in meta.items() for entry in some]
    assert [(r["class_id"], r["file"].removeprefix("swat/"), r["row"], r["caption"], r["url"], r["nsfw"])
            for r in rows] == [tuple(None if v == "N.A." else v for v in row) for row in told]  # fmt: skip
    assert [r["uid"] for r in rows] == uid_list([r["url"] for r in rows], [r["caption"] for r in rows])
    assert [r["synonym"] for r in rows] == [
        "red star", "red star", "red star", "red star", "red star",
        "blue disc", "blue circle", "blue disc", "blue disc",
    ]  # fmt: skip
    settings = workspace.settings()
    assert (settings.task.profile, settings.match.sample, settings.match.filters.safety) == (
        "swat",
        2000,
        "off",
    )
    assert (settings.model.precision, settings.model.name) == ("float32", swat.model)
    entries = load_classes(workspace.classes_path())
    assert [s.text for s in entries[0].synonyms] == ["red star", "Red Star", "crimson star"]
    assert [e.extra["actual_freq"] for e in entries] == [6, 7, 0]


def test_images_are_linked_and_the_rest_is_asked(make_swat, tmp_path: Path) -> None:
    swat = make_swat(features=False)
    import_swat(swat.root, tmp_path / "w")
    workspace = Workspace.open(tmp_path / "w")
    images = {row["url"]: row for row in pq.read_table(workspace.images_path).to_pylist()}
    folder = swat.root / "shapes_retrieved_LAION400M-all_synonyms-random"
    for (key, n), url in swat.arrived.items():
        source, row = folder / key / f"{n}.jpg", images[url]
        assert (workspace.root / row["path"]).stat().st_ino == source.stat().st_ino
        assert row["sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
        with Image.open(source) as image:
            assert (row["state"], row["width"], row["height"]) == ("packed", *image.size)
    assert Counter(row["state"] for row in images.values()) == {"packed": 7, "queued": 2}
    states = {s.stage: s.state for s in pipeline.status(workspace)}
    assert states["match"] is State.DONE
    assert states["download"] is State.PARTIAL
    from captrawl.indexer.download.session import open_session

    with open_session(
        workspace
    ) as session:  # what a later download starts with: nothing is lost or asked again
        assert session.ledger.queued() == 2
        assert len(session.ledger.paths()) == 7


def test_the_vectors_are_swats_and_are_checked(make_swat, tmp_path: Path) -> None:
    swat = make_swat()
    import_swat(swat.root, tmp_path / "w", SwatChoices(model=swat.model))
    workspace = Workspace.open(tmp_path / "w")
    folder = workspace.embeddings_folder(model_of(workspace).slug)
    assert EmbeddingsInfo.load(folder).weights == ""
    assert {s.stage: s.state for s in pipeline.status(workspace)}["embed"] is State.PARTIAL
    before = Embeddings.open(folder)
    at = {url: row for row, url in enumerate(before.metadata["url"].to_pylist())}
    order = np.array([at[url] for url in swat.arrived.values()])
    np.testing.assert_array_equal(before.images.take(order), unit(swat.features["image"]))
    np.testing.assert_array_equal(before.captions.take(order)[:2], unit(swat.features["caption"])[:2])
    stored = {path: path.stat().st_mtime_ns for path in folder.rglob("*.npy")}
    assert embed(workspace)["rows"] == 7
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.npy")} == stored  # none made anew
    assert len(EmbeddingsInfo.load(folder).weights) == 64
    assert {s.stage: s.state for s in pipeline.status(workspace)}["embed"] is State.DONE


def test_each_caption_of_one_url_keeps_its_own_vector(make_swat, tmp_path: Path) -> None:
    swat = make_swat()
    path = swat.root / "shapes_metadata-random-0.0-LAION400M.meta"
    meta = pickle.loads(path.read_bytes())
    shared = meta["0"][0][-3]
    meta["1"] = [(*entry[:-3], shared, *entry[-2:]) if entry[-1] == 0 else entry for entry in meta["1"]]
    path.write_bytes(pickle.dumps(meta))
    import_swat(swat.root, tmp_path / "w", SwatChoices(model=swat.model))
    workspace = Workspace.open(tmp_path / "w")
    stored = Embeddings.open(workspace.embeddings_folder(model_of(workspace).slug))
    at = {(r["url"], r["caption"]): row for row, r in enumerate(stored.metadata.to_pylist())}
    captions = [swat.captions[key][0] for key in ("0", "1")]
    rows = np.array([at[shared, caption] for caption in captions])
    theirs = [list(swat.arrived).index((key, 0)) for key in ("0", "1")]
    np.testing.assert_array_equal(stored.captions.take(rows), unit(swat.features["caption"])[theirs])
    assert embed(workspace)["rows"] == 7


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def test_vectors_of_another_model_are_refused(make_swat, tmp_path: Path) -> None:
    import torch

    swat = make_swat()
    path = next(swat.root.glob("*.pth"))
    held = torch.load(path, weights_only=True)
    held["image_features"] = held["image_features"].roll(1, dims=1)
    torch.save(held, path)
    import_swat(swat.root, tmp_path / "w", SwatChoices(model=swat.model))
    with pytest.raises(ModelError, match=r"imported image vectors .* aren't of .*: their mean cosine"):
        embed(Workspace.open(tmp_path / "w"))


def test_a_pth_that_holds_more_than_tensors_is_refused(make_swat, tmp_path: Path) -> None:
    import torch

    swat = make_swat()
    path = next(swat.root.glob("*.pth"))
    torch.save({"image_features": Path("x")}, path)
    with pytest.raises(
        InputError, match=r"_mined\.pth isn't read: it is cut off, or contains more than tensors"
    ):
        import_swat(swat.root, tmp_path / "w", SwatChoices(model=swat.model))
    assert not (tmp_path / "w").exists()


def test_it_samples_exports_and_swats_reader_opens_every_image(
    make_swat, swat_reader, tmp_path: Path
) -> None:
    swat = make_swat()
    import_swat(swat.root, tmp_path / "w", SwatChoices(model=swat.model))
    workspace = Workspace.open(tmp_path / "w")
    embed(workspace)
    draw(workspace, SampleSettings(name="T2T500", method="T2T-rank"))
    out = tmp_path / "back"
    export(workspace, "T2T500", "swat", out)
    listing = out / "data" / "shapes" / "T2T500.txt"  # SWAT's name of the data set, not the workspace's
    read = swat_reader(listing, Path("/nowhere"))
    assert [label for _, label, _ in read] == sorted(label for _, label, _ in read)
    assert all(min(image.size) >= 85 and flag == 0 for image, _, flag in read)
    assert len(read) == len(workspace.samples_folder.joinpath("T2T500.txt").read_text().splitlines())
    again = find(next(path for path in out.iterdir() if path.name not in ("data", "output")))
    assert {"meta", "captions", "mined", "urls", "images"} <= set(again.files)
    import_swat(again.root, tmp_path / "w2", SwatChoices(model=swat.model))
    other = Workspace.open(tmp_path / "w2")
    assert [(e.name, e.synonyms) for e in load_classes(other.classes_path())] == [
        (e.name, e.synonyms) for e in load_classes(workspace.classes_path())
    ]
    keys = ("class_id", "synonym", "uid", "url", "caption", "nsfw", "file", "row")
    assert [[r[k] for k in keys] for r in rows_of(other)] == [
        [r[k] for k in keys] for r in rows_of(workspace)
    ]
    embed(other)
    draw(other, SampleSettings(name="T2T500", method="T2T-rank"))
    listed = [line.split()[1] for line in (other.samples_folder / "T2T500.txt").read_text().splitlines()]
    assert listed == [str(label) for _, label, _ in read]
    assert hashes(other) == hashes(workspace)


def test_exported_metrics_match_and_prompt_as_the_list_says(make_swat, tmp_path: Path) -> None:
    swat = make_swat()
    import_swat(swat.root, tmp_path / "w", SwatChoices(model=swat.model))
    workspace = Workspace.open(tmp_path / "w")
    first, *others = load_classes(workspace.classes_path())
    synonyms = tuple(replace(s, prompt=s.text != "crimson star") for s in first.synonyms)
    save_classes((replace(first, synonyms=synonyms), *others), workspace.classes_path())
    embed(workspace)
    draw(workspace, SampleSettings(name="T2T500", method="T2T-rank"))
    export(workspace, "T2T500", "swat", tmp_path / "out")
    name = "shapes_metrics-LAION400M.json"
    matching, prompting = (
        json.loads((tmp_path / "out" / at / "shapes" / name).read_text()) for at in (".", "data")
    )
    assert [*matching["0"]["alternates"]] == ["red star", "Red Star", "crimson star"]
    assert [*prompting["0"]["alternates"]] == ["red star", "Red Star"]
    assert [(c["most_common_name"], c["actual_freq"]) for c in prompting.values()] == [
        ("red star", 6),  # as the user's own file says
        ("blue_disc", 7),
        ("unicorn", 0),
    ]
    again = load_classes(tmp_path / "out" / "shapes" / name)
    assert again[0].synonyms == synonyms


def test_a_task_of_two_lists_comes_back_from_its_export(make_swat, tmp_path: Path) -> None:
    """Of semi-aves SWAT matches with one list and prompts with another: the export has both in data/."""
    swat = make_swat("semi-aves")
    import_swat(swat.root, tmp_path / "w", SwatChoices(model=swat.model))
    workspace = Workspace.open(tmp_path / "w")
    first, *others = load_classes(workspace.classes_path())
    synonyms = (Synonym("red star", 5, prompt=False), Synonym("Stella rubra", 1, match=False))
    classes = (replace(first, synonyms=synonyms), *others)
    save_classes(classes, workspace.classes_path())
    embed(workspace)
    draw(workspace, SampleSettings(name="T2T500", method="T2T-rank"))
    export(workspace, "T2T500", "swat", tmp_path / "out")
    data = tmp_path / "out" / "data" / "semi-aves"
    matched, prompting = (
        json.loads((data / f"semi-aves_metrics-LAION400M{end}.json").read_text()) for end in ("_query", "")
    )
    assert (matched["0"]["alternates"], prompting["0"]["alternates"]) == (
        {"red star": 5},
        {"Stella rubra": 1},
    )
    again = SwatChoices(model=swat.model, classes=tmp_path / "out" / "data")
    import_swat(tmp_path / "out" / "semi-aves", tmp_path / "w2", again)
    found = load_classes(Workspace.open(tmp_path / "w2").classes_path())
    assert [entry.synonyms for entry in found] == [entry.synonyms for entry in classes]


def test_swats_sampler_goes_on_from_the_export(make_swat, tmp_path: Path) -> None:
    """Its T2T-rank, re-implemented over the exported files alone, draws the list that was exported."""
    import torch
    from captrawl.search.vectors.loading import load_encoder
    from captrawl.search.vectors.models import resolve

    swat = make_swat()
    import_swat(swat.root, tmp_path / "w", SwatChoices(model=swat.model))
    workspace = Workspace.open(tmp_path / "w")
    template, settings = "a photo of a {}.", workspace.settings()
    model = settings.model.model_copy(update={"templates": [template]})
    save_settings(settings.model_copy(update={"model": model}), workspace.settings_path)
    embed(workspace)
    draw(workspace, SampleSettings(name="T2T500", method="T2T-rank"))
    export(workspace, "T2T500", "swat", tmp_path / "out")
    home, data = tmp_path / "out" / "shapes", tmp_path / "out" / "data" / "shapes"
    held = torch.load(next(home.glob("shapes_*_mined.pth")), weights_only=True)
    captions = pickle.loads((home / "shapes_metadata-random-0.0-LAION400M.map").read_bytes())
    metrics = json.loads((data / "shapes_metrics-LAION400M.json").read_text())
    encoder = load_encoder(resolve(swat.model), device="cpu")
    expected = []
    for key in sorted(metrics, key=int):
        texts = [template.replace("{}", name) for name in metrics[key]["alternates"]]
        prompt = unit(unit(encoder.encode_texts(texts)).mean(axis=0, keepdims=True))[0]
        rows = [at for at, label in enumerate(held["labels"].tolist()) if str(label) == key]
        scores = held["caption_features"].numpy()[rows] @ prompt
        ranked = sorted(
            zip(scores, (held["filepath"][at] for at in rows), strict=True), key=lambda pair: -pair[0]
        )
        expected += [f"{path} {key} 0" for score, path in ranked if score >= 0]
    assert len(expected) > 3
    assert (data / "T2T500.txt").read_text().splitlines() == expected
    for line in expected:  # check_caption: the map has every listed image, keys as texts
        *_, key, name = line.split()[0].split("/")
        assert captions[key][name.partition(".")[0]]


def hashes(workspace: Workspace) -> list[str]:
    lines = (workspace.samples_folder / "T2T500.txt").read_text().splitlines()
    return [hashlib.sha256(Path(line.split()[0]).read_bytes()).hexdigest() for line in lines]


@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize("database", [False, True])
def test_the_published_pickle_alone(make_swat, tmp_path: Path, caplog, database: bool, bare: bool) -> None:
    swat = make_swat(features=False, database=database, bare=bare)
    name = "shapes_mined_captions-LAION400M.pkl"
    alone = tmp_path / "published"
    alone.mkdir()
    shutil.copy(swat.root / name, alone / name)
    if database:
        shutil.copy(swat.root / "laion400m.db", alone)
    metrics = swat.root / "shapes_metrics-LAION400M.json"
    with caplog.at_level("WARNING", logger="captrawl.swat"):
        counts = import_swat(alone / name, tmp_path / "w", SwatChoices(classes=metrics))
    said = f"9 of 9 matches have no URL and can't be fetched; import again with laion400m.db beside {alone}"
    assert (said in caplog.text) == (not database)
    assert counts == {"classes": 3, "matches": 9, "without_url": 0 if database else 9}
    rows = rows_of(Workspace.open(tmp_path / "w"))
    captions = [(int(key), text) for key, texts in swat.captions.items() for text in texts]
    assert [(r["class_id"], r["caption"]) for r in rows] == captions  # a set comes in the corpus's order
    assert [(r["file"], r["row"]) for r in rows[4:6]] == [("swat/part0", 14), ("swat/part1", 10)]
    assert rows[0]["url"] == ("http://127.0.0.1:9/0-0.jpg" if database else None)


ROWS = {"0": [("red star", 3, 7, "red star a"), ("red star", 3, 8, "red star b")]}


def published(folder: Path, make_swat, name: str, rows: object = ROWS) -> tuple[Path, SwatChoices]:
    """A folder with the one pickle ``name``, and the class list for it."""
    swat = make_swat(features=False)
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(pickle.dumps(rows))
    return folder, SwatChoices(classes=swat.root / "shapes_metrics-LAION400M.json")


def test_of_two_pickles_one_is_chosen_with_its_prefix(make_swat, tmp_path: Path) -> None:
    folder, choices = published(tmp_path / "r", make_swat, "shapes_mined_captions-LAION400M.pkl")
    other = {"0": [("red star", 3, 9, "red star texture")]}
    (folder / "shapes_mined_captions-LAION400M-texture.pkl").write_bytes(pickle.dumps(other))
    with pytest.raises(InputError, match=r"the prefixes '', 'texture'; choose with --prefix"):
        import_swat(folder, tmp_path / "w", choices)
    for prefix, count in (("", 2), ("texture", 1)):
        target = tmp_path / f"w{count}"
        assert import_swat(folder, target, replace(choices, prefix=prefix))["matches"] == count
        assert Workspace.open(target).settings().task.prefix == prefix
    with pytest.raises(InputError, match="choose with --prefix"):
        import_swat(folder, tmp_path / "w", replace(choices, prefix="pattern"))


def test_a_tag_is_no_prefix(make_swat, tmp_path: Path) -> None:
    folder, choices = published(tmp_path / "r", make_swat, "shapes_mined_captions-LAION400M-v2.pkl")
    both = folder / "shapes_mined_captions-LAION400M-v2-texture.pkl"
    both.write_bytes(pickle.dumps({"0": [("red star", 3, 9, "red star texture")]}))
    for prefix, count in (("", 2), ("texture", 1)):
        target = tmp_path / f"w{count}"
        chosen = replace(choices, tag="v2", prefix=prefix)
        assert import_swat(folder, target, chosen)["matches"] == count
        assert Workspace.open(target).settings().task.prefix == prefix
    with pytest.raises(InputError, match="no matched captions of --tag v3"):
        import_swat(folder, tmp_path / "w", replace(choices, tag="v3"))


def test_a_presets_prefix_chooses(make_swat, tmp_path: Path) -> None:
    swat = make_swat("eurosat", features=False)
    (swat.root / "eurosat_metadata-random-0.0-LAION400M.meta").unlink()
    (swat.root / "eurosat_mined_captions-LAION400M-satellite.pkl").write_bytes(pickle.dumps(ROWS))
    assert import_swat(swat.root, tmp_path / "w")["matches"] == 2
    assert Workspace.open(tmp_path / "w").settings().task.prefix == "satellite"


def test_two_corpora_are_told_apart(make_swat, tmp_path: Path) -> None:
    folder, choices = published(tmp_path / "r", make_swat, "shapes_mined_captions-LAION400M.pkl")
    (folder / "shapes_mined_captions-LAION2B.pkl").write_bytes(pickle.dumps(ROWS))
    with pytest.raises(InputError, match=r"2 corpora \(LAION2B, LAION400M\)"):
        import_swat(folder, tmp_path / "w", choices)


def test_swats_data_folder_is_no_folder_of_classes(make_swat, tmp_path: Path) -> None:
    folder, choices = published(tmp_path / "r", make_swat, "shapes_mined_captions-LAION400M.pkl")
    lists = tmp_path / "SWAT" / "data"
    for name in ("shapes", "other"):
        (lists / name).mkdir(parents=True)
    shutil.copy(choices.classes, lists / "other" / "other_metrics-LAION400M.json")
    with pytest.raises(
        InputError, match="contains 0 metrics files of shapes; name the one JSON with --classes"
    ):
        import_swat(folder, tmp_path / "w", SwatChoices(classes=lists))
    shutil.copy(choices.classes, lists / "shapes" / "shapes_metrics-LAION400M.json")
    for place in (lists, lists.parent, lists / "shapes"):
        made = tmp_path / f"from-{place.name}"
        import_swat(folder, made, SwatChoices(classes=place))
        entries = load_classes(Workspace.open(made).classes_path())
        assert [entry.name for entry in entries] == ["red star", "blue_disc", "unicorn"]


def test_the_database_beside_a_pickle_in_their_scripts_spelling(make_swat, tmp_path: Path) -> None:
    swat = make_swat(features=False, database=True)
    (swat.root / "laion400m.db").rename(swat.root / "LAION400M.db")
    choices = SwatChoices(classes=swat.root / "shapes_metrics-LAION400M.json")
    pickled = swat.root / "shapes_mined_captions-LAION400M.pkl"
    assert import_swat(pickled, tmp_path / "w", choices)["without_url"] == 0


@pytest.mark.parametrize("kind", [list, set])
def test_addresses_from_the_url_parquet(make_swat, tmp_path: Path, caplog, kind: type) -> None:
    name = "shapes_mined_captions-LAION400M.pkl"
    folder, choices = published(tmp_path / "r", make_swat, name, {key: kind(v) for key, v in ROWS.items()})
    urls = {"class": ["0", "0"], "url": ["http://127.0.0.1:9/a", "http://127.0.0.1:9/b"]}
    pq.write_table(pa.table(urls), folder / "shapes-urls-all-0.0-LAION400M.parquet")
    with caplog.at_level("WARNING", logger="captrawl.swat"):
        counts = import_swat(folder / name, tmp_path / "w", choices)
    rows = rows_of(Workspace.open(tmp_path / "w"))
    assert [row["caption"] for row in rows] == ["red star a", "red star b"]
    if kind is list:  # in the order that SWAT writes both
        assert [row["url"] for row in rows] == urls["url"]
        assert counts["without_url"] == 0
    else:
        assert counts["without_url"] == 2
        assert "doesn't say which address belongs to which caption" in caplog.text


def test_a_model_of_any_name(make_swat, tmp_path: Path) -> None:
    swat = make_swat()
    (path,) = swat.root.glob("*_mined.pth")
    path.rename(swat.root / "shapes_my-clip_mined.pth")
    assert import_swat(swat.root, tmp_path / "w", SwatChoices(model=swat.model))["embedded"] == 7
    shutil.copy(swat.root / "shapes_my-clip_mined.pth", swat.root / "shapes_other_mined.pth")
    assert import_swat(swat.root, tmp_path / "w2", SwatChoices(model=swat.model))["embedded"] == 0


def test_an_import_that_is_whole_is_finished_for_its_rerun(make_swat, tmp_path: Path, caplog) -> None:
    swat = make_swat(features=False)
    counts = import_swat(swat.root, tmp_path / "w")
    stored = {path: path.stat().st_mtime_ns for path in sorted((tmp_path / "w").rglob("*"))}
    with caplog.at_level("WARNING", logger="captrawl.swat"):
        assert import_swat(swat.root, tmp_path / "w") == counts
    assert "was imported from" in caplog.text
    assert {path: path.stat().st_mtime_ns for path in sorted((tmp_path / "w").rglob("*"))} == stored
    with pytest.raises(WorkspaceError, match="isn't empty"):
        import_swat(swat.root, tmp_path / "w", SwatChoices(model=swat.model))
    (swat.root / "shapes_metadata-random-0.0-LAION400M.meta").unlink()
    with pytest.raises(WorkspaceError, match="isn't empty"):
        import_swat(swat.root, tmp_path / "w")


def test_what_a_killed_import_left_is_swept_by_the_next(make_swat, tmp_path: Path) -> None:
    swat = make_swat(features=False)
    target = tmp_path / "w"
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom captrawl.core.files import new_folder\n"
        "with new_folder(Path(sys.argv[1])) as folder:\n"
        "    (folder / 'matches.parquet').write_bytes(b'half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    command = [sys.executable, "-c", code, str(target)]
    assert subprocess.run(command, check=False, capture_output=True).returncode == -9
    assert list(tmp_path.glob(".w.*.tmp"))
    assert import_swat(swat.root, target)["images"] == 7
    assert not list(tmp_path.glob(".w.*"))


HOSTILE_ROWS = {
    "a row number without end": [("red star", 3, 10**30, "red star")],
    "a shard without end": [("red star", 10**5000, 7, "red star")],
    "a row of shared tuples": [("red star", 3, ((1, 2),) * 9, "red star")],
}


@pytest.mark.parametrize("case", HOSTILE_ROWS)
def test_a_hostile_row_is_a_line(make_swat, tmp_path: Path, case: str) -> None:
    name = "shapes_mined_captions-LAION400M.pkl"
    folder, choices = published(tmp_path / "r", make_swat, name, {"0": HOSTILE_ROWS[case]})
    with pytest.raises(InputError, match=r"isn't \(\[synonym,\] shard, rowid, caption") as raised:
        import_swat(folder, tmp_path / "w", choices)
    assert len(str(raised.value)) < len(str(folder)) + 300


def test_half_a_surrogate_pair_becomes_a_question_mark(make_swat, tmp_path: Path) -> None:
    name = "shapes_mined_captions-LAION400M.pkl"
    rows = [("red star", 3, 7, "red star \ud800", "http://127.0.0.1:9/\udfff")]
    folder, choices = published(tmp_path / "r", make_swat, name, {"0": rows})
    import_swat(folder, tmp_path / "w", choices)
    (row,) = rows_of(Workspace.open(tmp_path / "w"))
    assert (row["caption"], row["url"]) == ("red star ?", "http://127.0.0.1:9/?")


@pytest.mark.parametrize("key", [10**30, "9" * 5000, -1, True])
def test_a_class_number_that_is_none(make_swat, tmp_path: Path, key: object) -> None:
    name = "shapes_mined_captions-LAION400M.pkl"
    folder, choices = published(tmp_path / "r", make_swat, name, {key: ROWS["0"]})
    with pytest.raises(InputError, match="isn't a class number"):
        import_swat(folder, tmp_path / "w", choices)


def test_what_is_left_out_is_said(make_swat, tmp_path: Path, caplog) -> None:
    swat = make_swat(features=False)
    (swat.root / "shapes_metadata-random-0.0-LAION400M.meta").unlink()
    with caplog.at_level("WARNING", logger="captrawl.swat"):
        counts = import_swat(swat.root, tmp_path / "w")
    assert (counts["without_url"], counts["images"]) == (9, 0)
    assert "whose they are stands in shapes_metadata-random-0.0-LAION400M.meta" in caplog.text


def test_a_relative_model_starts_from_here(make_swat, tmp_path: Path, monkeypatch) -> None:
    swat = make_swat(features=False)
    monkeypatch.chdir(tmp_path)
    import_swat(swat.root, tmp_path / "w", SwatChoices(model="local-dir:weights"))
    model = Workspace.open(tmp_path / "w").settings().model
    assert (model.name, model.pretrained) == (f"local-dir:{tmp_path}/weights", "")


def test_the_url_parquet_alone(make_swat, tmp_path: Path) -> None:
    swat = make_swat(features=False)
    path = swat.root / "shapes-urls-random-0.0-LAION400M.parquet"
    metrics = swat.root / "shapes_metrics-LAION400M.json"
    assert import_swat(path, tmp_path / "w", SwatChoices(classes=metrics))["matches"] == 9
    rows = rows_of(Workspace.open(tmp_path / "w"))
    assert [(r["class_id"], r["url"]) for r in rows[4:6]] == [
        (0, "http://127.0.0.1:9/0-4.jpg"),
        (1, "http://127.0.0.1:9/1-0.jpg"),
    ]


def test_a_preset_gives_the_classes_and_the_templates(make_swat, tmp_path: Path) -> None:
    swat = make_swat("dtd", features=False)
    (swat.root / "dtd_metrics-LAION400M.json").unlink()
    import_swat(swat.root, tmp_path / "w")
    workspace = Workspace.open(tmp_path / "w")
    settings = workspace.settings()
    assert (settings.task.dataset, settings.match.sample) == ("dtd", 2000)
    assert [entry.name for entry in load_classes(workspace.classes_path())][:2] == ["banded", "blotchy"]


def test_the_synonym_is_swats_where_no_phrase_stands(make_swat, tmp_path: Path) -> None:
    swat = make_swat(features=False)
    name = "shapes_mined_captions-LAION400M.pkl"
    matched = {("crimson star", 3, 8, "étoile rouge"), ("red star", 3, 7, "red star")}
    (swat.root / name).write_bytes(pickle.dumps({"0": matched}))
    metrics = swat.root / "shapes_metrics-LAION400M.json"
    import_swat(swat.root / name, tmp_path / "w", SwatChoices(classes=metrics))
    rows = rows_of(Workspace.open(tmp_path / "w"))
    assert [(r["synonym"], r["file"], r["row"]) for r in rows] == [
        ("red star", "swat/part3", 7),
        ("crimson star", "swat/part3", 8),
    ]


@pytest.mark.parametrize(("old", "name"), [("oxfordpets", "oxford_pets"), ("stanfordcars", "stanford_cars")])
def test_old_names_of_data_sets(make_swat, tmp_path: Path, old: str, name: str) -> None:
    swat = make_swat(old, features=False)
    (swat.root / f"{old}_metrics-LAION400M.json").unlink()
    import_swat(swat.root, tmp_path / "w")
    assert Workspace.open(tmp_path / "w").settings().task.dataset == name


def hostile(swat) -> None:
    class Evil:
        def __reduce__(self):
            return print, ("ran",)

    path = swat.root / "shapes_metadata-random-0.0-LAION400M.meta"
    path.write_bytes(pickle.dumps({"0": [Evil()]}))


def rewrite(name: str, value: object):
    def change(swat) -> None:
        (swat.root / name).write_bytes(pickle.dumps(value))

    return change


META = "shapes_metadata-random-0.0-LAION400M.meta"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (hostile, r"\.meta names builtins\.print|\.meta names __builtin__\.print"),
        (rewrite(META, [1]), "contains a list, not a dict of classes"),
        (rewrite(META, {"x": []}), "'x' isn't a class number"),
        (rewrite(META, {"0": [(1, 2)]}), r"\(1, 2\) isn't \(\[synonym,\] shard, rowid, caption"),
        (rewrite(META, {"0": 7}), "class '0' doesn't contain a list or set of tuples"),
        (rewrite(META, {"9": [("p", 1, "c", "u", None)]}), "rows of class 9, which the class list"),
        (rewrite("shapes_metadata-random-0.0-LAION400M.map", {"0": 3}), "isn't a dict of classes to dicts"),
        (lambda swat: (swat.root / META).write_bytes(b"\x80"), "cut off, or no pickle"),
        (rewrite("birds_mined_captions-LAION400M.pkl", {}), r"files of 2 data sets \(birds, shapes\)"),
        (rewrite("shapes_metadata-all-0.0-LAION400M.meta", {}), "2 samplings .*choose with --sampling"),
    ],
)
def test_what_isnt_swats_is_named_and_nothing_is_left(make_swat, tmp_path: Path, change, said: str) -> None:
    swat = make_swat(features=False)
    change(swat)
    with pytest.raises(InputError, match=said):
        import_swat(swat.root, tmp_path / "w")
    assert not (tmp_path / "w").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["retrieved"]


def test_other_mistakes(make_swat, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        import_swat(tmp_path / "gone", tmp_path / "w")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="contains none of SWAT's files"):
        import_swat(empty, tmp_path / "w")
    swat = make_swat(features=False)
    full = tmp_path / "full"
    full.mkdir()
    (full / "x").write_text("mine")
    with pytest.raises(WorkspaceError, match="isn't empty; import into a new folder"):
        import_swat(swat.root, full)
    (swat.root / "shapes_metrics-LAION400M.json").unlink()
    with pytest.raises(InputError, match="contains no metrics JSON and 'shapes' is no data set"):
        import_swat(swat.root, tmp_path / "w")


@pytest.mark.parametrize("seed", range(3))
def test_mutated_images_are_imported_and_not_embedded(make_swat, tmp_path: Path, seed: int) -> None:
    """Each for itself: a damaged file has a reason, or fails in the embeddings; the others come in."""
    swat = make_swat(features=False)
    chooser = np.random.default_rng(seed)
    folder = swat.root / "shapes_retrieved_LAION400M-all_synonyms-random"
    for (key, n), kind in zip(swat.arrived, ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF"), strict=False):
        out = io.BytesIO()
        Image.linear_gradient("L").convert("RGB").resize((64 + n, 64)).save(out, kind)
        body = bytearray(out.getvalue())
        for at in chooser.integers(2, len(body), 8):
            body[at] = int(chooser.integers(256))
        (folder / key / f"{n}.jpg").write_bytes(body)
    import_swat(swat.root, tmp_path / "w", SwatChoices(model=swat.model))
    workspace = Workspace.open(tmp_path / "w")
    states = Counter(row["state"] for row in pq.read_table(workspace.images_path).to_pylist())
    assert states["packed"] + states["dropped"] == 7
    counts = embed(workspace)
    assert counts["rows"] >= 1
    assert counts["failed"] + counts["images"] == states["packed"]

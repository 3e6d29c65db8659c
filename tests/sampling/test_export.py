"""Exports read back by the libraries they are for; names never leave the folder."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from captrawl.classes.files import load_classes
from captrawl.cli import app
from captrawl.core.errors import InputError, MissingExtraError, WorkspaceError
from captrawl.core.files import new_folder, vacant
from captrawl.indexer.download.session import DOWNLOAD
from captrawl.sampling.evaluate import evaluate
from captrawl.sampling.export.formats import FORMATS, export, read_export
from captrawl.sampling.files import read_sample
from captrawl.sampling.report.stage import report
from captrawl.sampling.sample import draw
from captrawl.sampling.shots import picture_key, read_labelled
from captrawl.sampling.task import paths_of
from captrawl.sampling.vector_cache import save
from captrawl.search.vectors.models import model_of
from captrawl.search.vectors.store import Embeddings
from captrawl.workspace.settings import SampleSettings
from captrawl.workspace.workspace import Workspace
from PIL import Image
from typer.testing import CliRunner

E = np.eye(3, dtype=np.float32)
WEIGHTS = "made up"  # conftest's
NAMES = ["../../evil/..", 'café & "bar" (2).', "😀"]


@pytest.fixture
def drawn(make_workspace, make_row):
    """Three classes with hostile names; image 5 is in two of them, 9 was never fetched."""
    rows = [make_row(c, uid) for c, uids in enumerate(((1, 2, 5), (5, 7, 9), ())) for uid in uids]
    rows[0].update(caption=None, licence="?")
    rows[1].update(licence="https://creativecommons.org/licenses/by/2.0/", caption="two, words\nand a line")
    rows[5].update(nsfw="UNLIKELY")
    vectors = {uid: (E[uid % 2], (E[0] + E[1]) / np.float32(np.sqrt(2))) for uid in (1, 2, 5, 7)}
    made = make_workspace(
        rows, vectors, prompts=E, names=NAMES, pictures=True, unusable={"http://127.0.0.1/9.jpg": "http_404"}
    )
    draw(made.workspace, SampleSettings(n=2))
    return made.workspace


def kept(workspace) -> list[dict]:
    return read_sample(paths_of(workspace, "T2T500"), kept=True).to_pylist()


def test_imagefolder_reads_back_as_torchvision_reads_it(drawn, tmp_path) -> None:
    from torchvision.datasets import ImageFolder

    assert export(drawn, "T2T500", "imagefolder", tmp_path / "out") == {"images": 4}
    folder = ImageFolder(str(tmp_path / "out"), allow_empty=True)
    entries = json.loads((tmp_path / "out/classes.json").read_text())
    ids = {entry["folder"]: entry["id"] for entry in entries}
    assert [entry["name"] for entry in entries] == NAMES
    got = [(ids[folder.classes[label]], Path(path).read_bytes()) for path, label in folder.samples]
    assert got == [(row["class_id"], (drawn.root / row["path"]).read_bytes()) for row in kept(drawn)]
    with pytest.raises(FileNotFoundError, match="Found no valid file for the classes 2_"):
        ImageFolder(str(tmp_path / "out"))


def test_a_class_without_images_leaves_the_labels_of_the_others(make_workspace, make_row, tmp_path) -> None:
    """Every URL of pear is dead: plum was label 1 for whoever trains from the folder."""
    from torchvision.datasets import ImageFolder

    rows = [make_row(c, 10 * c + i) for c in range(3) for i in range(2)]
    vectors = {row["uid"]: (E[row["class_id"]],) * 2 for row in rows}
    made = make_workspace(
        rows,
        vectors,
        prompts=E,
        names=["apple", "pear", "plum"],
        pictures=True,
        unusable={row["url"]: "http_404" for row in rows if row["class_id"] == 1},
    )
    draw(made.workspace, SampleSettings())
    command = ["-C", str(made.workspace.root), "export", "--to", "imagefolder", str(tmp_path / "out")]
    said = CliRunner().invoke(app, command).stdout
    assert "no image of pear (1): the folder is there" in said
    assert said.endswith(f"{tmp_path / 'out'}: images 4, finished\n")
    folder = ImageFolder(str(tmp_path / "out"), allow_empty=True)
    assert folder.class_to_idx == {"0_apple": 0, "1_pear": 1, "2_plum": 2}
    assert [label for _, label in folder.samples] == [0, 0, 2, 2]


def test_class_ids_with_gaps_are_told(drawn, tmp_path) -> None:
    entries = json.loads(drawn.classes_path().read_text())
    entries["classes"].append({"id": 12, "name": "late", "synonyms": [{"text": "late"}]})
    drawn.classes_path().write_text(json.dumps(entries))
    export(drawn, "T2T500", "imagefolder", tmp_path / "out")
    told = read_export(tmp_path / "out")
    assert told
    assert told["notes"][1] == "class ids have gaps, labels by folder don't (12 is 3): see classes.json"
    export(drawn, "T2T500", "huggingface", tmp_path / "other")  # its metadata has the ids
    assert read_export(tmp_path / "other")["notes"] == []


@pytest.mark.parametrize("to", ["imagefolder", "huggingface", "swat"])
def test_an_edit_in_place_of_an_exported_picture_leaves_the_workspace_as_it_is(drawn, tmp_path, to) -> None:
    before = {path: path.read_bytes() for path in (drawn.root / "images").rglob("*.jpg")}
    export(drawn, "T2T500", to, tmp_path / "out")
    pictures = list((tmp_path / "out").rglob("*.jpg"))
    assert len(pictures) >= 4
    for path in pictures:
        if os.access(path, os.W_OK):
            path.write_bytes(b"edited")
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user, which only root can")
def test_links_are_read_only_for_a_user_whom_that_stops(tmp_path) -> None:
    folder = Path(tempfile.mkdtemp(prefix="captrawl-links-"))
    folder.chmod(0o777)
    code = (
        "import os, sys\nfrom pathlib import Path\n"
        "from captrawl.sampling.export.image_files import place\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "source, target = Path('a.jpg'), Path('out/b.jpg')\n"
        "source.write_bytes(b'picture')\nplace(source, target)\n"
        "assert target.read_bytes() == b'picture'\n"
        "if target.stat().st_ino == source.stat().st_ino:\n"
        "    assert not os.access(target, os.W_OK) and not os.access(source, os.W_OK)\n"
        "else:\n"
        "    target.write_bytes(b'edited')\n"
        "    assert source.read_bytes() == b'picture'\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    shutil.rmtree(folder)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("to", "below"), [("imagefolder", "."), ("huggingface", "train")])
def test_class_folders_read_back_as_labelled_images(drawn, tmp_path, to: str, below: str) -> None:
    export(drawn, "T2T500", to, tmp_path / "out")
    found = read_labelled(tmp_path / "out" / below, Path(), load_classes(drawn.classes_path()))
    read = [(label, path.read_bytes()) for path, label in zip(found.paths, found.labels, strict=True)]
    assert read == [(row["class_id"], (drawn.root / row["path"]).read_bytes()) for row in kept(drawn)]


def test_what_is_exported_can_be_evaluated_on(drawn, tmp_path) -> None:
    """The exported pictures' vectors are put where the model's would be kept: their class's prompt."""
    export(drawn, "T2T500", "imagefolder", tmp_path / "out")
    files = [drawn.root / row["path"] for row in kept(drawn)]
    hashes = [picture_key(file) for file in files]
    vectors = np.array([E[row["class_id"]] for row in kept(drawn)])
    save(drawn.vectors_folder(model_of(drawn).slug) / "labelled.npz", hashes, vectors, WEIGHTS)
    result = evaluate(drawn, tmp_path / "out", tmp_path / "out", samples=["T2T500"])
    assert [row["class_id"] for row in kept(drawn)] == [0, 0, 1, 1]
    assert result.labelled == 4
    assert (result.lines[0].name, result.lines[0].accuracy) == ("zero-shot", 1.0)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::FutureWarning")
def test_webdataset_reads_back_as_webdataset_reads_it(drawn, tmp_path) -> None:
    import webdataset

    assert export(drawn, "T2T500", "webdataset", tmp_path / "out") == {"images": 4, "shards": 1}
    shards = str(tmp_path / "out/000000.tar")
    rows = list(webdataset.WebDataset(shards, shardshuffle=False, empty_check=False).decode("pil"))
    got = sorted(
        (row["cls"], row["json"]["rank"], row["json"]["uid"], row["txt"], row["jpg"].size) for row in rows
    )
    assert got == sorted(
        (row["class_id"], row["rank"], str(row["uid"]), row["caption"] or "", (96, 96)) for row in kept(drawn)
    )
    export(drawn, "T2T500", "webdataset", tmp_path / "again")
    assert (tmp_path / "again/000000.tar").read_bytes() == (tmp_path / "out/000000.tar").read_bytes()


def test_hugging_face_imagefolder_has_a_line_for_each_image(drawn, tmp_path) -> None:
    export(drawn, "T2T500", "huggingface", tmp_path / "out")
    lines = [json.loads(line) for line in (tmp_path / "out/train/metadata.jsonl").read_text().splitlines()]
    assert [(line["class"], line["class_id"], line["uid"], line["T2T"]) for line in lines] == [
        (NAMES[row["class_id"]], row["class_id"], str(row["uid"]), row["T2T"]) for row in kept(drawn)
    ]
    files = {
        path.relative_to(tmp_path / "out/train").as_posix()
        for path in (tmp_path / "out/train").rglob("*.jpg")
    }
    assert {line["file_name"] for line in lines} == files
    for file in files:
        Image.open(tmp_path / "out/train" / file).verify()


@pytest.mark.filterwarnings("ignore")
def test_urls_carry_licences_and_croissant_validates(drawn, tmp_path) -> None:
    import mlcroissant

    counts = export(drawn, "T2T500", "urls", tmp_path / "out")
    assert counts == {"urls": 4, "with_licence": 1, "without_licence": 3}
    rows = pq.read_table(tmp_path / "out/images.parquet").to_pylist()
    assert [(row["url"], row["class"], row["uid"]) for row in rows] == [
        (row["url"], NAMES[row["class_id"]], str(row["uid"])) for row in kept(drawn)
    ]
    assert {row["url"]: row["licence"] for row in rows if row["licence"]} == {
        "http://127.0.0.1/2.jpg": "https://creativecommons.org/licenses/by/2.0/"
    }
    assert not list((tmp_path / "out").rglob("*.jpg"))
    dataset = mlcroissant.Dataset(jsonld=tmp_path / "out/croissant.json")
    assert not dataset.metadata.ctx.issues.errors
    assert not dataset.metadata.ctx.issues.warnings
    records = list(dataset.records("images"))
    assert [record["images/class_id"] for record in records] == [row["class_id"] for row in kept(drawn)]
    assert [record["images/url"].decode() for record in records] == [row["url"] for row in kept(drawn)]


def test_swat_reads_its_own_files(drawn, tmp_path) -> None:
    out = tmp_path / "out"
    assert export(drawn, "T2T500", "swat", out) == {"images": 5, "listed": 4}
    home = out / "birds"
    images = home / "birds_retrieved_LAION400M-all_synonyms-random"
    assert sorted(path.relative_to(images).as_posix() for path in images.rglob("*.jpg")) == [
        "0/0.jpg", "0/1.jpg", "0/2.jpg", "1/0.jpg", "1/1.jpg",
    ]  # fmt: skip
    meta = pickle.loads((home / "birds_metadata-random-0.0-LAION400M.meta").read_bytes())
    urls = pq.read_table(home / "birds-urls-random-0.0-LAION400M.parquet").to_pylist()
    assert [(c, entry[4]) for c, entries in meta.items() for entry in entries] == [
        (row["class"], row["url"]) for row in urls
    ]
    mined = pickle.loads((home / "birds_mined_captions-LAION400M.pkl").read_bytes())
    assert mined["0"][1] == meta["0"][1][:4]
    synonym, shard, row, caption = mined["0"][1]
    assert (synonym, isinstance(shard, str), row, caption) == ("class0", True, 2, "two, words\nand a line")
    # SWAT's process_meta_map: the last element is the image's number, the caption the fourth from the end
    built = {c: {str(e[-1]): e[-4] for e in entries if isinstance(e[-1], int) and isinstance(e[-4], str)}
             for c, entries in meta.items()}  # fmt: skip
    captions = pickle.loads((home / "birds_metadata-random-0.0-LAION400M.map").read_bytes())
    assert captions == {"0": {"0": "N.A.", "1": "two, words\nand a line", "2": "caption 5"},
                        "1": {"0": "caption 5", "1": "caption 7"}, "2": {}}  # fmt: skip
    assert built == captions
    assert json.loads((home / "birds_class_frequency-LAION400M.json").read_text()) == {
        str(c): {"name": NAMES[c], "actual_freq": n} for c, n in enumerate((3, 3, 0))
    }
    counts = (home / "birds_downloaded_ct-LAION400M-all_synonyms-random.json").read_text()
    assert json.loads(counts) == {"0": 3, "1": 2, "2": 0}
    listing = (out / "data/birds/T2T500.txt").read_text()
    model = "vitb32_openclip_laion400m"
    output = out / f"output/birds_{model}_T2T500"
    assert (output / "T2T500.txt").read_text() == listing
    for line, row in zip(listing.splitlines(), kept(drawn), strict=True):
        path, label, flag = line.split(" ")
        assert (int(label), flag) == (row["class_id"], "0")
        assert Path(path).read_bytes() == (drawn.root / row["path"]).read_bytes()
        assert path.startswith(f"{images}/{label}/")
    sampled = (output / "T2T500_sampled_list.txt").read_text().splitlines()
    assert [line.split(", ")[1].rsplit("/", 2)[-2:] for line in sampled] == [
        line.split(" ")[0].rsplit("/", 2)[-2:] for line in listing.splitlines()
    ]


def test_swat_lists_name_the_classs_own_copy_of_a_shared_image(make_workspace, make_row, tmp_path) -> None:
    same = "http://127.0.0.1/same.jpg"
    rows = [make_row(c, uid, url=url) for c, uid, url in (
        (0, 1, same), (0, 2, "http://127.0.0.1/2.jpg"), (1, 1, same), (1, 3, "http://127.0.0.1/3.jpg"),
    )]  # fmt: skip
    for row in rows:
        row["caption"] = f"of {row['uid']}, {tmp_path}/birds/images/00000/000000000.jpg, twice"
    vectors = {uid: (E[0], E[0] if uid == 1 else E[1]) for uid in (1, 2, 3)}
    made = make_workspace(rows, vectors, prompts=np.stack([E[0], -E[0]]), pictures=True)
    draw(made.workspace, SampleSettings(method="T2I-rank"))
    export(made.workspace, "T2T500", "swat", tmp_path / "out")
    folder = tmp_path / "out/birds/birds_retrieved_LAION400M-all_synonyms-random"
    output = tmp_path / "out/output/birds_vitb32_openclip_laion400m_T2T500"
    said = {row["uid"]: row["caption"] for row in rows}
    assert (output / "T2T500_sampled_list.txt").read_text().splitlines() == [
        f"1.0/0.0, {folder}/0/0.jpg, {said[1]}", f"1.0/0.0, {folder}/0/1.jpg, {said[2]}",
    ]  # fmt: skip
    assert (output / "T2T500_filtered_list.txt").read_text().splitlines() == [
        f"-1.0/0.0, {folder}/1/0.jpg, {said[1]}", f"-1.0/0.0, {folder}/1/1.jpg, {said[3]}",
    ]  # fmt: skip


def test_swat_lists_of_a_workspace_that_moved_name_the_exported_images(drawn, tmp_path) -> None:
    draw(drawn, SampleSettings(name="near", rank="T2I", keep=["T2I>=0.5"]))
    export(drawn, "near", "swat", tmp_path / "here/out")
    (tmp_path / "moved").mkdir()
    drawn.root.rename(tmp_path / "moved/birds")
    export(Workspace(tmp_path / "moved/birds"), "near", "swat", tmp_path / "there/out")
    for name in ("sampled", "filtered"):
        file = f"out/output/birds_vitb32_openclip_laion400m_near/near_{name}_list.txt"
        here = (tmp_path / "here" / file).read_text()
        assert here.count(f"{tmp_path}/here/out/birds/") == here.count("\n") + 1
        assert (
            here.replace(f"{tmp_path}/here", f"{tmp_path}/there") == (tmp_path / "there" / file).read_text()
        )


def test_swat_says_which_image_of_a_sample_is_in_no_pool_any_more(drawn, tmp_path) -> None:
    matches = pq.read_table(drawn.matches_path)
    pq.write_table(matches.slice(1), drawn.matches_path)
    with pytest.raises(WorkspaceError, match=r"of class 0, which isn't among .*captrawl run"):
        export(drawn, "T2T500", "swat", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("task", "name"),
    [
        ({"name": "../../evil"}, "______evil"),
        ({"name": "two words"}, "two_words"),
        ({"dataset": "OWN"}, "my_birds"),
    ],
)
def test_no_name_of_a_task_leads_out_of_swats_folder(make_workspace, make_row, tmp_path, task, name) -> None:
    own = tmp_path / "own/my birds.toml"
    own.parent.mkdir()
    own.write_text('[classes]\nnames = ["wren"]\n')
    task = {key: str(own) if value == "OWN" else value for key, value in task.items()}
    made = make_workspace(
        [make_row(0, 1)], {1: (E[0], E[0])}, prompts=E[:1], settings={"task": task}, pictures=True
    )
    draw(made.workspace, SampleSettings())
    export(made.workspace, "T2T500", "swat", tmp_path / "deep/down/out")
    out = tmp_path / "deep/down/out"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["birds", "deep", "own"]
    assert sorted(path.name for path in out.iterdir()) == sorted([name, "data", "export.json", "output"])
    line = (out / f"data/{name}/T2T500.txt").read_text()
    assert line == f"{out}/{name}/{name}_retrieved_LAION400M-all_synonyms-random/0/0.jpg 0 0\n"
    assert Path(line.split()[0]).is_file()


def test_swat_features_are_aligned(drawn, tmp_path) -> None:
    """Defect 2 of the origin: features and paths were joined by place in two listings."""
    import torch

    export(drawn, "T2T500", "swat", tmp_path / "out")
    stored = torch.load(tmp_path / "out/birds/birds_vitb32_openclip_laion400m_mined.pth", weights_only=True)
    embeddings = Embeddings.open(drawn.embeddings_folder(model_of(drawn).slug))
    by_picture = {
        (drawn.root / row["image_path"]).read_bytes(): embeddings.images.take(np.array([at]))[0]
        for at, row in enumerate(embeddings.metadata.to_pylist())
    }
    assert stored["labels"].tolist() == [0, 0, 0, 1, 1]
    for path, vector in zip(stored["filepath"], stored["image_features"].numpy(), strict=True):
        assert (by_picture[Path(path).read_bytes()] == vector).all()


@pytest.mark.parametrize("to", sorted(FORMATS))
def test_names_never_escape_and_a_full_folder_is_refused(drawn, tmp_path, to) -> None:
    inside = tmp_path / "deep/down/out"
    counts = export(drawn, "T2T500", to, inside)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["birds", "deep"]
    assert [path.name for path in (tmp_path / "deep/down").iterdir()] == ["out"]
    before = {path: path.stat().st_mtime_ns for path in sorted(inside.rglob("*"))}
    assert export(drawn, "T2T500", to, inside) == counts  # the same export is finished already
    draw(drawn, SampleSettings(n=1))
    with pytest.raises(InputError, match=rf"out isn't empty: it has sample T2T500 as {to}"):
        export(drawn, "T2T500", to, inside)
    (inside / "export.json").unlink()
    with pytest.raises(InputError, match=r"out isn't empty;"):
        export(drawn, "T2T500", to, inside)
    before.pop(inside / "export.json")
    assert {path: path.stat().st_mtime_ns for path in sorted(inside.rglob("*"))} == before


@pytest.mark.parametrize("there", [False, True])
def test_what_a_killed_export_left_is_swept_by_the_next(drawn, tmp_path, there: bool) -> None:
    target = tmp_path / "out"
    if there:
        target.mkdir()
    code = (
        "import os, signal\nfrom pathlib import Path\nfrom captrawl.core.files import new_folder\n"
        f"with new_folder(Path({str(target)!r})) as folder:\n"
        "    (folder / '0_a').mkdir()\n    (folder / '0_a/1.jpg').write_bytes(b'half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    left = list((target if there else tmp_path).glob(".out.*.tmp"))
    assert len(left) == 1
    assert export(drawn, "T2T500", "imagefolder", target) == {"images": 4}
    assert not [*tmp_path.glob(".*"), *target.rglob(".*")]
    assert not list(target.rglob("1.jpg"))


def test_an_export_killed_when_it_was_whole_is_finished_by_the_next(drawn, tmp_path) -> None:
    target = tmp_path / "out"
    counts = export(drawn, "T2T500", "imagefolder", tmp_path / "whole")
    target.mkdir()
    rest = target / ".out.999999999.whole"  # as a kill between two renames leaves it
    (tmp_path / "whole").rename(rest)
    first = sorted(rest.iterdir())[0]
    first.rename(target / first.name)
    assert export(drawn, "T2T500", "imagefolder", target) == counts
    assert not list(target.glob(".*"))
    assert len(list(target.rglob("*.jpg"))) == 4


def test_a_folder_that_a_running_export_makes_is_left_alone(tmp_path) -> None:
    with new_folder(tmp_path / "out") as folder:
        (folder / "a").write_text("a")
        assert vacant(tmp_path / "out")
        assert (folder / "a").exists()
    assert (tmp_path / "out/a").read_text() == "a"
    assert not vacant(tmp_path / "out")


@pytest.mark.parametrize("to", sorted(FORMATS))
def test_an_empty_folder_stays_the_folder_it_is(drawn, tmp_path, to) -> None:
    """It may be a shell's own folder, a mounted disk, or behind a link."""
    own = tmp_path / "own"
    own.mkdir()
    (tmp_path / "link").symlink_to(own)
    before = own.stat().st_ino
    export(drawn, "T2T500", to, tmp_path / "link")
    assert own.stat().st_ino == before
    export(drawn, "T2T500", to, tmp_path / "new")
    assert sorted(path.name for path in own.iterdir()) == sorted(p.name for p in (tmp_path / "new").iterdir())
    assert (tmp_path / "link").is_symlink()


def test_swat_needs_torch_and_says_so_before_it_writes(drawn, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'captrawl\[cpu\]'"):
        export(drawn, "T2T500", "swat", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_clear_errors(drawn, tmp_path) -> None:
    with pytest.raises(InputError, match=r"no export format 'zip'; choose one of swat, imagefolder"):
        export(drawn, "T2T500", "zip", tmp_path / "out")
    with pytest.raises(WorkspaceError, match=r"no sample 'other'.*captrawl sample --name other"):
        export(drawn, "other", "urls", tmp_path / "out")
    with pytest.raises(InputError, match="contains a space"):
        export(drawn, "T2T500", "swat", tmp_path / "my out")
    (drawn.root / kept(drawn)[0]["path"]).unlink()
    for to in ("imagefolder", "swat"):
        with pytest.raises(WorkspaceError, match="is gone"):
            export(drawn, "T2T500", to, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["birds"]


@pytest.mark.parametrize("to", ["imagefolder", "swat"])
def test_an_image_that_was_edited_is_no_export(drawn, tmp_path, to) -> None:
    """The SWAT export, which takes the whole pool, once passed edited bytes on."""
    DOWNLOAD.record(drawn, {}, {})
    edited = drawn.root / kept(drawn)[0]["path"]
    edited.write_bytes(edited.read_bytes() + b"edited")
    with pytest.raises(WorkspaceError, match="isn't what was packed"):
        export(drawn, "T2T500", to, tmp_path / "out")


@pytest.mark.parametrize("use", [lambda w: export(w, "T2T500", "imagefolder", w.root / "out"), report])
def test_a_damaged_table_of_a_sample_is_named(drawn, use) -> None:
    paths_of(drawn, "T2T500").table.write_bytes(b"PAR1 and nothing else")
    with pytest.raises(WorkspaceError, match=r"T2T500\.parquet can't be read .* --name T2T500"):
        use(drawn)


def test_csv_reads_back_as_open_clip_reads_it(drawn, tmp_path) -> None:
    from open_clip_train.data import CsvDataset

    assert export(drawn, "T2T500", "csv", tmp_path / "out") == {"images": 4}
    table = CsvDataset(
        str(tmp_path / "out/train.csv"),
        lambda picture: picture.convert("RGB"),
        "filepath",
        "title",
        tokenizer=lambda t: t,
    )
    rows = kept(drawn)
    captions = [row["caption"] or NAMES[row["class_id"]] for row in rows]
    assert "two, words\nand a line" in captions
    assert [table[at][1] for at in range(len(table))] == [" ".join(text.split()) for text in captions]
    assert [Path(path).read_bytes() for path in table.images] == [
        (drawn.root / row["path"]).read_bytes() for row in rows
    ]
    assert all(Path(path).is_relative_to(tmp_path / "out/images") for path in table.images)


def test_fiftyone_has_the_pools_with_reasons(drawn, tmp_path) -> None:
    """What FiftyOne's importer looks at: no version in metadata.json, paths below the folder, _cls."""
    out = tmp_path / "out"
    assert export(drawn, "T2T500", "fiftyone", out) == {"images": 5, "kept": 4, "dropped": 1}
    metadata = json.loads((out / "metadata.json").read_text())
    assert "version" not in metadata
    assert metadata["info"]["classes"] == NAMES
    samples = json.loads((out / "samples.json").read_text())["samples"]
    rows = [row for row in read_sample(paths_of(drawn, "T2T500")).to_pylist() if row["path"]]
    assert [sample["uid"] for sample in samples] == [str(row["uid"]) for row in rows]
    for sample, row in zip(samples, rows, strict=True):
        assert (out / sample["filepath"]).read_bytes() == (drawn.root / row["path"]).read_bytes()
        assert sample["ground_truth"]["_cls"] == "Classification"
        assert sample["ground_truth"]["label"] == NAMES[row["class_id"]]
        assert (sample["T2T"], sample["caption"]) == (row["T2T"], row["caption"])
        assert sample["tags"] == (["kept"] if row["kept"] else ["dropped"])
        assert sample["reason"] == (row["reason"] or None)
    assert len({sample["filepath"] for sample in samples}) == 5
    assert {sample["reason"] for sample in samples if sample["tags"] == ["dropped"]} == {"beyond_n"}

"""captrawl purge: nothing of a row is left anywhere, however it was named and whenever it is killed."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from captrawl.core.errors import CaptionIndexError, InputError, WorkspaceError
from captrawl.indexer.download.session import blocklist_of
from captrawl.indexer.match_stage import match
from captrawl.purge import run
from captrawl.purge.run import preview, purge
from captrawl.purge.steps import STEPS, picture_hashes
from captrawl.purge.targets import Doomed, PurgeRequest
from captrawl.sampling.copies.stored import PictureHashes, hashes_folder
from captrawl.sampling.marks import Mark, Marks
from captrawl.search.captions import open_captions
from captrawl.search.query import CaptionQuery
from captrawl.search.vectors.store import Embeddings
from captrawl.workspace import pipeline
from captrawl.workspace.workspace import Workspace
from PIL import Image

NAMES = ("url", "uid", "md5", "sha256")


def of(kind: str, value: object) -> PurgeRequest:
    return PurgeRequest({kind: [str(value)]})


def urls_of(root: Path) -> set[str]:
    return set(pq.read_table(root / "matches.parquet")["url"].to_pylist())


def test_nothing_of_a_row_is_left_in_any_artefact(tmp_path: Path, tools: Any) -> None:
    place = tools.finished(tmp_path, exported=tools.EXPORTS)
    root, row = place.root, place.row
    before = tools.left_over(tmp_path, row)
    for name in (
        "birds/matches.parquet", "birds/images.parquet", "birds/urls.parquet", "birds/images/ledger.sqlite",
        "birds/samples/T2T500.parquet", "birds/marks.json", "birds/.matches/x/0.parquet",
        f"birds/{row['path']}", f"birds/images/spool/{row['sha256']}",
        "exports/webdataset/000000.tar", "exports/urls/images.parquet",
    ):  # fmt: skip
        assert name in before, "the fixture has it everywhere"
    lists = {path.name: path.read_text() for path in (root / "samples").glob("*.txt")}
    matched = urls_of(root)
    with open_captions(tmp_path / "captions") as index:
        rows = index.rows()

    proof = purge(place.workspace, of("url", row["url"]))

    assert proof is not None
    assert proof.clean, proof.residue
    assert tools.left_over(tmp_path, row) == {}
    assert urls_of(root) == matched - {row["url"]}, "and nobody else's"
    for name, text in lists.items():
        left = (root / "samples" / name).read_text()
        assert left.split("\n") == [line for line in text.split("\n") if row["path"] not in line]
    kept = pq.read_table(root / "samples" / "T2T500.parquet", filters=[("kept", "=", True)]).to_pylist()
    for class_id in {one["class_id"] for one in kept}:
        ranks = [one["rank"] for one in kept if one["class_id"] == class_id]
        assert ranks == list(range(1, len(ranks) + 1))
    counts = json.loads((root / "samples" / "T2T500_num_imgs_sampled.json").read_text())
    assert counts == {key: sum(one["class_id"] == int(key) for one in kept) for key in counts}
    assert Marks.load(place.workspace).of(row["class_id"]) == {77: Mark.REJECTED}
    with open_captions(tmp_path / "captions") as index:
        assert index.rows() == rows - 1
        assert (
            index.first(CaptionQuery((row["synonym"],)), 99, None)["url"].to_pylist().count(row["url"]) == 0
        )
    assert pipeline.verify(place.workspace) == [], "the lock file knows the artefacts as they are now"
    document = json.loads((root / proof.path).read_text())
    assert (document["clean"], document["named"]["pictures"], document["removed"]["matches"]) == (True, 1, 1)


def test_nothing_outside_is_deleted_whatever_the_ledger_says(place: Any, tmp_path: Path) -> None:
    outside = tmp_path / "precious.jpg"
    outside.write_bytes(b"not captrawl's")
    with sqlite3.connect(place.workspace.ledger_path) as ledger:
        changed = ledger.execute(
            "update files set path = '../precious.jpg' where path = ?", [place.row["path"]]
        )
    assert changed.rowcount == 1
    with pytest.raises(WorkspaceError, match=r"outside .*purge deletes none"):
        purge(place.workspace, of("url", place.row["url"]))
    assert outside.read_bytes() == b"not captrawl's"
    assert place.row["url"] in urls_of(place.root)


def test_the_vectors_that_stay_are_those_of_their_rows(place: Any) -> None:
    [folder] = (place.root / "embeddings").iterdir()
    before = Embeddings.open(folder)
    uids, vectors = before.uids, before.images.take(np.arange(before.rows))
    purge(place.workspace, of("uid", place.row["uid"]))
    after = Embeddings.open(folder)
    stay = uids != place.row["uid"]
    assert after.uids.tolist() == uids[stay].tolist()
    assert np.array_equal(after.images.take(np.arange(after.rows)), vectors[stay])
    assert len(after.captions) == after.rows


@pytest.mark.parametrize("kind", NAMES)
def test_however_it_is_named_all_of_it_goes_and_never_comes_back(place: Any, tools: Any, kind: str) -> None:
    home, row = place.root.parent, place.row
    proof = purge(place.workspace, of(kind, row[kind]))
    assert proof is not None
    assert (proof.clean, tools.left_over(home, row)) == (True, {})
    blocklist = blocklist_of(place.workspace, place.workspace.settings().download)
    assert blocklist.blocks_url(row["url"])
    assert blocklist.blocks_uid(row["uid"])
    assert blocklist.blocks_bytes(row["sha256"])
    assert blocklist.blocks_bytes(row["md5"])
    assert not blocklist.blocks_url(next(iter(urls_of(place.root))))


def test_what_was_purged_is_not_matched_again(place: Any, tools: Any) -> None:
    """Not even where the index could not be changed, and a new match finds the row there."""
    purge(place.workspace, of("url", place.row["url"]), keep_index=True)
    matched = urls_of(place.root)
    with open_captions(place.root.parent / "captions") as index:
        assert index.count([CaptionQuery((place.row["synonym"],))]) != [0]
    match(place.workspace)
    assert urls_of(place.root) == matched
    assert tools.left_over(place.root, place.row) == {}


def test_a_host_takes_all_its_urls(place: Any) -> None:
    purge(place.workspace, of("host", "127.0.0.1"))
    assert urls_of(place.root) == set()
    [folder] = (place.root / "embeddings").iterdir()
    assert Embeddings.open(folder).rows == 0
    assert (place.root / "samples" / "T2T500.txt").read_text() == ""
    assert not list(place.root.glob("images/*/*.jpg"))


def test_with_a_picture_go_all_urls_that_gave_it(place: Any) -> None:
    from captrawl.indexer.ledger import Ledger

    other = sorted(urls_of(place.root) - {place.row["url"]})[0]
    with Ledger(place.workspace.ledger_path) as ledger, ledger.transaction() as database:
        database.execute("UPDATE urls SET sha256 = ? WHERE url = ?", (place.row["sha256"], other))
    purge(place.workspace, of("url", place.row["url"]))
    assert not {other, place.row["url"]} & urls_of(place.root)


@pytest.mark.parametrize("as_table", [False, True])
def test_only_what_is_listed_stays(place: Any, tmp_path: Path, as_table: bool) -> None:
    urls = sorted(urls_of(place.root) - {place.row["url"]})
    uids = {row["url"]: row["uid"] for row in pq.read_table(place.root / "matches.parquet").to_pylist()}
    stay = urls[::2]
    path = tmp_path / ("stay.parquet" if as_table else "stay.txt")
    if as_table:
        pq.write_table(
            pa.table({"URL": [*stay, "http://elsewhere/x.jpg"], "TEXT": ["t"] * (len(stay) + 1)}), path
        )
    else:
        path.write_text("".join(f"uid {uids[url]}\n" for url in stay))
    counts = preview(place.workspace, PurgeRequest(keep_only=path))
    assert urls_of(place.root) > set(stay), "a preview changes nothing"
    proof = purge(place.workspace, PurgeRequest(keep_only=path))
    assert proof is not None
    assert proof.named == counts
    assert proof.clean
    assert urls_of(place.root) == set(stay)


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_step_a_rerun_finishes(
    tmp_path: Path, tools: Any, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    place = tools.finished(tmp_path, exported=())

    def killed(workspace: Any, doomed: Any) -> int:
        STEPS[step](workspace, doomed)  # done, and not yet noted: the journal lags behind as far as it can
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run, "STEPS", {**STEPS, step: killed})
        with pytest.raises(KeyboardInterrupt):
            purge(place.workspace, of("url", place.row["url"]))
    proof = purge(place.workspace, None)
    assert proof is not None
    assert proof.clean
    assert tools.left_over(tmp_path, place.row) == {}
    assert purge(place.workspace, None) is None, "nothing is left to do"
    assert pipeline.verify(place.workspace) == []


def test_killed_between_two_files_of_a_shard_it_finishes(
    place: Any, tools: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from captrawl.purge import steps

    saved = steps.np.save
    calls = []

    def once(handle: Any, vectors: Any) -> None:
        if calls:
            raise KeyboardInterrupt
        calls.append(handle)
        saved(handle, vectors)

    with monkeypatch.context() as patch:
        patch.setattr(steps.np, "save", once)
        with pytest.raises(KeyboardInterrupt):
            purge(place.workspace, of("url", place.row["url"]))
    [folder] = (place.root / "embeddings").iterdir()
    with pytest.raises(WorkspaceError):
        Embeddings.open(folder)
    assert purge(place.workspace, None) is not None
    stored = Embeddings.open(folder)
    assert place.row["uid"] not in stored.uids
    assert tools.left_over(place.root, place.row) == {}


def test_what_is_left_where_captrawl_wrote_nothing_is_named(place: Any) -> None:
    (place.root / "notes.txt").write_text(f"mail about {place.row['url']}, please")
    (place.root / "mine.jpg").write_bytes(place.row["bytes"])
    proof = purge(place.workspace, of("url", place.row["url"]))
    assert proof is not None
    assert not proof.clean
    assert proof.residue == {"notes.txt": "url", "mine.jpg": "bytes"}


def test_an_index_that_is_gone_leaves_the_purge_to_be_finished(place: Any, tools: Any) -> None:
    captions = place.root.parent / "captions"
    captions.rename(captions.with_name("away"))
    with pytest.raises(CaptionIndexError):
        purge(place.workspace, of("url", place.row["url"]))
    left = tools.left_over(place.root, place.row)
    assert set(left) == {".purge.json"}
    captions.with_name("away").rename(captions)
    proof = purge(place.workspace, None)
    assert proof is not None
    assert proof.clean
    assert proof.removed["captions"] == 1


def test_a_url_that_is_not_here_is_kept_away_and_nothing_is_touched(place: Any) -> None:
    files = {path: path.read_bytes() for path in place.root.rglob("*") if path.is_file()}
    purge(place.workspace, of("url", "http://nowhere.example/private.jpg"))
    now = {path: path.read_bytes() for path in place.root.rglob("*") if path.is_file()}
    changed = {path.name for path in files if now.get(path) != files[path]}
    assert changed <= {".T2T500.parquet.99999999.tmp"}
    assert blocklist_of(place.workspace, place.workspace.settings().download).blocks_url(
        "http://nowhere.example/private.jpg"
    )
    assert b"private.jpg" not in b"".join(now.values()), "a tombstone doesn't say what it stands for"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("http://a/b.jpg\nnonsense\x00", "2: "),
        ("uid 99999999999999999999", "1: "),
        ("uid 9223372036854775808", "1: "),
        ("sha256 abc", "1: "),
        ("host ../../etc", "1: "),
        ("\u202ehost a b", "1: "),
    ],
)
def test_a_hostile_line_is_named_and_nothing_happens(
    place: Any, tmp_path: Path, line: str, message: str
) -> None:
    path = tmp_path / "list.txt"
    path.write_text(line)
    with pytest.raises(InputError, match=message):
        purge(place.workspace, PurgeRequest(lists=[path]))
    assert not (place.root / "tombstones.txt").exists()
    assert not (place.root / ".purge.json").exists()


def test_a_damaged_tombstone_is_no_silent_permission(place: Any) -> None:
    (place.root / "tombstones.txt").write_text("not a tombstone\n")
    with pytest.raises(InputError, match="damaged"):
        blocklist_of(place.workspace, place.workspace.settings().download)


def test_the_command(place: Any, captrawl: Any, tools: Any) -> None:
    said = json.loads(captrawl("purge", place.root, "--url", place.row["url"], "--json").stdout)
    assert (said["clean"], said["named"]["pictures"], said["removed"]["captions"]) == (True, 1, 1)
    assert tools.left_over(place.root, place.row) == {}
    again = captrawl("-C", place.root, "purge", "--url", "http://nowhere.example/x.jpg").stdout
    assert "nothing of it was here" in again
    wrong = captrawl("-C", place.root, "purge", "--sha256", "zz", check=False)
    assert (wrong.returncode, "--sha256" in wrong.stderr) == (1, True)


def test_the_hashes_of_a_purged_picture_go(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    pictures = [(str(number) * 64, tmp_path / f"{number}.png") for number in range(3)]
    for number, (_, path) in enumerate(pictures):
        noise = np.random.default_rng(number).integers(0, 255, (9, 9, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((90, 90)).save(path)
    PictureHashes(hashes_folder(workspace)).fill(pictures)
    before = PictureHashes(hashes_folder(workspace)).take([key for key, _ in pictures])
    assert picture_hashes(workspace, Doomed(hashes=frozenset({"1" * 64}))) == 1
    after = PictureHashes(hashes_folder(workspace)).take([key for key, _ in pictures])
    assert after.any(axis=(1, 2)).tolist() == [True, False, True]
    assert np.array_equal(after[[0, 2]], before[[0, 2]])

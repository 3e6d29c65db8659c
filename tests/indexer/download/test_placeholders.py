"""One picture under many URLs: placeholders are dropped everywhere, of copies the best-ranked stays."""

from __future__ import annotations

import io
import shutil
import sqlite3

import numpy as np
import pytest
from captrawl.core.picture_hash import SIGNATURE, grey, signature
from captrawl.indexer.download.adopt import adopt
from captrawl.indexer.download.look_alikes import name_look_alikes
from captrawl.indexer.download.placeholders import judge_pictures
from captrawl.indexer.download.session import open_session
from captrawl.indexer.download.stage import download
from captrawl.indexer.download.until import sufficiency_of
from captrawl.indexer.ledger import Ledger
from captrawl.sampling.copies.stored import PictureHashes, hashes_folder
from captrawl.workspace.settings_edits import edit_settings
from captrawl.workspace.workspace import Workspace
from PIL import Image

UNLIKE = (
    "a dog sleeps on its blanket",
    "Bernese puppies for sale near Zurich",
    "winner 2019 agility show, dog number 7",
    "how to train your hound in ten days",
    "chewed slippers and other stories",
)
APART = ("a dog sleeps", "cats of Rome")
LIKE = ("Rex, our old dog", "our old dog Rex", "our old dog Rex in May")


def state_of(counts: dict[str, int], reason: str) -> int:
    return counts.get(f"dropped:{reason}", 0)


def encoded_anew(data: bytes, *, quality: int, scale: float = 1.0) -> bytes:
    image = Image.open(io.BytesIO(data))
    small = image.resize((round(image.width * scale), round(image.height * scale)))
    out = io.BytesIO()
    small.save(out, "JPEG", quality=quality)
    return out.getvalue()


def rows_of(web, bodies, captions, *, class_ids=(0,), name=""):
    return [
        {
            "url": web.give(f"/{name}{n}.jpg", body),
            "caption": caption,
            "class_id": class_ids[n % len(class_ids)],
        }
        for n, (body, caption) in enumerate(zip(bodies, captions, strict=True))
    ]


def ends_of(tools, workspace: Workspace) -> dict[str, str]:
    """File name of the URL → "packed", or why it was dropped."""
    return {
        url.rpartition("/")[2].removesuffix(".jpg"): row["reason"] or row["state"]
        for url, row in tools.images_of(workspace).items()
    }


def test_pictures_under_many_urls(web, make_workspace, tools, caplog) -> None:
    """Groups that differ in bytes, captions and classes, in one download."""
    pictures = [tools.jpeg(n, 400, 300) for n in range(10)]
    anew = [
        encoded_anew(pictures[2], quality=q, scale=s) for q, s in ((50, 1), (75, 0.5), (60, 0.4), (85, 1.5))
    ]
    copies = [
        pictures[3],
        encoded_anew(pictures[3], quality=50),
        encoded_anew(pictures[3], quality=70, scale=0.5),
    ]
    none, needed = web.give("/none.jpg", pictures[8]), [pictures[9], encoded_anew(pictures[9], quality=50)]
    dogs_and_cats = ["a dog and a cat", "cat and dog"]
    groups = {
        "exact": rows_of(web, [pictures[1]] * 5, UNLIKE, name="exact"),
        "anew": rows_of(web, [pictures[2], *anew], UNLIKE, name="anew"),
        "copy": rows_of(web, copies, LIKE, name="copy"),
        "same": rows_of(web, [pictures[4]] * 3, LIKE, name="same"),
        "four": rows_of(web, [pictures[5]] * 4, UNLIKE[:4], name="four"),
        "two": rows_of(web, [pictures[6]] * 2, APART, class_ids=(0, 1), name="two"),
        "both": rows_of(web, [pictures[7]] * 2, dogs_and_cats, class_ids=(0, 1), name="both"),
        "none": [{"url": none, "caption": caption, "class_id": n} for n, caption in enumerate(APART)],
        "need": rows_of(web, needed, LIKE[:2], class_ids=(0, 1), name="need"),
    }  # fmt: skip
    for row, priority in zip(groups["copy"], (7, 3, 5), strict=True):
        row["priority"] = priority
    workspace = make_workspace([row for rows in groups.values() for row in rows])
    counts = download(workspace)
    ends = ends_of(tools, workspace)
    assert {ends[f"exact{n}"] for n in range(5)} == {"placeholder"}
    assert {ends[f"anew{n}"] for n in range(5)} == {"placeholder"}
    assert [ends[f"copy{n}"] for n in range(3)] == ["duplicate", "packed", "duplicate"]
    assert {ends[f"same{n}"] for n in range(3)} == {"packed"}  # one image: see below
    assert {ends[f"four{n}"] for n in range(4)} == {
        "packed"
    }  # of one class, four captions may be a famous dog's
    assert {ends[f"two{n}"] for n in range(2)} == {"placeholder"}
    assert {ends[f"both{n}"] for n in range(2)} == {"packed"}
    assert ends["none"] == "placeholder"
    assert {ends[f"need{n}"] for n in range(2)} == {"packed"}  # each is the only one of its class
    assert len(list(workspace.images_folder.glob("0*/*.jpg"))) == 1 + 1 + 1 + 1 + 2
    assert (state_of(counts, "placeholder"), state_of(counts, "duplicate")) == (13, 2)
    assert "5 URLs of 1 host gave one picture" in caplog.text
    assert UNLIKE[0] in caplog.text
    assert caplog.text.count('placeholders = "keep"') == 1, "what to do where it is wrong"
    hits = len(web.hits)
    assert download(workspace) == counts
    assert len(web.hits) == hits


def test_a_copy_is_asked_again_when_the_better_one_goes(web, make_workspace, tools) -> None:
    first = tools.jpeg(1, 400, 300)
    rows = rows_of(web, [first, encoded_anew(first, quality=50)], LIKE[:2])
    workspace = make_workspace(rows)
    assert state_of(download(workspace), "duplicate") == 1
    (workspace.root / "block.txt").write_text(rows[0]["url"] + "\n")
    edit_settings(workspace.settings_path, {"download": {"blocklist": ["block.txt"]}})
    counts = download(workspace)
    assert counts["packed"] == 1
    assert ends_of(tools, workspace) == {"0": "blocked_url", "1": "packed"}
    assert web.count("/1.jpg") == 2


def test_enough_is_filled_up_again(web, make_workspace, tools) -> None:
    """Of twelve URLs, the first five are one placeholder, in two encodings; five images are enough."""
    gone = tools.jpeg(1, 400, 300)
    again = encoded_anew(gone, quality=50)
    bodies = [gone, again, gone, again, gone, *(tools.jpeg(10 + n) for n in range(7))]
    workspace = make_workspace(rows_of(web, bodies, [*UNLIKE, *(f"dog {n}" for n in range(7))]), until=5)
    counts = download(workspace)
    done = sufficiency_of(workspace.recorded("download"))
    assert done is not None
    assert [(one.images, one.end) for one in done.classes] == [(one.images, "enough") for one in done.classes]
    assert done.classes[0].images >= 5
    assert state_of(counts, "placeholder") == 5
    assert max(web.count(f"/{n}.jpg") for n in range(12)) == 1


def test_what_a_placeholder_was_stays_one(web, make_workspace, tools) -> None:
    """A later match gives one more URL of it: dropped, however its caption reads."""
    gone = tools.jpeg(1, 400, 300)
    rows = rows_of(web, [gone] * 5, UNLIKE)
    make_workspace(rows)
    workspace = make_workspace(rows)
    download(workspace)
    late = {"url": web.give("/late.jpg", encoded_anew(gone, quality=60)), "caption": "a good dog"}
    counts = download(make_workspace([late]))
    assert counts == {"dropped": 1, "dropped:placeholder": 1}


def test_kept_where_the_settings_say_so(web, make_workspace, tools) -> None:
    rows = rows_of(web, [tools.jpeg(1)] * 5, UNLIKE)
    assert download(make_workspace(rows, placeholders="keep")) == {"packed": 5}
    assert state_of(download(make_workspace(rows)), "placeholder") == 5
    assert download(make_workspace(rows, placeholders="keep")) == {"packed": 5}


def test_killed_between_the_verdict_and_the_files(web, make_workspace, tools, monkeypatch) -> None:
    """The ledger says placeholder, the image still lies there: the next call deletes it."""
    from captrawl.indexer.download import placeholders

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    workspace = make_workspace(rows_of(web, [tools.jpeg(1)] * 5, UNLIKE))
    with monkeypatch.context() as patched:
        patched.setattr(placeholders, "unlink_orphans", killed)
        with pytest.raises(KeyboardInterrupt):
            download(workspace)
    assert len(list(workspace.images_folder.glob("0*/*.jpg"))) == 1
    assert state_of(download(workspace), "placeholder") == 5
    assert not list(workspace.images_folder.glob("0*/*.jpg"))
    assert len(web.hits) == 5


def test_a_ledger_of_an_earlier_captrawl_goes_on(web, make_workspace, tools) -> None:
    """Without signatures, images are alike where their bytes are; new ones are compared."""
    rows = rows_of(web, [tools.jpeg(1)] * 2, LIKE[:2])
    workspace = make_workspace(rows)
    download(workspace)
    with sqlite3.connect(workspace.ledger_path) as database:
        database.execute("DROP TABLE pictures")
    for n, caption in enumerate(UNLIKE):
        rows.append({"url": web.give(f"/more{n}.jpg", tools.jpeg(1)), "caption": caption})
    workspace = make_workspace(rows)
    assert state_of(download(workspace), "placeholder") == 7
    other = make_workspace(rows_of(web, [tools.jpeg(3)], ["a dog"]), name="other")
    download(other)
    with sqlite3.connect(other.ledger_path) as database:
        database.execute("DROP TABLE pictures")
    mine = make_workspace([{"url": web.url("/0.jpg")}], name="mine")
    assert adopt(mine, other.root)["packed"] == 1


def test_packing_makes_the_hashes_that_samples_use(web, make_workspace, tools) -> None:
    urls = [web.give(f"/{n}.png", tools.encoded(tools.picture(n, 300, 200, mode), "PNG"))
            for n, mode in enumerate(["RGB", "L", "RGB"])]  # fmt: skip
    workspace = make_workspace(urls)
    download(workspace)
    files = [(row["sha256"], workspace.root / row["path"]) for row in tools.images_of(workspace).values()]
    decoded = PictureHashes(workspace.root / "decoded")
    shards = list(workspace.images_folder.glob("0*/shard.parquet"))
    aside = [shutil.move(path, workspace.root / f"{n}.parquet") for n, path in enumerate(shards)]
    decoded.fill(files)
    for path, kept in zip(shards, aside, strict=True):
        shutil.move(kept, path)
    for _, path in files:
        path.unlink()  # nothing can be decoded any more
    hashes = PictureHashes(hashes_folder(workspace))
    hashes.fill(files)
    keys = [key for key, _ in files]
    bits = np.unpackbits(hashes.take(keys)[:, 0] ^ decoded.take(keys)[:, 0], axis=-1).sum(-1)
    assert bits.max() <= 12, bits  # of 255: JPEG of quality 100 stands between the two
    assert hashes.take(keys).any(axis=(1, 2)).all()


def test_alike_is_no_chain(make_workspace, web) -> None:
    """Images are compared with the first of a picture: small steps make no long way."""
    workspace = make_workspace([web.url("/x.jpg")])
    with Ledger(workspace.ledger_path) as ledger, ledger.transaction() as database:
        for step in range(4):
            value = bytes([5 * step, 200 + 5 * step]) * (SIGNATURE // 2)
            database.execute("INSERT INTO pictures (sha256, signature) VALUES (?, ?)", (f"{step}", value))
    with Ledger(workspace.ledger_path) as ledger:
        name_look_alikes(ledger)
        named = ledger.database.execute("SELECT sha256, same_as FROM pictures ORDER BY sha256").fetchall()
    assert named == [("0", "0"), ("1", "0"), ("2", "2"), ("3", "2")]


def test_textures_of_one_colour_are_unlike(make_workspace, web) -> None:
    """Grass differs little from grass when it is reduced, but by more than its own contrast."""
    workspace = make_workspace([web.url("/x.jpg")])
    with Ledger(workspace.ledger_path) as ledger, ledger.transaction() as database:
        for seed in range(20):
            rng = np.random.default_rng(seed)
            texture = rng.normal((90, 130, 60), 60, (512, 512, 3)).clip(0, 255).astype(np.uint8)
            image = Image.fromarray(texture)
            value = signature(image, grey(image))
            database.execute("INSERT INTO pictures (sha256, signature) VALUES (?, ?)", (f"{seed:02}", value))
    with Ledger(workspace.ledger_path) as ledger:
        name_look_alikes(ledger)
        named = ledger.database.execute("SELECT count(DISTINCT same_as) FROM pictures").fetchone()
    assert named == (20,)


def test_parts_leave_the_verdict_to_the_whole(web, make_workspace, tools) -> None:
    workspace = make_workspace(rows_of(web, [tools.jpeg(1)] * 5, UNLIKE), part="1/2")
    with open_session(workspace) as session:
        judge_pictures(session)
        assert session.ledger.meta("judged") == ""

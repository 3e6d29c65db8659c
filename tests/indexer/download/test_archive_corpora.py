"""Tars and tables of pictures without URLs: indexed, matched, their pictures taken."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import mmh3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from captrawl.core.errors import CorpusError
from captrawl.indexer.corpora.files import find_files, read_batches
from captrawl.indexer.sources import blobs

Member = tuple[str, bytes]


def write_tar(path: Path, members: list[Member]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def rows_of(path: Path, **options: Any) -> list[dict[str, Any]]:
    (file,) = find_files([path], **options)
    return [row for batch in read_batches(file) for row in batch.to_pylist()]


def test_a_sample_is_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    described = {"url": "http://a/1.jpg", "caption": "not this", "width": 640, "NSFW": "UNSURE"}
    path = write_tar(
        tmp_path / "pets" / "0.tar",
        [
            ("x/a.jpg", b"J" * 50_000),
            ("x/a.txt", "a dög\n".encode()),
            ("b.json", json.dumps(described).encode()),
            ("b.seg.png", b""),  # not a picture: the ending is what is behind the first dot
            ("b.txt", b"two dogs"),
            ("c.json", b'{"txt": "of json", "url": null}'),
            ("c.PNG", b"P"),
            ("d.json", b"[broken"),
            ("e.txt", b"no picture, no URL"),
            ("no-ending", b"x"),
            ("f.jpg", b"J"),
            ("f.txt", b"x" * ((1 << 20) + 1)),
        ],
    )
    sizes: list[int] = []
    system = blobs.os.pread
    monkeypatch.setattr(blobs.os, "pread", lambda *args: sizes.append(args[1]) or system(*args))
    rows = rows_of(path)
    assert [(row["row"], row["url"], row["caption"]) for row in rows] == [
        (0, "archive:pets/0.tar/x/a", "a dög"),
        (1, "http://a/1.jpg", "two dogs"),
        (2, "archive:pets/0.tar/c", "of json"),
        (3, None, None),
        (4, None, "no picture, no URL"),
        (5, "archive:pets/0.tar/f", None),
    ]
    assert (rows[1]["width"], rows[1]["nsfw"]) == (640, "UNSURE")
    assert rows[0]["uid"] == mmh3.hash64("archive:pets/0.tar/x/aa dög")[0]
    assert sum(sizes) < 50_000  # of headers, and captions twice
    assert [row["caption"] for row in rows_of(path, columns={"caption": "caption"})][1] == "not this"


def test_tars_lie_in_a_folder_beside_nothing_else(tmp_path: Path) -> None:
    write_tar(tmp_path / "c" / "0.tar", [("a.jpg", b"J"), ("a.txt", b"dog")])
    assert [file.file for file in find_files([tmp_path / "c"])] == ["c/0.tar"]
    pq.write_table(pa.table({"url": ["http://a/"], "caption": ["dog"]}), tmp_path / "c" / "0.parquet")
    assert [file.file for file in find_files([tmp_path / "c"])] == ["c/0.parquet"]
    assert [file.file for file in find_files([str(tmp_path / "c" / "*.tar")])] == ["c/0.tar"]


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("cut.tar", None, "is no tar, or cut off"),
        ("noise.tar", b"no tar at all" * 100, "is no tar, or cut off"),
        ("packed.tar.gz", b"\x1f\x8b" + b"x" * 600, "unpack it"),
        ("pictures.tar", [("a.jpg", b"J")], "has no caption column"),
    ],
)
def test_what_is_no_corpus_says_so(tmp_path: Path, name: str, data: Any, said: str) -> None:
    path = tmp_path / name
    if isinstance(data, list):
        write_tar(path, data)
    elif data is None:
        members = [(f"{number}.txt", b"dog" * 2000) for number in range(200)]
        path.write_bytes(write_tar(path, members).read_bytes()[:-20_000])
    else:
        path.write_bytes(data)
    with pytest.raises(CorpusError, match=said) as error:
        list(read_batches(find_files([path])[0]))
    assert str(path) in str(error.value)


def test_their_pictures_come_from_the_tars(tmp_path: Path, tools: Any, captrawl: Any) -> None:
    """Two corpora with tars of one name and keys of one name, and a table of pictures."""
    jpegs = [tools.jpeg(seed) for seed in range(9)]
    for number, corpus in enumerate(("pets", "farm")):
        some = jpegs[3 * number : 3 * number + 3]
        members = [
            (f"{key}.{ending}", data)
            for key, jpeg in enumerate(some)
            for ending, data in (("jpg", jpeg), ("txt", f"a dog, {corpus}".encode()), ("json", b"{}"))
        ]
        write_tar(tmp_path / corpus / "00000.tar", members)
    table = [
        {"image": {"bytes": data, "path": None}, "caption": "a dog on a sofa", "id": 7} for data in jpegs[6:]
    ]
    (tmp_path / "hub").mkdir()
    pq.write_table(pa.Table.from_pylist(table), tmp_path / "hub" / "train.parquet")
    folders = [tmp_path / name for name in ("pets", "farm", "hub")]
    added = captrawl("index", "captions", *folders, "--to", tmp_path / "idx")
    assert "9 rows added from 3 files" in added.stdout
    assert "1 of 3 files has no URL column that is known" in " ".join(added.stderr.split())
    (tmp_path / "classes.json").write_text(json.dumps(["dog"]))
    birds = ("-C", tmp_path / "birds")
    captrawl("init", tmp_path / "birds", "--classes", tmp_path / "classes.json", "--index", tmp_path / "idx")
    captrawl(*birds, "match", "--all")
    plan = json.loads(captrawl(*birds, "plan", "--json").stdout)
    assert (plan["to_ask"], plan["in_archives"], plan["reasons"]) == (0, 0, {"no_source": 9})
    settings = tmp_path / "birds" / "captrawl.toml"
    where = 'archives = ["../pets", "../farm/00000.tar", "../hub"]'
    settings.write_text(settings.read_text().replace("archives = []", where))
    plan = json.loads(captrawl(*birds, "plan", "--json").stdout)
    assert (plan["to_ask"], plan["hosts"], plan["expected_images"]) == (0, 0, 9)
    captrawl(*birds, "download", "--part", "1/2")
    captrawl(*birds, "download", "--part", "2/2")
    done = captrawl(*birds, "download")
    assert "packed 9" in done.stdout
    images = pq.read_table(tmp_path / "birds" / "images.parquet").to_pylist()
    names = [f"archive:{corpus}/00000.tar/{key}" for corpus in ("pets", "farm") for key in range(3)]
    names += [f"archive:hub/train.parquet/{row}" for row in range(3)]
    sha256s = dict(zip(names, [hashlib.sha256(jpeg).hexdigest() for jpeg in jpegs], strict=True))
    assert {row["url"]: row["sha256"] for row in images} == sha256s
    purged = captrawl(*birds, "purge", "--url", names[0])
    assert purged.returncode == 0
    assert names[0] not in pq.read_table(tmp_path / "birds" / "matches.parquet")["url"].to_pylist()


def test_a_tar_of_another_name_is_not_the_corpus(tmp_path: Path, tools: Any, make_workspace, caplog) -> None:
    from captrawl.indexer.download.stage import download

    write_tar(tmp_path / "moved" / "0.tar", [("a.jpg", tools.jpeg(1)), ("a.txt", b"dog")])
    rows = [{"url": "archive:pets/0.tar/a", "file": "pets/0.tar", "row": 0}]
    workspace = make_workspace(rows, archives=["../moved"], sources=["web", "tars"])
    assert download(workspace) == {"failed": 1, "failed:no_source": 1}
    assert "no path ends with pets/0.tar" in caplog.text
    (tmp_path / "moved").rename(tmp_path / "pets")
    workspace = make_workspace(rows, archives=["../pets"], sources=["web", "tars"])
    assert download(workspace) == {"packed": 1}

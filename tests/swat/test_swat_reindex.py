"""Every sequence of docs/reindexing.md on real captions and photos over loopback, its work counted.

What is fetched is read from the server's log, what is embedded from the encoder's calls.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from captrawl.classes.files import load_classes, save_classes
from captrawl.classes.model import ClassEntry, Synonym, named
from captrawl.indexer.captions import index_captions
from captrawl.indexer.corpora.files import find_files
from captrawl.indexer.download.stage import adopt
from captrawl.indexer.match_stage import match
from captrawl.search.vectors.encoder import Encoder
from captrawl.workspace import pipeline
from captrawl.workspace.settings import load_settings, parse_settings, save_settings
from captrawl.workspace.workspace import State, Workspace
from safetensors.torch import load_file, save_file

pytestmark = pytest.mark.data

MODEL = Path(__file__).resolve().parents[2] / "demo" / "model"
FIRST = 500
"""Photos of the corpus's first file; the second has the others."""
TASK = (named(0, "bicycle", ["bike"]), named(1, "beach"))


@dataclass
class Web:
    """Photos on loopback: what was asked, in order."""

    port: int
    asked: list[str] = field(default_factory=list)

    def since(self, mark: int) -> list[str]:
        return sorted(self.asked[mark:])


@pytest.fixture(scope="module")
def web(data_folder: Path) -> Iterator[Web]:
    photos = data_folder / "data" / "photos"

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if not self.path.endswith(".jpg"):  # robots.txt
                return self.send_error(404)
            made.asked.append(f"http://127.0.0.1:{made.port}{self.path}")
            body = (photos / self.path.lstrip("/")).read_bytes()
            self.send_response(200)
            self.send_header("Content-Type", "image/jpeg")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            return None

        def log_message(self, *arguments: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *arguments: object) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    made = Web(server.server_address[1])
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield made
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def corpus(web: Web, data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """part-0 and part-1: a real caption and a loopback URL a photo."""
    photos = pq.read_table(data_folder / "data" / "photos" / "captioned.parquet").to_pylist()
    rows = [
        (f"http://127.0.0.1:{web.port}/{p['path']}", p["caption"]) for p in photos if p["caption_no"] == 0
    ]
    folder = tmp_path_factory.mktemp("corpus") / "photos"
    folder.mkdir()
    random.Random(2).shuffle(rows)
    for number, some in enumerate((rows[:FIRST], rows[FIRST:])):
        table = pa.table({"url": [url for url, _ in some], "caption": [text for _, text in some]})
        pq.write_table(table, folder / f"part-{number}.parquet")
    return folder


def index(folder: Path, *files: Path):
    found = find_files(list(files), corpus="photos")
    return index_captions(str(folder), found, part=None, replace=False, workers=1)


@pytest.fixture(scope="module")
def first(web: Web, corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an index of part-0 and the workspace TASK, run to the end; copied by :func:`base`."""
    root = tmp_path_factory.mktemp("first")
    index(root / "captions", corpus / "part-0.parquet")
    workspace = make_task(root / "task", TASK)
    pipeline.run(workspace)
    assert sorted(web.asked) == urls_of(workspace)
    assert len(web.asked) > 20
    return root


@pytest.fixture
def base(first: Path, tmp_path: Path) -> Workspace:
    shutil.copytree(first, tmp_path / "copy")
    return Workspace.open(tmp_path / "copy" / "task")


@pytest.fixture
def embedded(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How many images and captions the encoder was given (prompts are asked by encode_texts)."""
    counts = {"images": 0, "texts": 0}
    images, texts = Encoder.image_batches, Encoder.text_batches

    def image_batches(self, asked):
        counts["images"] += len(asked)
        return images(self, asked)

    def text_batches(self, asked):
        counts["texts"] += len(asked)
        return texts(self, asked)

    monkeypatch.setattr(Encoder, "image_batches", image_batches)
    monkeypatch.setattr(Encoder, "text_batches", text_batches)
    return counts


def make_task(folder: Path, classes: tuple[ClassEntry, ...], *, sample: int | str = "all") -> Workspace:
    settings = {
        "captions": {"index": "../captions"},
        "match": {"sample": sample},
        "download": {"allow_private": True, "processes": 1, "contact": "us@here"},
        "model": {"name": f"local-dir:{MODEL}", "device": "cpu", "templates": ["a photo of a {}."]},
        "sample": [{"name": "T2T500"}],
    }
    return Workspace.create(folder, parse_settings(settings, "test"), classes)


def change(workspace: Workspace, *classes: ClassEntry) -> None:
    """Write the class list, as a person edits classes.json."""
    save_classes(classes, workspace.classes_path())


def urls_of(workspace: Workspace, class_id: int | None = None) -> list[str]:
    rows = pq.read_table(workspace.matches_path, columns=["class_id", "url"]).to_pylist()
    return sorted({row["url"] for row in rows if class_id in (None, row["class_id"])})


def listed(workspace: Workspace) -> list[str]:
    return (workspace.samples_folder / "T2T500.txt").read_text().splitlines()


def labels(workspace: Workspace) -> set[str]:
    return {line.split()[1] for line in listed(workspace)}


def all_done(workspace: Workspace) -> bool:
    return all(status.state is State.DONE for status in pipeline.status(workspace))


def contents(workspace: Workspace) -> list[tuple[str, bytes]]:
    """The training list by content: label and image bytes, in order."""
    return [(line.split()[1], Path(line.split()[0]).read_bytes()) for line in listed(workspace)]


def test_a_run_of_what_is_done_does_nothing(base: Workspace, web: Web, embedded: dict[str, int]) -> None:
    mark = len(web.asked)
    sample = next(status for status in pipeline.status(base) if status.stage == "sample:T2T500")
    assert sample.reason == "folder changed since"  # a copy: its list has absolute paths
    pipeline.run(base)
    assert (web.since(mark), embedded) == ([], {"images": 0, "texts": 0})
    assert all_done(base)
    assert all(line.startswith(str(base.root)) for line in listed(base))


def test_add_a_class(base: Workspace, web: Web, embedded: dict[str, int]) -> None:
    before, mark = set(urls_of(base)), len(web.asked)
    change(base, *load_classes(base.classes_path()), named(2, "snow"))
    assert pipeline.status(base)[0].reason == "synonyms changed since"
    pipeline.run(base)
    new = sorted(set(urls_of(base, 2)) - before)
    assert len(new) > 3
    assert web.since(mark) == new
    assert embedded["images"] == len(new)
    assert embedded["texts"] <= len(new) + 1  # their captions, and the new class's one prompt
    assert labels(base) == {"0", "1", "2"}


def test_drop_a_class(base: Workspace, web: Web, embedded: dict[str, int]) -> None:
    mark, kept = len(web.asked), [pair for pair in contents(base) if pair[0] == "0"]
    change(base, load_classes(base.classes_path())[0])
    pipeline.run(base)
    assert (web.since(mark), embedded) == ([], {"images": 0, "texts": 0})
    assert contents(base) == kept
    change(base, *TASK)  # and back: what was fetched and embedded is still there
    pipeline.run(base)
    assert (web.since(mark), embedded) == ([], {"images": 0, "texts": 0})
    assert labels(base) == {"0", "1"}


def test_change_a_synonym(base: Workspace, web: Web, embedded: dict[str, int]) -> None:
    before, mark = set(urls_of(base)), len(web.asked)
    change(base, ClassEntry(0, "bicycle", (Synonym("bicycle"), Synonym("motorcycle"))), TASK[1])
    pipeline.run(base)
    after = set(urls_of(base))
    assert before - after  # "bike" is gone
    assert after - before
    assert web.since(mark) == sorted(after - before)
    assert embedded["images"] == len(after - before)


def test_add_a_second_model(base: Workspace, web: Web, embedded: dict[str, int], tmp_path: Path) -> None:
    other = tmp_path / "other-model"
    shutil.copytree(MODEL, other)
    (weights,) = other.glob("*.safetensors")
    tensors = load_file(weights)
    tensors[sorted(tensors)[-1]] += 0.01
    save_file(tensors, weights)  # a copy of the same weights would be the same model
    (first_folder,) = (base.root / "embeddings").iterdir()
    stamps = {path: path.stat().st_mtime_ns for path in first_folder.rglob("*") if path.is_file()}
    settings, mark = load_settings(base.settings_path), len(web.asked)
    model = settings.model.model_copy(update={"name": f"local-dir:{other}"})
    save_settings(settings.model_copy(update={"model": model}), base.settings_path)
    pipeline.run(base)
    assert web.since(mark) == []
    assert embedded["images"] == len(urls_of(base))
    assert len(list((base.root / "embeddings").iterdir())) == 2
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    save_settings(settings, base.settings_path)
    embedded["images"] = 0
    pipeline.run(base)  # back to the first model: nothing is embedded again
    assert embedded["images"] == 0
    assert all_done(base)


def test_add_a_corpus_file(base: Workspace, web: Web, corpus: Path, embedded: dict[str, int]) -> None:
    before, mark = set(urls_of(base)), len(web.asked)
    captions = base.root.parent / "captions"
    counts = index(captions, corpus)
    assert (counts.files_added, counts.files_skipped) == (1, 1)
    assert counts.rows_added == counts.rows - FIRST
    assert pipeline.status(base)[0].reason == "corpus changed since"
    pipeline.run(base)
    new = sorted(set(urls_of(base)) - before)
    rows = pq.read_table(base.matches_path, columns=["file", "url"]).to_pylist()
    assert new == sorted({row["url"] for row in rows if row["file"] == "photos/part-1.parquet"})
    assert len(new) > 3
    assert web.since(mark) == new
    assert embedded["images"] == len(new)


def test_a_second_task_shares_the_images(base: Workspace, web: Web, embedded: dict[str, int]) -> None:
    second = make_task(base.root.parent / "second", (named(0, "snow"), named(1, "bike")))

    match(second)
    mark = len(web.asked)
    counts = adopt(second, base.root)
    there = set(urls_of(second, 1)) & set(urls_of(base))
    assert counts["packed"] == len(there) > 3
    rows = {row["url"]: row for row in pq.read_table(second.images_path).to_pylist()}
    theirs = {row["url"]: row for row in pq.read_table(base.images_path).to_pylist()}
    for url in there:
        mine, other = second.root / rows[url]["path"], base.root / theirs[url]["path"]
        assert mine.stat().st_ino == other.stat().st_ino
        assert rows[url]["sha256"] == theirs[url]["sha256"]
    assert not (second.images_folder / ".tmp").exists()
    pipeline.run(second)
    assert web.since(mark) == sorted(set(urls_of(second)) - there)
    assert all_done(second)
    alone = make_task(base.root.parent / "alone", (named(0, "snow"), named(1, "bike")))
    pipeline.run(alone)
    assert contents(alone) == contents(second)


def test_sharing_with_itself_or_nothing_is_an_error(base: Workspace, tmp_path: Path) -> None:
    from captrawl.core.errors import InputError

    with pytest.raises(InputError, match="is this workspace itself"):
        adopt(base, base.root)
    empty = make_task(base.root.parent / "empty", TASK)
    with pytest.raises(InputError, match="has downloaded nothing yet"):
        adopt(base, empty.root)
    settings = load_settings(base.settings_path)
    smaller = settings.download.model_copy(update={"resize": 64})
    other = make_task(base.root.parent / "small", TASK)
    save_settings(settings.model_copy(update={"download": smaller}), other.settings_path)

    match(other)
    with pytest.raises(InputError, match="packed its images with resize=0, this workspace says 64"):
        adopt(other, base.root)


@pytest.mark.timeout(1200)
def test_two_part_processes_killed_and_restarted(web: Web, corpus: Path, tmp_path: Path, captrawl) -> None:
    """Two jobs index by --part, then two run on one workspace; killed at random, they make what one makes."""
    many = tmp_path / "many"
    many.mkdir()
    photos = [pq.read_table(corpus / f"part-{n}.parquet") for n in (0, 1)]
    for n in range(6):
        pq.write_table(photos[n % 2].slice(n // 2 * 80, 80), many / f"{n}.parquet")
    classes = (*TASK, *(named(n, name) for n, name in enumerate(("dog", "man", "street"), start=2)))
    tasks = [make_task(tmp_path / where / "task", classes, sample=2000) for where in ("one", "two")]
    indexing = ("index", "captions", many, "--workers", "1", "--to")
    one, two = (task.root for task in tasks)
    began = time.monotonic()
    captrawl(*indexing, one.parent / "captions")
    captrawl("-C", one, "run")
    whole = time.monotonic() - began
    chooser = random.Random(7)
    parts = [(*indexing, two.parent / "captions", "--part", part) for part in ("1/2", "2/2")]
    side_by_side(parts, kills=2, longest=whole / 4, chooser=chooser)
    side_by_side([("-C", two, "run")] * 2, kills=2, longest=0.6 * whole, chooser=chooser)
    for task in (one, two):
        assert "verified" in captrawl("-C", task, "status", "--verify").stdout
    expected, found = artefacts(one), artefacts(two)
    assert len(expected["files"]) > 100
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert found[name] == value, name
    assert [*two.glob("images/spool/*"), *two.glob("images/.tmp"), *two.glob(".matches")] == []
    every = [matched_all(task) for task in tasks]
    assert every[0] == every[1] == sorted(expected["matches"], key=place_of)


def matched_all(workspace: Workspace) -> list[dict]:
    """The matches of ``match --all``, which have no order of their own."""
    settings = load_settings(workspace.settings_path)
    match_all = settings.match.model_copy(update={"sample": "all"})
    save_settings(settings.model_copy(update={"match": match_all}), workspace.settings_path)
    match(workspace)
    return sorted(pq.read_table(workspace.matches_path).to_pylist(), key=place_of)


def place_of(row: dict) -> tuple[int, str, int]:
    return row["class_id"], row["file"], row["row"]


def side_by_side(commands: list[tuple], *, kills: int, longest: float, chooser: random.Random) -> None:
    """Run ``commands`` at once until each has ended well; ``kills`` times one is killed and started again.

    One that finds the other at its stage says so and comes back.
    """

    def start(command: tuple) -> subprocess.Popen[str]:
        words = [sys.executable, "-m", "captrawl", *map(str, command)]
        pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(words, start_new_session=True, **pipes)

    running = {number: start(command) for number, command in enumerate(commands)}
    deadline = time.monotonic() + 900
    while running:
        assert time.monotonic() < deadline
        time.sleep(chooser.uniform(0.1, longest) if kills else 0.2)
        if kills:
            number = chooser.choice(sorted(running))
            os.killpg(running[number].pid, signal.SIGKILL)
            running[number].communicate()
            kills -= 1
            running[number] = start(commands[number])
        for number, process in list(running.items()):
            if process.poll() is None:
                continue
            told = process.communicate()[1]
            if process.returncode == 0:
                del running[number]
            else:
                assert process.returncode == 1, told
                assert re.search(r"another process is running '\S+' in \S+; wait for it", told), told
                running[number] = start(commands[number])


def artefacts(folder: Path) -> dict[str, object]:
    """All that is in a workspace but attempts, times, folder numbers and its own path; by file."""
    images = pq.read_table(folder / "images.parquet")
    content = {row["path"]: row["sha256"] for row in images.to_pylist() if row["path"]}
    found: dict[str, object] = {
        "classes": json.loads((folder / "classes.json").read_text()),
        "settings": (folder / "captrawl.toml").read_text(),
        "matches": pq.read_table(folder / "matches.parquet").to_pylist(),
        "images": images.drop_columns(["attempts", "path"]).to_pylist(),
        "files": sorted(sha256(path) for path in (folder / "images").glob("*/*.jpg")),
    }
    for path in sorted([*folder.glob("embeddings/**/*.npy"), *folder.glob("vectors/*/*")]):
        found[path.relative_to(folder).as_posix()] = path.read_bytes()
    for path in sorted(folder.glob("embeddings/**/*.parquet")):
        rows = pq.read_table(path).to_pylist()
        named = [{**row, "image_path": content.get(row.get("image_path"))} for row in rows]
        found[path.relative_to(folder).as_posix()] = named
    for path in sorted(folder.glob("samples/*")):
        if path.suffix == ".parquet":
            rows = pq.read_table(path).to_pylist()
            found[path.name] = [
                {**row, "path": content[row["path"]] if row["path"] else None} for row in rows
            ]
            continue
        text = path.read_text()
        for name, hashed in content.items():
            text = text.replace(f"{folder}/{name}", hashed)
        found[path.name] = text
    lock = json.loads((folder / "captrawl.lock.json").read_text())
    for stage, held in lock["stages"].items():
        inputs = held["inputs"] if stage in pipeline.STAGES else {}  # the others' are hashes of paths too
        counts = {key: count for key, count in held["counts"].items() if key != "bytes"}
        found[f"lock: {stage}"] = (inputs, counts)
    return found


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.elastic
def test_move_the_captions_to_elasticsearch(
    base: Workspace, web: Web, corpus: Path, embedded: dict[str, int], elastic_servers
) -> None:
    """The same files in another engine are the same corpus: nothing is stale, nothing is done again."""
    import contextlib

    from elasticsearch import Elasticsearch

    url = elastic_servers.url("9.5.0")
    name = f"captrawl-test-move-{random.SystemRandom().randrange(10**9)}"
    mark = len(web.asked)
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(contextlib.closing(Elasticsearch(url)))
        stack.callback(lambda: client.options(ignore_status=404).indices.delete(index=name))
        found = find_files([corpus / "part-0.parquet"], corpus="photos")
        index_captions(f"{url}/{name}", found, part=None, replace=False, workers=1)
        settings = load_settings(base.settings_path)
        captions = settings.captions.model_copy(update={"index": f"{url}/{name}"})
        save_settings(settings.model_copy(update={"captions": captions}), base.settings_path)
        rows = pq.read_table(base.matches_path)
        assert pipeline.status(base)[0].state is State.DONE
        pipeline.run(base)
        assert (web.since(mark), embedded) == ([], {"images": 0, "texts": 0})
        match(base)  # asked anew of the other engine: the same rows
        order = [("class_id", "ascending"), ("priority", "ascending")]
        assert pq.read_table(base.matches_path).sort_by(order).equals(rows.sort_by(order))
        assert json.loads(base.lock_path.read_text())["stages"]["match"]["details"]["index"].startswith(url)

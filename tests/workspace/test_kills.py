"""Every long step killed at random moments and rerun ends as an undisturbed run, and leaves nothing over.

CI kills a few quick steps once. With CAPTRAWL_KILLS=20 and --timeout=0 every step is killed twenty times; -s
prints a line a step.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import re
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from captrawl.demo.run import demo_classes, demo_settings
from captrawl.demo.server import free_port, serving
from captrawl.demo.web import WebSettings, make_web
from captrawl.demo.words import CLASSES
from captrawl.indexer.ledger import Ledger
from captrawl.search.captions import open_captions
from captrawl.search.query import CaptionQuery, Filters, Safety
from captrawl.workspace.settings_edits import edit_settings
from captrawl.workspace.workspace import Workspace

KILLS = int(os.environ.get("CAPTRAWL_KILLS", "0"))
IN_A_ROW = 7
"""Kills at most before a run is left to end."""


@dataclass(frozen=True)
class Step:
    """A command from the folder that has everything, the step whose end it starts from, what CI kills too."""

    command: str
    after: str
    quick: bool = False


STEPS = {
    "index": Step("index captions ../web/corpus --to captions --workers 2", "new", quick=True),
    "match": Step("-C w match --all", "index", quick=True),
    "download": Step("-C w download", "match"),
    "until": Step("-C w download --until 5", "match"),
    "pack": Step("-C w download", "spooled"),
    "adopt": Step("-C other download --adopt w", "matched again"),
    "embed": Step("-C w embed", "download"),
    "sample": Step("-C w sample --name T2T --method T2T-rank -n 4", "embed"),
    "shots": Step("-C w sample --name I2I --method I2I-rank -n 4", "embed"),
    "auto": Step("-C w sample --name best --method auto -n 4", "embed"),
    "evaluate": Step("-C w evaluate --labelled shots --name T2T", "sample"),
    "report": Step("-C w report", "sample"),
    "export swat": Step("-C w export --name T2T --to swat out", "sample"),
    "export imagefolder": Step("-C w export --name T2T --to imagefolder out", "sample"),
    "export webdataset": Step("-C w export --name T2T --to webdataset out", "sample"),
    "export huggingface": Step("-C w export --name T2T --to huggingface out", "sample"),
    "export urls": Step("-C w export --name T2T --to urls out", "sample"),
    "import swat": Step("import swat out/demo --to taken", "export swat"),
    "run": Step("-C w run", "index"),
    "synonyms": Step("-C w synonyms", "index"),
    "judge": Step("-C w judge --questions 4", "sample"),
    "purge": Step("-C w purge --list takedown.txt", "sample"),
    "push": Step("index push captions pushed --licence none", "index", quick=True),
    "pull": Step("index pull pushed taken", "push", quick=True),
}

PREPARATIONS = {"matched again": Step("-C other match --all", "download")}
"""Steps that are run and not killed."""


ZYGOTE = """
import importlib, json, os, sys
from captrawl.cli import main
from captrawl.core.startup import settle_without_wandb
settle_without_wandb()  # as main does
for name in sys.argv[1].split():
    importlib.import_module(name)
print("ready", flush=True)
for line in sys.stdin:
    arguments, folder, output = json.loads(line)
    child = os.fork()
    if not child:
        os.setsid()
        os.chdir(folder)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number in (1, 2):
            os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
        sys.argv = ["captrawl", *arguments]
        sys.exit(main())
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""Forks a command from a process that has imported everything: seconds less a run."""
LIGHT = "pyarrow.parquet pyarrow.compute tantivy"
HEAVY = f"{LIGHT} torch open_clip faiss aiohttp aiodns PIL.Image sklearn.linear_model"


class Running:
    """A command that runs."""

    def __init__(self, zygote: subprocess.Popen[str], command: str, folder: Path, output: Path) -> None:
        self._zygote, self._output = zygote, output
        output.unlink(missing_ok=True)
        zygote.stdin.write(json.dumps([command.split(), str(folder), str(output)]) + "\n")
        zygote.stdin.flush()
        self.pid = int(zygote.stdout.readline())

    def ended(self, seconds: float = 0) -> bool:
        """Whether it ends within that time."""
        return bool(select.select([self._zygote.stdout], [], [], seconds)[0])

    def status(self) -> int:
        """The exit status, once it has ended."""
        return int(self._zygote.stdout.readline())

    def finish(self) -> None:
        status = self.status()
        assert status == 0, self._output.read_text()


class Site:
    """A folder in which every step runs, and the states of it that steps start from and end in."""

    def __init__(self, root: Path) -> None:
        self.folder, self._states, self.temporary = root / "site", root / "states", root / "tmp"
        for folder in (self.folder, self._states, self.temporary):
            folder.mkdir()
        self._output = root / "output.txt"
        self.model = ""
        self.zygote = subprocess.Popen(
            [sys.executable, "-c", ZYGOTE, HEAVY if KILLS else LIGHT],
            env={**os.environ, "TMPDIR": str(self.temporary), "HF_HUB_OFFLINE": "1"},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.zygote.stdout.readline() == "ready\n"
        self._caches = set(self.temporary.iterdir())  # torch's, a folder a user

    def start(self, command: str) -> Running:
        if {"synonyms", "judge"} & set(command.split()):
            command += f" --base-url {self.model}"
        return Running(self.zygote, command, self.folder, self._output)

    def close(self) -> None:
        self.zygote.stdin.close()
        self.zygote.stdout.close()
        self.zygote.wait(60)

    def save(self, name: str) -> None:
        shutil.copytree(self.folder, self._states / name, symlinks=True)

    def restore(self, name: str) -> None:
        shutil.rmtree(self.folder)
        shutil.copytree(self._states / name, self.folder, symlinks=True)

    def reach(self, name: str) -> None:
        """Be where the undisturbed step ``name`` ended."""
        if not (self._states / name).exists():
            if name == "spooled":
                self._spool()
            else:
                step = (STEPS | PREPARATIONS)[name]
                self.reach(step.after)
                self.start(step.command).finish()
            self.save(name)
        self.restore(name)

    def _spool(self) -> None:
        """A download killed when most of its pictures had come and none was packed."""
        self.reach("download")
        with Ledger(self.folder / "w/images/ledger.sqlite", read_only=True) as ledger:
            most = len(ledger.paths()) * 0.8
        self.reach("match")
        process, spool = self.start(STEPS["download"].command), self.folder / "w/images/spool"
        while not process.ended(0.01) and len(list(spool.glob("*"))) < most:
            pass
        os.killpg(process.pid, signal.SIGKILL)
        process.status()

    def temporary_files(self) -> set[str]:
        """What commands left in the system's temporary folder."""
        return {str(path) for path in set(self.temporary.iterdir()) - self._caches}

    def contents(self) -> dict[str, object]:
        """Every file and folder by name, with what must be equal after an undisturbed run."""
        values: dict[str, object] = {}
        for path in self.folder.rglob("*"):
            name = path.relative_to(self.folder).as_posix()
            if not PICTURE.search(name):
                values[re.sub(CHANCE, "…", name)] = value_of(path, name)
        for name in ("w", "other"):
            values[f"pictures that {name} doesn't name, or lacks"] = pictures_off(self.folder / name)
        values["captions"] = rows_of(self.folder / "captions")
        return values


def value_of(path: Path, name: str) -> object:
    if path.is_dir() or name.startswith("captions/") or "/.locks/" in name:
        return None
    if path.suffix == ".jsonl":  # in the order in which answers came
        return sorted(line for line in path.read_text().splitlines() if '"kind": "answer"' in line)
    if name.startswith("w/purges/"):
        return json.loads(path.read_text())["clean"]
    if path.name == "captrawl.lock.json":
        stages = json.loads(path.read_text())["stages"]
        stages.get("report", {"inputs": {}})["inputs"].pop("images", None)  # their places too
        return {stage: (entry["inputs"], entry["counts"]) for stage, entry in stages.items()}
    if path.name == "ledger.sqlite":
        with closing(sqlite3.connect(path)) as database:
            return database.execute("SELECT url, state, reason, sha256 FROM urls ORDER BY url").fetchall()
    if path.name == "images.parquet" or path.name.startswith("metadata_"):
        table = pq.read_table(path)
        return table.select([c for c in table.column_names if c not in PLACES]).to_pylist()
    if name.endswith("/shard.parquet"):
        return None
    return hashlib.sha256(path.read_bytes()).hexdigest()


CHANCE = re.compile(r"(?<=[0-9a-f]{20})-[0-9a-f]{8}\b|\b[0-9a-f]{32}\b|(?<=purges/).*")
"""What chance has in the names of a caption index (its groups' and segments'), and time in a proof's."""
PICTURE = re.compile(r"/images/\d{5}/\d+\.jpg$")
"""In which place a picture lies is chance, and which places are empty since placeholders went."""
PLACES = ("path", "image_path", "status", "final_url", "attempts")


def pictures_off(workspace: Path) -> set[str]:
    """The pictures that only the folders, or only images.parquet, has; none before that is written."""
    table = workspace / "images.parquet"
    if not table.exists():
        return set()
    files = {path.relative_to(workspace).as_posix() for path in workspace.glob("images/*/*.jpg")}
    return files ^ set(filter(None, pq.read_table(table, columns=["path"]).column("path").to_pylist()))


class LanguageModel(BaseHTTPRequestHandler):
    """Answers a question alike whenever it is asked, and takes its time."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        question = body["messages"][-1]["content"]
        text = question if isinstance(question, str) else question[0]["text"]
        name = f"thing {hashlib.sha256(text.encode()).hexdigest()[:6]}"
        answer = {"synonyms": [name]} if text == question else {"answer": "AB"[len(text) % 2]}
        time.sleep(0.02)
        message = {"role": "assistant", "content": json.dumps(answer)}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        reply = {"id": "x", "object": "chat.completion", "created": 0, "model": "fake", "choices": choices}
        data = json.dumps(reply).encode()
        with contextlib.suppress(OSError):  # who asked was killed
            self.send_response(200)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Nothing."""


def rows_of(index: Path) -> object:
    if not (index / "captions.json").exists():
        return None
    everything = CaptionQuery(("a",), filters=Filters(safety=Safety.OFF))
    with open_captions(str(index)) as captions:
        rows = [row for batch in captions.scan(everything) for row in batch.to_pylist()]
        return captions.rows(), sorted(rows, key=repr)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    root = tmp_path_factory.mktemp("kills")
    site = Site(root)
    web = make_web(root / "web", WebSettings(seed=3, rows_per_class=8, captions=700, port=free_port(0)))
    for name in ("w", "other"):
        settings = demo_settings(web.settings, "../captions").model_copy(update={"sample": []})
        workspace = Workspace.create(site.folder / name, settings, demo_classes())
        edit_settings(workspace.settings_path, {"task": {"shots": str(site.folder / "shots")}})
    picked = [web.url(row.path) for row in web.rows if row.picture >= 0][::20]
    (site.folder / "takedown.txt").write_text("".join(f"{url}\n" for url in picked))
    rows = [row for row in web.rows if row.picture >= 0]
    for entry in CLASSES:
        for row in [row for row in rows if row.drawing == entry.drawing][:2]:
            target = site.folder / "shots" / entry.name / f"{row.picture}.jpg"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(web.picture(row.picture), target)
    site.save("new")
    with serving(web), ThreadingHTTPServer(("127.0.0.1", 0), LanguageModel) as model, closing(site):
        threading.Thread(target=model.serve_forever, args=(0.02,), daemon=True).start()
        site.model = f"http://127.0.0.1:{model.server_port}/v1"
        yield site
        model.shutdown()


@pytest.mark.parametrize("name", [name for name, step in STEPS.items() if KILLS or step.quick])
def test_killed_and_rerun(name: str, site: Site) -> None:
    step = STEPS[name]
    chooser = random.Random(name)
    site.reach(step.after)
    began = time.monotonic()
    site.start(step.command).finish()
    whole = time.monotonic() - began
    calm = site.contents()
    assert not any(value for key, value in calm.items() if key.startswith("pictures that"))
    assert site.temporary_files() == set()
    kills = late = 0
    while kills < max(KILLS, 1) and late < 40:
        site.reach(step.after)
        for _ in range(min(IN_A_ROW, max(KILLS, 1) - kills)):
            if not killed(site, step.command, after=chooser.uniform(0.02, whole), chooser=chooser):
                late += 1
                break
            kills += 1
        site.start(step.command).finish()
        now = site.contents()
        leftovers = (now.keys() - calm.keys()) | site.temporary_files()
        assert leftovers == set()
        assert {key: value for key, value in now.items() if calm.get(key, 0) != value} == {}
        assert calm.keys() == now.keys()
    print(f"\n{name}: {kills} kills within {whole:.2f} s, {late} runs ended first; nothing differs")


def killed(site: Site, command: str, *, after: float, chooser: random.Random) -> bool:
    """Whether the command was killed ``after`` seconds: with its workers, or alone."""
    process = site.start(command)
    if not process.ended(after):
        (os.killpg if chooser.random() < 0.5 else os.kill)(process.pid, signal.SIGKILL)
    return process.status() == -signal.SIGKILL

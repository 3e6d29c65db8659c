"""captrawl slurm: scripts that a stand-in of sbatch really runs, and a second call that sends what failed."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from aiohttp import web as aiohttp_web
from captrawl.classes.model import ClassEntry, Synonym
from captrawl.demo.run import demo_settings
from captrawl.demo.web import WebSettings
from captrawl.indexer.captions import index_captions
from captrawl.indexer.corpora.files import find_files
from captrawl.indexer.download.stage import download
from captrawl.indexer.match_stage import match
from captrawl.library.slurm import SlurmJob, jobs_of, submit, write_scripts
from captrawl.workspace.workspace import Workspace
from PIL import Image

SBATCH = """#!%s
\"\"\"Runs the jobs of RUN at once, each task once, where the jobs before ended well; keeps the others.\"\"\"
import json, os, pathlib, re, subprocess, sys
queue = pathlib.Path(os.environ["QUEUE"])
options, script = sys.argv[1:-1], pathlib.Path(sys.argv[-1])
lines = dict(re.findall(r"^#SBATCH --([a-z-]+)=(.*)$", script.read_text(), re.M))
number = 100 + len(list(queue.glob("*.json")))
before = [int(n) for option in options for n in re.findall(r"--dependency=afterok:(\\d+)", option)]
ended_well = all(json.loads((queue / f"{n}.json").read_text())["state"] == "ok" for n in before)
tasks = []
for piece in filter(None, lines.get("array", "").split(",")):
    first, _, last = piece.partition("-")
    tasks += range(int(first), int(last or first) + 1)
name, state = lines["job-name"], "waits"
if ended_well and name in os.environ["RUN"].split():
    state = "ok"
    for task in tasks or [None]:
        variables = os.environ if task is None else {**os.environ, "SLURM_ARRAY_TASK_ID": str(task)}
        fails = f"{name}:{task}" in os.environ.get("FAIL", "").split()
        if fails or subprocess.run(["bash", script], env=variables, stdout=sys.stderr).returncode:
            state = "failed"
job = {"name": name, "tasks": tasks, "state": state, "lines": lines}
(queue / f"{number}.json").write_text(json.dumps(job))
print(f"{number};cluster")
"""
NAMES = ("cat", "dog", "owl", "red fox", "pike")
HOSTS = tuple(f"127.0.0.{n}" for n in range(2, 8))


@contextlib.contextmanager
def pictures() -> Iterator[tuple[int, list[str]]]:
    """(port, paths asked): a picture for every path, on all HOSTS."""
    started, asked, port = threading.Event(), [], []

    async def answer(request: Any) -> Any:
        if not request.path.endswith(".jpg"):
            return aiohttp_web.Response(status=404)
        asked.append(f"{request.host} {request.path}")
        number = int(request.path.strip("/.jpg"))
        image = Image.new("RGB", (100, 90), (number % 250, number // 2 % 250, 40))
        buffer = io.BytesIO()
        image.save(buffer, "JPEG")
        return aiohttp_web.Response(body=buffer.getvalue(), content_type="image/jpeg")

    async def serve() -> None:
        runner = aiohttp_web.ServerRunner(aiohttp_web.Server(answer))
        await runner.setup()
        for host in HOSTS:
            site = aiohttp_web.TCPSite(runner, host, port[0] if port else 0)
            await site.start()
            port[:] = [site._server.sockets[0].getsockname()[1]]
        started.set()
        await asyncio.to_thread(ended.wait)
        await runner.cleanup()

    ended = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(10)
    try:
        yield port[0], asked
    finally:
        ended.set()
        thread.join(10)


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[list[str]]:
    """The requests; two workspaces, ``whole`` and ``divided``, of one index of 60 rows beside them."""
    with pictures() as (port, requests):
        rows = [
            {"url": f"http://{HOSTS[n % 6]}:{port}/{n}.jpg", "caption": f"a {NAMES[n % 5]} number {n}"}
            for n in range(60)
        ]
        (tmp_path / "corpus").mkdir()
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "corpus" / "a.parquet")
        index_captions(str(tmp_path / "captions"), find_files([str(tmp_path / "corpus")]), workers=1)
        settings = demo_settings(WebSettings(), "../captions").model_copy(update={"sample": []})
        classes = tuple(ClassEntry(n, name, (Synonym(name),)) for n, name in enumerate(NAMES))
        for name in ("whole", "divided"):
            Workspace.create(tmp_path / name, settings, classes)
        yield requests


def state_of(queue: Path) -> list[tuple[str, list[int], str]]:
    jobs = [json.loads(path.read_text()) for path in sorted(queue.glob("*.json"))]
    return [(job["name"].removeprefix("captrawl-"), job["tasks"], job["state"]) for job in jobs]


def test_a_second_call_sends_what_failed_and_the_union_is_the_undivided_run(
    tmp_path: Path, asked: list[str]
) -> None:
    queue, programs = tmp_path / "queue", tmp_path / "programs"
    queue.mkdir()
    programs.mkdir()
    (programs / "sbatch").write_text(SBATCH % sys.executable)
    (programs / "sbatch").chmod(0o755)
    workspace = Workspace.open(tmp_path / "divided")
    everything = "captrawl-match captrawl-match-merge captrawl-download captrawl-download-merge"

    def slurm(**variables: str) -> list[str]:
        command = [
            "-C",
            str(workspace.root),
            "slurm",
            "--parts",
            "2",
            "--partition",
            "long",
            "--submit",
            "--json",
        ]
        environment = {
            **os.environ,
            "QUEUE": str(queue),
            "RUN": everything,
            "HF_HUB_OFFLINE": "1",
            **variables,
        }
        environment["PATH"] = f"{programs}:{os.environ['PATH']}"
        ended = subprocess.run(
            [sys.executable, "-m", "captrawl", *command],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)["submitted"]

    assert slurm(FAIL="captrawl-download:2") == ["100", "101", "102", "103", "104", "105"]
    first = [
        ("match", [1, 2], "ok"), ("match-merge", [], "ok"), ("download", [1, 2], "failed"),
        ("download-merge", [], "waits"), ("embed", [1, 2], "waits"), ("run", [], "waits"),
    ]  # fmt: skip
    assert state_of(queue) == first
    assert json.loads((queue / "100.json").read_text())["lines"]["partition"] == "long"
    before = len(asked)
    assert 0 < before < 60
    assert slurm() == ["106", "107", "108", "109"]
    again = [
        ("download", [2], "ok"),
        ("download-merge", [], "ok"),
        ("embed", [1, 2], "waits"),
        ("run", [], "waits"),
    ]
    assert state_of(queue) == [*first, *again]
    assert len(asked) == len(set(asked)) == 60, "what the first part has isn't asked again"
    assert [job.name for job in jobs_of(workspace, 2)] == ["embed", "run"]

    whole = Workspace.open(tmp_path / "whole")
    match(whole)
    assert workspace.matches_path.read_bytes() == whole.matches_path.read_bytes()
    assert (workspace.root / "classes.json").read_bytes() == (whole.root / "classes.json").read_bytes()
    download(whole)
    ours, theirs = (pq.read_table(one.images_path).drop_columns(["path"]) for one in (workspace, whole))
    assert ours.equals(theirs)


def test_scripts(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    jobs = [SlurmJob("embed", ("embed", "--part"), (1, 3, 4, 5, 9), 16), SlurmJob("run", ("run",))]
    scripts = write_scripts(workspace, jobs, options=["--gres=gpu:1"])
    assert [path.name for path in scripts] == ["1-embed.sh", "2-run.sh"]
    lines = scripts[0].read_text().splitlines()
    assert {"#SBATCH --array=1,3-5,9", "#SBATCH --gres=gpu:1"} <= set(lines)
    assert lines[-1] == (
        f'exec {sys.executable} -m captrawl -C {workspace.root} embed --part "$SLURM_ARRAY_TASK_ID/16"'
    )
    assert "--array" not in scripts[1].read_text()
    assert [path.name for path in write_scripts(workspace, jobs[1:])] == ["1-run.sh"]
    assert [path.name for path in (tmp_path / "slurm").iterdir()] == ["1-run.sh"], "old ones don't stay"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("echo no such partition >&2; exit 1", "sbatch refused .*1-run.sh: no such partition"),
        ("echo hm", "hm"),
    ],
)
def test_an_sbatch_that_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, words: str
) -> None:
    (tmp_path / "sbatch").write_text(f"#!/bin/sh\n{answer}\n")
    (tmp_path / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    scripts = write_scripts(Workspace(tmp_path), [SlurmJob("run", ("run",))])
    with pytest.raises(Exception, match=words):
        submit(scripts)
    monkeypatch.setenv("PATH", str(tmp_path / "slurm"))
    with pytest.raises(Exception, match="there is no sbatch here"):
        submit(scripts)

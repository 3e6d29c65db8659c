"""Jobs in worker processes: every result once, errors raised, deaths told, nobody left behind."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import psutil
import pytest
from captrawl.core.errors import CaptrawlError, CorpusError
from captrawl.core.parallel import run_jobs

JOBS = """
import os, signal, time
from captrawl.core.errors import CorpusError

def square(job, told):
    for _ in range(job):
        told(1)
    return job * job, os.getpid()

def fail(job, told):
    if job == 3:
        raise CorpusError(f"job {job} is wrong")
    time.sleep(30 if job == 4 else 0)
    return job, os.getpid()

def die(job, told):
    if job == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return job, os.getpid()

def crash(job, told):
    raise RuntimeError("a bug")

def wait(job, told):
    while True:
        time.sleep(0.05)
        told(1)
"""


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A module of job functions that spawned workers can import."""
    (tmp_path / "worker_jobs.py").write_text(JOBS)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("worker_jobs")
    sys.modules.pop("worker_jobs")


@pytest.mark.parametrize("guard", ["if True:", 'if __name__ == "__main__":'])
def test_a_script_that_runs_again_in_each_worker_is_named(
    jobs: ModuleType, tmp_path: Path, guard: str
) -> None:
    script = tmp_path / "mine.py"
    script.write_text(
        "from captrawl.core.parallel import run_jobs\nimport worker_jobs\n"
        f"{guard}\n    jobs = run_jobs(worker_jobs.crash, [1, 2], workers=2, on_units=lambda _: None)\n"
        "    print(list(jobs))\n"
    )
    result = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert "a worker process failed (exit code 1): its own message is above" in last
    assert ("mine.py runs again in each: put its calls below if __name__" in last) is (guard == "if True:")


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_every_job_once(jobs: ModuleType, workers: int) -> None:
    told: list[int] = []
    results = list(run_jobs(jobs.square, range(1, 5), workers=workers, on_units=told.append))
    assert sorted(square for square, _ in results) == [1, 4, 9, 16]
    assert sum(told) == 10
    processes = {process for _, process in results}
    assert (processes == {os.getpid()}) if workers == 1 else (os.getpid() not in processes)


def test_one_job_stays_here(jobs: ModuleType) -> None:
    assert list(run_jobs(jobs.square, [3], workers=8, on_units=lambda _: None)) == [(9, os.getpid())]


def test_no_jobs(jobs: ModuleType) -> None:
    assert list(run_jobs(jobs.square, [], workers=2, on_units=lambda _: None)) == []


def test_an_error_is_raised_here_and_ends_the_others(jobs: ModuleType) -> None:
    others = set(psutil.Process().children(recursive=True))  # servers of other tests
    with pytest.raises(CorpusError, match=r"^job 3 is wrong$"):
        list(run_jobs(jobs.fail, [4, 3, 5], workers=2, on_units=lambda _: None))
    left = set(psutil.Process().children(recursive=True)) - others
    assert all("resource_tracker" in " ".join(child.cmdline()) for child in left), left


def test_a_death_is_told(jobs: ModuleType) -> None:
    with pytest.raises(CaptrawlError, match="ended by SIGKILL; the system may be out of memory"):
        list(run_jobs(jobs.die, [1, 2, 3, 4], workers=2, on_units=lambda _: None))


def test_a_bug_is_told(jobs: ModuleType, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CaptrawlError, match=r"a worker process failed \(exit code 1\)"):
        list(run_jobs(jobs.crash, [1, 2], workers=2, on_units=lambda _: None))
    assert "RuntimeError: a bug" in capfd.readouterr().err


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_end_with_their_parent(jobs: ModuleType, tmp_path: Path, how: signal.Signals) -> None:
    script = tmp_path / "main.py"
    script.write_text(
        "import worker_jobs\n"
        "from captrawl.core.parallel import run_jobs\n"
        "if __name__ == '__main__':\n"
        "    list(run_jobs(worker_jobs.wait, [1, 2], workers=2, on_units=lambda n: print(n, flush=True)))\n"
    )
    parent = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path
    )
    assert parent.stdout
    assert parent.stdout.readline() == b"1\n"
    children = [c for c in psutil.Process(parent.pid).children() if "spawn_main" in " ".join(c.cmdline())]
    assert len(children) == 2
    parent.send_signal(how)
    parent.communicate(timeout=20)
    _, alive = psutil.wait_procs(children, timeout=20)
    for child in alive:
        child.kill()
    assert not alive

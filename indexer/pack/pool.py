"""Bytes → upright, sized images in folders (img2dataset), in workers that may die.

A *job* is up to 1,000 spooled images; it becomes the folder ``images/00012/`` with ``000120034.jpg`` … and
``shard.parquet``, which says what each file was made from. The folder is made under ``images/.tmp/`` and
renamed: the rename is the commit, see folders.py. When a worker dies on a job, the image it was at goes
alone and the rest goes again; an image that kills its worker alone is dropped.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import select
import subprocess
import sys
import tempfile
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...core.errors import DownloadError
from ...core.interrupts import children_unheard
from ...core.picture_hash import has_hashes
from ...core.records import SHARD
from ..outcomes import PackedFile, Reason
from .worker import JOB, LOG, LOST, Job, shard_name

A_SHARD = 1000
IMAGE_SECONDS = 60.0
"""How long one image may take to decode and encode."""
MEMORY = 3_000_000_000
"""Bytes of address space for one job, beyond the worker's own."""

_ENVIRONMENT = {
    "NO_ALBUMENTATIONS_UPDATE": "1",  # it asks pypi.org at import
    "WANDB_MODE": "disabled",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",  # no threads, so that a fork is safe
}
_START_SECONDS = 300.0
_SIGKILL = -9


@dataclass(frozen=True, slots=True)
class PackSettings:
    """How images are packed, and within what limits."""

    resize: int = 0
    image_seconds: float = IMAGE_SECONDS
    memory: int = MEMORY


@dataclass(frozen=True, slots=True)
class Shard:
    """A packed job, still under its temporary name (None where no image came of it), and its images."""

    folder: Path | None
    files: tuple[PackedFile, ...]
    lost: tuple[str, ...]
    """Images whose spooled bytes are gone."""


class WorkerDeathError(Exception):
    """The worker died on a job, at the image ``suspect`` ("" = unknown)."""

    def __init__(self, suspect: str) -> None:
        super().__init__(f"a packing worker died at image {suspect or '(unknown)'}")
        self.suspect = suspect


class PackPool:
    """The packing workers: :meth:`pack` may be called from as many threads as wished; close it."""

    def __init__(self, temporary: Path, spool: Path, settings: PackSettings) -> None:
        self._temporary = temporary
        self._spool = spool
        self._settings = settings
        self._idle: queue.SimpleQueue[_PackProcess] = queue.SimpleQueue()
        self._all: list[_PackProcess] = []
        self._closed = False

    def warm(self) -> None:
        """Start a worker that will wait, so that its imports overlap with the fetch."""
        self._idle.put(self._new())

    def stop(self) -> None:
        """Kill every worker; calls under way end in DownloadError."""
        self._closed = True
        for worker in self._all:
            worker.kill()

    def close(self) -> None:
        """Free what the workers held, once no call is under way."""
        self.stop()
        for worker in self._all:
            worker.close()

    def pack(self, shard: int, sha256s: Sequence[str]) -> Shard:
        """Pack the spooled images into the shard of that number; WorkerDeathError or DownloadError."""
        folder = self._temporary / f"{shard_name(shard)}-{os.getpid()}"
        settings = self._settings
        job = Job(
            shard, str(self._spool), list(sha256s), settings.resize, settings.image_seconds, settings.memory
        )
        try:
            folder.mkdir(parents=True)
            (folder / JOB).write_text(json.dumps(asdict(job)), encoding="utf-8")
        except OSError as error:
            raise DownloadError(f"{folder} can't be written ({error}); make room and run again") from error
        with self._worker() as worker:
            reply = worker.ask(folder)
        if reply["ok"]:
            return _read(folder, shard)
        tail = _tail(folder / LOG)
        if reply["disk_full"]:
            raise DownloadError(
                f"{self._temporary} can't take more images ({tail}); nothing fetched is lost: "
                "make room and run captrawl download again"
            )
        if reply["status"] == _SIGKILL and not reply["late"]:
            raise DownloadError(
                "a packing worker was killed from outside (out of memory?); nothing fetched is lost: "
                "run captrawl download again, with fewer [download] processes"
            )
        if reply["status"] > 0:
            raise DownloadError(
                f"packing failed for a reason that is no image's ({tail}); nothing fetched is lost; "
                "is img2dataset 1.47 installed? captrawl doctor says"
            ) from ChildProcessError(tail)
        raise WorkerDeathError(reply["suspect"])

    @contextlib.contextmanager
    def _worker(self) -> Generator[_PackProcess]:
        try:
            worker = self._idle.get_nowait()
        except queue.Empty:
            worker = self._new()
        try:
            yield worker
        except BaseException:
            worker.kill()
            raise
        self._idle.put(worker)

    def _new(self) -> _PackProcess:
        if self._closed:
            raise DownloadError("packing was stopped")
        worker = _PackProcess()
        self._all.append(worker)
        return worker


class _PackProcess:
    """One worker process."""

    def __init__(self) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 closed by kill
        with children_unheard():
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", f"{__package__}.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env={**os.environ, **_ENVIRONMENT},
                text=True,
                bufsize=1,
            )
        self._ready = False

    def ask(self, folder: Path) -> dict[str, Any]:
        """The worker's reply about the job in ``folder``; DownloadError where the worker is gone."""
        if not self._ready:
            self._reply(_START_SECONDS)
            self._ready = True
        with contextlib.suppress(BrokenPipeError):
            if self._process.stdin is not None:
                self._process.stdin.write(json.dumps(str(folder)) + "\n")
                self._process.stdin.flush()
        return self._reply(None)

    def kill(self) -> None:
        """End the process, whatever it does; its fork ends with it."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Close the pipes."""
        for pipe in (self._process.stdin, self._process.stdout, self._errors):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _reply(self, seconds: float | None) -> dict[str, Any]:
        output = self._process.stdout
        if output is None:
            raise ValueError("the worker has no stdout")
        ready, _, _ = select.select([output], [], [], seconds)
        line = output.readline() if ready else ""
        if line:
            return json.loads(line)
        self._process.kill()
        self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        tail = lines[-1] if lines else f"status {self._process.returncode}"
        raise DownloadError(
            f"a packing worker ended ({tail}); nothing fetched is lost: run captrawl download again"
        ) from ChildProcessError(tail)


def _read(folder: Path, shard: int) -> Shard:
    """What a whole job left behind."""
    out = folder / "out" / shard_name(shard)
    files = read_shard(out, f"images/{shard_name(shard)}")
    usable = tuple(file for file in files if file.reason != LOST)
    lost = tuple(file.sha256 for file in files if file.reason == LOST)
    return Shard(out if any(file.path for file in usable) else None, usable, lost)


def read_shard(folder: Path, path: str) -> list[PackedFile]:
    """The images of a shard's folder by its table; ``path`` is the folder's in artefacts."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(folder / SHARD) as file:
        signed = ["signature"] if has_hashes(file.schema_arrow) else []
        columns = ["key", "sha256", "width", "height", "reason", *signed]
        rows: list[dict[str, Any]] = file.read(columns).to_pylist()
    return [
        PackedFile(row["sha256"], reason=row["reason"])
        if row["reason"]
        else PackedFile(
            row["sha256"],
            f"{path}/{row['key']}.jpg",
            row["width"],
            row["height"],
            signature=row.get("signature") or b"",
        )
        for row in rows
    ]


def dropped(sha256: str) -> Shard:
    """The outcome of an image that kills its decoder."""
    return Shard(None, (PackedFile(sha256, reason=Reason.DECODER_DEATH),), ())


def _tail(log: Path) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        return "no log"
    return lines[-1][:200] if lines else "no log"

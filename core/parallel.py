"""Jobs done in worker processes, which end with their parent and never take it down silently."""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .errors import CaptrawlError
from .interrupts import children_unheard
from .startup import settle_without_pandas

if TYPE_CHECKING:
    from .records import OnRows

J = TypeVar("J")
R = TypeVar("R")
_PR_SET_PDEATHSIG = 1  # <sys/prctl.h>


@dataclass(frozen=True, slots=True)
class _Units:
    count: int


@dataclass(frozen=True, slots=True)
class _Done(Generic[R]):
    result: R


@dataclass(frozen=True, slots=True)
class _Failed:
    kind: type[CaptrawlError]
    text: str


@dataclass(slots=True)
class _JobProcess:
    process: SpawnProcess
    connection: Connection


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_jobs(
    work: Callable[[J, OnRows], R], jobs: Iterable[J], *, workers: int, on_units: OnRows
) -> Generator[R, None, None]:
    """The results of ``work(job, on_units)`` for every job, as they come; a free worker pulls the next job.

    With one worker, or one job, in this process; else in freshly spawned ones (threads and fork don't mix),
    so ``work`` must be a function at the top of a module. A CaptrawlError in a worker is raised here; a
    worker that dies is a CaptrawlError naming the signal. Whatever ends this generator ends the workers.
    """
    waiting = iter(jobs)
    first = list(itertools.islice(waiting, workers))
    if len(first) <= 1:
        for job in itertools.chain(first, waiting):
            yield work(job, on_units)
        return
    context = multiprocessing.get_context("spawn")
    running: dict[Connection, _JobProcess] = {}
    try:
        for job in first:
            connection, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, work, os.getpid()), daemon=True)
            with children_unheard():
                process.start()
            theirs.close()
            running[connection] = _JobProcess(process, connection)
            _send(running[connection], job)
        while running:
            for ready in wait(list(running)):
                worker = running[ready]  # pyright: ignore[reportArgumentType] - what was given comes back
                message = _received(worker)
                if isinstance(message, _Units):
                    on_units(message.count)
                    continue
                yield message.result
                try:
                    _send(worker, next(waiting))
                except StopIteration:
                    _send(worker, None)
                    del running[worker.connection]
                    worker.process.join()
                    worker.connection.close()
    finally:
        for worker in running.values():
            worker.process.kill()
        for worker in running.values():
            worker.process.join()
            worker.connection.close()


def _send(worker: _JobProcess, job: object) -> None:
    try:
        worker.connection.send(job)
    except (BrokenPipeError, ConnectionResetError) as error:
        raise _death(worker) from error


def _received(worker: _JobProcess) -> _Units | _Done[Any]:
    """The worker's next message; its CaptrawlError is raised, and its death is one."""
    try:
        message = worker.connection.recv()
    except (EOFError, ConnectionResetError) as error:
        raise _death(worker) from error
    if isinstance(message, _Failed):
        raise BaseException.__new__(message.kind, message.text)
    return message


def _death(worker: _JobProcess) -> CaptrawlError:
    worker.process.join(5)
    code = worker.process.exitcode
    if code is None or code >= 0:
        return CaptrawlError(
            f"a worker process failed (exit code {code}): its own message is above{unguarded_script()}"
        )
    hint = "; the system may be out of memory: give fewer --workers" if -code == signal.SIGKILL else ""
    return CaptrawlError(
        f"a worker process was ended by {signal.Signals(-code).name}{hint}; run again to resume"
    )


def unguarded_script() -> str:
    """What to add to an error of worker processes where the script that started them runs again in each."""
    script = getattr(sys.modules["__main__"], "__file__", None)
    try:
        guarded = not script or "__main__" in Path(script).read_text(encoding="utf-8", errors="ignore")
    except OSError:
        return ""
    return "" if guarded else f'; {script} runs again in each: put its calls below if __name__ == "__main__":'


def _serve(connection: Connection, work: Callable[[J, OnRows], R], parent: int) -> None:
    """A worker's life: jobs in, results out, until None, or until the parent is gone."""
    settle_worker(parent)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while (job := connection.recv()) is not None:
            try:
                result = work(job, lambda count: connection.send(_Units(count)))
            except CaptrawlError as error:
                connection.send(_Failed(type(error), str(error)))
                return
            connection.send(_Done(result))


def settle_worker(parent: int) -> None:
    """Leave signals to the ``parent``, and end with it.

    Ctrl-C, and what a scheduler or a closed terminal sends, reaches the whole group: the parent alone answers
    it, by ending its workers.
    """
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    _die_with(parent)
    settle_without_pandas()


def _die_with(parent: int) -> None:
    """Ask Linux to kill this process when its parent dies (elsewhere the next message finds it gone)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)

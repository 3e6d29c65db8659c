"""Image files → pixels in processes, for a GPU that threads can't feed.

Sixteen threads decoded 1,400 small JPEGs a second on a machine where sixteen processes decoded 4,400: each
image holds Python's lock for a while. The pixels come back in shared memory, and are those that
:func:`decode.decoded` gives, in the same order.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.errors import ModelError
from ...core.interrupts import children_unheard
from ...core.parallel import cores, settle_worker, unguarded_script
from .decode import Decoded, Source, Undecodable, decode, refuse_bombs, split_transform

CHUNK = 8
"""Files that a process is given at a time."""
WORTH = 2000
"""Files for which processes are started: one takes some five seconds to import what it needs."""
_MOST_PROCESSES = 16
_MOST_BYTES = 32 << 20
"""Of shared memory: containers often allow 64 MB."""


def decode_processes(device: str, images: Sequence[Source]) -> int:
    """How many processes should decode ``images`` for a model on ``device``; 0: threads do."""
    if not device.startswith("cuda") or len(images) < WORTH:
        return 0
    return min(_MOST_PROCESSES, cores()) if all(isinstance(image, Path) for image in images) else 0


@dataclass(frozen=True, slots=True)
class _Slots:
    """Room for ``count`` arrays like ``probe`` in shared memory."""

    memory: SharedMemory
    count: int
    probe: NDArray[Any]

    def arrays(self) -> NDArray[Any]:
        """All of them, over the memory itself."""
        return np.ndarray((self.count, *self.probe.shape), self.probe.dtype, self.memory.buf)


def decoded_in_processes(
    files: Sequence[Path], transform: Callable[[Any], Any], *, processes: int
) -> Generator[Decoded, None, None]:
    """The pixels of every file in the order given, or why it can't be had.

    ``transform`` is the model's, which :func:`decode.split_transform` splits. ModelError where a process ends
    before its time.
    """
    from PIL import Image

    probe = split_transform(transform)[0](Image.new("RGB", (32, 32)))
    chunks = [files[first : first + CHUNK] for first in range(0, len(files), CHUNK)]
    ring = max(2, min(4 * processes, _MOST_BYTES // (CHUNK * probe.nbytes)))
    waiting: deque[tuple[int, Future[list[str | None]]]] = deque()
    with _shared(ring * CHUNK, probe) as slots, _pool(processes, transform, slots) as pool:

        def oldest() -> Generator[Decoded, None, None]:
            place, future = waiting.popleft()
            for at, reason in enumerate(future.result()):
                yield Undecodable(reason) if reason else slots.arrays()[place + at].copy()

        try:
            for number, chunk in enumerate(chunks):
                if len(waiting) == ring:
                    yield from oldest()
                place = number % ring * CHUNK
                with children_unheard():  # the pool starts its processes as they are needed
                    waiting.append((place, pool.submit(_fill, place, chunk)))
            while waiting:
                yield from oldest()
        except BrokenProcessPool as error:
            raise ModelError(
                "a process that decodes images was ended; the system may be out of memory: free some, and "
                f"run captrawl embed again{unguarded_script()}"
            ) from error


@contextlib.contextmanager
def _shared(count: int, probe: NDArray[Any]) -> Generator[_Slots]:
    memory = SharedMemory(create=True, size=count * probe.nbytes)
    try:
        yield _Slots(memory, count, probe)
    finally:
        memory.unlink()
        memory.close()


@contextlib.contextmanager
def _pool(processes: int, transform: Callable[[Any], Any], slots: _Slots) -> Generator[ProcessPoolExecutor]:
    pool = ProcessPoolExecutor(
        processes,
        mp_context=get_context("spawn"),
        initializer=_settle,
        initargs=(os.getpid(), transform, slots),
    )
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class _Worker:
    """What a worker process decodes with, and where to."""

    prepare: Callable[[Any], NDArray[Any]]
    slots: _Slots


def _settle(parent: int, transform: Callable[[Any], Any], slots: _Slots) -> None:
    settle_worker(parent)
    refuse_bombs()
    _Worker.prepare = staticmethod(split_transform(transform)[0])
    _Worker.slots = slots


def _fill(place: int, files: Sequence[Path]) -> list[str | None]:
    """Decode ``files`` into the slots from ``place`` on; why each couldn't be, None where it could."""
    arrays = _Worker.slots.arrays()
    reasons: list[str | None] = []
    for at, file in enumerate(files):
        image = decode(file, _Worker.prepare)
        if not isinstance(image, Undecodable):
            arrays[place + at] = image
        reasons.append(image.reason if isinstance(image, Undecodable) else None)
    return reasons

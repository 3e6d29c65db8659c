"""Ctrl-C at every moment: KeyboardInterrupt while a command works, before and after it a line and the end."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Generator, Iterator

INTERRUPTED = 130
"""The exit code after Ctrl-C."""
MESSAGE = "interrupted; what was done stays"
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""What ends a job: Ctrl-C, a scheduler's SIGTERM, a closed terminal's SIGHUP; each is answered alike."""


def end_at_once(number: int = signal.SIGINT, frame: object = None) -> None:  # noqa: ARG001
    """Say so and leave the process, which has nothing to put back."""
    with contextlib.suppress(OSError):
        os.write(2, f"captrawl: {MESSAGE}\n".encode())
    os._exit(INTERRUPTED)


def end_when_interrupted() -> None:
    """Leave at every signal of SIGNALS from now on; one that is ignored (by nohup) stays ignored.

    Interpreter and libraries take a second to import, and KeyboardInterrupt among their lines is a traceback.
    """
    for number in SIGNALS:
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, end_at_once)
    sys.unraisablehook = _unraisable


def _unraisable(caught: sys.UnraisableHookArgs) -> None:
    """End where KeyboardInterrupt came up in a finalizer or a callback, which pass nothing on."""
    if isinstance(caught.exc_value, KeyboardInterrupt):
        end_at_once()
    sys.__unraisablehook__(caught)


def from_interrupt(error: BaseException | None) -> bool:
    """Whether ``error`` came of a KeyboardInterrupt: an import cut short fails otherwise the next time."""
    return any(isinstance(cause, KeyboardInterrupt) for cause in causes(error))


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """``error``, and what it came of, each once: an error raised from itself leads back to itself."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


@contextlib.contextmanager
def interruptible() -> Generator[None]:
    """Let these signals raise KeyboardInterrupt within the block: what it has set up is then put back.

    Nothing changes where end_when_interrupted wasn't called.
    """
    numbers = [number for number in SIGNALS if signal.getsignal(number) is end_at_once]
    for number in numbers:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, end_at_once)


@contextlib.contextmanager
def children_unheard() -> Generator[None]:
    """Processes started within the block don't hear Ctrl-C, which a terminal sends to every process of a job.

    They would end with tracebacks of their own while they import; whoever started them ends them.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # the first start of a process would start it, and unblock Ctrl-C after
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

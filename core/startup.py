"""A start within the machine's limits, and without what others import: pandas (pyarrow), wandb (timm)."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

LEAST_MEMORY = 640 << 20
"""Bytes of addresses below which libraries crash while they are loaded, instead of saying so."""


def memory_limit() -> int | None:
    """The bytes of addresses that this process may have (ulimit -v); None without a limit."""
    try:
        import resource
    except ImportError:  # Windows has none
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def memory_left() -> int | None:
    """The bytes of addresses that this process may still take; None without a limit, or where nobody says."""
    limit, used = memory_limit(), memory_used()
    return None if limit is None or used is None else limit - used


def memory_used() -> int | None:
    """The bytes of addresses that this process has; None where nobody says."""
    counted = Path("/proc/self/statm")
    return int(counted.read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE") if counted.is_file() else None


def settle_threads() -> None:
    """Let OpenBLAS do without threads where none can be had: it would end the process like Ctrl-C."""
    done = threading.Event()
    threads = [threading.Thread(target=done.wait, daemon=True) for _ in range(min(os.cpu_count() or 1, 64))]
    try:
        for thread in threads:
            thread.start()
    except RuntimeError:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    done.set()
    for thread in threads:
        if thread.ident:
            thread.join()


class _NoPandas:
    """Finds no pandas, and leaves every other module to the finders behind it."""

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """Raise ImportError for pandas."""
        if name == "pandas":
            raise ImportError("pandas isn't needed here")
        return None


def settle_without_pandas() -> None:
    """Let pyarrow settle, for the rest of the process, on having no pandas; nothing where one is imported.

    pyarrow looks for it once, at its first array, which costs 0.2 s and 50 MB. ``import pandas`` works
    as before afterwards.
    """
    if "pandas" in sys.modules:
        return
    import pyarrow as pa

    finder = _NoPandas()
    sys.meta_path.insert(0, finder)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(finder)


def settle_without_wandb() -> None:
    """Let timm settle, for the rest of a command's process, on having no wandb.

    Its import takes a second, and two folders in the system's temporary one, which stay after a kill.
    """
    sys.modules.setdefault("wandb", None)  # pyright: ignore[reportArgumentType] as import has it

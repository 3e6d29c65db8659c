"""Whether a loader that signed an index's record still lives.

Where its process can be seen (the same boot of the same machine, the same process namespace), its number and
start time tell at once. Elsewhere only its signature does: it is renewed every HEARTBEAT seconds, dated by
the server's clock, and one that is SILENT seconds old is a dead loader's.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

HEARTBEAT = 20.0
SILENT = 120.0


class Life(Enum):
    """What can be said of a loader."""

    ALIVE = "alive"
    DEAD = "dead"
    UNCERTAIN = "uncertain"
    """It signed less than SILENT seconds ago, out of our sight."""


def signature(server_time: float) -> dict[str, Any]:
    """What this process writes into the record."""
    process = os.getpid()
    where = {"host": socket.gethostname(), "namespace": _namespace(), "pid": process}
    return {**where, "started": _started(process), "beat": server_time}


def life_of(signed: Mapping[str, Any], server_time: float) -> Life:
    """Whether the loader that ``signed`` lives at ``server_time``."""
    if signed.get("namespace") and signed["namespace"] == _namespace():
        return Life.ALIVE if _started(signed["pid"]) == signed["started"] else Life.DEAD
    return Life.UNCERTAIN if server_time - signed["beat"] < SILENT else Life.DEAD


@cache
def _namespace() -> str:
    """Where process numbers mean the same as here; "" where nobody can tell."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _started(process: int) -> str:
    """The clock ticks at which a process started; "" where there is none, or only its remains."""
    try:
        state, *fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except (OSError, ValueError):
        return ""
    return "" if state in "ZX" else fields[18]

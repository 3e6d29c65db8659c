"""Whether the GPU works, tried in a child process: a build without kernels for the card aborts."""

from __future__ import annotations

import functools
import logging
import signal
import subprocess
import sys
from typing import Any

logger = logging.getLogger(__name__)

SEARCH = """
import faiss, numpy
vectors = numpy.eye(64, dtype=numpy.float32)
resources = faiss.StandardGpuResources()
_, nearest = faiss.knn_gpu(resources, vectors, vectors, 1, metric=faiss.METRIC_INNER_PRODUCT)
assert (nearest[:, 0] == numpy.arange(64)).all(), "wrong neighbours"
"""
"""A k-NN of FAISS on the GPU."""

FORWARD = """
import torch
picture, kernel = torch.ones(1, 3, 32, 32, device="cuda"), torch.ones(8, 3, 4, 4, device="cuda")
result = torch.nn.functional.conv2d(picture, kernel, stride=4).sum().item()
assert result == 8 * 64 * 48, f"a convolution gave {result}"
"""
"""A patch embedding of torch on the GPU."""

_SECONDS = 120
_LONGEST = 200
_OLD_DRIVER = "the NVIDIA driver is older than this build's CUDA; update the driver"
_MEANINGS = (
    ("no kernel image", "this build has no kernels for the card's compute capability"),
    ("driver version is insufficient", _OLD_DRIVER),
    ("driver on your system is too old", _OLD_DRIVER),
    ("out of memory", "another process uses the card's memory"),
    ("shared memory", "this card has less shared memory than the search asks for"),
)


def has_gpu(faiss: Any) -> bool:
    """Whether this FAISS was built for GPUs, finds one and can use it; a warning, once, where it can't."""
    return hasattr(faiss, "StandardGpuResources") and faiss.get_num_gpus() > 0 and not _search_fault()


@functools.cache
def _search_fault() -> str:
    fault = fault_of(SEARCH)
    if fault:
        logger.warning("FAISS can't use the GPU it sees, and searches on the CPU: %s", fault)
    return fault


def fault_of(code: str, *, seconds: float = _SECONDS) -> str:
    """Why Python ``code`` fails in a process of its own, in one line with what it means; else "".

    The last line of stderr that says something is quoted.
    """
    try:
        child = subprocess.run(
            [sys.executable, "-P", "-c", code],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {seconds:g} seconds; the driver may hang"
    if child.returncode == 0:
        return ""
    text = child.stderr.decode(errors="replace")
    line = next((line for line in reversed(text.splitlines()) if _tells(line)), "")
    end = _signal_name(-child.returncode) if child.returncode < 0 else f"exit code {child.returncode}"
    meaning = next((meaning for words, meaning in _MEANINGS if words in text), "")
    return "; ".join(part for part in (" ".join(line.split())[:_LONGEST] or end, meaning) if part)


def _tells(line: str) -> bool:
    """Whether a line of stderr is a message and not a frame of a stack."""
    return bool(line.strip()) and not line.startswith((" ", "Aborted", "Current thread", "Extension modules"))


def _signal_name(number: int) -> str:
    try:
        return f"ended by {signal.Signals(number).name}"
    except ValueError:
        return f"ended by signal {number}"

"""What a child process that tries the GPU says, and what a FAISS that can't use one does."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import faiss
import numpy as np
import pytest
from captrawl.search.vectors import gpu
from captrawl.search.vectors.exact import exact_scores

NO_KERNELS = b"Faiss assertion: CUDA error 209 no kernel image is available for execution on the device\n"


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("pass", ""),
        ("raise RuntimeError('two\\nlines')", "lines"),
        ("raise SystemExit(3)", "exit code 3"),
        ("import os; os.kill(os.getpid(), 9)", "ended by SIGKILL"),
        ("import os, sys; print('x', file=sys.stderr, flush=True); os.abort()", "x"),
        (f"import os; os.write(2, {NO_KERNELS!r}); os.abort()", "on the device; this build has no kernels"),
        ("import time; time.sleep(60)", "no answer within"),
    ],
)
def test_a_fault_is_a_line(code, fault) -> None:
    said = gpu.fault_of(code, seconds=1.5 if "sleep" in code else 60)
    assert (said == "") if not fault else fault in said
    assert "\n" not in said


def test_a_faiss_that_cannot_use_the_gpu_it_sees_searches_on_the_cpu(monkeypatch, caplog) -> None:
    """The one installed here knows no GPU: its child fails as one without kernels for the card does."""
    gpu._search_fault.cache_clear()
    monkeypatch.setattr(faiss, "StandardGpuResources", SimpleNamespace, raising=False)
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 1, raising=False)
    vectors = np.eye(3, dtype=np.float32)
    with caplog.at_level(logging.WARNING):
        assert (exact_scores(vectors, vectors) == np.eye(3)).all()
        assert not gpu.has_gpu(faiss)
    gpu._search_fault.cache_clear()
    (warning,) = caplog.records
    assert warning.message.startswith(
        "FAISS can't use the GPU it sees, and searches on the CPU: AttributeError"
    )

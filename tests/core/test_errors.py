"""What the machine's limits look like to a user: never a missing extra, never a traceback."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest
from captrawl.core.errors import MissingExtraError, import_failure, lacks_memory

GIGABYTE = 1_000_000_000


def test_an_import_that_fails_is_a_missing_extra_only_where_the_module_is_missing() -> None:
    missing = import_failure(ModuleNotFoundError("No module named 'torch'"), "encoding", "cpu")
    assert isinstance(missing, MissingExtraError)
    broken = import_failure(ImportError("libtorch.so: failed to map segment"), "encoding", "cpu")
    assert not isinstance(broken, MissingExtraError)
    assert "installed and can't be loaded (libtorch.so: failed to map segment)" in str(broken)


@pytest.mark.parametrize(
    ("error", "machine"),
    [(MemoryError(), True), (RuntimeError("can't start new thread"), True), (RuntimeError("x"), False),
     (OSError(12, "Cannot allocate memory"), True)],
)  # fmt: skip
def test_what_is_the_machines_fault(error: Exception, machine: bool) -> None:
    assert lacks_memory(error) is machine


@pytest.mark.skipif(sys.platform != "linux", reason="limits of the address space are Linux's")
def test_torch_that_finds_no_memory_is_not_said_to_be_missing(tmp_path) -> None:
    pytest.importorskip("torch")
    code = (
        "from pathlib import Path\nfrom captrawl.core.errors import CaptrawlError\n"
        "from captrawl.swat.features import load_features\n"
        "try:\n    load_features(Path('x.pth'))\nexcept CaptrawlError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (GIGABYTE, GIGABYTE)),
    )  # fmt: skip
    assert "can't be loaded" in done.stdout, done.stderr
    assert "pip install" not in done.stdout

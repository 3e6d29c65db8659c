"""What the machine's limits look like to a user: never a missing extra, never a traceback."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from captrawl.core.errors import (
    NO_MEMORY,
    CaptrawlError,
    MissingExtraError,
    WorkspaceError,
    import_failure,
    lacks_memory,
    machines_fault,
    no_process,
)
from captrawl.core.interrupts import causes, from_interrupt

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
     (OSError(12, "Cannot allocate memory"), True),
     (ImportError("libx.so: failed to map segment from shared object"), True)],
)  # fmt: skip
def test_what_is_the_machines_fault(error: Exception, machine: bool) -> None:
    assert lacks_memory(error) is machine


def test_a_refused_process_is_not_a_full_pipe() -> None:
    assert no_process(BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)))
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with os.fdopen(reader, "rb", 0) as end, os.fdopen(writer, "wb") as pipe:
        with pytest.raises(BlockingIOError) as full:
            pipe.write(bytes(1_000_000))
        end.read(1_000_000)
    assert not no_process(full.value)


@pytest.mark.parametrize("megabytes", [60, 150, 300])
@pytest.mark.skipif(sys.platform != "linux", reason="limits of the address space are Linux's")
def test_too_little_memory_to_start_is_a_line(tmp_path: Path, megabytes: int) -> None:
    """Not a traceback of numpy's, and not "interrupted": OpenBLAS sends Ctrl-C where it gets no thread."""
    done = subprocess.run(
        [sys.executable, "-m", "captrawl", "status"],
        capture_output=True, text=True, cwd=tmp_path, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20)),
    )  # fmt: skip
    line = f"captrawl: {megabytes} MiB of memory are allowed here (ulimit -v), too few to start\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", line)


def test_a_file_is_not_called_damaged_for_want_of_memory() -> None:
    def reading(cause: BaseException) -> str:
        error = WorkspaceError("can't read a.parquet; delete it and embed again")
        error.__cause__ = cause
        return machines_fault(error)

    assert reading(pa.ArrowMemoryError("malloc of size 64 failed")) == NO_MEMORY
    assert reading(pa.ArrowException("Failed to launch worker thread: Resource …")) == NO_MEMORY
    many = reading(OSError(24, "Too many open files", "a.npy"))
    assert many.startswith("a.npy: Too many open files; raise the limit of open files (ulimit -n)")
    assert reading(pa.ArrowInvalid("no footer")).startswith("can't read a.parquet")
    assert reading(ImportError("libx.so: failed to map segment from shared object")).startswith("can't read")


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


def test_an_error_raised_from_itself_is_told_all_the_same() -> None:
    error = CaptrawlError("no key")
    error.__cause__ = error
    assert list(causes(error)) == [error]
    assert machines_fault(error) == "no key"
    assert not from_interrupt(error)

"""Ctrl-C at every moment: a line and 130, whatever was being imported; never a traceback."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from captrawl.core.interrupts import MESSAGE, children_unheard

START = """
import os, signal, sys

WHERE, HOW, NAME, *sys.argv[1:] = sys.argv[1:]

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == WHERE:
            sys.meta_path.remove(self)
            press() if HOW == "import" else Finalized()

def press():
    os.kill(os.getpid(), getattr(signal, NAME))

class Finalized:
    def __del__(self):
        press()

sys.meta_path.insert(0, Finder())
from captrawl.__main__ import main
main()
"""
"""A command line that sends itself a signal while the module WHERE is looked for, there or in a finalizer."""


def interrupted(folder: Path, where: str, how: str = "import", name: str = "SIGINT") -> tuple[int, str]:
    """How indexing a corpus of one row ends: (exit code, stderr)."""
    (folder / "c.tsv").write_text("url\tcaption\nhttp://127.0.0.1/a\ta dog\n")
    (folder / "start.py").write_text(START)
    done = subprocess.run(
        [sys.executable, "start.py", where, how, name, "index", "captions", "c.tsv", "--to", "index"],
        cwd=folder, capture_output=True, text=True, check=False, timeout=60,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    return done.returncode, done.stderr


IN_NUMPY = "numpy.core.overrides" if np.__version__ < "2" else "numpy._core.overrides"


@pytest.mark.parametrize("where", ["captrawl.cli", "typer", "numpy", IN_NUMPY, "pyarrow.lib"])
def test_an_import_is_interrupted(tmp_path: Path, where: str) -> None:
    assert interrupted(tmp_path, where) == (130, f"captrawl: {MESSAGE}\n")


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_other_ends_are_answered_alike(tmp_path: Path, name: str) -> None:
    assert interrupted(tmp_path, "typer", name=name) == (130, f"captrawl: {MESSAGE}\n")


def test_a_finalizer_passes_nothing_on(tmp_path: Path) -> None:
    assert interrupted(tmp_path, "pyarrow", "finalizer") == (130, f"captrawl: {MESSAGE}\n")


def test_children_dont_hear_it() -> None:
    show = "import signal; print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))"
    with children_unheard():
        heard = subprocess.run([sys.executable, "-c", show], capture_output=True, text=True, check=True)
    assert heard.stdout == "True\n"
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_the_first_worker_of_a_process_doesnt_hear_it(tmp_path: Path) -> None:
    script = tmp_path / "first.py"
    script.write_text(
        "import multiprocessing, signal\n"
        "from captrawl.core.interrupts import children_unheard\n"
        "def show():\n"
        "    print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))\n"
        "if __name__ == '__main__':\n"
        "    with children_unheard():\n"
        "        process = multiprocessing.get_context('spawn').Process(target=show)\n"
        "        process.start()\n"
        "    process.join()\n"
        "    show()\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]

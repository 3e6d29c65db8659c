"""What the terminal shows of hostile text."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest
from captrawl.core.terminal import bar, clean, emit_json, highlighted, one_line
from captrawl.core.wording import counts_text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a plain caption", "a plain caption"),
        ("\x1b[2Jgone", "�[2Jgone"),
        ("bell\x07 and \x9b31m", "bell� and �31m"),
        ("evil \u202egpj.exe", "evil �gpj.exe"),
        ("soft\u00adhyphen", "softhyphen"),
        ("family 👩\u200d👩\u200d👧 café 猫", "family 👩\u200d👩\u200d👧 café 猫"),
        ("line\nline", "line\nline"),
    ],
)
def test_clean(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_json_lets_no_control_character_stand(capsys) -> None:
    emit_json({"caption": "\x9b31m \x1b[2J \x7f é猫"})
    printed = capsys.readouterr().out
    assert clean(printed) == printed
    assert json.loads(printed) == {"caption": "\x9b31m \x1b[2J \x7f é猫"}


def test_one_line_folds_white_space() -> None:
    assert one_line("a\n b\t\u00a0c") == "a b c"


def test_a_huge_caption_is_cut_around_its_first_match() -> None:
    text = "word " * 2_000 + "husky" + " tail" * 2_000
    shown = highlighted(text, [(10_000, 10_005), (10_006, 10_010), (19_000, 19_010)])
    assert shown.plain == "…" + text[9_875:10_375] + "…"
    assert [(shown.plain[span.start : span.end], span.style) for span in shown.spans] == [
        ("husky", "bold yellow"),
        ("tail", "bold yellow"),
    ]
    assert highlighted(text).plain == text[:500] + "…"
    assert highlighted("a" * 500).plain == "a" * 500
    assert highlighted("a" * 495 + " husky", [(496, 501)]).plain == "…" + "a" * 494 + " husky"


def test_highlighting_marks_the_spans_and_cleans_the_rest() -> None:
    shown = highlighted("a\x1b golden\nretriever", [(3, 19)])
    assert shown.plain == "a� golden retriever"
    assert [(span.start, span.end) for span in shown.spans] == [(3, 19)]


@pytest.mark.parametrize(
    ("value", "most", "shown"), [(0, 10, ""), (10, 10, "████"), (5, 10, "██"), (1, 1000, "▏"), (0, 0, "")]
)
def test_bar(value: int, most: int, shown: str) -> None:
    assert bar(value, most, width=4) == shown


def test_counts_name_reasons_as_files_do() -> None:
    counts = {
        "packed": 1843,
        "failed": 86,
        "failed:http_404": 35,
        "failed:timeout": 51,
        "no_url": 24,
        "pending": 0,
    }
    assert counts_text(counts) == "packed 1,843, failed 86 (http_404 35, timeout 51), no url 24"


def test_that_nothing_was_kept_is_told() -> None:
    assert counts_text({"classes": 2, "without_pool": 0, "kept": 0, "leak": 7}) == "classes 2, kept 0, leak 7"


RUN = """
import logging, sys, time
from captrawl.cli import _Lines
from captrawl.commands.results import StageLines
from captrawl.core.terminal import emit, progress_bars
from captrawl.workspace.workspace import StageStatus, State
logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s", handlers=[_Lines()])
with progress_bars() as progress:
    lines = StageLines(emit)
    for name in ("match", "download", "embed"):
        progress(f"{name}: waiting", 0, None)
        for done in range(30):
            progress(name, done + 1, 30)
            time.sleep(0.01)
            if done == 15:
                logging.warning("half of %s", name)
        with progress_bars() as inner:
            inner(f"{name}: inside", 1, 2)
            time.sleep(0.15)
        lines.add(StageStatus(name, State.DONE, {"rows": 1234}))
emit("the list is here")
"""


def test_a_run_leaves_its_lines_and_nothing_else_on_the_screen() -> None:
    """Bars and lines once overwrote each other: the final screen is read as a person sees it."""
    pyte = pytest.importorskip("pyte")
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8"}
    child = subprocess.Popen(
        [sys.executable, "-c", RUN], stdin=slave, stdout=slave, stderr=slave, env=environment
    )
    os.close(slave)
    screen = pyte.Screen(80, 24)
    stream = pyte.ByteStream(screen)
    drawn = b""
    with contextlib.suppress(OSError):  # the end of a pseudo-terminal
        while chunk := os.read(master, 1 << 16):
            drawn += chunk
            stream.feed(chunk)
    assert child.wait(30) == 0
    os.close(master)
    assert b"/30" in drawn  # there was a bar to leave something behind
    lines = [re.sub(r"\d+\.\d s", "T s", line.rstrip()) for line in screen.display if line.strip()]
    assert lines == [
        "WARNING half of match",
        "✓ match: rows 1,234, T s",
        "WARNING half of download",
        "✓ download: rows 1,234, T s",
        "WARNING half of embed",
        "✓ embed: rows 1,234, T s",
        "the list is here",
    ]

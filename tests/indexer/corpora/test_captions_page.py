"""docs/captions.md: its presets and commands are the program's, its arithmetic is right."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from captrawl.indexer.corpora.presets import CORPORA, SQLITE

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "captions.md").read_text()
MEASURED = 141
"""Bytes of the index for a row, docs/development.md."""
UNITS = {"M": 1e6, "B": 1e9}


def rows() -> list[list[str]]:
    """The cells of the page's first table."""
    table = re.search(r"(?:^\|.*\n)+", PAGE, re.MULTILINE)[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def test_every_preset_has_its_corpus() -> None:
    names = [name for row in rows() for name in re.findall(r"`([^`]+)`", row[0])]
    assert sorted(names) == sorted({*CORPORA, SQLITE})
    commands = re.findall(r"--preset (\S+)", PAGE)
    assert commands
    assert set(commands) <= set(names)


def test_every_corpus_has_licence_and_a_source_of_a_year() -> None:
    for preset, corpus, count, *_, licence, source in rows():
        if count:
            assert licence, corpus
            assert source == "the same" or re.search(r"20[12]\d", source), (preset, corpus)


@pytest.mark.parametrize("row", [row for row in rows() if row[4]], ids=lambda row: row[1][:20])
def test_the_index_is_projected_from_the_measured_bytes(row: list[str]) -> None:
    number, unit = row[2].split()
    projected = float(number) * UNITS[unit] * MEASURED / 1e9
    claimed = float(row[4].removesuffix(" GB").replace(",", ""))
    assert abs(claimed - projected) <= max(0.5, projected * 0.01)


def test_the_bytes_are_those_measured() -> None:
    text = (Path(__file__).resolve().parents[3] / "docs" / "development.md").read_text()
    assert f"made up like LAION's (`rehearsal.py`); without the row stores | {MEASURED}; 50 |" in text
    assert f"{MEASURED} bytes per row" in PAGE

"""All nine class lists on 1.47 million real captions: counts as a plain-Python pass finds them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import ModuleType

import pyarrow.parquet as pq
import pytest
from captrawl.indexer.captions import index_captions
from captrawl.indexer.corpora.files import find_files
from captrawl.search.captions import open_captions
from captrawl.search.query import CaptionQuery, Filters, Safety

Group = tuple[tuple[str, ...], str]
"""Phrases and a prefix."""


@pytest.fixture(scope="session")
def groups(data_folder: Path) -> list[Group]:
    """Each class of the nine lists, and each of its synonyms alone."""
    groups: list[Group] = []
    for path in sorted((data_folder / "data" / "swat").glob("*_metrics-LAION400M.json")):
        prefix = "satellite" if path.name.startswith("eurosat") else ""
        for entry in json.loads(path.read_text(encoding="utf-8")).values():
            phrases = tuple(entry["alternates"])
            groups.append((phrases, prefix))
            groups.extend(((phrase,), prefix) for phrase in phrases)
    assert len(groups) == 1793 + 8079
    return groups


@pytest.fixture(scope="session")
def expected(data_folder: Path, groups: list[Group], oracle: ModuleType) -> list[list[int]]:
    """The counts of each file's captions, by the oracle, which takes a minute: once for all engines."""
    files = find_files([data_folder / "data" / "captions"])
    texts = (pq.read_table(file.path, columns=["TEXT"])["TEXT"].to_pylist() for file in files)
    return [oracle.count_groups(captions, groups) for captions in texts]


@pytest.mark.data
@pytest.mark.timeout(1200)
def test_nine_class_lists_count_as_the_oracle(store, data_folder, groups, expected):
    """All captions on Tantivy; a server loads one file of four, or all with CAPTRAWL_EVERY_ROW."""
    place = store.place()
    files = find_files([data_folder / "data" / "captions"])
    if store.name == "elastic" and not os.environ.get("CAPTRAWL_EVERY_ROW"):
        files, expected = files[:1], expected[:1]
    counts = index_captions(place, files)
    assert counts.rows == (1_470_858 if len(files) == 4 else 367_715)
    with open_captions(place) as index:
        unfiltered = Filters(safety=Safety.OFF)
        counted = index.count([CaptionQuery(p, prefix=prefix, filters=unfiltered) for p, prefix in groups])
    wanted = [sum(of_files) for of_files in zip(*expected, strict=True)]
    differing = {
        group: (got, want) for group, got, want in zip(groups, counted, wanted, strict=True) if got != want
    }
    assert differing == {}
    assert sum(wanted) == (367_270 if len(files) == 4 else 207_819)

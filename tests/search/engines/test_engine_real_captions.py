"""All nine class lists on 1.47 million real captions: counts as a plain-Python pass finds them."""

from __future__ import annotations

import json
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
def expected(data_folder: Path, groups: list[Group], oracle: ModuleType) -> list[int]:
    """By the oracle, which takes a minute: once for all engines."""
    texts = (
        text
        for file in find_files([data_folder / "data" / "captions"])
        for text in pq.read_table(file.path, columns=["TEXT"])["TEXT"].to_pylist()
    )
    return oracle.count_groups(texts, groups)


@pytest.mark.data
@pytest.mark.timeout(1200)
def test_nine_class_lists_count_as_the_oracle(store, data_folder, groups, expected):
    place = store.place()
    counts = index_captions(place, find_files([data_folder / "data" / "captions"]))
    assert (counts.files_added, counts.rows) == (4, 1_470_858)
    with open_captions(place) as index:
        unfiltered = Filters(safety=Safety.OFF)
        counted = index.count([CaptionQuery(p, prefix=prefix, filters=unfiltered) for p, prefix in groups])
    differing = {
        group: (got, want) for group, got, want in zip(groups, counted, expected, strict=True) if got != want
    }
    assert differing == {}
    assert sum(expected) == 367_270

"""All nine class lists on 1.47 million real captions: counts as a plain-Python pass finds them."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest
from captrawl.indexer.captions import index_captions
from captrawl.indexer.corpora.files import find_files
from captrawl.search.captions import open_captions
from captrawl.search.query import CaptionQuery, Filters, Safety


@pytest.mark.data
@pytest.mark.timeout(1200)
def test_nine_class_lists_count_as_the_oracle(engine, oracle, data_folder):
    groups = []
    for path in sorted((data_folder / "data" / "swat").glob("*_metrics-LAION400M.json")):
        prefix = "satellite" if path.name.startswith("eurosat") else ""
        for entry in json.loads(path.read_text(encoding="utf-8")).values():
            phrases = tuple(entry["alternates"])
            groups.append((phrases, prefix))
            groups.extend(((phrase,), prefix) for phrase in phrases)
    assert len(groups) == 1793 + 8079

    files = find_files([data_folder / "data" / "captions"])
    place = engine.place()
    counts = index_captions(place, files)
    assert (counts.files_added, counts.rows) == (4, 1_470_858)
    with open_captions(place) as index:
        unfiltered = Filters(safety=Safety.OFF)
        counted = index.count([CaptionQuery(p, prefix=prefix, filters=unfiltered) for p, prefix in groups])

    captions = (
        text for file in files for text in pq.read_table(file.path, columns=["TEXT"])["TEXT"].to_pylist()
    )
    expected = oracle.count_groups(captions, groups)
    differing = {
        group: (got, want) for group, got, want in zip(groups, counted, expected, strict=True) if got != want
    }
    assert differing == {}
    assert sum(expected) == 367_268

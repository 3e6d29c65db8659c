"""Indexes of every format version that was ever released keep opening, and answer as they did."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from captrawl.core.records import Fingerprint
from captrawl.search.captions import open_captions
from captrawl.search.query import CaptionQuery, Filters

GOLDEN = Path(__file__).resolve().parents[2] / "golden"

QUERIES = [
    CaptionQuery(("golden retriever",)),
    CaptionQuery(("lego set", "macaroni cheese", "st bernards cafe")),
    CaptionQuery(("annual crop",), prefix="satellite"),
    CaptionQuery(("golden", "東京タワー"), exclude=("dog",)),
    CaptionQuery(
        ("cheese", "set", "retrievers"), filters=Filters(min_side=90, licence="cc", max_punsafe=0.3)
    ),
]


@pytest.mark.parametrize("version", [1])
def test_a_golden_index_opens_and_answers(version, tmp_path, oracle):
    golden = GOLDEN / f"captions-{version}"
    rows = json.loads((golden / "rows.json").read_text(encoding="utf-8"))
    with open_captions(shutil.copytree(golden / "index", tmp_path / "index")) as index:
        assert index.files() == {name: Fingerprint(8, 1234, f"digest of {name}") for name in ("a/1", "b")}
        assert index.rows() == 16
        assert (
            index.count(QUERIES) == [len(oracle.found(rows, query)) for query in QUERIES] == [2, 4, 2, 2, 4]
        )
        for query in QUERIES:
            assert index.sample(query, 9, 5).to_pylist() == oracle.sample(rows, query, 9, 5)
            assert index.first(query, 9, None).to_pylist() == oracle.first(rows, query, 9)


def test_a_golden_index_can_be_extended(tmp_path, make_rows, file_of, batches_of):
    with open_captions(shutil.copytree(GOLDEN / "captions-1" / "index", tmp_path / "index")) as index:
        index.add(file_of("new", 1), batches_of(make_rows(["golden retriever"], file="new")))
        index.remove("b")
        assert (index.rows(), index.count(QUERIES[:1])) == (9, [2])

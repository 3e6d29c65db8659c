"""Indexes of every analyzer that was ever released keep opening, and answer as they did."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from captrawl.core.records import Fingerprint
from captrawl.search.api import Order, PageOfRows, frequencies, rows_of_page
from captrawl.search.captions import open_captions
from captrawl.search.query import CaptionQuery, Filters, Safety

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


ANY = Filters(safety=Safety.OFF)
NEW_QUERIES = [
    CaptionQuery(("金毛犬", "京タワ"), filters=ANY),
    CaptionQuery(("ป่า",), prefix="金"),
    CaptionQuery(("σκύλος istanbul",), filters=ANY),
]
GOLDENS = [(1, 16, QUERIES, [2, 4, 2, 2, 4]), (2, 20, [*QUERIES, *NEW_QUERIES], [2, 4, 2, 2, 4, 4, 2, 2])]


@pytest.mark.parametrize(("version", "total", "queries", "counts"), GOLDENS)
def test_a_golden_index_opens_and_answers(version, total, queries, counts, tmp_path, oracle):
    golden = GOLDEN / f"captions-{version}"
    rows = json.loads((golden / "rows.json").read_text(encoding="utf-8"))
    with open_captions(shutil.copytree(golden / "index", tmp_path / "index")) as index:
        each = total // 2
        assert index.analyzer == version
        assert index.files() == {name: Fingerprint(each, 1234, f"digest of {name}") for name in ("a/1", "b")}
        assert index.rows() == total
        own = [query.under(version) for query in queries]
        assert index.count(queries) == [len(oracle.found(rows, query)) for query in own] == counts
        for query, translated in zip(queries, own, strict=True):
            assert index.sample(query, 9, 5).to_pylist() == oracle.sample(rows, translated, 9, 5)
            assert index.first(query, 9, None).to_pylist() == oracle.first(rows, translated, 9)
            assert index.relevant(query, 99).num_rows == len(oracle.found(rows, translated))


@pytest.mark.parametrize("version", [1, 2])
def test_a_golden_index_is_extended_with_its_own_analyzer(version, tmp_path, make_rows, file_of, batches_of):
    place = shutil.copytree(GOLDEN / f"captions-{version}" / "index", tmp_path / "index")
    with open_captions(place) as index:
        captions = ["golden retriever", "東京タワー", "gol&shy;den"]
        index.add(file_of("new", 3), batches_of(make_rows(captions, file="new")))
        index.remove("b")
        assert index.count(QUERIES[:1]) == [2]
        whole = CaptionQuery(("東京タワー",), filters=ANY)
        part = CaptionQuery(("東京", "golden"), filters=ANY)
        assert index.first(whole, 9, None)["file"].to_pylist() == ["a/1", "new"]
        rows = index.first(part, 9, None)
        assert rows["file"].to_pylist() == ["a/1"] * 3 + ["new"] * (1 if version == 1 else 3)
        credit = rows_of_page(index, part, frequencies(index, part), PageOfRows(9, Order.CORPUS))["synonym"]
        assert set(credit.to_pylist()) == ({"golden"} if version == 1 else {"golden", "東京"})

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
from captrawl.search.tantivy.row_blocks import FORMATS

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
ALL = [2, 4, 2, 2, 4, 4, 2, 2]
GOLDENS = {
    "captions-1": (1, 16, QUERIES, ALL[: len(QUERIES)]),
    "captions-2": (2, 20, [*QUERIES, *NEW_QUERIES], ALL),
    "captions-2-format-2": (2, 20, [*QUERIES, *NEW_QUERIES], ALL),
}
"""Folder → analyzer, rows, queries and their counts; the first two are of format 1."""


@pytest.mark.parametrize("name", GOLDENS)
def test_a_golden_index_opens_and_answers(name, tmp_path, oracle):
    version, total, queries, counts = GOLDENS[name]
    golden = GOLDEN / name
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


@pytest.mark.parametrize("name", GOLDENS)
def test_a_golden_index_is_extended_in_its_own_way(name, tmp_path, make_rows, file_of, batches_of):
    """By its own analyzer, and with its own row stores: the captrawl that wrote it can read the new rows."""
    place = shutil.copytree(GOLDEN / name / "index", tmp_path / "index")
    version, written = GOLDENS[name][0], 2 if name.endswith("format-2") else 1
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
        index.remove_rows({"new": [0]})
    magics = {path.read_bytes()[-8:] for path in place.rglob("values.rows")}
    manifests = {json.loads(path.read_bytes())["format"] for path in place.rglob("manifest.json")}
    assert (magics, manifests) == ({FORMATS[written].magic}, {written})
    assert json.loads((place / "captions.json").read_bytes())["format"] == written

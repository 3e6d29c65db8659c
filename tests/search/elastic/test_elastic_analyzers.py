"""An index that was made with analyzer 1 is asked and extended with analyzer 1."""

from __future__ import annotations

import contextlib

import pyarrow as pa
import pytest
from captrawl.core.records import ROW_SCHEMA, CorpusFile, Fingerprint
from captrawl.search.captions import open_captions
from captrawl.search.elastic.address import parse_address
from captrawl.search.elastic.catalogue import Catalogue
from captrawl.search.elastic.schema import FORMAT, mapping
from captrawl.search.elastic.server import connect
from captrawl.search.elastic.session import change_control
from captrawl.search.query import CaptionQuery

pytestmark = pytest.mark.elastic


def make_old(place):
    """The index as analyzer 1 made it: the number in the mapping, and in the index's own record."""
    with contextlib.closing(connect(parse_address(place))) as server:
        server.ask(lambda es: es.indices.create(index=server.address.name, mappings=mapping(1)))
        meta = {"format": FORMAT, "analyzer": 1}
        change_control(Catalogue(server, server.address.name), lambda detail: {**detail, **meta})


def counts(index):
    phrases = ("東京タワー", "東京", "golden retriever", "istanbul")
    return index.count([CaptionQuery((phrase,)) for phrase in phrases])


@pytest.mark.parametrize(("analyzer", "expected"), [(1, [1, 0, 1, 0]), (2, [1, 1, 2, 1])])
def test_each_index_keeps_its_analyzer(place, analyzer, expected, tmp_path):
    if analyzer == 1:
        make_old(place)
    captions = ["東京タワー", "a gol&shy;den retriever", "Golden-Retriever", "İSTANBUL"]
    rows = [
        {
            **dict.fromkeys(ROW_SCHEMA.names),
            "uid": at,
            "priority": at,
            "file": "a",
            "row": at,
            "caption": text,
        }
        for at, text in enumerate(captions)
    ]
    file = CorpusFile("a", tmp_path, "", Fingerprint(4, 40, "1"))
    with open_captions(place, create=True) as index:
        index.add(file, [pa.RecordBatch.from_pylist(rows, schema=ROW_SCHEMA)])
        assert (index.analyzer, counts(index)) == (analyzer, expected)
    with open_captions(place) as again:
        assert (again.analyzer, counts(again)) == (analyzer, expected)
        query = CaptionQuery(("東京", "golden retriever"))
        assert again.first(query, 9, None).num_rows == sum(batch.num_rows for batch in again.scan(query))

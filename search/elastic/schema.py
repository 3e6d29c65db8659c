"""What an Elasticsearch caption index holds: its mapping, and how a row becomes a document and back.

A row is one document: what the corpus said, as it said it (`caption`, `url`, …), and beside it what is
searched: `tokens` (its analyzer's, joined by blanks), `side`, and the keys that filters compare. `load`
names the attempt that wrote it; readers see the loads that file records call committed (load.py).

Records are documents with a `kind`: one `file` a corpus file, one `index` for the whole.

Format 2 keeps out of `_source` what nobody reads back (`tokens`, `side`, `key`, `load`), and what a hit says
without it: `row` stands in its `_id`, `file` in its sort values or its load's record, `uid` and `priority`
in doc values. That is a third less to store. Until a segment merges, the server keeps a copy of the whole for
replicas that have to catch up. Format 1 has all of it in `_source`; documents are sent alike to both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from ...core.analyzers import ANALYZERS
from ...core.records import ROW_SCHEMA
from ...core.text import ANALYZER_VERSION
from ..query import filter_key

FORMAT = 2
FORMATS = (1, 2)
"""What this captrawl opens, and fills on as it is."""
KEYED = ("nsfw", "licence", "language")
"""Texts that filters compare by their filter_key."""

_OUT_OF_SOURCE = ("tokens", "side", "key", "load", "uid", "priority", "file", "row")

ROW_DIGITS = 10
_JSON = Mapping[str, Any]
_CHANGES = ("_source", "_routing", "runtime")
"""Parts of a mapping that change what is stored or found."""


def mapping(
    analyzer: int = ANALYZER_VERSION, *, index_format: int = FORMAT, phrases: bool = False
) -> dict[str, Any]:
    """The mapping of an index of this analyzer, exactly as the server gives it back.

    ``phrases``: pairs of tokens are indexed too, as phrases are asked.
    """
    stored = {"type": "keyword", "index": False, "doc_values": False}
    number = {"index": False, "doc_values": False}
    pairs = {"index_phrases": True} if phrases else {}
    slim = index_format > 1
    return {
        "dynamic": "strict",
        "_meta": {"captrawl": {"format": index_format, "analyzer": analyzer}},
        **({"_source": {"excludes": sorted(_OUT_OF_SOURCE)}} if slim else {}),
        "properties": {
            "tokens": {"type": "text", "analyzer": "whitespace", "norms": False, **pairs},
            "caption": stored,
            "url": stored,
            "uid": {"type": "long", "index": False} if slim else {"type": "long", **number},
            "width": {"type": "integer", **number},
            "height": {"type": "integer", **number},
            "side": {"type": "integer"},
            "similarity": {"type": "double"},
            "punsafe": {"type": "double"},
            "nsfw": stored,
            "licence": stored,
            "language": stored,
            "key": {"properties": {name: {"type": "keyword"} for name in KEYED}},
            "priority": {"type": "long"},
            "file": {"type": "keyword"},
            "row": {"type": "long", "index": False},
            "load": {"type": "keyword"},
            "kind": {"type": "keyword"},
            "record": {
                "properties": {
                    "file": {"type": "keyword"},
                    "load": {"type": "keyword"},
                    "rows": {"type": "long", "index": False},
                    "mark": {"type": "long", "index": False},
                    "pending": {"type": "keyword"},
                    "detail": {"type": "object", "enabled": False},
                }
            },
        },
    }


def is_ours(answer: _JSON) -> bool:
    """Whether a mapping that the server gave is of a format of ours, field by field.

    Fields that an index template added are no matter: no row has them.
    """
    meta = answer.get("_meta", {}).get("captrawl")
    fields: _JSON = answer.get("properties", {})
    kinds = [(analyzer, number) for analyzer in ANALYZERS for number in FORMATS]
    mappings = (
        mapping(analyzer, index_format=number, phrases=has_phrases(answer)) for analyzer, number in kinds
    )
    ours = next((ours for ours in mappings if ours["_meta"]["captrawl"] == meta), None)
    return (
        ours is not None
        and answer.get("dynamic") == ours["dynamic"]
        and all(fields.get(name) == field for name, field in ours["properties"].items())
        and all(answer.get(change) == ours.get(change) for change in _CHANGES)
    )


def has_phrases(answer: _JSON) -> bool:
    """Whether an index of this mapping has pairs of tokens."""
    return bool(answer.get("properties", {}).get("tokens", {}).get("index_phrases"))


def returned(index_format: int) -> dict[str, Any]:
    """What a search body asks for besides `_source`, so that rows_table has all of a row."""
    return {"docvalue_fields": ["uid", "priority"]} if index_format > 1 else {}


def row_id(load: str, row: int) -> str:
    """The `_id` of a row's document: all digits, so the server packs two a byte; ascending within a load."""
    return f"{load}{row:0{ROW_DIGITS}d}"


def row_of(identity: str) -> int:
    """The row in a row_id."""
    return int(identity[-ROW_DIGITS:])


def operations(batch: pa.RecordBatch, load: str, analyzer: int = ANALYZER_VERSION) -> Iterator[bytes]:
    """The bulk operation (two lines of JSON) that writes each row of ``batch``, in order.

    Values that are missing are left out of the document.
    """
    columns = {
        "tokens": ANALYZERS[analyzer].token_column(batch.column("caption")),
        **{name: batch.column(name) for name in ROW_SCHEMA.names},
        "side": pc.min_element_wise(batch.column("width"), batch.column("height"), skip_nulls=False),
    }
    filled = {name: column for name, column in columns.items() if column.null_count < len(column)}
    lists: list[list[Any]] = [column.to_pylist() for column in filled.values()]
    keys = {name: _keys(batch.column(name)) for name in KEYED if name in filled}
    rows: list[Any] = batch.column("row").to_pylist()
    start = b'{"index":{"_id":"' + load.encode()
    for place, values in enumerate(zip(*lists, strict=True)):
        document = {name: v for name, v in zip(filled, values, strict=True) if v is not None}
        document["load"] = load
        if keys:
            document["key"] = {name: key[place] for name, key in keys.items() if key[place] is not None}
        yield b'%b%010d"}}\n%b\n' % (start, rows[place], orjson.dumps(document))


def deletion(identity: str) -> bytes:
    """The bulk operation that deletes a document."""
    return b'{"delete":{"_id":"%b"}}\n' % identity.encode()


def load_of(identity: str) -> str:
    """The load in a row_id."""
    return identity[:-ROW_DIGITS]


def rows_table(hits: Sequence[_JSON], files: Mapping[str, str] | None = None) -> pa.Table:
    """Hits, as the server gives them back, as a table with records.ROW_SCHEMA, in their order.

    ``files``: the file of each load. Without it, file and row are the last two sort values of the hits.
    """
    sources = [hit["_source"] for hit in hits]
    if not any("fields" in hit for hit in hits):
        values = {name: [source.get(name) for source in sources] for name in ROW_SCHEMA.names}
    else:
        stored = (name for name in ROW_SCHEMA.names if name not in _OUT_OF_SOURCE)
        values = {name: [source.get(name) for source in sources] for name in stored} | _identities(
            hits, files
        )
    arrays = [pa.array(values[column.name], column.type) for column in ROW_SCHEMA]
    return pa.Table.from_arrays(arrays, schema=ROW_SCHEMA)


def _identities(hits: Sequence[_JSON], files: Mapping[str, str] | None) -> dict[str, list[Any]]:
    """What format 2 keeps out of `_source`, for each hit."""
    return {
        "file": [hit["sort"][-2] if files is None else files[load_of(hit["_id"])] for hit in hits],
        "row": [row_of(hit["_id"]) for hit in hits],
        **{name: [hit["fields"][name][0] for hit in hits] for name in ("uid", "priority")},
    }


def _keys(column: pa.Array[Any]) -> list[str | None]:
    encoded: Any = column.dictionary_encode()
    keys = [filter_key(text) for text in encoded.dictionary.to_pylist()]
    places: list[int | None] = encoded.indices.to_pylist()
    return [None if place is None else keys[place] for place in places]

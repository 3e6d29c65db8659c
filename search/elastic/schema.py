"""What an Elasticsearch caption index holds: its mapping, and how a row becomes a document and back.

A row is one document: what the corpus said, as it said it (`caption`, `url`, …), and beside it what is
searched: `tokens` (its analyzer's, joined by blanks), `side`, and the keys that filters compare. `load`
names the attempt that wrote it; readers see the loads that file records call committed (load.py).

Records are documents with a `kind`: one `file` a corpus file, one `index` for the whole.

`tokens` stays in `_source`: leaving it out made loading 20 % slower and the index 10 % larger until its
segments merge, since the server then stores both (12 % smaller after).
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

FORMAT = 1
KEYED = ("nsfw", "licence", "language")
"""Texts that filters compare by their filter_key."""

NOT_RETURNED = ("tokens", "side", "key", "load")
"""Fields of a row's document that aren't part of the row."""

ROW_DIGITS = 10
_JSON = Mapping[str, Any]
_CHANGES = frozenset({"_source", "_routing", "runtime"})
"""Parts of a mapping that would change what is stored or found."""


def mapping(analyzer: int = ANALYZER_VERSION) -> dict[str, Any]:
    """The mapping of an index of this analyzer, exactly as the server gives it back."""
    stored = {"type": "keyword", "index": False, "doc_values": False}
    number = {"index": False, "doc_values": False}
    return {
        "dynamic": "strict",
        "_meta": {"captrawl": {"format": FORMAT, "analyzer": analyzer}},
        "properties": {
            "tokens": {"type": "text", "analyzer": "whitespace", "norms": False},
            "caption": stored,
            "url": stored,
            "uid": {"type": "long", **number},
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
    """Whether a mapping that the server gave is of this format, field by field.

    Fields that an index template added are no matter: no row has them.
    """
    meta = answer.get("_meta", {}).get("captrawl")
    ours = next((ours for ours in map(mapping, ANALYZERS) if ours["_meta"]["captrawl"] == meta), None)
    fields: _JSON = answer.get("properties", {})
    return (
        ours is not None
        and answer.get("dynamic") == ours["dynamic"]
        and all(fields.get(name) == field for name, field in ours["properties"].items())
        and not answer.keys() & _CHANGES
    )


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


def rows_table(sources: Sequence[_JSON]) -> pa.Table:
    """Documents, as the server gives them back, as a table with records.ROW_SCHEMA, in their order."""
    arrays = [pa.array([source.get(column.name) for source in sources], column.type) for column in ROW_SCHEMA]
    return pa.Table.from_arrays(arrays, schema=ROW_SCHEMA)


def _keys(column: pa.Array[Any]) -> list[str | None]:
    encoded: Any = column.dictionary_encode()
    keys = [filter_key(text) for text in encoded.dictionary.to_pylist()]
    places: list[int | None] = encoded.indices.to_pylist()
    return [None if place is None else keys[place] for place in places]

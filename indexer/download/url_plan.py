"""urls.parquet: what is still to be asked, for plain img2dataset on the user's own cluster."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ...core.files import atomic
from ...workspace.workspace import Workspace
from ..fetch.addresses import is_public
from ..fetch.urls import LinkError, parse_link
from .enqueue import matched_batches
from .session import opened

PLAN_SCHEMA = pa.schema(
    [
        pa.field("url", pa.string(), nullable=False),
        pa.field("uid", pa.int64(), nullable=False),  # of the URL's row that is first in priority
        pa.field("class", pa.list_(pa.int64()), nullable=False),  # ascending
    ]
)
"""urls.parquet: a URL that is still to be asked a line, sorted by URL."""

_ROWS_AT_ONCE = 50_000
_TABLE = "CREATE TEMP TABLE plan (url TEXT, class INTEGER, uid INTEGER, priority INTEGER)"
_PLAN = """
SELECT p.url, p.uid, min(p.priority), group_concat(DISTINCT p.class) FROM plan p
    JOIN urls u ON u.url = p.url AND u.state = 'queued' GROUP BY p.url ORDER BY p.url
"""


def plan_only(workspace: Workspace) -> Path:
    """Write urls.parquet (PLAN_SCHEMA) for img2dataset and return its path; nothing is fetched.

    Left out are URLs that are settled in the ledger or blocked, and those that img2dataset would open and
    captrawl wouldn't: other schemes and ports, literal private addresses.
    """
    path = workspace.root / "urls.parquet"
    with opened(workspace) as yard:
        database = yard.ledger.database
        database.execute(_TABLE)
        names = ["url", "class_id", "uid", "priority"]
        for batch in matched_batches(workspace.matches_path, names):
            rows = batch.filter(batch.column("url").is_valid())
            values = zip(*(rows[name].to_pylist() for name in names), strict=True)
            database.executemany("INSERT INTO plan VALUES (?, ?, ?, ?)", values)
        found = database.execute(_PLAN)
        with atomic(path) as temporary, pq.ParquetWriter(temporary, PLAN_SCHEMA) as writer:
            while rows := found.fetchmany(_ROWS_AT_ONCE):
                kept = [row for row in rows if _would_ask(row[0], allow_private=yard.rules.allow_private)]
                classes = [sorted(map(int, row[3].split(","))) for row in kept]
                columns = [[row[0] for row in kept], [row[1] for row in kept], classes]
                planned = [
                    pa.array(values, kind) for values, kind in zip(columns, PLAN_SCHEMA.types, strict=True)
                ]
                writer.write_table(pa.Table.from_arrays(planned, schema=PLAN_SCHEMA))
    return path


def _would_ask(url: str, *, allow_private: bool) -> bool:
    """Whether nothing in ``url`` itself forbids to ask it."""
    try:
        link = parse_link(url)
        return allow_private or is_public(str(ipaddress.ip_address(link.host)))
    except LinkError:
        return False
    except ValueError:  # a name, not an address
        return True

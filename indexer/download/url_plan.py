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
from ..outcomes import Reason
from .enqueue import matched_rows
from .session import PLAN, open_session

PLAN_SCHEMA = pa.schema(
    [
        pa.field("url", pa.string(), nullable=False),
        pa.field("uid", pa.int64(), nullable=False),  # of the URL's row that is first in priority
        pa.field("class", pa.list_(pa.int64()), nullable=False),  # ascending
    ]
)
"""urls.parquet: a line for each URL that is still to be asked, sorted by URL."""
_COLUMNS = ["url", "class_id", "uid", "priority"]


def plan_only(workspace: Workspace) -> Path:
    """Write urls.parquet (PLAN_SCHEMA) for img2dataset and return its path; nothing is fetched.

    Left out are URLs that are settled in the ledger or blocked, and those that img2dataset would open and
    captrawl wouldn't: other schemes and ports, literal private addresses.
    """
    path = workspace.root / PLAN
    with open_session(workspace) as session:
        batches = matched_rows(workspace.matches_path, _COLUMNS)
        with atomic(path) as temporary, pq.ParquetWriter(temporary, PLAN_SCHEMA) as writer:
            for rows in session.ledger.plan(batches):
                private = session.rules.allow_private
                allowed = [row for row in rows if link_refusal(row[0], allow_private=private) is None]
                classes = [sorted(map(int, row[3].split(","))) for row in allowed]
                columns = [[row[0] for row in allowed], [row[1] for row in allowed], classes]
                arrays = [
                    pa.array(values, kind) for values, kind in zip(columns, PLAN_SCHEMA.types, strict=True)
                ]
                writer.write_table(pa.Table.from_arrays(arrays, schema=PLAN_SCHEMA))
    return path


def link_refusal(url: str, *, allow_private: bool) -> Reason | None:
    """Why ``url`` won't be asked, as far as it says itself; None where nothing in it forbids it."""
    try:
        link = parse_link(url)
        public = allow_private or is_public(str(ipaddress.ip_address(link.host)))
    except LinkError as error:
        return error.reason
    except ValueError:  # a name, not an address
        return None
    return None if public else Reason.PRIVATE_ADDRESS

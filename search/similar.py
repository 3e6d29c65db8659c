"""The matched rows nearest to a text or an image, over all classes or in one class's pool."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ..classes import load_classes
from ..errors import InputError, QueryError, WorkspaceError
from ..records import MATCH_SCHEMA
from ..workspace import Workspace
from .embeddings import Embeddings
from .encoder import load_encoder, model_of
from .neighbours import Nearest, Neighbours, Where

pc: Any = pyarrow.compute  # its kernels take more than the stubs say

SIMILAR_SCHEMA = pa.schema(
    [
        pa.field("score", pa.float64(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        *MATCH_SCHEMA,
    ]
)
"""A result: its score, its image below the workspace, and its line of matches.parquet."""


def similar(
    workspace: Workspace,
    *,
    text: str = "",
    image: Path | None = None,
    where: Where = "images",
    class_name: str = "",
    k: int = 20,
) -> pa.Table:
    """The ``k`` matched rows whose image or caption (``where``) is nearest to ``text`` or ``image``.

    SIMILAR_SCHEMA, score descending, then uid; a row that several classes matched is told of the first, or of
    ``class_name`` (a class's name or id). Raises QueryError unless just one of text and image is given,
    InputError for an unknown class or an unreadable image, WorkspaceError before `captrawl embed`.
    """
    if bool(text.strip()) == (image is not None):
        raise QueryError("give a text or an image to look for, and just one of them")
    class_id = find_class(workspace, class_name) if class_name else None
    model = model_of(workspace)
    stored = Embeddings.open(workspace.embeddings_folder(model.slug))
    neighbours = Neighbours.open(workspace.vectors_folder(model.slug), stored, where)
    pool = stored.rows_of(_matched_uids(workspace, class_id))
    pool = pool[pool >= 0]
    if not len(pool):
        return SIMILAR_SCHEMA.empty_table()
    settings = workspace.settings().model
    encoder = load_encoder(model, device=settings.device, batch=settings.batch)
    query = encoder.encode_images([image]) if image is not None else encoder.encode_texts([text])
    nearest = neighbours.nearest(query, k, rows=None if len(pool) == stored.rows else pool)
    return _lines(workspace, stored, nearest, class_id)


def find_class(workspace: Workspace, given: str) -> int:
    """The id of the class with the name or id ``given``; InputError where there is none or several."""
    classes = load_classes(workspace.classes_path())
    named = [entry.id for entry in classes if entry.name == given]
    if len(named) > 1:
        raise InputError(f"classes {', '.join(map(str, named))} are all named {given!r}; give the id")
    if named:
        return named[0]
    if given.isdecimal() and any(entry.id == int(given) for entry in classes):
        return int(given)
    raise InputError(f"no class of {workspace.classes_path()} has the name or id {given!r}")


def _matched_uids(workspace: Workspace, class_id: int | None) -> NDArray[np.int64]:
    """The distinct uids matched, ascending."""
    if not workspace.matches_path.is_file():
        raise WorkspaceError(f"{workspace.matches_path} isn't there; run captrawl match first")
    chosen: Any = None if class_id is None else pc.field("class_id") == class_id
    return np.unique(pq.read_table(workspace.matches_path, columns=["uid"], filters=chosen)["uid"].to_numpy())


def _lines(workspace: Workspace, stored: Embeddings, nearest: Nearest, class_id: int | None) -> pa.Table:
    """The first query's rows with their first line of matches.parquet."""
    rows = nearest.rows[0][nearest.rows[0] >= 0]
    found = stored.metadata.take(rows)
    chosen = pc.field("uid").isin(found["uid"].to_pylist())
    if class_id is not None:
        chosen &= pc.field("class_id") == class_id
    lines = pq.read_table(workspace.matches_path, filters=chosen)
    at = pc.index_in(found["uid"], value_set=lines["uid"])  # the first of a uid's lines
    table = lines.take(at)
    scores = pa.array(nearest.scores[0][: len(rows)])
    columns = [scores, found["image_path"], *(table[name] for name in MATCH_SCHEMA.names)]
    return pa.table(columns, schema=SIMILAR_SCHEMA)

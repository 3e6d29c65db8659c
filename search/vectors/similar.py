"""The pictures nearest to a text or an image, over all classes or in one class's pool.

A picture is one image file: rows of the same sha256 are one hit, with all their captions.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ...classes.checks import meant
from ...classes.files import load_classes
from ...core.arrow import pc
from ...core.errors import InputError, QueryError, WorkspaceError
from ...core.records import MATCH_SCHEMA
from ...workspace.workspace import Workspace, readable
from .encoder import Encoder
from .loading import load_encoder
from .models import model_of
from .neighbours import NeighbourIndex, Rows, Vectors, Where
from .store import Embeddings

SIMILAR_SCHEMA = pa.schema(
    [
        pa.field("score", pa.float64(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        *MATCH_SCHEMA,
        pa.field("captions", pa.list_(pa.string()), nullable=False),
    ]
)
"""A picture: score, path below the workspace, its nearest row of matches.parquet, and the distinct
captions of all its rows, the nearest first."""


@dataclass(frozen=True, slots=True)
class SearchIn:
    """Where to look: the images or the captions, of all classes or of one, and for how many pictures."""

    where: Where = "images"
    class_id: int | None = None
    k: int = 20


class Similarity:
    """A workspace's vectors, open for many questions; threads may share it.

    The model is loaded at the first question that needs it.
    """

    def __init__(self, workspace: Workspace, stored: Embeddings) -> None:
        self._workspace = workspace
        self.stored = stored
        self._indices: dict[Where, NeighbourIndex] = {}
        self._loading = RLock()

    @classmethod
    def open(cls, workspace: Workspace) -> Self:
        """The vectors of the workspace's model; WorkspaceError before `captrawl embed`."""
        return cls(workspace, Embeddings.open(workspace.embeddings_folder(model_of(workspace).slug)))

    def by_text(self, text: str, scope: SearchIn) -> pa.Table:
        """The pictures nearest to a text (SIMILAR_SCHEMA)."""
        return self._nearest(lambda: self.encoder.encode_texts([text]), scope)

    def by_image(self, image: Any, scope: SearchIn) -> pa.Table:
        """The pictures nearest to an image file or a PIL image (SIMILAR_SCHEMA); InputError: unreadable."""
        return self._nearest(lambda: self.encoder.encode_images([image]), scope)

    def by_row(self, uid: int, by: Where, scope: SearchIn) -> pa.Table:
        """The pictures nearest to the stored image or caption of ``uid``, its own left out (SIMILAR_SCHEMA).

        InputError where it isn't embedded.
        """
        [row] = self.stored.rows_of(np.array([uid], np.int64))
        if row < 0:
            raise InputError(f"the row {uid} has no vectors in this workspace")
        matrix = self.stored.images if by == "images" else self.stored.captions
        return self._nearest(lambda: matrix.take(np.array([row])), scope, but=int(self._pictures[row]))

    @property
    def encoder(self) -> Encoder:
        """The workspace's model, loaded once."""
        with self._loading:
            return self._encoder

    @cached_property
    def _encoder(self) -> Encoder:
        settings = self._workspace.settings().model
        return load_encoder(model_of(self._workspace), device=settings.device, batch=settings.batch)

    def _neighbours(self, where: Where) -> NeighbourIndex:
        with self._loading:
            if where not in self._indices:
                folder = self._workspace.vectors_folder(model_of(self._workspace).slug)
                self._indices[where] = NeighbourIndex.open(folder, self.stored, where)
            return self._indices[where]

    @cached_property
    def _pictures(self) -> NDArray[np.int64]:
        """A number for each stored row, equal where the picture is."""
        encoded = pc.dictionary_encode(self.stored.metadata["sha256"]).combine_chunks()
        return encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)

    def _nearest(self, query: Any, scope: SearchIn, *, but: int = -1) -> pa.Table:
        """The pictures nearest to the vectors that ``query()`` gives, which isn't called for an empty pool.

        ``but`` is the number of a picture to leave out.
        """
        neighbours = self._neighbours(scope.where)
        pool = self.stored.rows_of(_matched_uids(self._workspace, scope.class_id))
        pool = pool[pool >= 0]
        pool = pool[self._pictures[pool] != but]
        if not len(pool):
            return SIMILAR_SCHEMA.empty_table()
        vectors: Vectors = query()
        within = None if len(pool) == self.stored.rows else pool
        size = scope.k if within is None else len(pool)  # a pool is scored whole, whatever is asked
        while True:
            nearest = neighbours.nearest(vectors, size, rows=within)
            rows = nearest.rows[0][nearest.rows[0] >= 0]
            _, first = np.unique(self._pictures[rows], return_index=True)
            if len(first) >= scope.k or len(rows) < size or size >= len(pool):
                break
            size *= 4  # some pictures stand in several rows
        best = np.sort(first)[: scope.k]
        return self._hits(rows[best], nearest.scores[0][best], pool, (vectors, scope))

    def _hits(
        self, rows: Rows, scores: NDArray[np.float64], pool: Rows, question: tuple[Vectors, SearchIn]
    ) -> pa.Table:
        """The pictures of ``rows``, with the captions of their other rows in ``pool``."""
        vectors, scope = question
        same = pool[np.isin(self._pictures[pool], self._pictures[rows])]
        ranked = self._neighbours(scope.where).pool_ranking(vectors[0], same).rows
        ranked = ranked[ranked >= 0]  # less those whose vector is none
        captions = self.stored.metadata["caption"].take(ranked).to_pylist()
        of_picture: dict[int, dict[str, None]] = {}
        for picture, caption in zip(self._pictures[ranked].tolist(), captions, strict=True):
            of_picture.setdefault(picture, {}).update({caption: None} if caption else {})
        lists = [list(of_picture[picture]) for picture in self._pictures[rows].tolist()]
        return (
            _lines(self._workspace, self.stored, rows, scope.class_id)
            .append_column(SIMILAR_SCHEMA.field("captions"), pa.array(lists, pa.list_(pa.string())))
            .add_column(0, SIMILAR_SCHEMA.field("score"), pa.array(scores))
        )


def similar(
    workspace: Workspace,
    *,
    text: str = "",
    image: Path | None = None,
    where: Where = "images",
    class_name: str = "",
    k: int = 20,
) -> pa.Table:
    """The ``k`` pictures whose image or caption (``where``) is nearest to ``text`` or ``image``.

    SIMILAR_SCHEMA, score descending, then uid; a row that several classes matched is of the first, or of
    ``class_name`` (a class's name or id). Raises QueryError unless just one of text and image is given,
    InputError for an unknown class or an unreadable image, WorkspaceError before `captrawl embed`.
    """
    _check_question(text, image)
    scope = SearchIn(where, find_class(workspace, class_name) if class_name else None, k)
    return nearest(Similarity.open(workspace), scope, text=text, image=image)


def nearest(
    similarity: Similarity, scope: SearchIn, *, text: str = "", image: Path | None = None
) -> pa.Table:
    """:func:`similar` of vectors that are open already."""
    _check_question(text, image)
    return similarity.by_text(text, scope) if image is None else similarity.by_image(image, scope)


def _check_question(text: str, image: Path | None) -> None:
    if bool(text.strip()) == (image is not None):
        raise QueryError("give a text or an image to look for, and just one of them")


def find_class(workspace: Workspace, text: str) -> int:
    """The id of the class with the name or id ``text``; InputError where there is none or several."""
    classes = load_classes(workspace.classes_path())
    named = [entry.id for entry in classes if entry.name == text]
    if len(named) > 1:
        raise InputError(f"classes {', '.join(map(str, named))} are all named {text!r}; give the id")
    if named:
        return named[0]
    if text.isdecimal() and any(entry.id == int(text) for entry in classes):
        return int(text)
    raise InputError(
        f"no class of {workspace.classes_path()} has the name or id {text!r}{meant(classes, text)}"
    )


def _matched_uids(workspace: Workspace, class_id: int | None) -> NDArray[np.int64]:
    """The distinct uids matched, ascending."""
    if not workspace.matches_path.is_file():
        raise WorkspaceError(f"{workspace.matches_path} isn't there; run captrawl match first")
    of_class: Any = None if class_id is None else pc.field("class_id") == class_id
    with readable(workspace.matches_path, "match"):
        rows = pq.read_table(workspace.matches_path, columns=["uid"], filters=of_class)
    return np.unique(rows["uid"].to_numpy())


def _lines(workspace: Workspace, stored: Embeddings, rows: Rows, class_id: int | None) -> pa.Table:
    """The path of each row's image and its first line of matches.parquet."""
    images = stored.metadata.take(rows)
    matching = pc.field("uid").isin(images["uid"].to_pylist())
    if class_id is not None:
        matching &= pc.field("class_id") == class_id
    with readable(workspace.matches_path, "match"):
        lines = pq.read_table(workspace.matches_path, filters=matching)
    at = pc.index_in(images["uid"], value_set=lines["uid"])  # the first of a uid's lines
    table = lines.take(at)
    return table.select(MATCH_SCHEMA.names).add_column(0, SIMILAR_SCHEMA.field("path"), images["image_path"])

"""The questions of `captrawl query` and `captrawl count` for notebooks and scripts: values in, tables out."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from ..classes.model import ClassList
from . import api as explore
from .api import Order, Page, Totals
from .captions import CaptionIndex
from .match import Scope
from .match import count_classes as count_each
from .query import CaptionQuery

Asked = CaptionQuery | str | Sequence[str]
"""A question: a CaptionQuery, or just its phrases."""

COUNT_SCHEMA = pa.schema(
    [
        pa.field("class_id", pa.int64(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
        pa.field("synonym", pa.string(), nullable=False),
        pa.field("frequency", pa.int64(), nullable=False),  # rows that hold the synonym
        pa.field("total", pa.int64(), nullable=False),  # rows of the class, each once
    ]
)
"""A synonym of a class a line."""


def count(index: CaptionIndex, asked: Asked) -> Totals:
    """How many rows of ``index`` match any phrase (``total``), and each phrase by itself (``synonyms``).

    Raises QueryError where a phrase holds no letter or digit.
    """
    return explore.totals(index, as_query(asked))


def query(
    index: CaptionIndex, asked: Asked, *, size: int = 20, order: Order | str = Order.RELEVANCE, seed: int = 0
) -> pa.Table:
    """At most ``size`` matching rows (search.explore.FOUND_SCHEMA), with the phrase each is credited to.

    ``order`` is relevance (BM25), random (``seed``; a smaller sample is a prefix of a larger one) or corpus.
    """
    page = Page(size, explore.order_of(str(order)), seed)
    question = as_query(asked)
    return explore.found(index, question, explore.totals(index, question), page)


def count_classes(index: CaptionIndex, classes: ClassList, scope: Scope | None = None) -> pa.Table:
    """The frequencies and totals of every class (COUNT_SCHEMA), in the list's order."""
    counted = count_each(index, classes, scope or Scope())
    lines = [
        (one.id, one.name, phrase, frequency, one.total)
        for one in counted
        for phrase, frequency in one.synonyms.items()
    ]
    columns = list(zip(*lines, strict=True)) if lines else [[] for _ in COUNT_SCHEMA]
    return pa.Table.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, COUNT_SCHEMA, strict=True)],
        schema=COUNT_SCHEMA,
    )


def as_query(asked: Asked) -> CaptionQuery:
    """``asked`` as a CaptionQuery with the default filters."""
    if isinstance(asked, CaptionQuery):
        return asked
    return CaptionQuery((asked,) if isinstance(asked, str) else tuple(asked))

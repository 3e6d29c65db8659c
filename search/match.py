"""Classes × synonyms → frequencies, credit, matches.

Engines know phrases, not classes. Which synonym a row is credited to is decided here, from the stored
caption through the index's analyzer, so that every engine gives the same matches.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from ..core.analyzers import ANALYZERS
from ..core.errors import ClassListError
from ..core.records import MATCH_SCHEMA
from ..core.row_captions import have_several, matching
from ..core.text import ANALYZER_VERSION, tokens
from .captions import CaptionIndex
from .query import CaptionQuery, Filters, Safety

if TYPE_CHECKING:
    from ..classes.model import ClassEntry, ClassList

FEW = 100
"""So many captions are credited faster one by one than as a column: a page of rows, a rare phrase."""


@dataclass(frozen=True, slots=True)
class ClassCount:
    """Rows of one class: ``total`` match any synonym, each once; ``synonyms`` is each phrase's own count."""

    id: int
    name: str
    total: int
    synonyms: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class SafetyCount:
    """What the safety filter did to a query: rows left out, and rows kept without a value to judge by."""

    left_out: int
    unknown: int


@dataclass(frozen=True, slots=True)
class Scope:
    """The part of a query that isn't its phrases: what all classes of a task share, or one class's own."""

    prefix: str = ""
    exclude: tuple[str, ...] = ()
    filters: Filters = field(default_factory=Filters)

    def of(self, entry: ClassEntry) -> Scope:
        """The scope of one class: its exclusions beside these, its prefix in place of this one."""
        exclude = tuple(dict.fromkeys((*self.exclude, *entry.exclude)))
        return replace(self, prefix=entry.prefix or self.prefix, exclude=exclude)

    def query(self, phrases: Sequence[str]) -> CaptionQuery:
        """The query of ``phrases`` within this scope; QueryError where one holds no token."""
        return CaptionQuery(tuple(phrases), self.prefix, self.exclude, self.filters)


def class_counts(index: CaptionIndex, classes: ClassList, scope: Scope) -> list[ClassCount]:
    """Frequencies and totals of every class under ``scope``, in their order.

    Raises ClassListError naming a synonym that holds no token.
    """
    check_phrases(classes)
    queries: list[CaptionQuery] = []
    for entry in classes:
        phrases, own = entry.match_phrases(), scope.of(entry)
        if len(phrases) > 1:  # else the total is the one phrase's frequency
            queries.append(own.query(phrases))
        queries += [own.query((phrase,)) for phrase in phrases]
    answers = iter(index.count(queries))
    counts: list[ClassCount] = []
    for entry in classes:
        phrases = entry.match_phrases()
        total = next(answers) if len(phrases) > 1 else None
        frequencies = {phrase: next(answers) for phrase in phrases}
        if total is None:
            total = sum(frequencies.values())
        counts.append(ClassCount(entry.id, entry.name, total, frequencies))
    return counts


def credited_counts(
    index: CaptionIndex, counts: Sequence[ClassCount], scopes: Sequence[Scope]
) -> list[dict[str, int]]:
    """For each class how many rows of the index are credited to each synonym; they add up to its total.

    ``scopes`` are those that each class was counted under (:meth:`Scope.of`).

    A synonym's are the rows that match it or one that :class:`Credit` puts before it, less those that match
    one before it. The first of these unions is its frequency and the last the class's total.
    """
    orders = [
        [phrase for phrase in Credit(count.synonyms, index.analyzer).phrases if count.synonyms[phrase]]
        for count in counts
    ]
    between = [
        scope.query(order[:size])
        for scope, order in zip(scopes, orders, strict=True)
        for size in range(2, len(order))
    ]
    unions = iter(index.count(between) if between else ())
    credited: list[dict[str, int]] = []
    for count, order in zip(counts, orders, strict=True):
        shares, before = dict.fromkeys(count.synonyms, 0), 0
        for size, phrase in enumerate(order, 1):
            union = (
                count.total if size == len(order) else next(unions) if size > 1 else count.synonyms[phrase]
            )
            shares[phrase], before = union - before, union
        credited.append(shares)
    return credited


def count_safety(index: CaptionIndex, queries: Sequence[CaptionQuery], total: int) -> SafetyCount:
    """What safety does to ``queries``, which match ``total`` rows together; a row counts once a query."""
    if not queries:
        return SafetyCount(0, 0)
    safety = queries[0].filters.safety
    others = [kind for kind in Safety if kind is not safety]
    answers = index.count([_judged(query, kind) for kind in others for query in queries])
    sums = {safety: total}
    for place, kind in enumerate(others):
        sums[kind] = sum(answers[place * len(queries) : (place + 1) * len(queries)])
    return SafetyCount(
        left_out=sums[Safety.OFF] - total,
        unknown=sums[Safety.DEFAULT] - sums[Safety.STRICT] if _keeps_unknown(queries[0].filters) else 0,
    )


def _judged(query: CaptionQuery, safety: Safety) -> CaptionQuery:
    """``query`` under another safety; OFF lifts max_punsafe too where that is only the bound of safety."""
    filters = query.filters
    own = safety is Safety.OFF and filters.safety is not Safety.OFF
    bound = None if own else filters.max_punsafe
    return replace(query, filters=replace(filters, safety=safety, max_punsafe=bound))


def _keeps_unknown(filters: Filters) -> bool:
    """Whether rows that have neither a tag nor a punsafe may pass."""
    if filters.safety is Safety.OFF:
        return filters.max_punsafe is None or filters.keep_unknown
    return filters.safety is Safety.DEFAULT


def check_phrases(classes: ClassList) -> None:
    """Raise ClassListError naming the first matching synonym without a token."""
    for entry in classes:
        for phrase in entry.match_phrases():
            if not tokens(phrase):
                raise ClassListError(
                    f"class {entry.id} ({entry.name!r}): the synonym {phrase!r} contains no letter or digit, "
                    "so no caption can match it; remove it from the class list"
                )


class Credit:
    """Gives each caption of a class the synonym it belongs to: the most frequent one that matches.

    Ties go to the order of the class list; phrases with equal tokens act as the first of them.
    """

    def __init__(self, frequencies: Mapping[str, int], analyzer: int = ANALYZER_VERSION) -> None:
        self._analyzer = ANALYZERS[analyzer]
        distinct: dict[str, str] = {}
        for phrase in frequencies:
            distinct.setdefault(" ".join(self._analyzer.tokens(phrase)), phrase)
        # sorted() is stable: the class list's order decides between equal frequencies
        self._order = sorted(distinct.items(), key=lambda item: -frequencies[item[1]])

    @property
    def phrases(self) -> list[str]:
        """The phrases of distinct tokens in the order in which a caption is theirs."""
        return [phrase for _, phrase in self._order]

    def __call__(self, captions: pa.Array[Any] | pa.ChunkedArray[Any]) -> pa.Array[Any]:
        """The credited synonym of each caption (string), NULL where none matches."""
        if len(captions) <= FEW:
            return pa.array([self._of(caption) for caption in captions.to_pylist()], pa.string())
        nothing, blank = (pa.repeat(pa.scalar(text), len(captions)) for text in ("", " "))
        padded = pc.binary_join_element_wise(nothing, self._analyzer.token_column(captions), nothing, blank)
        credit: pa.Array[Any] = pa.nulls(len(captions), pa.string())
        for tokens_joined, phrase in self._order:
            if credit.null_count == 0:
                break
            hit = pc.match_substring(padded, f" {tokens_joined} ")
            credit = pc.if_else(pc.and_(hit, pc.is_null(credit)), phrase, credit)
        return credit

    def _of(self, caption: str | None) -> str | None:
        padded = f" {' '.join(self._analyzer.tokens(caption or ''))} "
        return next((phrase for tokens_joined, phrase in self._order if f" {tokens_joined} " in padded), None)


CreditRows = Callable[[pa.RecordBatch], "list[pa.Array[Any]]"]


def crediting(frequencies: Mapping[str, int], analyzer: int) -> CreditRows:
    """Gives the columns of matching rows behind their credited synonym; see :class:`Credit`.

    Where there is only one to credit, no caption is looked at. Of a row with several captions that with the
    credited synonym is left, and its file is FILE/COLUMN where it isn't the first.
    """
    credit = Credit(frequencies, analyzer)
    only = pa.scalar(credit.phrases[0]) if len(credit.phrases) == 1 else None

    def credited(rows: pa.RecordBatch) -> list[pa.Array[Any]]:
        captions = rows.column("caption")
        synonym = credit(captions) if only is None else pa.repeat(only, rows.num_rows)
        return [synonym, *(_by_credited_caption(rows, synonym, analyzer).columns)]

    return credited


def _by_credited_caption(rows: pa.RecordBatch, synonym: pa.Array[Any], analyzer: int) -> pa.RecordBatch:
    if not have_several(rows.column("caption")):
        return rows
    tokens = ANALYZERS[analyzer].tokens
    captions, files = rows.column("caption").to_pylist(), rows.column("file").to_pylist()
    for at, phrase in enumerate(synonym.to_pylist()):
        column, text = matching(captions[at], tokens(phrase or ""), tokens)
        captions[at] = text if captions[at] is not None else None
        files[at] = f"{files[at]}/{column}" if column else files[at]
    rows = rows.set_column(rows.schema.get_field_index("caption"), "caption", pa.array(captions, pa.string()))
    return rows.set_column(rows.schema.get_field_index("file"), rows.schema.field("file"), pa.array(files))


def file_of_row(file: str, files: Collection[str]) -> str:
    """Of a credited row's FILE or FILE/COLUMN the one that is among ``files``; as it is where none is."""
    name = file
    while name and name not in files:
        name = name.rpartition("/")[0]
    return name or file


def matches(
    index: CaptionIndex,
    counts_of_classes: Sequence[tuple[ClassEntry, ClassCount]],
    scope: Scope,
    *,
    sample: int | None,
    seed: int,
) -> Iterator[tuple[ClassEntry, Iterator[pa.RecordBatch]]]:
    """Each class and its matches (MATCH_SCHEMA), in their order; take the matches before the next class.

    ``sample`` of them in priority order, or all (None), streamed.
    """
    matching = [(entry, count) for entry, count in counts_of_classes if count.total]
    queries = [scope.of(entry).query(entry.match_phrases()) for entry, _ in matching]
    rows = index.scans(queries) if sample is None else _samples(index, queries, sample, seed)
    pools = groupby(rows, key=lambda numbered: numbered[0])
    ahead = next(pools, None)
    for entry, count in counts_of_classes:
        mine: Iterable[tuple[int, pa.RecordBatch]] = ()
        if ahead is not None and matching[ahead[0]][0] is entry:
            mine = ahead[1]
        credit = crediting(count.synonyms, index.analyzer)
        yield entry, (_credited(batch, entry.id, credit) for _, batch in mine)
        if mine:
            ahead = next(pools, None)


def _samples(
    index: CaptionIndex, queries: Sequence[CaptionQuery], size: int, seed: int
) -> Iterator[tuple[int, pa.RecordBatch]]:
    for number, query in enumerate(queries):
        yield from ((number, batch) for batch in index.sample(query, size, seed).to_batches())


def _credited(batch: pa.RecordBatch, class_id: int, credit: CreditRows) -> pa.RecordBatch:
    columns = [pa.repeat(pa.scalar(class_id, pa.int64()), batch.num_rows), *credit(batch)]
    return pa.RecordBatch.from_arrays(columns, schema=MATCH_SCHEMA)

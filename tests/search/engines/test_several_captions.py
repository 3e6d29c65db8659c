"""Rows with several captions: one row whichever matches, by every engine as by a plain-Python oracle."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from captrawl.classes.model import ClassEntry, Synonym
from captrawl.core.text import tokens
from captrawl.indexer.captions import index_captions
from captrawl.indexer.corpora.files import find_files, with_captions
from captrawl.search import api
from captrawl.search.captions import open_captions
from captrawl.search.match import Scope, class_counts, credited_counts, matches
from captrawl.search.query import CaptionQuery

WORDS = ["dog", "cat", "red", "Café", "猫", "tower", "brown dog", "&amp;", "the"]
COLUMNS = ("alt", "{maker} {thing}")
SYNONYMS = ("dog", "brown dog", "猫", "cat tower", "cafe")


def caption(chance: random.Random) -> str | None:
    return " ".join(chance.choices(WORDS, k=chance.randint(0, 4))) or None


def table(rows: int) -> dict[str, list[Any]]:
    chance = random.Random(5)
    names = ("words", "alt", "maker", "thing")
    columns = {name: [caption(chance) for _ in range(rows)] for name in names}
    return {"url": [f"http://a/{at}.jpg" for at in range(rows)], **columns}


def captions_of(row: dict[str, Any]) -> dict[str, str]:
    made = " ".join(filter(None, (row["maker"], row["thing"])))
    texts = {"": row["words"], "/alt": row["alt"], "/{maker} {thing}": made}
    return {column: text for column, text in texts.items() if text}


def contains(text: str, phrase: str) -> bool:
    return f" {' '.join(tokens(phrase))} " in f" {' '.join(tokens(text))} "


def expected(row: dict[str, Any], phrases: list[str]) -> tuple[str, str, str] | None:
    """(phrase, column, caption) that a row is credited to: the first phrase, in its first caption."""
    pairs = ((phrase, *one) for phrase in phrases for one in captions_of(row).items())
    return next((one for one in pairs if contains(one[2], one[0])), None)


def indexed(folder: Path, place: str, columns: dict[str, list[Any]]) -> None:
    path = folder / "pairs.parquet"
    pq.write_table(pa.table(columns), path, row_group_size=100)
    files = find_files([path], corpus="two", columns={"caption": "words"})
    index_captions(place, with_captions(files, COLUMNS), workers=1)


def test_a_row_that_matches_by_several_captions_is_one(store: Any, tmp_path: Path) -> None:
    place, columns = store.place(), table(300)
    indexed(tmp_path, place, columns)
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    entry = ClassEntry(0, "dog", tuple(Synonym(text) for text in SYNONYMS))
    with open_captions(place) as index:
        assert index.rows() == 300
        [counts] = class_counts(index, (entry,), Scope())
        alone = {text: sum(expected(row, [text]) is not None for row in rows) for text in SYNONYMS}
        assert counts.synonyms == alone
        order = sorted(SYNONYMS, key=lambda text: -alone[text])
        credit = [expected(row, order) for row in rows]
        assert counts.total == sum(one is not None for one in credit) < sum(alone.values())
        want = [
            (row["url"], one[0], f"two/pairs.parquet{one[1]}", one[2])
            for row, one in zip(rows, credit, strict=True)
            if one
        ]
        assert len({file for _, _, file, _ in want}) == 3
        [shares] = credited_counts(index, [counts], [Scope()])
        assert shares == {text: sum(one[1] == text for one in want) for text in SYNONYMS}
        pools = matches(index, [(entry, counts)], Scope(), sample=None, seed=0)
        matched = [pa.Table.from_batches(batches) for _, batches in pools]
        assert sorted(credited(matched[0])) == sorted(want)
        query = CaptionQuery(SYNONYMS)
        for kind in api.Order:
            page = api.rows_of_page(index, query, counts_of(counts), api.PageOfRows(400, kind))
            assert sorted(credited(page)) == sorted(want), kind
        assert paged(index, query, counts_of(counts)) == want


def counts_of(counts: Any) -> api.Frequencies:
    return api.Frequencies(counts.total, counts.synonyms)


def credited(rows: pa.Table) -> list[tuple[str, str, str, str]]:
    columns = (rows.column(name).to_pylist() for name in ("url", "synonym", "file", "caption"))
    return list(zip(*columns, strict=True))


def paged(index: Any, query: CaptionQuery, counts: api.Frequencies) -> list[tuple[str, str, str, str]]:
    """Every row in corpus order, 60 at a time, each page behind the last row of the one before."""
    every: list[tuple[str, str, str, str]] = []
    after = None
    while True:
        page = api.rows_of_page(index, query, counts, api.PageOfRows(60, api.Order.CORPUS, after=after))
        every += credited(page)
        if page.num_rows < 60:
            return every
        after = api.RowId(page.column("file")[-1].as_py(), page.column("row")[-1].as_py())


def test_no_phrase_goes_from_one_caption_into_the_next(store: Any, tmp_path: Path) -> None:
    place = store.place()
    columns = {"words": ["a red"], "alt": ["dog in the"], "maker": ["house"], "thing": [None]}
    indexed(tmp_path, place, {"url": ["http://a"], **columns})
    with open_captions(place) as index:
        queries = [CaptionQuery((text,)) for text in ("red dog", "the house", "a red", "dog", "alt", "maker")]
        assert index.count(queries) == [0, 0, 1, 1, 0, 0]
        both = CaptionQuery(("house",), prefix="red")  # whichever of its captions the row has them from
        assert index.count([both, CaptionQuery(("house",), exclude=("dog",))]) == [1, 0]


def test_rows_that_are_taken_out_leave_the_others_with_all_captions(store: Any, tmp_path: Path) -> None:
    place = store.place()
    columns = {"words": ["a cat", "a dog"], "alt": ["猫", "dogs"], "maker": ["x", "y"], "thing": ["z", "w"]}
    indexed(tmp_path, place, {"url": ["http://a", "http://b"], **columns})
    with open_captions(place) as index:
        assert index.remove_rows({"two/pairs.parquet": [0]}) == 1
        assert index.count([CaptionQuery((text,)) for text in ("cat", "猫", "dog", "dogs", "y w")]) == [
            0, 0, 1, 1, 1,
        ]  # fmt: skip

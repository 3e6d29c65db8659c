"""Every engine against the plain-Python oracle, over generated corpora and queries.

CAPTRAWL_ENGINE_CASES sets how many queries are asked (default 240; the long run asks 20,000).
"""

from __future__ import annotations

import os
from dataclasses import replace

import pyarrow as pa
from captrawl.core.records import ROW_SCHEMA, RowId
from captrawl.search.match import ClassCount, Credit, Scope, credited_counts
from captrawl.search.query import CaptionQuery, Filters, Safety
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

QUERIES_PER_CORPUS = 20
CASES = int(os.environ.get("CAPTRAWL_ENGINE_CASES", "240"))

WORDS = [
    "dog",
    "Dog",
    "dog's",
    "d.o.g",
    "golden",
    "GOLDEN",
    "retriever",
    "café",
    "cafe",
    "CAFE\u0301",
    "東京",
    "タワー",
    "京",
    "ป่า",
    "ป",
    "हिन्दी",
    "σκύλος",
    "ΣΚΥΛΟΣ",
    "st",
    "x",
]
JOINTS = [
    " ",
    " ",
    " ",
    "  ",
    "-",
    ", ",
    " & ",
    " &amp; ",
    "™ ",
    "_",
    " 👍 ",
    "",
    "’",
    "\n",
    "\x00",
    "\u00ad",
    "<br>",
]
EDGES = ["", "", "'", "“", "*** ", "&lt;b&gt;", "\u00a0"]

texts = st.builds(
    lambda start, parts: start + "".join(word + joint for word, joint in parts),
    st.sampled_from(EDGES),
    st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(JOINTS)), max_size=7),
)
phrases = st.builds(
    lambda words, joint: joint.join(words),
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=3),
    st.sampled_from([" ", "-", " & ", "  "]),
)
sides = st.none() | st.sampled_from([1, 84, 85, 200])
tags = st.none() | st.sampled_from(["NSFW", "nsfw", "UNSURE", "UNLIKELY"])
licences = st.none() | st.sampled_from(["CC BY 4.0", "cc-by", "cc", "public.domain", "[(^$.*+?"])
languages = st.none() | st.sampled_from(["en", "EN", "de", "en-GB"])
scores = st.none() | st.sampled_from([-1.0, -0.25, 0.0, 0.3, 0.30000000000000004, 0.7, 1.0])
punsafes = st.none() | st.sampled_from([0.0, 0.45, 0.45000000000000007, 0.4499999, 1.0])
priorities = st.integers(-(2**63), 2**63 - 1)
FILES = ["a/0.parquet", "a/10.parquet", "a/2.parquet", "b.tsv", "é/東.parquet"]


@st.composite
def corpora(draw):
    """Rows of up to four files, some of which have many rows in common; priorities differ."""
    rows = []
    for file in draw(st.lists(st.sampled_from(FILES), min_size=1, max_size=4, unique=True)):
        known = draw(st.booleans())
        for number in range(draw(st.integers(0, 12))):
            row = dict.fromkeys(ROW_SCHEMA.names)
            row.update(file=file, row=number, caption=draw(st.none() | texts | texts | texts))
            row.update(
                uid=draw(priorities), url=draw(st.sampled_from([None, "", "http://a/b?c=d&e", "é\x00"]))
            )
            if known:
                row.update(width=draw(sides), height=draw(sides), similarity=draw(scores), nsfw=draw(tags))
                row.update(punsafe=draw(punsafes), licence=draw(licences), language=draw(languages))
            rows.append(row)
    distinct = st.lists(priorities, min_size=len(rows), max_size=len(rows), unique=True)
    for row, priority in zip(rows, draw(distinct), strict=True):
        row["priority"] = priority
    return rows


filters = st.builds(
    Filters,
    min_side=st.sampled_from([0, 0, 1, 85, 1000]),
    max_punsafe=st.sampled_from([None, None, 0.0, 0.45, 1.0]),
    nsfw=st.sampled_from([(), (), ("UNLIKELY",), ("unsure", "Unlikely"), ("NSFW",), ("other",)]),
    min_similarity=st.sampled_from([None, None, -1.0, 0.3, 0.31]),
    licence=st.sampled_from(["", "", "cc", "CC BY", "public.", "[(^$.*+?", "(", "z"]),
    language=st.sampled_from(["", "", "en", "DE"]),
    keep_unknown=st.booleans(),
    safety=st.sampled_from(list(Safety)),
)


@st.composite
def questions(draw):
    """A query, and what else a call needs: how many rows, which seed, behind which row."""
    query = CaptionQuery(
        tuple(draw(st.lists(phrases, min_size=1, max_size=4))),
        prefix=draw(st.sampled_from(["", ""]) | phrases),
        exclude=tuple(draw(st.lists(phrases, max_size=2))),
        filters=draw(st.just(Filters(safety=Safety.OFF)) | st.just(Filters()) | filters),
    )
    after = draw(st.none() | st.builds(RowId, st.sampled_from([*FILES, "a/1", "zz"]), st.integers(-1, 12)))
    return query, draw(st.integers(0, 40)), draw(st.integers(-3, 3) | priorities), after


def places(table):
    return list(zip(table["file"].to_pylist(), table["row"].to_pylist(), strict=True))


@settings(
    max_examples=max(1, CASES // QUERIES_PER_CORPUS),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    database=None,
)
@given(rows=corpora(), asked=st.lists(questions(), min_size=QUERIES_PER_CORPUS, max_size=QUERIES_PER_CORPUS),
       spread=st.integers(0, 7))  # fmt: skip
def test_every_answer_is_the_oracles(engine, oracle, rows, asked, spread):
    with engine.filled(rows, engine.spreads[spread % len(engine.spreads)]) as index:
        assert index.rows() == len(rows)
        assert index.count([query for query, *_ in asked]) == [len(oracle.found(rows, q)) for q, *_ in asked]
        scanned = {number: [] for number in range(len(asked))}
        for number, batch in index.scans([query for query, *_ in asked]):
            assert number == max(
                at for at, found in scanned.items() if found or at == number
            )  # in their order
            scanned[number] += batch.to_pylist()
        for number, (query, *_) in enumerate(asked):
            assert sorted(scanned[number], key=oracle.place) == oracle.found(rows, query)
        for query, size, seed, after in asked:
            assert index.sample(query, size, seed).to_pylist() == oracle.sample(rows, query, size, seed)
            assert index.first(query, size, after).to_pylist() == oracle.first(rows, query, size, after)
            scanned = [row for batch in index.scan(query) for row in batch.to_pylist()]
            assert sorted(scanned, key=oracle.place) == oracle.found(rows, query)
            singles = [replace(query, synonyms=(synonym,)) for synonym in query.synonyms]
            frequencies = dict(zip(query.synonyms, index.count(singles), strict=True))
            assert frequencies == {one.synonyms[0]: len(oracle.found(rows, one)) for one in singles}
            credit = Credit(frequencies)(
                pa.array([row["caption"] for row in scanned], pa.string())
            ).to_pylist()
            assert credit == [oracle.credited(row, query.synonyms, frequencies) for row in scanned]
            scope = Scope(query.prefix, query.exclude, query.filters)
            shares = credited_counts(index, [ClassCount(0, "", len(scanned), frequencies)], [scope])
            assert shares == [{phrase: credit.count(phrase) for phrase in frequencies}]
            relevant = index.relevant(query, size).to_pylist()
            assert len(relevant) == min(size, len(scanned))
            assert all(row in scanned for row in relevant)
            assert len(set(map(oracle.place, relevant))) == len(relevant)

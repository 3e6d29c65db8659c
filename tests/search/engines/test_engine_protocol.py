"""What docs/explore.md and docs/synonyms.md promise of every engine, case by case."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from captrawl.cli import app
from captrawl.core.errors import CaptionIndexError, QueryError
from captrawl.core.records import ROW_SCHEMA, RowId
from captrawl.search.captions import open_captions
from captrawl.search.query import CaptionQuery, Filters, Safety
from typer.testing import CliRunner

CASES = [
    ("A Golden-Retriever dog", "golden retriever", "", True),
    ("golden  RETRIEVERS", "golden retriever", "", False),
    ("golden old retriever", "golden retriever", "", False),
    ("retriever golden", "golden retriever", "", False),
    ("macaroni & cheese recipe", "macaroni & cheese", "", True),
    ("macaroni &amp; cheese recipe", "macaroni & cheese", "", True),
    ("Boeing 737-800 / A320", "737-800", "", True),
    ("Boeing 737-800 / A320", "73", "", False),
    ("St. Bernard's café", "st bernards cafe", "", True),
    ("LEGO™ set", "lego set", "", True),
    ("satellite photo, annual crop land", "annual crop", "satellite", True),
    ("annual crop report", "annual crop", "satellite", False),
    ("annual satellite crop", "annual crop", "satellite", False),
    ("annual crop by Satellite-photo", "annual crop", "satellite photo", True),
    ("don’t miss: husky", "dont", "", True),
    ("a dog and a dog and a cat", "a cat", "", True),
    ("dog dog cat", "dog cat", "", True),
    ("x" * 100 + " dog", "x" * 100 + " dog", "", True),
    ("a " + "y" * 101 + " dog", "a dog", "", True),
    ("日本 東京タワー", "東京タワー", "", True),
    ("日本 東京タワー", "東京", "", True),
    ("日本 東京タワー", "京タワ", "", True),
    ("日本 東京タワー", "東タワ", "", False),
    ("一只金毛犬在草地上", "金毛犬", "", True),
    ("ป่าสวย", "ป่า", "", True),
    ("ป้าสวย", "ป่า", "", False),
    ("a gol&shy;den <b>retriever</b>", "golden retriever", "", True),
    ("İSTANBUL'da kedi", "istanbul", "", True),
    ("Ο ΣΚΥΛΟΣ μου", "σκύλος", "", True),
    ("", "dog", "", False),
    (None, "dog", "", False),
    ("dog " * 15000 + "cat", "dog cat", "", True),
]


@pytest.mark.parametrize(("caption", "phrase", "prefix", "expected"), CASES)
def test_named_phrase_cases(engine, make_rows, caption, phrase, prefix, expected):
    with engine.filled(make_rows(["other words", caption])) as index:
        query = CaptionQuery((phrase,), prefix=prefix)
        assert index.count([query]) == [int(expected)]
        assert index.sample(query, 5, 0)["row"].to_pylist() == [1] * expected
        assert [b["caption"].to_pylist() for b in index.scan(query)] == [[caption]] * expected


FILTER_CASES = [
    ({}, [0, 2, 3, 4]),
    ({"safety": Safety.STRICT}, [0, 2, 3]),
    ({"safety": Safety.OFF}, [0, 1, 2, 3, 4, 5]),
    ({"max_punsafe": 0.2}, [0, 3, 4]),
    ({"max_punsafe": 0.2, "safety": Safety.OFF}, [0]),
    ({"max_punsafe": 0.2, "safety": Safety.OFF, "keep_unknown": True}, [0, 1, 3, 4]),
    ({"nsfw": ("unlikely",)}, [0]),
    ({"nsfw": ("NSFW", "UNSURE")}, [1, 3]),
    ({"nsfw": ("UNSURE",), "keep_unknown": True}, [2, 3, 4]),
    ({"min_side": 85}, [0]),
    ({"min_side": 85, "keep_unknown": True}, [0, 3, 4]),
    ({"min_similarity": 0.3}, [0, 2]),
    ({"min_similarity": 0.3, "keep_unknown": True}, [0, 2, 4]),
    ({"licence": "CC"}, [0, 2]),
    ({"licence": "cc by-"}, [2]),
    ({"licence": "y"}, []),
    ({"licence": "cc by-", "keep_unknown": True}, [2, 3, 4]),
    ({"language": "EN"}, [0, 3]),
    ({"language": "en", "keep_unknown": True}, [0, 3, 4]),
]


@pytest.mark.parametrize(("options", "expected"), FILTER_CASES)
def test_named_filter_cases(engine, make_rows, options, expected):
    rows = make_rows(
        ["dog"] * 6,
        punsafe=[0.1, None, 0.45, None, None, 0.46],
        nsfw=["UNLIKELY", "NSFW", None, "UNSURE", None, None],
        width=[85, None, 84, 500, None, None],
        height=[200, None, 200, None, None, None],
        similarity=[0.3, None, 0.31, 0.29, None, None],
        licence=["cc by 4.0", None, "CC BY-SA", None, None, None],
        language=["en", None, "de", "EN", None, None],
    )
    with engine.filled(rows) as index:
        query = CaptionQuery(("dog",), filters=Filters(**options))
        assert index.first(query, 9, None)["row"].to_pylist() == expected
        assert index.count([query]) == [len(expected)]


def test_rows_come_back_as_they_went_in(engine, make_rows):
    rows = make_rows(
        ["dog", "<b>Dog</b>\n\x00 &amp; “dog”"],
        url=[None, "http://é/?a=b&c#d"],
        uid=[-(2**63), 2**63 - 1],
        priority=[2**63 - 1, -(2**63)],
        width=[2**31 - 1, None],
        height=[1, 0],
        similarity=[0.1 + 0.2, -1.0],
        punsafe=[5e-324, 0.45],
        nsfw=["Unlikely ", "UNSURE"],
        licence=["?", "CC BY"],
        language=["zh-Hant", None],
    )
    with engine.filled(rows) as index:
        query = CaptionQuery(("dog",))
        tables = [index.sample(query, 9, 0), index.first(query, 9, None), index.relevant(query, 9)]
        tables.extend(index.scan(query))
        for table in tables:
            assert table.schema.equals(ROW_SCHEMA)
            assert sorted(table.to_pylist(), key=lambda row: row["row"]) == rows


def test_sample_goes_round_from_its_seed(engine, make_rows):
    rows = make_rows(["dog"] * 50)
    order = [row["row"] for row in sorted(rows, key=lambda row: row["priority"])]
    with engine.filled(rows) as index:
        query = CaptionQuery(("dog",))
        assert index.sample(query, 50, 0)["row"].to_pylist() == order
        starts = set()
        for seed in range(20):
            drawn = index.sample(query, 50, seed)["row"].to_pylist()
            at = order.index(drawn[0])
            assert drawn == order[at:] + order[:at]
            assert index.sample(query, 7, seed)["row"].to_pylist() == drawn[:7]
            starts.add(at)
        assert len(starts) > 10
        assert index.sample(query, 0, 3).num_rows == 0
        with pytest.raises(QueryError, match="-1 rows were asked for"):
            index.sample(query, -1, 0)


def test_corpus_order_is_paged_without_gap_or_overlap(engine, make_rows):
    names = ["b/9", "b/10", "a", "é", "B"]
    rows = [row for name in names for row in make_rows(["dog", "cat", "dog", "dog"], file=name)]
    expected = [(name, row) for name in sorted(names, key=str.encode) for row in (0, 2, 3)]
    for spread in engine.spreads:
        with engine.filled(rows, spread) as index:
            seen, after = [], None
            while (page := index.first(CaptionQuery(("dog",)), 4, after)).num_rows:
                seen += zip(page["file"].to_pylist(), page["row"].to_pylist(), strict=True)
                after = RowId(*seen[-1])
            assert seen == expected


def test_relevance_prefers_rare_words_and_short_captions_wherever_they_lie(engine, make_rows):
    common = make_rows(["dog house with a door"] * 30, file="a")
    rare = make_rows(["dog", "husky house with a door", "husky dog", "a cat"], file="b")
    query = CaptionQuery(("dog", "husky"))
    with engine.filled(common + rare) as index:
        table = index.relevant(query, 3)
        assert list(zip(table["file"].to_pylist(), table["row"].to_pylist(), strict=True))[:2] == [
            ("b", 2),
            ("b", 1),
        ]
        assert index.relevant(query, 100).num_rows == 33


def test_nothing_found_keeps_the_schema(engine, make_rows):
    with engine.filled(make_rows(["dog"])) as index:
        query = CaptionQuery(("zebra",))
        for table in (index.sample(query, 5, 1), index.first(query, 5, None), index.relevant(query, 5)):
            assert (table.num_rows, table.schema) == (0, ROW_SCHEMA)
        assert list(index.scan(query)) == []
        assert index.count([]) == []


def test_an_empty_index_answers(engine):
    with engine.filled([]) as index:
        query = CaptionQuery(("dog",))
        assert (index.rows(), index.files(), index.count([query])) == (0, {}, [0])
        assert index.sample(query, 5, 1).schema == ROW_SCHEMA
        assert list(index.scan(query)) == []


def test_files_are_added_replaced_and_removed(engine, make_rows, file_of, batches_of):
    query = CaptionQuery(("dog",))
    with engine.filled([]) as index:
        assert index.add(file_of("a", 3), batches_of(make_rows(["dog", "cat", "dog"], file="a"))) == 3
        assert index.add(file_of("empty", 0), []) == 0
        assert index.add(file_of("b", 1), batches_of(make_rows(["dog"], file="b"))) == 1
        assert index.files() == {
            name: file_of(name, n).fingerprint for name, n in (("a", 3), ("b", 1), ("empty", 0))
        }
        assert (index.rows(), index.count([query])) == (4, [3])

        assert index.add(file_of("a", 2, "2"), batches_of(make_rows(["dog", "cow"], file="a"))) == 2
        assert index.files()["a"] == file_of("a", 2, "2").fingerprint
        assert (index.rows(), index.count([query, CaptionQuery(("cat",))])) == (3, [2, 0])

        index.remove("b")
        assert (sorted(index.files()), index.rows(), index.count([query])) == (["a", "empty"], 2, [1])
        with pytest.raises(CaptionIndexError, match="b"):
            index.remove("b")


def test_single_rows_are_taken_out_and_stay_out(engine, make_rows, file_of, batches_of):
    rows = make_rows(["dog", "cat", "a dog zebra", "dog"] * 4, file="a") + make_rows(["dog"] * 3, file="b")
    query = CaptionQuery(("dog",))
    for spread in engine.spreads:
        with engine.filled(rows, spread) as index:
            before = index.files()
            assert index.remove_rows({"a": [2, 3, 99], "c": [0]}) == 2
            assert index.remove_rows({"a": [2, 3, 99], "c": [0]}) == 0
            left = [row for row in rows if (row["file"], row["row"]) not in {("a", 2), ("a", 3)}]
            dogs = [row for row in left if "dog" in row["caption"]]
            assert (index.rows(), index.count([query])) == (len(left), [len(dogs)])
            assert index.first(query, 99, None).to_pylist() == sorted(
                dogs, key=lambda row: (row["file"], row["row"])
            )
            assert index.files() == before, "a load of the corpus finds its files in"
            assert index.remove_rows({"b": range(3)}) == 3
            assert index.remove_rows({"a": range(16)}) == 14
            assert (index.rows(), index.count([query]), index.files()) == (0, [0], before)


def test_a_file_that_breaks_off_leaves_nothing(engine, make_rows, file_of, batches_of):
    def breaking_off(rows):
        yield from batches_of(rows)
        raise RuntimeError("the disk of the corpus is gone")

    rows = make_rows(["dog"] * 10, file="a")
    with engine.filled([]) as index:
        with pytest.raises(RuntimeError, match="the disk of the corpus is gone"):
            index.add(file_of("a", 20), breaking_off(rows))
        assert (index.files(), index.rows(), index.count([CaptionQuery(("dog",))])) == ({}, 0, [0])
        assert index.add(file_of("a", 10), batches_of(rows)) == 10
        with pytest.raises(RuntimeError, match="the disk of the corpus is gone"):
            index.add(file_of("a", 20, "2"), breaking_off(rows))
        assert (index.files()["a"], index.rows()) == (file_of("a", 10).fingerprint, 10)


def test_a_closed_index_says_so(engine, make_rows):
    place = engine.place()
    with open_captions(place, create=True) as index:
        pass
    index.close()
    with pytest.raises(CaptionIndexError, match="closed"):
        index.rows()


def test_the_commands_take_its_address(engine, tmp_path):
    corpus = tmp_path / "web" / "0.parquet"
    corpus.parent.mkdir()
    pq.write_table(pa.table({"url": ["http://a/1", "http://a/2"], "caption": ["a dog", "two dogs"]}), corpus)
    place = engine.place()

    def run(*arguments):
        result = CliRunner().invoke(app, [*map(str, arguments), "--json"], catch_exceptions=False)
        assert result.exit_code == 0
        return json.loads(result.stdout)

    counts = run("index", "captions", corpus, "--to", place, "--workers", 1)
    assert (counts["rows_added"], counts["rows"]) == (2, 2)
    assert run("index", "captions", corpus, "--to", place)["files_skipped"] == 1
    assert [row["caption"] for row in run("query", "dog", "--index", place)["rows"]] == ["a dog"]
    assert run("count", "dogs", "dog", "--index", place)["classes"][0]["total"] == 2


def test_many_queries_are_scanned_in_their_order(engine, make_rows):
    rows = make_rows([f"dog {n % 7}" for n in range(60)], file="a") + make_rows(["cat", "dog"] * 5, file="b")
    with engine.filled(rows) as index:
        asked = [CaptionQuery((phrase,)) for phrase in ("dog", "nothing", "cat", "dog 3", "cat")]
        found = [
            (number, row["file"], row["row"])
            for number, batch in index.scans(asked)
            for row in batch.to_pylist()
        ]
        assert [number for number, *_ in found] == [0] * 65 + [2] * 5 + [3] * 9 + [4] * 5
        assert sorted(found)[65:70] == [(2, "b", n) for n in (0, 2, 4, 6, 8)]
        assert sorted(found)[70:79] == [(3, "a", n) for n in range(3, 60, 7)]
        assert list(index.scans([])) == []


def test_a_scan_outlives_what_is_added_meanwhile(engine, make_rows, file_of, batches_of):
    with engine.filled(make_rows(["dog"] * 5, file="a")) as index:
        scan = index.scan(CaptionQuery(("dog",)))
        seen = [next(scan)]
        index.add(file_of("b", 2), batches_of(make_rows(["dog"] * 2, file="b")))
        index.remove("a")
        seen += scan
        rows = [row for batch in seen for row in batch["row"].to_pylist() if batch["file"][0].as_py() == "a"]
        assert sorted(rows) == [0, 1, 2, 3, 4]


QUERIES = [
    (("***",), {}, r"'\*\*\*' contains no letter"),
    (("dog", "👍"), {}, "👍"),
    ((), {}, "at least one phrase"),
    (("dog",), {"prefix": "…"}, "…"),
    (("dog",), {"exclude": ("!",)}, "!"),
]


@pytest.mark.parametrize(("synonyms", "options", "message"), QUERIES)
def test_phrases_without_a_token_are_named(synonyms, options, message):
    with pytest.raises(QueryError, match=message):
        CaptionQuery(synonyms, **options)


@pytest.mark.parametrize(
    "options", [{"min_side": -1}, {"max_punsafe": 1.5}, {"min_similarity": float("nan")}, {"nsfw": (" ",)}]
)
def test_filters_out_of_range_are_errors(options):
    with pytest.raises(QueryError):
        Filters(**options)

"""The analyzer against its second writing in oracle.py, over all of Unicode and over generated text."""

from __future__ import annotations

import unicodedata
from itertools import pairwise

import pyarrow as pa
import pytest
import regex as re
from captrawl.core.analyzers import ANALYZERS
from captrawl.core.text import matching_spans, token_column, tokens
from hypothesis import given, settings
from hypothesis import strategies as st

CASES = {
    "A Golden-Retriever dog": ["a", "golden", "retriever", "dog"],
    "golden  RETRIEVERS": ["golden", "retrievers"],
    "macaroni & cheese recipe": ["macaroni", "cheese", "recipe"],
    "macaroni &amp; cheese": ["macaroni", "cheese"],
    "&amp;amp; twice": ["twice"],
    "&amp;amp;amp; thrice": ["amp", "thrice"],
    "Boeing 737-800 / A320": ["boeing", "737", "800", "a320"],
    "St. Bernard's café": ["st", "bernards", "cafe"],
    "LEGO™ set": ["lego", "set"],
    "iPhone®X": ["iphone", "x"],
    "don’t miss: husky": ["dont", "miss", "husky"],
    "5′ 10″ ´n` ʼn": ["5", "10", "n", "n"],
    "ﬁne ② ｆｕｌｌ ½": ["fine", "2", "full", "1", "2"],
    "cafe\u0301 ÅNGSTRÖM Straße": ["cafe", "angstrom", "strasse"],
    "İSTANBUL'da kedi, Ağrı&#39;nın, Ankara'da, O'Brien": [
        *("istanbul", "da", "kedi", "agri", "nin", "ankarada", "obrien")
    ],
    "ΣΑΣ σας İstanbul": ["σασ", "σασ", "istanbul"],
    "snake_case हिन्दी": ["snake", "case", "हिन्दी"],
    "東京タワー x日本語y": [*"東京タワー", "x", *"日本語", "y"],
    "ガ ｶﾞ か\u3099 〇 々": ["ガ", "ガ", "が", "〇", "々"],
    "ป่า ป้า iPhoneสีดำ": ["ป่", "า", "ป้", "า", "iphone", "สี", "ดํ", "า"],
    "ខ្មែរ ລາວ བོད་ မြန်": ["ខ្", "មែ", "រ", "ລ", "າ", "ວ", "བོ", "ད", "မြ", "န်"],
    "Ὀδυσσεύς ёж й ў": ["οδυσσευσ", "еж", "и", "у"],
    "כֶּלֶב صُورَةُ أحمد محـــمد": ["כלב", "صورة", "احمد", "محمد"],
    "gol\u00adden gol&shy;den ret\u200briever \u200bx\ufeff": ["golden", "golden", "retriever", "x"],
    "Hawaiʻi Hawai'i St. Bernard&amp;#39;s": ["hawaii", "hawaii", "st", "bernards"],
    "<b>golden</b> retriever<br/>dog&lt;/p&gt;": ["golden", "retriever", "dog"],
    "<a href='x'>dog</a><!-- no --> <3 a<b <golden dog>": ["dog", "3", "a", "b", "golden", "dog"],
    "<a golden dog> <i love> <b/> <span lang=de>": ["a", "golden", "dog", "i", "love"],
    "1️⃣ ❤️ 👨‍👩‍👧 葛󠄀": ["1", "葛"],
    "한국어 강아지 \u1100\u1161": ["한국어", "강아지", "가"],
    "👍🏽 *** …": [],
    "": [],
    "x" * 100 + " y": ["x" * 100, "y"],
    "a " + "x" * 101 + " b": ["a", "b"],
    "a " + "é" * 101 + "-b": ["a", "b"],
    "it's " + "ab'" * 60 + "c": ["its"],
    "a\x00b\tc\u00a0d\u3000e": ["a", "b", "c", "d", "e"],
}

PLAIN = [
    "a",
    "Dog",
    "'",
    '"',
    "`",
    " ",
    "  ",
    "-",
    "_",
    "9",
    "&",
    "&x;",
    "&amp;",
    "&#39;",
    "x" * 99,
    "y" * 101,
]
ODD = [*"é’´™東ﬁ²ßİʼ″👍Ǆςมดำกิที่カгайक़ध्य", "E\u0301", "\u200b", "\u0301", "\u3099", "&eacute;", "&amp;lt;"]
ODD += [
    "ı'd",
    "Ş’",
    "<b>",
    "</b>",
    "<a x=1>",
    "<p dog>",
    "&lt;b&gt;",
    "&amp;amp;amp;",
    "<!--",
    "-->",
    "\u1100\u1161",
]

characters = st.characters(codec="utf-8", exclude_categories=["Cn", "Cs"])
texts = st.lists(st.one_of(st.sampled_from(PLAIN + ODD), characters), max_size=12).map("".join)


@pytest.mark.parametrize(("text", "expected"), CASES.items())
def test_tokens_of_named_cases(text, expected, oracle):
    assert tokens(text) == expected
    assert oracle.tokens(text) == expected == oracle.tokens_of_any(text)
    assert token_column(pa.array([text])).to_pylist() == [" ".join(expected)]


def test_every_code_point_is_a_token_as_the_oracle_says(oracle):
    known = [chr(c) for c in range(0x110000) if unicodedata.category(chr(c)) not in ("Cn", "Cs")]
    differing = {ch: tokens(ch) for ch in known if tokens(ch) != oracle.tokens(ch)}
    assert differing == {}
    column = token_column(pa.array([f"a{ch}B" for ch in known])).to_pylist()
    expected = [" ".join(oracle.tokens(f"a{ch}B")) for ch in known]
    assert [pair for pair in zip(known, column, expected, strict=True) if pair[1] != pair[2]] == []


@settings(max_examples=500, deadline=None)
@given(captions=st.lists(st.one_of(st.none(), texts), max_size=8), offset=st.integers(0, 3))
def test_column_is_the_tokens_joined_by_a_blank(oracle, captions, offset):
    expected = [" ".join(oracle.tokens(caption or "")) for caption in captions]
    assert [" ".join(tokens(caption or "")) for caption in captions] == expected
    column = pa.array(captions, pa.string())
    assert token_column(column).to_pylist() == expected
    assert token_column(column.slice(offset)).to_pylist() == expected[offset:]
    chunked = pa.chunked_array([column.slice(0, offset), column.slice(offset)])
    assert token_column(chunked).to_pylist() == expected


def test_column_of_nothing():
    assert token_column(pa.array([], pa.string())).to_pylist() == []
    assert token_column(pa.array([None], pa.null())).to_pylist() == [""]
    assert token_column(pa.array(["A-b"], pa.large_string())).to_pylist() == ["a b"]


SPACELESS = [
    "一只金毛犬在草地上奔跑，旁边是一辆红色的自行车。",
    "京都府京都市の清水寺と東京都庁、かわいい柴犬の写真「さくら」",
    "北京大学生前来应聘；大熊猫吃竹子",
    "แมวสีดำนั่งบนหลังคาบ้าน ป่าไม้และป้า",
    "ໝາສີດຳ ແລະ ແມວສີຂາວ",
    "ខ្មែរអង្គរវត្ត",
    "ရွှေတိဂုံဘုရား",
    "བོད་ཡིག་གི་ཚིག",
]


@pytest.mark.parametrize("caption", SPACELESS)
def test_a_phrase_without_blanks_is_a_run_of_whole_letters(oracle, caption):
    """By characters alone: a run of letters with all their marks stands in the caption, or it doesn't."""
    letters = re.findall(r"\X", "".join(tokens(caption)))
    assert tokens(caption) == re.findall(r"\p{L}\p{M}*", "".join(letters))
    words = tokens(caption)
    for start in range(len(words)):
        for end in range(start + 1, min(start + 5, len(words)) + 1):
            assert oracle.holds(words, tokens("".join(words[start:end])))
            assert matching_spans(caption, ["".join(words[start:end])])
    turned = "".join(reversed(words[:4]))
    assert oracle.holds(words, tokens(turned)) == (words[:4] == words[3::-1])
    assert not oracle.holds(words, tokens(words[0] + words[2] + words[1] + words[0]))


@settings(max_examples=500, deadline=None)
@given(text=texts)
def test_the_analyzer_before_stays_as_it_was(oracle, text):
    old = ANALYZERS[1]
    assert old.tokens(text) == oracle.tokens_1(text)
    assert old.token_column(pa.array([text, None])).to_pylist() == [" ".join(oracle.tokens_1(text)), ""]
    assert old.tokenizer.analyze(old.native_column(pa.array([text]))[0].as_py()) == oracle.tokens_1(text)


@settings(max_examples=500, deadline=None)
@given(text=texts)
def test_the_embedded_engine_sees_the_same_tokens(oracle, text):
    new = ANALYZERS[2]
    assert new.tokenizer.analyze(new.native_column(pa.array([text]))[0].as_py()) == oracle.tokens(text)


def test_an_unpaired_surrogate_separates():
    assert tokens("dog\ud800cat") == ["dog", "cat"]


SPANS = [
    ("A Golden-Retriever dog", ["golden retriever"], ["Golden-Retriever"]),
    ("don’t &amp; ﬁne Cafe\u0301!", ["dont", "fine cafe"], ["don’t", "ﬁne Cafe\u0301"]),
    ("dog dog dog", ["dog dog"], ["dog dog dog"]),
    ("dog,cat", ["cat", "dog"], ["dog", "cat"]),
    ("d&eacute;j&agrave; vu", ["deja vu"], ["d&eacute;j&agrave; vu"]),
    ("LEGO™ set", ["lego set"], ["LEGO™ set"]),
    ("nothing", ["dog", "***"], []),
    ("", ["dog"], []),
    ("dog\ud800", ["dog"], ["dog"]),
    ("gol&amp;shy;den, <b>Gol\u00adden</b>", ["golden"], ["gol&amp;shy;den", "Gol\u00adden"]),
    ("İstanbul’da, İSTANBUL'DA", ["istanbul"], ["İstanbul", "İSTANBUL"]),
    ("一只金毛犬在草地上", ["金毛犬"], ["金毛犬"]),
    ("ป่าป้า", ["ป่า"], ["ป่า"]),
    ("\u1112\u1161\u11ab 한", ["한"], ["\u1112\u1161\u11ab", "한"]),
    ("<a href='dog'>cat</a> dog", ["dog", "cat"], ["cat", "dog"]),
]


@pytest.mark.parametrize(("caption", "phrases", "expected"), SPANS)
def test_spans_of_named_cases(caption, phrases, expected):
    assert [caption[start:end] for start, end in matching_spans(caption, phrases)] == expected


@settings(max_examples=300, deadline=None)
@given(caption=texts, phrase=st.lists(st.sampled_from(PLAIN + ODD), min_size=1, max_size=2).map("".join))
def test_spans_are_ascending_apart_and_never_raise(oracle, caption, phrase):
    spans = matching_spans(caption, [phrase])
    assert all(0 <= start < end <= len(caption) for start, end in spans)
    assert all(one[1] <= other[0] for one, other in pairwise(spans))
    words = oracle.tokens(phrase)
    if words:
        assert bool(spans) == oracle.holds(oracle.tokens(caption), words)

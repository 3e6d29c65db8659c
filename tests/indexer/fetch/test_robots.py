"""What sites say as a whole: robots.txt by RFC 9309, preferences in it, tdmrep.json."""

from __future__ import annotations

import time
from typing import get_args

import pytest
from captrawl.indexer.fetch.consent import AGENTS, Signal
from captrawl.indexer.fetch.robots import LONGEST, decode_robots, parse_robots
from captrawl.indexer.fetch.tdmrep import judge_tdmrep
from captrawl.workspace.settings import ConsentSignal
from hypothesis import given, settings
from hypothesis import strategies as st

ALL = frozenset(Signal)
R, S, U = Signal.ROBOTS_TXT, Signal.CONTENT_SIGNAL, Signal.CONTENT_USAGE
CASES = [
    ("", "/a.jpg", None),
    ("User-agent: *\nDisallow: /", "/a.jpg", R),
    ("User-agent: *\nDisallow:", "/a.jpg", None),
    ("User-agent: *\nDisallow: /img", "/image.jpg", None),
    ("User-agent: *\nDisallow: /img", "/img/a.jpg", R),
    ("User-agent: *\nDisallow: /IMG", "/img/a.jpg", None),
    ("User-agent: *\nDisallow: /img\nAllow: /img/free", "/img/free/a.jpg", None),
    ("User-agent: *\nAllow: /img\nDisallow: /img", "/img/a.jpg", None),
    ("User-agent: *\nDisallow: /*.jpg$", "/x/a.jpg", R),
    ("User-agent: *\nDisallow: /*.jpg$", "/x/a.jpg?w=1", None),
    ("User-agent: *\nDisallow: /*.jpg", "/x/a.jpg?w=1", R),
    ("User-agent: *\nDisallow: *private*", "/x/private.jpg", R),
    ("User-agent: *\nDisallow: /a*b*c$", "/aXbYcZc", R),
    ("User-agent: *\nDisallow: /ab*ab$", "/ab", None),
    ("User-agent: *\nDisallow: /", "/robots.txt", None),
    ("User-agent: otherbot\nDisallow: /", "/a.jpg", None),
    ("User-agent: captrawl\nDisallow: /", "/a.jpg", R),
    ("User-agent: CapTrawl/1.0\nDisallow: /", "/a.jpg", R),
    ("User-agent: img2dataset\nDisallow: /", "/a.jpg", R),
    ("User-agent: LAIONDownloader\nDisallow: /", "/a.jpg", R),
    ("User-agent: a\nUser-agent: img2dataset\n\nUser-agent: b\nDisallow: /", "/a.jpg", R),
    ("User-agent: img2dataset\nAllow: /x\nUser-agent: b\nDisallow: /", "/a.jpg", None),
    ("User-agent: captrawl\nAllow: /\nUser-agent: *\nDisallow: /", "/a.jpg", R),
    ("user-AGENT : * # all\n  DISALLOW :  /p  # not this", "/p/a.jpg", R),
    ("Disallow: /", "/a.jpg", None),
    ("\ufeffUser-agent: *\r\nDisallow: /p\r\n", "/p", R),
    ("User-agent: *\rDisallow: /p\r", "/p", R),
    ("User-agent: *\nCrawl-delay: 9\nSitemap: http://a/\nDisallow: /p", "/p", R),
    ("User-agent: *\nDisallow: /%7Ejoe/", "/~joe/a.jpg", R),
    ("User-agent: *\nDisallow: /~joe/", "/%7ejoe/a.jpg", R),
    ("User-agent: *\nDisallow: /é", "/%C3%A9/a.jpg", R),
    ("User-agent: *\nDisallow: /%c3%a9", "/%C3%A9/a.jpg", R),
    ("User-agent: *\nDisallow: /a%2Fb", "/a/b", None),
    ("User-agent: *\nContent-Signal: search=yes,ai-train=no\nAllow: /", "/a.jpg", S),
    ("User-agent: *\nContent-Signal: search=yes, ai-train = NO", "/a.jpg", S),
    ("User-agent: *\nContent-Signal: ai-train=yes, search=no", "/a.jpg", None),
    ("User-agent: otherbot\nContent-Signal: ai-train=no", "/a.jpg", None),
    ("Content-Signal: ai-train=no", "/a.jpg", S),
    ("User-agent: *\nContent-Usage: train-ai=n", "/a.jpg", U),
    ("User-agent: *\nContent-Usage: /art train-ai=n", "/a.jpg", None),
    ("User-agent: *\nContent-Usage: /art train-ai=n", "/art/a.jpg", U),
    ("User-agent: *\nContent-Usage: train-ai=n\nContent-Usage: /art train-ai=y", "/art/a.jpg", None),
    ("User-agent: *\nContent-Usage: train-ai=y\nContent-Usage: /art/x search=y, train-ai=n", "/art/x/a", U),
    ("User-agent: *\nContent-Usage: /art train-ai=y\nContent-Usage: /art train-ai=n", "/art/a", U),
    ("User-agent: *\nContent-Usage: search=n", "/a.jpg", None),
    ("<html>User-agent: *\n<b>Disallow: /</b></html>", "/a.jpg", None),
    ("\x00\x01\nUser-agent: *\nDisallow: /p\n\xff", "/p", R),
]  # fmt: skip


@pytest.mark.parametrize(("text", "path", "signal"), CASES)
def test_named_cases(text: str, path: str, signal: Signal | None) -> None:
    verdict = parse_robots(decode_robots(text.encode())).judge(path, honoured=ALL)
    assert (verdict.signal, verdict.allowed) == (signal, signal is None)
    assert bool(verdict.evidence) == (signal is not None)
    if signal is not None:
        assert parse_robots(text).judge(path, honoured=ALL - {signal}).allowed


INTERVALS = [
    ("User-agent: *\nCrawl-delay: 9\nDisallow: /p", 9.0),
    ("User-agent: *\nCrawl-Delay: 0.5", 0.5),
    ("User-agent: *\nCrawl-delay: .5 # seconds", 0.5),
    ("User-agent: *\nCrawl-delay: soon", 0.0),
    ("User-agent: *\nCrawl-delay: -3", 0.0),
    ("User-agent: *\nCrawl-delay: 1e9", 1.0),
    ("User-agent: googlebot\nCrawl-delay: 9", 0.0),
    ("User-agent: img2dataset\nCrawl-delay: 9\n\nUser-agent: *\nCrawl-delay: 2", 9.0),
    ("User-agent: googlebot\nCrawl-delay: 9\nUser-agent: *\nDisallow:", 0.0),
    ("User-agent: *\nRequest-rate: 1/5", 5.0),
    ("User-agent: *\nRequest-rate: 30/1m 1300-1659", 2.0),
    ("User-agent: *\nRequest-rate: 2 / 1h", 1800.0),
    ("User-agent: *\nRequest-rate: 0/5", 0.0),
    ("User-agent: *\nRequest-rate: 1/5\nCrawl-delay: 7", 7.0),
    ("Crawl-delay: 9", 0.0),
]


@pytest.mark.parametrize(("text", "seconds"), INTERVALS)
def test_how_fast_a_site_may_be_asked(text: str, seconds: float) -> None:
    assert parse_robots(text).interval == seconds


def test_the_settings_have_every_signal() -> None:
    assert set(get_args(ConsentSignal)) == {signal.value for signal in Signal}


def test_what_is_behind_500_kibibytes_is_not_read_and_a_cut_line_neither() -> None:
    head = b"User-agent: *\nDisallow: /p\n" + b"#" * (LONGEST - 40) + b"\nAllow: /pictures\n"
    assert not parse_robots(decode_robots(head)).judge("/pictures", honoured=ALL).allowed
    assert len(head) > LONGEST
    whole = b"User-agent: *\n" + b"#" * (LONGEST - 40) + b"\nDisallow: /p\n"
    assert not parse_robots(decode_robots(whole)).judge("/p", honoured=ALL).allowed


def test_a_pattern_of_a_thousand_stars_takes_no_time() -> None:
    text = "User-agent: *\nDisallow: /" + "*a" * 1000 + "*b\n"
    started = time.perf_counter()
    assert parse_robots(text).judge("/" + "a" * 4000, honoured=ALL).allowed
    assert time.perf_counter() - started < 5


PATHS = st.text("ab/.*$%7é~", max_size=8).map(lambda text: "/" + text)
RULES = st.one_of(
    st.tuples(st.sampled_from(["Disallow", "Allow"]), PATHS).map(": ".join),
    st.tuples(PATHS, st.sampled_from("ny")).map(lambda one: f"Content-Usage: {one[0]} train-ai={one[1]}"),
    st.sampled_from(
        ["Content-Signal: ai-train=no", "Content-Signal: ai-train=yes", "Content-Usage: train-ai=n"]
    ),
)
NAMES = st.sampled_from([*sorted(AGENTS), "otherbot"])
GROUPS = st.tuples(st.lists(NAMES, min_size=1, max_size=2), st.lists(RULES, max_size=4)).map(
    lambda one: "\n".join([*(f"User-agent: {name}" for name in one[0]), *one[1], ""])
)
REFUSALS = st.tuples(
    NAMES,
    st.one_of(
        PATHS.map(lambda path: f"Disallow: {path}"),
        PATHS.map(lambda path: f"Content-Usage: {path} train-ai=n"),
        st.just("Content-Signal: ai-train=no"),
    ),
).map(lambda one: f"User-agent: {one[0]}\n{one[1]}\n")


@settings(max_examples=300, deadline=None)
@given(st.lists(GROUPS, max_size=4), REFUSALS, st.integers(0, 4), PATHS)
def test_adding_a_refusal_never_turns_a_row_allowed(
    groups: list[str], refusal: str, place: int, path: str
) -> None:
    before = parse_robots("\n".join(groups)).judge(path, honoured=ALL)
    groups.insert(place, refusal)
    after = parse_robots("\n".join(groups)).judge(path, honoured=ALL)
    assert before.allowed or not after.allowed


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["Disallow", "Allow"]), PATHS), max_size=5), PATHS)
def test_allow_and_disallow_are_as_protego_has_them(rules: list[tuple[str, str]], path: str) -> None:
    protego = pytest.importorskip("protego")
    plain = [(name, one.replace("%", "p")) for name, one in rules]
    path = path.replace("%", "p").replace("*", "s").replace("$", "d")
    text = "User-agent: *\n" + "".join(f"{name}: {one}\n" for name, one in plain)
    theirs = protego.Protego.parse(text).can_fetch(f"http://a.example{path}", "captrawl")
    assert parse_robots(text).judge(path, honoured=ALL).allowed == theirs


@pytest.mark.parametrize(
    ("text", "path", "allowed"),
    [
        ('[{"location": "/img/*", "tdm-reservation": 1}]', "/img/a.jpg", False),
        ('[{"location": "/img/*", "tdm-reservation": 1}]', "/a.jpg", True),
        ('[{"location": "/", "tdm-reservation": 0}]', "/a.jpg", True),
        ('[{"location": "/*.jpg$", "tdm-reservation": "1"}]', "/a.jpg", False),
        ('{"location": "/", "tdm-reservation": true}', "/a.jpg", False),
        (
            '[{"location": "/", "tdm-reservation": 0}, {"location": "/a", "tdm-reservation": 1}]',
            "/a.jpg", False,
        ),
        ("", "/a.jpg", True),
        ("<html>", "/a.jpg", True),
        ("[" * 100_000, "/a.jpg", True),
        ('[1, null, {"location": 7, "tdm-reservation": 1}]', "/a.jpg", True),
    ],
)  # fmt: skip
def test_tdmrep(text: str, path: str, allowed: bool) -> None:
    assert judge_tdmrep(text, path).allowed is allowed

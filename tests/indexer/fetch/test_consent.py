"""Opt-out headers → verdicts: a table of cases, and what must hold for any headers."""

from __future__ import annotations

import pytest
from captrawl.indexer.fetch.consent import REFUSALS, Signal, judge, robots_refusal, tdm_refusal, usage_refusal
from hypothesis import given
from hypothesis import strategies as st

ROBOTS = {
    # value(s) → refused?
    "noai": True,
    "noimageai": True,
    "NoAI, NoImageAI": True,
    "noindex": True,
    "noimageindex": True,
    "none": True,
    "noml": True,
    " NOAI ": True,
    '"noai"': True,
    "index, follow, noai": True,
    "nofollow;noai": True,
    "nofollow noai": True,
    "all": False,
    "index, follow": False,
    "nofollow": False,
    "noarchive, nosnippet": False,
    "max-snippet: 20, max-image-preview: large": False,
    "max-image-preview:none": False,  # of a search result's preview, not of the image
    "max-image-preview: none, noai": True,
    "max-snippet=none; max-video-preview : none": False,
    "googlebot: max-image-preview:none": False,
    "noai max-image-preview:none": True,
    "unavailable_after: 25 Jun 2010 15:00:00 PST": False,
    "unavailable_after: 25 Jun 2010 15:00:00 PST, noai": True,
    "unavailable_after: Wed, 25 Jun 2010 15:00:00 PST, noai": True,
    "unavailable_after: 2010-06-25T15:00:00Z, noindex": True,
    "otherbot: noai": False,
    "otherbot: noindex, noai": False,
    "otherbot/2.1: noai": False,
    "googlebot: nofollow, captrawl: noai": True,
    "captrawl: noai": True,
    "CapTrawl: NoAI": True,
    "captrawl/1.0: noai": True,
    "img2dataset: noindex": True,
    "LAIONDownloader: noai": True,
    "laion-huggingface-processor: noai": True,
    "imageSpider: noai": True,
    "*: noai": True,
    "otherbot: index, captrawl: noai": True,
    "captrawl: index, otherbot: noai": False,
    "captrawl: all": False,
    "noai: true": True,
    "two words: noai": True,  # no robot has such a name
    "noaircraft": False,
    "no-ai": False,
    "": False,
    ":": False,
    ",,,": False,
    "indexifembedded, noindex": True,
}


@pytest.mark.parametrize(("value", "refused"), ROBOTS.items())
def test_robots_tags(value: str, refused: bool) -> None:
    assert (robots_refusal([value]) is not None) is refused
    assert judge([("X-Robots-Tag", value)]).allowed is not refused


@pytest.mark.parametrize(
    ("value", "refused"),
    [
        ("1", True),
        (" 1 ", True),
        ("0, 1", True),
        ("1; x=y", True),
        ("true", True),
        ("True", True),
        ("0", False),
        ("", False),
        ("false", False),
        ("10", False),
        ("0.1", False),
        ("https://example.org/policy-1.json", False),
    ],
)
def test_tdm_reservation(value: str, refused: bool) -> None:
    assert (tdm_refusal([value]) is not None) is refused
    assert judge([("TDM-Reservation", value)]).allowed is not refused


@pytest.mark.parametrize(
    ("value", "refused"),
    [
        ("train-ai=n", True),
        ("Train-AI=N", True),
        ("search=y, train-ai=n", True),
        ("train-ai=n;exp=1", True),
        ('train-ai="n"', True),
        ("train-ai = n", True),
        ("train-ai=y, train-ai=n", True),
        ("train-ai=n, train-ai=y", True),
        ("train-ai=y", False),
        ("train-ai", False),
        ("search=n", False),
        ("train-genai=n", False),
        ("bots=n", False),
        ("", False),
    ],
)
def test_content_usage(value: str, refused: bool) -> None:
    assert (usage_refusal([value]) is not None) is refused
    assert judge([("content-usage", value)]).allowed is not refused


def test_every_line_of_a_name_counts() -> None:
    verdict = judge([("x-robots-tag", "index"), ("Server", "x"), ("X-ROBOTS-TAG", "otherbot: all, noai"),
                     ("X-Robots-Tag", "noai")])  # fmt: skip
    assert verdict.allowed is False
    assert verdict.signal is Signal.X_ROBOTS_TAG
    assert verdict.evidence == "x-robots-tag: noai"


def test_silence_and_consent_are_told_apart() -> None:
    assert judge([("Content-Type", "image/jpeg")]) == judge([])
    assert judge([]).evidence == ""
    spoken = judge([("X-Robots-Tag", "index"), ("Tdm-Reservation", "0")])
    assert (spoken.allowed, spoken.signal) == (True, None)
    assert spoken.evidence == "x-robots-tag: index; tdm-reservation: 0"


def test_a_signal_that_is_not_honoured_says_nothing() -> None:
    headers = [("X-Robots-Tag", "noai"), ("tdm-reservation", "1")]
    assert judge(headers, honoured=frozenset({Signal.CONTENT_USAGE})).allowed
    assert judge(headers, honoured=frozenset({Signal.TDM_RESERVATION})).signal is Signal.TDM_RESERVATION


def test_every_signal_has_a_reason() -> None:
    assert set(REFUSALS) == set(Signal)


def test_evidence_is_bounded() -> None:
    assert len(judge([("X-Robots-Tag", "noai " * 1000)]).evidence) == 500


NAMES = st.sampled_from(["X-Robots-Tag", "x-robots-tag", "tdm-reservation", "Content-Usage", "Server"])
PARTS = st.sampled_from(
    [
        "noai",
        "index",
        "otherbot: noai",
        "captrawl: all",
        "0",
        "1",
        "train-ai=n",
        "train-ai=y",
        ":",
        "",
        "é",
        "25:00",
    ]
)
VALUES = st.lists(PARTS, max_size=4).map(", ".join) | st.text(max_size=30)
HEADERS = st.lists(st.tuples(NAMES, VALUES), max_size=6)
REFUSING = st.sampled_from(
    [("X-Robots-Tag", "noai"), ("TDM-Reservation", "1"), ("Content-Usage", "train-ai=n")]
)


@given(HEADERS, REFUSING, st.integers(0, 6))
def test_a_refusal_more_never_allows(headers, refusing, place) -> None:
    more = [*headers[:place], refusing, *headers[place:]]
    assert not judge(more).allowed


@given(HEADERS, HEADERS)
def test_more_headers_never_turn_a_refusal_round(headers, more) -> None:
    if not judge(headers).allowed:
        assert not judge([*headers, *more]).allowed
        assert not judge([*more, *headers]).allowed


@given(HEADERS)
def test_order_does_not_matter_to_the_verdict(headers) -> None:
    assert judge(headers).allowed == judge(reversed(headers)).allowed

"""Response headers → a verdict with its evidence: what a response says about machine learning.

Three response headers are read, each the most restrictive way its text allows: ``X-Robots-Tag`` (noai,
noimageai, noindex, noimageindex, none, noml), TDMRep's ``tdm-reservation``, and ``Content-Usage`` (IETF
aipref). Silence is no refusal, and no header can take back what another refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ..outcomes import Reason


class Signal(StrEnum):
    """A way in which a site or a picture speaks about machine learning: headers, files, metadata."""

    ROBOTS_TXT = "robots-txt"
    CONTENT_SIGNAL = "content-signal"
    X_ROBOTS_TAG = "x-robots-tag"
    TDM_RESERVATION = "tdm-reservation"
    CONTENT_USAGE = "content-usage"
    DATA_MINING = "data-mining"
    C2PA_TRAINING = "c2pa-training"


REFUSALS: dict[Signal, Reason] = {
    Signal.ROBOTS_TXT: Reason.ROBOTS_TXT,
    Signal.CONTENT_SIGNAL: Reason.CONTENT_SIGNAL,
    Signal.X_ROBOTS_TAG: Reason.X_ROBOTS_TAG,
    Signal.TDM_RESERVATION: Reason.TDM_RESERVATION,
    Signal.CONTENT_USAGE: Reason.CONTENT_USAGE,
    Signal.DATA_MINING: Reason.DATA_MINING,
    Signal.C2PA_TRAINING: Reason.C2PA_TRAINING,
}
"""The ledger's reason for a refusal by each signal."""

AGENTS = frozenset(
    {"captrawl", "img2dataset", "laiondownloader", "laion-huggingface-processor", "imagespider", "*"}
)
"""Robots whose rules bind us: our own name, and those of the downloaders whose work we do."""

_REFUSING = frozenset({"noai", "noimageai", "noindex", "noimageindex", "none", "noml"})
# Words that stand before a colon without being a robot's name.
_DIRECTIVES = _REFUSING | {
    "all",
    "follow",
    "index",
    "indexifembedded",
    "max-image-preview",
    "max-snippet",
    "max-video-preview",
    "noarchive",
    "nocache",
    "nofollow",
    "noodp",
    "nositelinkssearchbox",
    "nosnippet",
    "notranslate",
    "noydir",
    "unavailable_after",
}
_AGENT = re.compile(r"\s*(\*|[A-Za-z][\w.-]*)(?:/[\w.]+)?\s*:(.*)", re.DOTALL)
_PREVIEW = re.compile(r"max-(?:image-preview|snippet|video-preview)\s*[:=]\s*[^\s,;]*", re.IGNORECASE)
_WORD = re.compile(r"[^\s:=\"']+")
_RESERVED = re.compile(r"(?<![\w.-])(1|true)(?![\w.-])", re.IGNORECASE)
_EVIDENCE_LENGTH = 500


@dataclass(frozen=True, slots=True)
class ConsentVerdict:
    """Whether we may use a response or a picture, by which signal not, and the words it was judged by."""

    allowed: bool
    signal: Signal | None
    evidence: str


def judge(
    headers: Iterable[tuple[str, str]], *, honoured: frozenset[Signal] = frozenset(Signal)
) -> ConsentVerdict:
    """Judge a response by its header lines (name, value); names in any case, repeated lines all count.

    The evidence is the refusing line, or every consent line seen, cut to 500 characters; "" for silence.
    """
    lines: dict[Signal, list[str]] = {signal: [] for signal in _REFUSED_BY if signal in honoured}
    for name, value in headers:
        signal = _BY_NAME.get(name.strip().lower())
        if signal is not None and signal in lines:
            lines[signal].append(value)
    for signal, values in lines.items():
        refusing = _REFUSED_BY[signal](values)
        if refusing is not None:
            return ConsentVerdict(False, signal, _line(signal, refusing))
    evidence = "; ".join(_line(signal, value) for signal, values in lines.items() for value in values)
    return ConsentVerdict(True, None, evidence[:_EVIDENCE_LENGTH])


def robots_refusal(values: Sequence[str]) -> str | None:
    """The first X-Robots-Tag value that refuses us, or None.

    A robot's name before a colon holds for what follows in the same value; only a bare word that is no
    directive is taken for one, so that dates (``unavailable_after: 25 Jun 2010 15:00:00 PST, noai``) hide
    nothing. Rules for other robots don't bind us.
    """
    return next((value for value in values if _refuses_robots(value)), None)


def tdm_refusal(values: Sequence[str]) -> str | None:
    """The first tdm-reservation value that reserves the rights (``1``), or None."""
    return next(
        (v for v in values if {w.lower() for w in re.findall(r"[^\s,;\"']+", v)} & {"1", "true"}), None
    )


def usage_refusal(values: Sequence[str]) -> str | None:
    """The first Content-Usage value that says ``train-ai=n``, or None; other labels say nothing to us."""
    return next((value for value in values if _refuses_usage(value)), None)


def _refuses_robots(value: str) -> bool:
    bound = True
    for element in re.split(r"[,;]", value):
        rest = element
        match = _AGENT.match(element)
        if match and match[1].lower() not in _DIRECTIVES:
            bound = match[1].lower() in AGENTS
            rest = match[2]
        if bound and any(word.lower() in _REFUSING for word in _WORD.findall(_PREVIEW.sub("", rest))):
            return True
    return False


def _refuses_usage(value: str) -> bool:
    for member in value.split(","):
        label, _, rest = member.partition("=")
        if label.strip().lower() == "train-ai" and rest.split(";")[0].strip(" \t\"'?").lower() in {"n", "no"}:
            return True
    return False


def _line(signal: Signal, value: str) -> str:
    return f"{signal}: {value}"[:_EVIDENCE_LENGTH]


_REFUSED_BY: Mapping[Signal, Callable[[Sequence[str]], str | None]] = {
    Signal.X_ROBOTS_TAG: robots_refusal,
    Signal.TDM_RESERVATION: tdm_refusal,
    Signal.CONTENT_USAGE: usage_refusal,
}
_BY_NAME: Mapping[str, Signal] = {signal.value: signal for signal in _REFUSED_BY}

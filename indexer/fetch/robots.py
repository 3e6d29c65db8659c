"""robots.txt → what it says of a path: RFC 9309, with Content-Usage and Content-Signal among the rules.

Crawl-delay and Request-rate, which the RFC leaves out, say how fast the site may be asked.

The longest pattern that matches a path decides, and of equal ones Allow does; ``*`` stands for anything and
``$`` for the end. Unlike in the RFC a group of our own doesn't replace that of ``*``: the groups of every
name that we go by, and ``*``, all bind us, so that no line that refuses can open what another line closes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, unquote_to_bytes

from .consent import AGENTS, ConsentVerdict, Signal, usage_refusal

LONGEST = 512_000
"""Bytes that are read; the RFC asks for 500 kibibytes at least."""

_LINE = re.compile(r"\s*([A-Za-z-]+)\s*:\s*(.*?)\s*$")
_TOKEN = re.compile(r"\*|[A-Za-z0-9_.-]+")
_SAFE = "!$&'()*+,/:;=?@~"
_RULES: Mapping[str, Signal] = {
    "allow": Signal.ROBOTS_TXT,
    "disallow": Signal.ROBOTS_TXT,
    "content-usage": Signal.CONTENT_USAGE,
    "content-signal": Signal.CONTENT_SIGNAL,
}
_INTERVALS = frozenset({"crawl-delay", "request-rate"})
_MISSPELT = {"disalow": "disallow", "dissallow": "disallow", "useragent": "user-agent"}


@dataclass(frozen=True, slots=True)
class _Rule:
    signal: Signal
    pattern: str
    refuses: bool
    line: str
    """As evidence shows it: the agent and the line."""


@dataclass(frozen=True, slots=True)
class RobotsRules:
    """The rules that bind us, by signal and then group."""

    groups: Mapping[tuple[Signal, str], Sequence[_Rule]] = field(
        default_factory=dict[tuple[Signal, str], Sequence[_Rule]]
    )
    interval: float = 0.0
    """Seconds between two requests that the site asks for."""

    def judge(self, path: str, *, honoured: frozenset[Signal]) -> ConsentVerdict:
        """What they say of ``path``, which is a URL's from the first slash on, with its query."""
        path = _normal(path or "/")
        for (signal, _), rules in self.groups.items():
            if signal not in honoured or (signal is Signal.ROBOTS_TXT and path == "/robots.txt"):
                continue
            matches = [rule for rule in rules if _fits(rule.pattern, path)]
            # An Allow as long as a Disallow wins; a preference that is stated twice is the stricter one.
            tie = signal is not Signal.ROBOTS_TXT
            rule = max(matches, key=lambda one: (len(one.pattern), one.refuses is tie), default=None)
            if rule is not None and rule.refuses:
                return ConsentVerdict(False, signal, f"robots.txt: {rule.line}"[:500])
        return ConsentVerdict(True, None, "")


def parse_robots(text: str) -> RobotsRules:
    """The rules of a robots.txt that bind us; whatever is no line of the format is passed over."""
    groups: dict[tuple[Signal, str], list[_Rule]] = {}
    interval = 0.0
    for agent, name, value in _lines(text):
        if name in _INTERVALS:
            interval = max(interval, _seconds(name, value))
            continue
        rule = _rule(agent, name, value)
        if rule is not None:
            groups.setdefault((rule.signal, agent), []).append(rule)
    return RobotsRules(groups, interval)


def decode_robots(data: bytes) -> str:
    """The text of a file's first LONGEST bytes, without the line that is cut there."""
    if len(data) > LONGEST:
        data = data[:LONGEST].rpartition(b"\n")[0]
    return data.decode("utf-8-sig", "replace")


def matches_path(pattern: str, path: str) -> bool:
    """Whether a pattern as robots.txt has it (``*``, a closing ``$``) matches the beginning of ``path``."""
    return _fits(_normal(pattern), _normal(path))


def _lines(text: str) -> Iterator[tuple[str, str, str]]:
    """(agent, name, value) of every rule in a group that binds us, names in lower case."""
    agents: list[str] = []
    in_rules = False
    for line in re.split(r"[\r\n]+", text):
        match = _LINE.match(line.partition("#")[0])
        if match is None:
            continue
        name = match[1].lower()
        name = _MISSPELT.get(name, name)
        if name == "user-agent":
            agents, in_rules = ([] if in_rules else agents), False
            token = _TOKEN.match(match[2])
            agents.append(token[0].lower() if token else "")
        elif name in _INTERVALS:  # no rule: the names of the next group may follow
            yield from ((agent, name, match[2]) for agent in agents if agent in AGENTS)
        elif name in _RULES:
            in_rules = True
            # A preference in no group at all is everybody's.
            owners = agents or (["*"] if name.startswith("content-") else [])
            yield from ((agent, name, match[2]) for agent in owners if agent in AGENTS)


def _rule(agent: str, name: str, value: str) -> _Rule | None:
    signal, line = _RULES[name], f"{agent}: {name}: {value}"
    if signal is Signal.ROBOTS_TXT:
        return _Rule(signal, _normal(value), name == "disallow", line) if value else None
    pattern, _, preferences = value.partition(" ") if value.startswith(("/", "*")) else ("/", "", value)
    if signal is Signal.CONTENT_USAGE:
        return _Rule(signal, _normal(pattern), usage_refusal([preferences]) is not None, line)
    words = re.findall(r"([\w-]+)\s*=\s*([\w-]+)", preferences.lower())
    return _Rule(signal, _normal(pattern), ("ai-train", "no") in words, line)


def _seconds(name: str, value: str) -> float:
    """Between two requests: ``Crawl-delay: 10``, ``Request-rate: 1/10m``; 0 where it says nothing usable."""
    if name == "crawl-delay":
        number = re.match(r"\d{1,6}(?:\.\d{0,6})?|\.\d{1,6}", value)
        return float(number[0]) if number else 0.0
    rate = re.match(r"(\d{1,6})\s*/\s*(\d{1,6})\s*([smh]?)", value.lower())
    if rate is None or not int(rate[1]):
        return 0.0
    return int(rate[2]) * {"": 1, "s": 1, "m": 60, "h": 3600}[rate[3]] / int(rate[1])


def _fits(pattern: str, path: str) -> bool:
    """Whether ``pattern`` matches; in time that no pattern can stretch, unlike a regular expression's."""
    end = pattern.endswith("$")
    first, *others = pattern.removesuffix("$").split("*")
    if not path.startswith(first):
        return False
    at = len(first)
    last = others.pop() if end and others else None
    for piece in others:
        at = path.find(piece, at)
        if at < 0:
            return False
        at += len(piece)
    if last is None:
        return not end or at == len(path)
    return len(path) - at >= len(last) and path.endswith(last)


def _normal(path: str) -> str:
    """``path`` in one spelling: what needs no quoting isn't quoted, the rest is, in capitals."""
    pieces = re.split(r"(%[0-9A-Fa-f]{2})", path)
    return "".join(_unquoted(piece) if number % 2 else quote(piece, safe=_SAFE + "%", errors="replace")
                   for number, piece in enumerate(pieces))  # fmt: skip


def _unquoted(piece: str) -> str:
    byte = unquote_to_bytes(piece)
    return byte.decode() if re.fullmatch(rb"[A-Za-z0-9._~-]", byte) else piece.upper()

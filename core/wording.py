"""Numbers and counts in sentences."""

from __future__ import annotations

from collections.abc import Mapping


def counted(number: int, noun: str) -> str:
    """``number`` of what ``noun`` names, in the plural where it isn't one: "1 file", "2,574 classes"."""
    ending = "" if number == 1 else "es" if noun.endswith(("s", "sh", "ch", "x")) else "s"
    return f"{number:,} {noun}{ending}"


def counts_text(counts: Mapping[str, int]) -> str:
    """Counts in a line: ``packed 1,843, no url 24, failed 86 (http_404 35, timeout 51)``.

    A name ``a:b`` is a part of the count ``a``, and ``b`` a reason as files and report have it; zeros are
    left out but for the first and for ``kept``: that a sample is empty is news.
    """
    parts: dict[str, list[str]] = {}
    for name, value in counts.items():
        whole, colon, part = name.partition(":")
        if colon and value:
            parts.setdefault(whole, []).append(f"{part} {value:,}")
    whole_counts = [(name, value) for name, value in counts.items() if ":" not in name]
    texts: list[str] = []
    for place, (name, value) in enumerate(whole_counts):
        if value or not place or name == "kept":
            inside = f" ({', '.join(parts[name])})" if name in parts else ""
            texts.append(f"{name.replace('_', ' ')} {value:,}{inside}")
    return ", ".join(texts)

"""The charts of the report's page as inline SVG, coloured by the page's style in light and dark."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .counts import ClassNumbers
from .markup import Html, join, tag
from .sample_counts import Histogram

SERIES = 6
"""Colours of samples and synonyms in the style; further ones begin again."""
RIGHT = 20
NAMED_CLASSES = 60
"""Up to so many classes each bar has its name below."""


def counted_classes(classes: Sequence[ClassNumbers], samples: Sequence[str]) -> Html:
    """Matched, downloaded and kept rows of every class, most matched first, on a log scale."""
    ordered = sorted(classes, key=lambda entry: (-entry.matched, entry.id))
    named = len(ordered) <= NAMED_CLASSES
    width, left, top, height = 960.0, 52.0, 10.0, 250.0
    step = (width - left - 8) / max(len(ordered), 1)
    decades = max(1, math.ceil(math.log10(max([1, *(entry.matched for entry in ordered)]))))

    def y(value: float) -> float:
        scaled = (math.log10(value) + 0.3) / (decades + 0.3) if value >= 1 else 0.0
        return round(top + height * (1 - scaled), 1)

    def steps(values: Sequence[int]) -> str:
        """The path from the first value's height to the last one's."""
        parts = [f"V{y(value)}H{left + step * (place + 1):.1f}" for place, value in enumerate(values)]
        return "".join([f"M{left:.1f} {y(values[0] if values else 0)}", *parts])

    def dots(values: Sequence[int]) -> str:
        """A dot for each value: a line of many classes would cross itself too often."""
        middle = left + step / 2
        return "".join(f"M{middle + step * place:.1f} {y(value)}h0" for place, value in enumerate(values))

    kind, drawn = ("step", steps) if named else ("dots", dots)
    grid = [_grid_line(y(10**k), short(10**k), left, width) for k in range(decades + 1)]
    areas = [
        tag("path", d=f"{steps(values)}V{y(0)}H{left:.1f}Z", class_=f"area {name}")
        for name, values in (
            ("matched", [entry.matched for entry in ordered]),
            ("downloaded", [entry.downloaded for entry in ordered]),
        )
    ]
    lines = [
        tag("path", d=drawn([entry.kept[place] for entry in ordered]), class_=f"{kind} s{place % SERIES}")
        for place in range(len(samples))
    ]
    columns: list[Html] = []
    for place, entry in enumerate(ordered):
        x = left + step * place
        told = ", ".join(f"{name} {kept:,}" for name, kept in zip(samples, entry.kept, strict=True))
        title = f"{entry.name}: matched {entry.matched:,}, with image {entry.downloaded:,}"
        hit = tag("rect", x=f"{x:.1f}", y=top, width=f"{step:.2f}", height=height, class_="hit")
        columns.append(tag("g", tag("title", f"{title}; {told}" if told else title), hit))
        if named:
            at = f"rotate(-55 {x + step / 2 + 3:.1f} {top + height + 14})"
            shown = entry.name if len(entry.name) <= 18 else entry.name[:17] + "…"
            label = {"x": f"{x + step / 2 + 3:.1f}", "y": top + height + 14, "transform": at}
            columns.append(tag("text", shown, class_="tick end", **label))
    below = 110.0 if named else 30.0
    if not named:
        columns.append(
            tag("text", "classes, most matches first", x=width / 2, y=top + height + 20, class_="tick middle")
        )
    return tag(
        "svg",
        join([*grid, *areas, *lines, *columns]),
        viewBox=f"0 0 {width:g} {top + height + below:g}",
        class_="chart",
        role="img",
        aria_label="Rows a class: matched, with an image, kept by each sample; the table below has them",
    )


def _grid_line(y: float, label: str, left: float, width: float) -> Html:
    return join(
        [
            tag("line", x1=left, x2=width, y1=y, y2=y, class_="grid"),
            tag("text", label, x=left - 6, y=y + 4, class_="tick end"),
        ]
    )


def short(value: int) -> str:
    """A round count that has room beside an axis: 5,000, 20k, 1.5M."""
    for unit, letter in ((1_000_000, "M"), (1_000, "k")):
        if value >= max(unit, 10_000):
            return f"{value / unit:g}{letter}"
    return f"{value:,}"


def histogram(numbers: Histogram, series: int) -> Html:
    """One score's histogram: the pool's rows, those kept over them, and the thresholds as dashed lines."""
    width, left, top, height = 420.0, 44.0, 18.0, 140.0
    low, high = numbers.edges[0], numbers.edges[-1]
    most = max([1, *numbers.pool])
    logarithmic = most > 50 * max([1, *numbers.kept])

    def x(value: float) -> float:
        return round(left + (width - left - RIGHT) * (value - low) / (high - low), 1)

    def y(value: float) -> float:
        share = math.log1p(value) / math.log1p(most) if logarithmic else value / most
        return round(top + height * (1 - share), 1)

    def area(values: Sequence[int], name: str) -> Html:
        parts = [f"M{x(low)} {y(0)}"]
        parts += [f"V{y(v)}H{x(edge)}" for v, edge in zip(values, numbers.edges[1:], strict=True)]
        return tag("path", d=f"{''.join(parts)}V{y(0)}Z", class_=f"area {name}")

    grid = [_grid_line(y(value), short(value), left, width - RIGHT) for value in _ticks(most, logarithmic)]
    ticks = [
        tag("text", f"{value:.2f}", x=x(value), y=top + height + 16, class_="tick middle")
        for value in _values(low, high)
    ]
    marks: list[Html] = []
    for condition in numbers.thresholds:
        if low <= condition.value <= high:
            at = x(condition.value)
            side = "end" if at > width / 2 else "start"
            marks.append(tag("line", x1=at, x2=at, y1=top - 4, y2=top + height, class_="threshold"))
            marks.append(tag("text", str(condition), x=at, y=top - 7, class_=f"tick mark {side}"))
    return tag(
        "svg",
        join(
            [*grid, area(numbers.pool, "matched"), area(numbers.kept, f"s{series % SERIES}"), *marks, *ticks]
        ),
        viewBox=f"0 0 {width:g} {top + height + 24:g}",
        class_="chart small",
        role="img",
        aria_label=f"Histogram of {numbers.score}: {sum(numbers.pool):,} rows, {sum(numbers.kept):,} kept",
    )


def _ticks(most: int, logarithmic: bool) -> list[int]:
    """Two to five round counts above 0 to mark on the y axis, and 0."""
    if logarithmic:
        return [10**k for k in range(0, int(math.log10(most)) + 1, max(1, int(math.log10(most)) // 3))]
    whole = 10 ** int(math.log10(most))
    part = next((p for p in (whole * 2, whole, whole // 2, whole // 5) if p and most // p >= 2), most)
    return list(range(0, most + 1, part))


def _values(low: float, high: float) -> list[float]:
    """Round values between ``low`` and ``high`` to mark on the x axis."""
    step = next((s for s in (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5) if (high - low) / s <= 6), 1.0)
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 2) + 0.0 for k in range(first, math.floor(high / step + 1e-9) + 1)]


def shares(parts: Sequence[tuple[str, int]]) -> Html:
    """A bar of the whole width, cut by ``parts`` (name, number); an empty one where all are 0."""
    total = sum(number for _, number in parts)
    at = 0.0
    cut: list[Html] = []
    for place, (name, number) in enumerate(parts):
        if number:
            share = 100 * number / total
            rect = tag("rect", x=f"{at:.2f}%", width=f"{share:.2f}%", height="100%", class_=_shade(place))
            cut.append(tag("g", tag("title", f"{name}: {number:,} ({share:.0f} %)"), rect))
            at += share
    return tag("svg", join(cut), class_="bar", aria_hidden="true")


def _shade(place: int) -> str:
    return f"s{place}" if place < SERIES else "rest"


def bar(value: int, most: int, name: str) -> Html:
    """A bar of ``value`` on a scale to ``most``, in the colour of ``name``."""
    width = 100 * value / most if most else 0
    return tag(
        "svg",
        tag("rect", width=f"{max(width, 0.4 if value else 0):.2f}%", height="100%", class_=name),
        class_="bar",
        aria_hidden="true",
    )

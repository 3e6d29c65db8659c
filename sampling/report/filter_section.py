"""The section of the report's page on scores and filters: histograms, and what was removed with examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..filters import MEANINGS
from .counts import Numbers
from .examples import Picks
from .figures import SERIES, bar, histogram
from .markup import Html, foreign, join, tag
from .page_parts import Column, legend, table
from .sample_counts import SampleNumbers
from .sheets import sheet
from .thumbnails import Thumbnails


def filters(
    numbers: Numbers, picks: Sequence[Picks], names: Mapping[int, str], thumbnails: Thumbnails
) -> Html | None:
    """For every sample its score histograms and what each filter removed, with examples; the first open."""
    if not numbers.samples:
        return None
    parts = [
        tag(
            "details",
            tag("summary", tag("h3", foreign(f"{sample.name}: {sample.title}"))),
            _histograms(sample, place),
            _removed(sample, chosen, names, thumbnails),
            open="" if place == 0 else None,
        )
        for place, (sample, chosen) in enumerate(zip(numbers.samples, picks, strict=True))
    ]
    return join(parts)


def _histograms(sample: SampleNumbers, place: int) -> Html:
    if not sample.histograms:
        return tag("p", "No row of this sample's pools has a score.", class_="soft")
    marks = [("matched", "rows of all pools"), (f"s{place % SERIES}", "kept")]
    figures = [
        tag("figure", histogram(found, place), tag("figcaption", _beside(sample, place_)), class_="plot")
        for place_, found in enumerate(sample.histograms)
    ]
    return join([legend(marks), tag("div", *figures, class_="charts")])


def _beside(sample: SampleNumbers, place: int) -> str:
    """What stands below a histogram: the score, and the thresholds that lie outside the picture."""
    found = sample.histograms[place]
    low, high = found.edges[0], found.edges[-1]
    outside = [str(c) for c in found.thresholds if not low <= c.value <= high]
    hidden = f"; the threshold {', '.join(outside)} lies outside" if outside else ""
    return f"{found.score}, from {low:.2f} to {high:.2f}{hidden}"


def _removed(sample: SampleNumbers, picks: Picks, names: Mapping[int, str], thumbnails: Thumbnails) -> Html:
    """A line a reason with its rows, then examples of those that have images: the nearest to being kept."""
    whole: dict[str, int] = {}
    for reason, number in sample.reasons:
        key = reason.partition(":")[0]
        whole[key] = whole.get(key, 0) + number
    most = max([1, *whole.values()])
    rows = [
        [
            tag("span", reason, class_="reason"),
            MEANINGS.get(reason, "the condition isn't met"),
            f"{number:,}",
            f"{number / max(sample.pool, 1):.1%}",
            bar(number, most, "downloaded"),
        ]
        for reason, number in sorted(whole.items(), key=lambda pair: -pair[1])
    ]
    columns: list[Column] = [("removed by", False), ("meaning", False), ("rows", True), ("of the pool", True)]
    shown = [
        tag(
            "details",
            tag(
                "summary",
                "Removed by ",
                tag("span", reason, class_="reason"),
                f": {_examples(len(examples))}",
            ),
            sheet(examples, thumbnails, names=names),
        )
        for reason, examples in picks.examples.items()
        if any(row.path for row in examples)
    ]
    return join([tag("h3", "What was removed"), table([*columns, ("", False)], rows, "Removed"), *shown])


def _examples(count: int) -> str:
    return f"{count} example" if count == 1 else f"{count} examples"

"""The report's charts, drawn by matplotlib once: as files for papers and slides, and inside the page."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...core.errors import import_failure
from ...core.files import atomic
from ..auto.trials import ALONE, AutoRecord
from .counts import ClassCounts, ReportCounts
from .sample_counts import Histogram, SampleCounts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SERIES = ("#d9730d", "#0b6bcb", "#1a8a4a", "#a83f9e", "#a38a00", "#17879b")
"""Colours of samples and synonyms; further ones begin again."""
MATCHED, DOWNLOADED, REST, THRESHOLD = "#c3cad2", "#7f93a8", "#9aa3ab", "#b3261e"
INK, SOFT, LINE = "#1c2024", "#5b636b", "#dfe2e5"
THEME = {
    **{colour: f"s{place}" for place, colour in enumerate(SERIES)},
    MATCHED: "matched",
    DOWNLOADED: "downloaded",
    REST: "rest",
    THRESHOLD: "threshold",
    INK: "ink",
    SOFT: "soft",
    LINE: "line",
}
"""The colours by their names in report.css, which has others for the dark."""
STATES = {"failed": DOWNLOADED, "refused": SERIES[0], "dropped": SERIES[1]}
NAMED_CLASSES = 60
"""Up to so many classes each has its name below the chart."""
MOST_SHARES = 40
"""Classes in the chart of synonyms' shares, at most: those with most matches."""
MOST_REASONS = 30
RANKS = ("most credited", "second", "third", "4th", "5th", "6th", "others")
FORMATS: dict[str, dict[str, Any]] = {
    "png": {"dpi": 110},
    "svg": {"metadata": {"Date": None}},
    "pdf": {"metadata": {"CreationDate": None}},
}
"""The files of each chart, with what savefig is told: equal counts, equal files."""


def save_charts(counts: ReportCounts, folder: Path) -> tuple[str, ...]:
    """Write every chart into ``folder`` in each of FORMATS, and drop those that are no chart any more."""
    names: list[str] = []
    with looks():
        for name, draw in _charts(counts):
            figure = draw()
            for form, options in FORMATS.items():
                names.append(f"{name}.{form}")
                with atomic(folder / names[-1]) as temporary:
                    figure.savefig(temporary, format=form, facecolor="white", **options)
    for form in FORMATS:
        for old in folder.glob(f"[!.]*.{form}"):
            if old.name not in names:
                old.unlink()
    return tuple(names)


def _charts(counts: ReportCounts) -> Iterator[tuple[str, Callable[[], Figure]]]:
    yield "classes", lambda: classes_chart(counts)
    yield "synonyms", lambda: synonyms_chart(counts)
    if counts.download.failures:
        yield "failures", lambda: failures_chart(counts)
    for place, sample in enumerate(counts.samples):
        if sample.auto and sample.auto.trials:
            yield f"auto-{sample.name}", lambda r=sample.auto: trials_chart(r)
        if sample.histograms:
            yield f"scores-{sample.name}", lambda s=sample, p=place: scores_chart(s, p)


def looks() -> Any:
    """Matplotlib's settings for these charts while the block lasts; MissingExtraError without it."""
    try:
        from matplotlib import rc_context
    except ImportError as error:
        raise import_failure(error, "a report", "cpu") from error
    colours = dict.fromkeys(("text.color", "axes.labelcolor", "xtick.labelcolor", "ytick.labelcolor"), INK)
    colours |= dict.fromkeys(("axes.edgecolor", "xtick.color", "ytick.color"), SOFT)
    sizes = {"font.size": 9, "axes.titlesize": 10, "legend.fontsize": 9, "figure.titlesize": 10}
    style: dict[Any, Any] = {
        **colours,
        **sizes,
        "svg.fonttype": "none",
        "svg.hashsalt": "captrawl",
        "pdf.fonttype": 42,
    }
    return rc_context(style)


def _figure(width: float, height: float) -> Figure:
    """A figure of its own (no pyplot, so no state); sizes in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _plain(axes: Any, *, lines: bool = True) -> Any:
    axes.spines[["top", "right"]].set_visible(False)
    if lines:
        axes.grid(axis="y", color=LINE, linewidth=0.8)
    axes.set_axisbelow(True)
    return axes


def plain_text(text: str, most: int = 40) -> str:
    """``text`` for a chart: short, on one line, its $ taken literally, what the font lacks left out."""
    flat = re.sub(r"[^\x20-\x7e\u00a1-\u024f\u0370-\u052f]+", " ", " ".join(text.split())).strip()
    short = flat if len(flat) <= most else flat[: most - 1] + "…"
    return short.replace("\\", "/").replace("$", r"\$")


def ordered(classes: Sequence[ClassCounts]) -> list[ClassCounts]:
    """The classes of a chart from left to right: most matches first."""
    return sorted(classes, key=lambda entry: (-entry.matched, entry.id))


def _label(entry: ClassCounts, most: int) -> str:
    return plain_text(entry.name, most) or f"class {entry.id}"


def classes_chart(counts: ReportCounts) -> Figure:
    """Matched, downloaded and kept rows of every class on a log scale, most matches first.

    Each class's column carries the id ``class-ID``, its name below ``name-ID``.
    """
    classes = ordered(counts.classes)
    figure = _figure(10, 4.6)
    axes = _plain(figure.subplots())
    places = range(len(classes))
    edges = [place - 0.5 for place in range(len(classes) + 1)]
    for values, colour, label in (
        ([entry.matched for entry in classes], MATCHED, "matched"),
        ([entry.downloaded for entry in classes], DOWNLOADED, "with a usable image"),
    ):
        axes.stairs(values, edges, fill=True, color=colour, label=label)
    many = len(counts.samples)
    for place, sample in enumerate(counts.samples):
        values = [entry.kept[place] for entry in classes]
        look = {"color": SERIES[place % len(SERIES)], "label": f"kept by {plain_text(sample.name)}"}
        if len(classes) > NAMED_CLASSES:  # equal values: the first sample's dots are the largest, and below
            axes.plot(places, values, "o", markeredgewidth=0, markersize=2 + 1.5 * (many - place), **look)
        else:
            width = 0.8 / many
            axes.bar([at - 0.4 + width * (place + 0.5) for at in places], values, width, **look)
    axes.set_yscale("symlog", linthresh=1)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set_ylim(bottom=0)
    axes.set_xlim(-0.5, max(len(classes) - 0.5, 0.5))
    axes.set_ylabel("rows")
    if len(classes) <= NAMED_CLASSES:
        names = [_label(entry, 24) for entry in classes]
        axes.set_xticks(places, names, rotation=55, ha="right", rotation_mode="anchor", fontsize=8)
        for entry, text in zip(classes, axes.get_xticklabels(), strict=True):
            text.set_gid(f"name-{entry.id}")
    else:
        axes.set_xlabel("classes, most matches first")
    columns = axes.bar(places, 1, 1, facecolor="none", transform=axes.get_xaxis_transform())
    for entry, column in zip(classes, columns, strict=True):
        column.set_gid(f"class-{entry.id}")
    axes.legend(frameon=False, ncols=min(2 + many, 4), loc="lower left", bbox_to_anchor=(0, 1))
    return figure


def synonyms_chart(counts: ReportCounts) -> Figure:
    """The shares of each class's synonyms, of the classes with most matches."""
    classes = ordered(counts.classes)[:MOST_SHARES]
    figure = _figure(8, 1.6 + 0.2 * len(classes))
    axes = _plain(figure.subplots(), lines=False)
    handles: dict[str, Any] = {}
    for row, entry in enumerate(classes):
        left = 0.0
        for place, synonym in enumerate(entry.synonyms):
            share = 100 * synonym.matched / max(entry.matched, 1)
            colour = SERIES[place] if place < len(SERIES) else REST
            bars = axes.barh(row, share, left=left, color=colour, height=0.75)
            handles.setdefault(RANKS[min(place, len(SERIES))], bars)
            left += share
    axes.set_yticks(range(len(classes)), [_label(entry, 32) for entry in classes])
    axes.set_ylim(len(classes) - 0.4, -0.6)
    axes.set_xlim(0, 100)
    axes.set_xlabel("share of the class's matches credited to each synonym, the largest first (%)")
    if handles:
        legend_style = {
            "frameon": False,
            "ncols": len(handles),
            "loc": "lower left",
            "bbox_to_anchor": (0, 1),
        }
        axes.legend(handles.values(), handles.keys(), columnspacing=1.2, handlelength=1, **legend_style)
    return figure


def failures_chart(counts: ReportCounts) -> Figure:
    """URLs without an image by reason, coloured by the state they ended in."""
    failures = counts.download.failures[:MOST_REASONS]
    figure = _figure(8, 1.4 + 0.26 * len(failures))
    axes = _plain(figure.subplots(), lines=False)
    for state in dict.fromkeys(failure.state for failure in failures):
        mine = [(place, failure.urls) for place, failure in enumerate(failures) if failure.state == state]
        urls = [number for _, number in mine]
        colour = STATES.get(state, REST)
        bars = axes.barh([place for place, _ in mine], urls, color=colour, height=0.75, label=state)
        axes.bar_label(bars, [f"{number:,}" for number in urls], padding=3, fontsize=8)
    axes.set_yticks(range(len(failures)), [plain_text(failure.reason) for failure in failures])
    axes.set_ylim(len(failures) - 0.4, -0.6)
    axes.margins(x=0.12)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel("URLs without an image")
    axes.legend(frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0, 1))
    return figure


def scores_chart(sample: SampleCounts, place: int) -> Figure:
    """The histograms of one sample's scores, with its thresholds; ``place`` is the sample's."""
    across = min(3, len(sample.histograms))
    down = -(-len(sample.histograms) // across)
    figure = _figure(1 + 3.4 * across, 2.7 * down + 0.4)
    grid: Any = figure.subplots(down, across, squeeze=False)
    cells = [axes for row in grid for axes in row]
    for axes, histogram in zip(cells, sample.histograms, strict=False):
        _draw_histogram(axes, histogram, place)
    for row in grid:
        row[0].set_ylabel("rows")
    for axes in cells[len(sample.histograms) :]:
        axes.set_axis_off()
    handles, labels = cells[0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, ncols=3, loc="outside lower left")
    figure.suptitle(plain_text(f"{sample.name}: {sample.title}", 90))
    return figure


def histogram_chart(histogram: Histogram, place: int) -> Figure:
    """One of them alone, as wide as a phone."""
    figure = _figure(3.9, 2.2)
    _draw_histogram(figure.subplots(), histogram, place)
    return figure


def _draw_histogram(axes: Any, histogram: Histogram, place: int) -> None:
    _plain(axes)
    colour = SERIES[place % len(SERIES)]
    axes.stairs(histogram.pool, histogram.edges, fill=True, color=MATCHED, label="rows of all pools")
    axes.stairs(histogram.kept, histogram.edges, fill=True, color=colour, label="kept")
    if max(histogram.pool) > 50 * max([1, *histogram.kept]):
        axes.set_yscale("symlog", linthresh=1)
    else:
        axes.yaxis.get_major_locator().set_params(integer=True, nbins=5)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.xaxis.get_major_locator().set_params(nbins=5)
    axes.set_title(", ".join([str(histogram.score), *map(str, histogram.thresholds)]))
    for condition in histogram.thresholds:
        if histogram.shows(condition):
            axes.axvline(condition.value, color=THRESHOLD, linestyle="--", linewidth=1.2)


def trials_chart(record: AutoRecord) -> Figure:
    """Accuracy against n of the best orders, with 95 % bands, and that by the shots alone."""
    figure = _figure(7, 3.6)
    axes = _plain(figure.subplots())
    for place, order in enumerate(record.best):
        trials = sorted((one for one in record.trials if one.method == order), key=lambda one: one.n)
        numbers = [one.n for one in trials]
        colour = SERIES[place % len(SERIES)]
        bands = ([100 * one.low for one in trials], [100 * one.high for one in trials])
        axes.fill_between(numbers, *bands, color=colour, alpha=0.12, linewidth=0)
        label = plain_text(order.removeprefix("--rank ").replace(" --keep ", ", ").replace("'", ""))
        axes.plot(
            numbers, [100 * one.accuracy for one in trials], "o-", color=colour, markersize=3, label=label
        )
    if record.alone is not None:
        axes.axhline(100 * record.alone, color=THRESHOLD, linestyle="--", linewidth=1.2, label=ALONE)
    axes.set_xscale("log")
    numbers = sorted({one.n for one in record.trials if one.n})
    axes.set_xticks(numbers, [f"{n:,}" for n in numbers])
    axes.minorticks_off()
    axes.set_xlabel("images per class")
    axes.set_ylabel("held-out shots right (%)")
    axes.legend(frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0, 1))
    return figure

"""The report's charts as PNG files on white, for papers and slides."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...core.errors import MissingExtraError
from ...core.files import atomic
from .counts import Numbers
from .sample_counts import SampleNumbers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#d9730d", "#0b6bcb", "#1a8a4a", "#a83f9e", "#a38a00", "#17879b")
MATCHED, DOWNLOADED = "#c3cad2", "#7f93a8"
NAMED_CLASSES = 60
MOST_SHARES = 40
"""Classes in the plot of synonym shares, at most: those with most matches."""
DPI = 110


def save_plots(numbers: Numbers, folder: Path) -> tuple[str, ...]:
    """Write the PNG files into ``folder``, drop plots of samples that are gone, and return the names."""
    names: list[str] = []
    for name, draw in _plots(numbers):
        with atomic(folder / name) as temporary:
            draw().savefig(temporary, format="png", dpi=DPI, facecolor="white")
        names.append(name)
    for old in folder.glob("scores-*.png"):
        if old.name not in names:
            old.unlink()
    return tuple(names)


def _plots(numbers: Numbers) -> Iterator[tuple[str, Callable[[], Figure]]]:
    yield "classes.png", lambda: classes_plot(numbers)
    yield "synonyms.png", lambda: synonyms_plot(numbers)
    if numbers.download.failures:
        yield "failures.png", lambda: failures_plot(numbers)
    for place, sample in enumerate(numbers.samples):
        if sample.histograms:
            yield f"scores-{sample.name}.png", lambda s=sample, p=place: scores_plot(s, p)


def _figure(width: float, height: float) -> Figure:
    """A figure of its own (no pyplot, so no state)."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("a report", "cpu") from error
    return Figure(figsize=(width, height), layout="constrained")


def _axes(figure: Figure) -> Any:
    axes: Any = figure.subplots()
    _plain(axes)
    return axes


def _plain(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e6e8ea", linewidth=0.8)
    axes.set_axisbelow(True)


def plain_text(text: str, most: int = 40) -> str:
    """``text`` for a plot: short, on one line, its $ taken literally, what the font lacks left out."""
    flat = re.sub(r"[^\x20-\x7e\u00a1-\u024f\u0370-\u052f]+", " ", " ".join(text.split())).strip()
    short = flat if len(flat) <= most else flat[: most - 1] + "…"
    return short.replace("\\", "/").replace("$", r"\$")


def classes_plot(numbers: Numbers) -> Figure:
    """Matched, downloaded and kept rows of every class on a log scale, most matches first."""
    ordered = sorted(numbers.classes, key=lambda entry: (-entry.matched, entry.id))
    figure = _figure(10, 4.6)
    axes = _axes(figure)
    edges = [place - 0.5 for place in range(len(ordered) + 1)]
    for values, colour, label in (
        ([entry.matched for entry in ordered], MATCHED, "matched"),
        ([entry.downloaded for entry in ordered], DOWNLOADED, "with a usable image"),
    ):
        axes.stairs(values, edges, fill=True, color=colour, label=label)
    for place, sample in enumerate(numbers.samples):
        values = [entry.kept[place] for entry in ordered]
        look = {"color": COLOURS[place % len(COLOURS)], "label": f"kept by {plain_text(sample.name)}"}
        if len(ordered) > NAMED_CLASSES:
            axes.plot(range(len(ordered)), values, ".", markersize=3, **look)
        else:
            line = ("-", "--", ":", "-.")[place % 4]
            axes.stairs(values, edges, baseline=None, linestyle=line, linewidth=1.8, **look)
    axes.set_yscale("symlog", linthresh=1)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set_ylim(bottom=0)
    axes.set_xlim(-0.5, max(len(ordered) - 0.5, 0.5))
    axes.set_ylabel("rows")
    if len(ordered) <= NAMED_CLASSES:
        names = [plain_text(entry.name, 24) or f"class {entry.id}" for entry in ordered]
        axes.set_xticks(
            range(len(ordered)), names, rotation=55, ha="right", rotation_mode="anchor", fontsize=8
        )
    else:
        axes.set_xlabel("classes, most matches first")
    axes.legend(
        frameon=False,
        fontsize=8,
        ncols=min(2 + len(numbers.samples), 4),
        loc="lower left",
        bbox_to_anchor=(0, 1),
    )
    return figure


def synonyms_plot(numbers: Numbers) -> Figure:
    """The shares of each class's synonyms, of the classes with most matches."""
    ordered = sorted(numbers.classes, key=lambda entry: (-entry.matched, entry.id))[:MOST_SHARES]
    figure = _figure(8, 1.4 + 0.2 * len(ordered))
    axes = _axes(figure)
    axes.grid(visible=False)
    for row, entry in enumerate(ordered):
        left = 0.0
        for place, synonym in enumerate(entry.synonyms):
            share = 100 * synonym.matched / max(entry.matched, 1)
            colour = COLOURS[place] if place < len(COLOURS) else "#9aa3ab"
            axes.barh(row, share, left=left, color=colour, height=0.75)
            left += share
    names = [plain_text(entry.name, 32) or f"class {entry.id}" for entry in ordered]
    axes.set_yticks(range(len(ordered)), names, fontsize=8)
    axes.set_ylim(len(ordered) - 0.4, -0.6)
    axes.set_xlim(0, 100)
    axes.set_xlabel("share of the class's matches by synonym, most matched first (%)")
    return figure


def failures_plot(numbers: Numbers) -> Figure:
    """URLs without an image by reason."""
    failures = numbers.download.failures[:30]
    figure = _figure(8, 1.2 + 0.26 * len(failures))
    axes = _axes(figure)
    axes.grid(visible=False)
    places = range(len(failures))
    bars = axes.barh(places, [failure.urls for failure in failures], color=DOWNLOADED, height=0.75)
    axes.bar_label(bars, [f"{failure.urls:,}" for failure in failures], padding=3, fontsize=8)
    labels = [f"{plain_text(failure.reason)} ({plain_text(failure.state)})" for failure in failures]
    axes.set_yticks(places, labels, fontsize=8)
    axes.set_ylim(len(failures) - 0.4, -0.6)
    axes.margins(x=0.12)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel("URLs without an image")
    return figure


def scores_plot(sample: SampleNumbers, place: int) -> Figure:
    """The histograms of one sample's scores, with its thresholds."""
    across = min(3, len(sample.histograms))
    down = -(-len(sample.histograms) // across)
    figure = _figure(1 + 3.4 * across, 2.7 * down + 0.4)
    grid: Any = figure.subplots(down, across, squeeze=False)
    cells = [axes for row in grid for axes in row]
    for axes, found in zip(cells, sample.histograms, strict=False):
        _plain(axes)
        axes.stairs(found.pool, found.edges, fill=True, color=MATCHED, label="pool")
        axes.stairs(found.kept, found.edges, fill=True, color=COLOURS[place % len(COLOURS)], label="kept")
        if max(found.pool) > 50 * max([1, *found.kept]):
            axes.set_yscale("symlog", linthresh=1)
        else:
            axes.yaxis.get_major_locator().set_params(integer=True)
        axes.yaxis.set_major_formatter("{x:,.0f}")
        axes.xaxis.get_major_locator().set_params(nbins=5)
        axes.tick_params(labelsize=8)
        axes.set_title(", ".join([str(found.score), *map(str, found.thresholds)]), fontsize=10)
        for condition in found.thresholds:
            if found.edges[0] <= condition.value <= found.edges[-1]:
                axes.axvline(condition.value, color="#b3261e", linestyle="--", linewidth=1.2)
    for row in grid:
        row[0].set_ylabel("rows", fontsize=8)
    for axes in cells[len(sample.histograms) :]:
        axes.set_axis_off()
    cells[0].legend(frameon=False, fontsize=8)
    figure.suptitle(plain_text(f"{sample.name}: {sample.title}", 90), fontsize=10)
    return figure

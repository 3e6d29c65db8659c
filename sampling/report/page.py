"""The report's page from its templates: self-contained, without script or network, everything escaped."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...core.errors import import_failure
from ...search.synonyms.proposals import listed
from ...search.synonyms.review import FEW_ROWS, Review, SynonymReview
from ..auto.trials import AutoRecord
from ..filters import MEANINGS, DropReason
from . import charts
from .counts import ClassCounts, ReportCounts
from .data import ReportData
from .examples import Example
from .page_text import foreign, legible, marked, number, points, share, short
from .sample_counts import SampleCounts
from .svg import inline
from .thumbnails import Thumbnails

if TYPE_CHECKING:
    from markupsafe import Markup

HOME = Path(__file__).parent
LOST_EXAMPLES = 3
CREDITING = (
    "Matches: rows of the index whose caption contains the synonym. Credited: rows of the class that count "
    "for it, each for one synonym, the one with most matches of those in its caption."
)
SECTIONS = {
    "samples": "Samples",
    "counts": "Classes",
    "synonyms": "Synonyms",
    "review": "Synonym review",
    "download": "Download",
    "filters": "Scores and filters",
    "evaluation": "Evaluation",
    "classes": "Every class",
    "made": "What made this",
}
"""The sections in order; each is the template of its name."""


def render(data: ReportData, thumbnails: Thumbnails, *, cell: int, each: int) -> str:
    """The whole page as HTML; ``cell`` is the width of a picture's place in pixels, ``each`` a sheet's."""
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
        from markupsafe import Markup
    except ImportError as error:
        raise import_failure(error, "a report", "cpu") from error
    environment = Environment(
        loader=FileSystemLoader(HOME / "templates"),
        autoescape=True,
        finalize=legible,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Any] = {"count": "{:,}".format, "share": share, "foreign": foreign, "marked": marked}
    filters |= {"listed": listed, "number": number, "numeric": "#{}".format, "points": points}
    environment.filters.update(filters)
    environment.globals |= {"series": lambda place: f"s{place % len(charts.SERIES)}"}  # pyright: ignore
    style = (HOME / "report.css").read_text(encoding="utf-8")
    style += f":root {{ --cell: {cell}px; --each: {each}; }}\n"
    shown = {**_whole(data), **_of_classes(data), **_of_samples(data, thumbnails)}
    hidden = {"review": not data.review, "download": not data.counts.download.urls}
    hidden |= {"filters": not data.counts.samples, "evaluation": not data.evaluation}
    sections = [(name, title) for name, title in SECTIONS.items() if not hidden.get(name)]
    page = environment.get_template("page.html")
    return page.render(shown, sections=sections, style=Markup(style), policy=policy(style)) + "\n"  # noqa: S704


def policy(style: str) -> str:
    """The content security policy: this style and data: pictures, nothing else."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


def _whole(data: ReportData) -> dict[str, Any]:
    """What the templates say of the whole task."""
    evaluation, review = data.evaluation, data.review
    return {
        "heading": f"{data.title}: report" if data.title else "Report",
        "facts": data.facts,
        "counts": data.counts,
        "evaluation": evaluation,
        "accuracies": {line.name: line.accuracy for line in evaluation.lines} if evaluation else {},
        "review": review,
        "plan": data.plan,
        "judge": data.judge,
        "refused_urls": sum(one.urls for one in data.counts.download.failures if one.state == "refused"),
        "judged_synonyms": _judged,
        "few_rows": FEW_ROWS,
        "meanings": MEANINGS,
        "crediting": CREDITING,
        "lost": _lost(data),
    }


def _of_classes(data: ReportData) -> dict[str, Any]:
    """What they say of the classes: the chart, the index by letter, how synonyms agree with their prompts."""
    classes = data.counts.classes
    by_letter = sorted(classes, key=lambda entry: (_letter(entry), entry.name.casefold(), entry.id))
    agreement = {
        (one.class_id, one.synonym): one.agreement
        for one in (data.review.synonyms if data.review else ())
        if one.agreement is not None
    }
    return {
        "classes_chart": _classes_chart(data.counts),
        "ordered": charts.ordered(classes),
        "letters": [(letter, list(entries)) for letter, entries in groupby(by_letter, _letter)],
        "names": {entry.id: entry.name for entry in classes},
        "agreement": agreement,
        "judged_classes": {class_id for class_id, _ in agreement},
        "ranks": [*((f"s{place}", text) for place, text in enumerate(charts.RANKS[:-1])), ("rest", "others")],
    }


def _of_samples(data: ReportData, thumbnails: Thumbnails) -> dict[str, Any]:
    """What they say of the samples: histograms, how many classes are full, and their pictures."""

    def filled(sample: SampleCounts) -> tuple[int, int, int]:
        kept = [sample.kept_of.get(entry.id, 0) for entry in data.counts.classes]
        asked_for = [sample.number(entry.id) for entry in data.counts.classes]
        full, empty = sum(k >= n for k, n in zip(kept, asked_for, strict=True)), kept.count(0)
        return full, len(kept) - full - empty, empty

    def histogram_chart(sample: int, place: int) -> Any:
        return _histogram(data.counts.samples[sample], sample, place)

    def short_classes(sample: SampleCounts) -> list[tuple[ClassCounts, int]]:
        """Those with fewer than n, the emptiest first."""
        kept = [(entry, sample.kept_of.get(entry.id, 0)) for entry in data.counts.classes]
        short = [pair for pair in kept if pair[1] < sample.number(pair[0].id)]
        return sorted(short, key=lambda pair: (pair[1], pair[0].id))

    names = {entry.id: entry.name for entry in data.counts.classes}

    return {
        "short_classes": short_classes,
        "samples_with_examples": list(zip(data.counts.samples, data.examples, strict=True)),
        "filled": filled,
        "histogram_chart": histogram_chart,
        "autos": [
            (place, sample, sample.auto.line(names))
            for place, sample in enumerate(data.counts.samples)
            if sample.auto
        ],
        "trials_chart": _trials_chart,
        "picture": thumbnails.uri,
    }


def _classes_chart(counts: ReportCounts) -> Markup:
    titles: dict[str, str] = {}
    for entry in counts.classes:
        kept = ", ".join(f"{s.name} {k:,}" for s, k in zip(counts.samples, entry.kept, strict=True))
        title = f"{entry.name}: matched {entry.matched:,}, with image {entry.downloaded:,}"
        titles[f"class-{entry.id}"] = f"{title}; {kept}" if kept else title
    names = {f"name-{entry.id}": short(entry.name, 24) for entry in counts.classes}
    label = "Rows per class: matched, with an image, kept by each sample; the table below has them"
    with charts.looks():
        return _inline(charts.classes_chart(counts), "rows", label, titles, names)


def _histogram(sample: SampleCounts, number: int, place: int) -> Markup:
    histogram = sample.histograms[place]
    rows, kept = sum(histogram.pool), sum(histogram.kept)
    label = f"Histogram of {histogram.score}: {rows:,} rows, {kept:,} kept"
    with charts.looks():
        return _inline(charts.histogram_chart(histogram, number), f"scores-{number}-{place}", label)


def _trials_chart(record: AutoRecord, number: int) -> Markup:
    label = f"Accuracy against n of the {len(record.best)} best orders that auto tried; the table has all"
    with charts.looks():
        return _inline(charts.trials_chart(record), f"auto-{number}", label)


def _inline(
    figure: Any,
    name: str,
    label: str,
    titles: dict[str, str] | None = None,
    texts: dict[str, str] | None = None,
) -> Markup:
    from markupsafe import Markup

    clean = ({key: legible(text) for key, text in (given or {}).items()} for given in (titles, texts))
    shown, exchanged = clean
    return Markup(inline(figure, name, label=label, titles=shown, texts=exchanged))  # noqa: S704


def _letter(entry: ClassCounts) -> str:
    first = next((c for c in entry.name if c.isalnum()), "")
    return "#" if not first or first.isdigit() else first.upper()[:1]


def _judged(review: Review) -> list[SynonymReview]:
    return [one for one in review.synonyms if one.agreement is not None and one.frequency >= FEW_ROWS]


def _lost(data: ReportData) -> list[tuple[str, Sequence[Example]]]:
    """A few rows of the first sample's pool without an image, by the reason."""
    dropped = data.examples[0].dropped if data.examples else {}
    start = f"{DropReason.NO_IMAGE}: "
    return [
        (r.removeprefix(start), some[:LOST_EXAMPLES])
        for r, some in sorted(dropped.items())
        if r.startswith(start)
    ]

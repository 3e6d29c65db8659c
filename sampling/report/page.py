"""The report's page: sections under one header, self-contained, without script or network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...search.synonyms.review import Review
from ..evaluate import Evaluation
from . import class_sections, download_section, filter_section, review_section, sections
from .counts import Numbers
from .examples import Picks
from .markup import Html, foreign, join, tag
from .style import CSS
from .thumbnails import Thumbnails


@dataclass(frozen=True, slots=True)
class Story:
    """What the page tells. ``facts``: what made this, by name; ``picks`` are aligned with the samples."""

    title: str
    facts: tuple[tuple[str, str], ...]
    numbers: Numbers
    picks: tuple[Picks, ...]
    evaluation: Evaluation | None
    review: Review | None


def agreement(found: Review | None) -> Mapping[tuple[int, str], float]:
    """(class id, synonym) → how near its captions are to the class prompt; empty without a review."""
    return {
        (one.class_id, one.synonym): one.agreement
        for one in (found.synonyms if found else ())
        if one.agreement is not None
    }


def render(story: Story, thumbnails: Thumbnails, *, cell: int, each: int) -> str:
    """The whole page as HTML; ``cell`` is the width of a picture's place in pixels, ``each`` a sheet's."""
    numbers = story.numbers
    names = {entry.id: entry.name for entry in numbers.classes}
    judged = agreement(story.review)
    parts: list[tuple[str, str, Html | None]] = [
        ("samples", "Samples", sections.samples(numbers, story.evaluation)),
        ("counts", "Classes", sections.counts(numbers)),
        ("synonyms", "Synonyms", sections.synonyms(numbers)),
        ("review", "Synonym review", review_section.review(story.review)),
        ("download", "Download", download_section.download(numbers, story.picks)),
        ("filters", "Scores and filters", filter_section.filters(numbers, story.picks, names, thumbnails)),
        ("evaluation", "Evaluation", sections.evaluation(story.evaluation)),
        ("classes", "Every class", class_sections.classes(numbers, story.picks, judged, thumbnails)),
    ]
    present = [(anchor, title, body) for anchor, title, body in parts if body is not None]
    links = [tag("li", tag("a", title, href=f"#{anchor}")) for anchor, title, _ in present]
    heading = "Report" if not story.title else f"{story.title}: report"
    body = [
        tag("header", tag("div", tag("h1", foreign(heading)), _tiles(numbers))),
        tag("nav", tag("ul", *links), aria_label="Sections"),
        tag(
            "main",
            *(tag("section", tag("h2", title), body, id=anchor) for anchor, title, body in present),
            _made_by(story.facts),
        ),
    ]
    style = Html(f"{CSS}:root {{ --cell: {cell}px; --each: {each}; }}\n")
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy(style)),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("meta", name="robots", content="noindex"),
        tag("title", f"captrawl: {heading}"),
        tag("style", style),
    )
    return "<!doctype html>\n" + tag("html", head, tag("body", *body), lang="en") + "\n"


def policy(style: str) -> str:
    """The content security policy: this style and data: pictures, nothing else."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


def _tiles(numbers: Numbers) -> Html:
    download = numbers.download
    share = f"{download.packed / download.urls:.0%} of {download.urls:,} URLs" if download.urls else ""
    empty = sum(not entry.matched for entry in numbers.classes)
    tiles: Sequence[tuple[str, int, str]] = [
        ("classes", len(numbers.classes), f"{empty:,} without a match" if empty else ""),
        ("matched rows", numbers.matched, f"{numbers.no_url:,} without URL" if numbers.no_url else ""),
        ("URLs with an image", download.packed, share),
        ("distinct images", download.images, ""),
    ]
    return tag(
        "dl",
        *(
            tag("div", tag("dt", foreign(name)), tag("dd", f"{value:,} ", tag("small", note)))
            for name, value, note in tiles
        ),
        class_="tiles",
    )


def _made_by(facts: Sequence[tuple[str, str]]) -> Html:
    listed = join([join([tag("dt", name), tag("dd", foreign(value, 400))]) for name, value in facts])
    return tag(
        "footer",
        tag("h2", "What made this"),
        tag("dl", listed, class_="facts"),
        tag(
            "p",
            "Captions, names and URLs are the web's own words. Nothing on this page is fetched.",
        ),
    )

"""The report's section on the reviewed synonyms: the most doubtful first, what their captions say, and words
that a prefix or exclusions could be made of.
"""

from __future__ import annotations

from ...core.text import matching_spans
from ...search.synonyms.proposals import listed
from ...search.synonyms.review import FEW_ROWS, Review, ShownCaption, SynonymReview
from .markup import Html, foreign, join, tag
from .page_parts import Column, table

MOST_SYNONYMS = 50
MOST_CLASSES = 50
LONGEST_CAPTION = 300
"""Characters of a caption that are shown, some of them before the phrase."""


def review(found: Review | None) -> Html | None:
    """What `captrawl synonyms --review` found; None without a review."""
    if found is None:
        return None
    judged = [one for one in found.synonyms if one.agreement is not None and one.frequency >= FEW_ROWS]
    shown = judged[:MOST_SYNONYMS]
    told = (
        "Agreement: the mean cosine of a synonym's sampled captions and its class prompt; homonyms are low. "
        f"{len(shown):,} of {len(judged):,} synonyms with {FEW_ROWS} rows or more, the lowest first."
    )
    parts = [tag("p", told, class_="soft"), *map(_synonym, shown), _proposals(found)]
    return join(parts)


def _synonym(one: SynonymReview) -> Html:
    """A synonym's figures, its captions folded away."""
    figures = [f"{one.frequency:,} rows", f"agreement {one.agreement or 0:.2f}"]
    figures.append(f"own class nearest in {one.own_share or 0:.0%}")
    heading = [
        tag("b", foreign(one.synonym, 80)),
        tag("span", f"class {one.class_id} ", foreign(one.class_name, 80)),
        *(tag("span", figure, class_="soft") for figure in figures),
    ]
    if one.other_id is not None:
        heading.append(tag("span", "else ", foreign(one.other_name, 80), class_="soft"))
    rows = [[f"{caption.score:.2f}", _caption(caption, one.synonym)] for caption in one.captions]
    columns: list[Column] = [("T2T", True), ("caption", False)]
    inside = tag("div", table(columns, rows, f"Captions of {one.synonym}"))
    return tag("details", tag("summary", *heading), inside, class_="class")


def _caption(shown: ShownCaption, phrase: str) -> Html:
    """The caption with the phrase marked; of a long one the part around it."""
    text = " ".join(shown.caption.split())
    spans = matching_spans(text, [phrase])
    begin = max(min(spans[0][0] - LONGEST_CAPTION // 4, len(text) - LONGEST_CAPTION), 0) if spans else 0
    stop = begin + LONGEST_CAPTION
    parts: list[str] = ["…"] if begin else []
    place = begin
    for start, end in spans:
        parts += [text[place : min(start, stop)], tag("mark", text[start : min(end, stop)])]
        place = max(place, min(end, stop))
    return tag("bdi", *parts, text[place:stop], "…" if stop < len(text) else "")


def _proposals(found: Review) -> Html:
    """The proposed words of the whole list and of each class, with the captions that hold them."""
    rows = [
        [
            "all classes" if one.class_id is None else foreign(f"{one.class_id} {one.class_name}", 80),
            listed(one.prefixes) or "–",
            listed(one.exclusions) or "–",
        ]
        for one in found.proposals[:MOST_CLASSES]
    ]
    if not rows:
        return Html()
    told = (
        "Words of captions near the class prompt (for prefix) and far from it (for exclude), each with the "
        "near : far captions that hold it. None is applied: prefix and exclude are in captrawl.toml."
    )
    columns: list[Column] = [("class", False), ("prefix", False), ("exclude", False)]
    return join([tag("h3", "Proposals"), tag("p", told, class_="soft"), table(columns, rows, "Proposals")])

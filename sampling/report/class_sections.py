"""The report's part on every class: an index by letter, then each class's synonyms and contact sheets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from .counts import ClassNumbers, Numbers
from .examples import Picks, Sheet
from .figures import shares
from .markup import Html, foreign, join, tag
from .page_parts import Column, class_link, table
from .sample_counts import SampleNumbers
from .sheets import sheet
from .thumbnails import Thumbnails

LETTERS_FROM = 60
"""An index of more classes is cut by first letters."""
MOST_SYNONYMS = 40


def classes(
    numbers: Numbers,
    picks: Sequence[Picks],
    agreement: Mapping[tuple[int, str], float],
    thumbnails: Thumbnails,
) -> Html:
    """The index and one folded part a class, in the class list's order; a link opens what it leads to."""
    text = (
        "The most and the least certain kept images of each class, by the sample's score. Classes are in the "
        "class list's order; a name in the index opens its class."
    )
    parts = [_class(entry, numbers.samples, picks, agreement, thumbnails) for entry in numbers.classes]
    return join([tag("p", text, class_="soft"), _index(numbers.classes), *parts])


def _index(entries: Sequence[ClassNumbers]) -> Html:
    ordered = sorted(entries, key=lambda entry: (_letter(entry), entry.name.casefold(), entry.id))
    if len(ordered) <= LETTERS_FROM:
        return tag("ul", *map(_indexed, ordered), class_="index")
    groups = [(letter, list(some)) for letter, some in groupby(ordered, _letter)]
    letters = [
        tag("li", tag("a", letter, href=f"#letter-{place}")) for place, (letter, _) in enumerate(groups)
    ]
    lists = [
        join(
            [
                tag("h3", letter, id=f"letter-{place}"),
                tag("ul", *map(_indexed, some), class_="index"),
            ]
        )
        for place, (letter, some) in enumerate(groups)
    ]
    return tag(
        "details",
        tag("summary", f"Index of {len(ordered):,} classes"),
        tag("ul", *letters, class_="letters"),
        *lists,
        open="",
    )


def _letter(entry: ClassNumbers) -> str:
    first = next((c for c in entry.name if c.isalnum()), "")
    return "#" if not first or first.isdigit() else first.upper()[:1]


def _indexed(entry: ClassNumbers) -> Html:
    kept = f" {entry.kept[0]:,}" if entry.kept else f" {entry.downloaded:,}"
    return tag("li", class_link(entry), tag("span", kept, class_="soft"))


def _class(
    entry: ClassNumbers,
    samples: Sequence[SampleNumbers],
    picks: Sequence[Picks],
    agreement: Mapping[tuple[int, str], float],
    thumbnails: Thumbnails,
) -> Html:
    kept = [f"{sample.name} {number:,}" for sample, number in zip(samples, entry.kept, strict=True)]
    told = [f"matched {entry.matched:,}", f"with image {entry.downloaded:,}", *kept]
    sheets = [
        _sheets(sample, chosen.sheets[entry.id], thumbnails)
        for sample, chosen in zip(samples, picks, strict=True)
        if entry.id in chosen.sheets
    ]
    inside = tag("div", _synonyms(entry, agreement), *sheets, id=f"class-{entry.id}")
    heading = [tag("b", foreign(entry.name, 120)), tag("span", f"class {entry.id}", class_="soft")]
    heading.append(tag("span", ", ".join(told), class_="soft"))
    return tag("details", tag("summary", *heading), inside, class_="class")


def _synonyms(entry: ClassNumbers, agreement: Mapping[tuple[int, str], float]) -> Html:
    judged = [agreement.get((entry.id, synonym.text)) for synonym in entry.synonyms]
    columns: list[Column] = [("synonym", False), ("rows", True), ("share", True), ("with image", True)]
    columns += [("in the index", True)] + (
        [("agreement", True)] if any(v is not None for v in judged) else []
    )
    rows = [
        [
            foreign(synonym.text, 80),
            f"{synonym.matched:,}",
            f"{synonym.matched / entry.matched:.0%}" if entry.matched else "–",
            f"{synonym.downloaded:,}",
            "–" if synonym.frequency is None else f"{synonym.frequency:,}",
            *(["–" if found is None else f"{found:.3f}"] if len(columns) == 6 else []),
        ]
        for synonym, found in zip(entry.synonyms[:MOST_SYNONYMS], judged, strict=False)
    ]
    more = len(entry.synonyms) - len(rows)
    return join(
        [
            shares([(synonym.text, synonym.matched) for synonym in entry.synonyms]),
            table(columns, rows, f"Synonyms of {entry.name}"),
            tag("p", f"and {more:,} more", class_="soft") if more else Html(),
        ]
    )


def _sheets(sample: SampleNumbers, found: Sheet, thumbnails: Thumbnails) -> Html:
    heading = tag("h3", f"{sample.name}: kept, by {sample.certainty}")
    if not found.least:
        return join([heading, sheet(found.most, thumbnails)])
    ends = [
        tag("div", tag("p", text, class_="soft"), sheet(rows, thumbnails))
        for text, rows in (
            ("the most certain", found.most),
            ("the least certain, the least first", found.least),
        )
    ]
    return join([heading, tag("div", *ends, class_="ends")])

"""The sections of the report's page on the whole task: samples, counts, synonyms, evaluation."""

from __future__ import annotations

from ..evaluate import Evaluation
from .counts import Numbers
from .figures import SERIES, bar, counted_classes, shares
from .markup import Html, foreign, join, tag
from .page_parts import Column, class_link, legend, scrolling, table

OPEN_CLASSES = 40
"""Lists of more classes are folded away at first."""


def samples(numbers: Numbers, found: Evaluation | None) -> Html | None:
    """One line a sample, with its accuracy where one was evaluated."""
    if not numbers.samples:
        return tag("p", "No sample is drawn yet: captrawl sample makes one.")
    accuracy = {line.name: line for line in found.lines} if found else {}
    columns: list[Column] = [("sample", False), ("chosen", False), ("n", True), ("kept", True)]
    columns += [("images", True), ("classes full", True), ("short", True), ("empty", True)]
    if accuracy:
        columns.append(("linear probe", True))
    rows: list[list[str]] = []
    for place, sample in enumerate(numbers.samples):
        held = [sample.kept_of.get(entry.id, 0) for entry in numbers.classes]
        full, empty = sum(kept >= sample.n for kept in held), held.count(0)
        short = len(held) - full - empty
        cells = [sample.n, sample.kept, sample.images, full, short, empty]
        row = [legend([(f"s{place % SERIES}", sample.name)]), sample.title, *(f"{cell:,}" for cell in cells)]
        if accuracy:
            line = accuracy.get(sample.name)
            row.append(f"{line.accuracy:.1%}" if line else "–")
        rows.append(row)
    return table(columns, rows, "Samples")


def counts(numbers: Numbers) -> Html:
    """Matched, downloaded and kept rows of every class: the chart, and the numbers as a table."""
    names = [sample.name for sample in numbers.samples]
    marks = [("matched", "matched"), ("downloaded", "with a usable image")]
    marks += [(f"s{place % SERIES}", f"kept by {name}") for place, name in enumerate(names)]
    columns: list[Column] = [("class", False), ("matched", True), ("with image", True), ("share", True)]
    columns += [(name, True) for name in names]
    ordered = sorted(numbers.classes, key=lambda entry: (-entry.matched, entry.id))
    rows = [
        [
            class_link(entry),
            f"{entry.matched:,}",
            f"{entry.downloaded:,}",
            f"{entry.downloaded / entry.matched:.0%}" if entry.matched else "–",
            *(f"{kept:,}" for kept in entry.kept),
        ]
        for entry in ordered
    ]
    return join(
        [
            tag(
                "p", "Rows a class on a logarithmic scale, the class with most matches first.", class_="soft"
            ),
            legend(marks),
            scrolling(counted_classes(numbers.classes, names), "Chart of rows a class"),
            tag("details", tag("summary", "The numbers"), table(columns, rows, "Rows a class")),
        ]
    )


def synonyms(numbers: Numbers) -> Html:
    """What share of each class's matches its synonyms have; folded away where classes are many."""
    rows = [
        [
            class_link(entry),
            shares([(synonym.text, synonym.matched) for synonym in entry.synonyms]),
            foreign(entry.synonyms[0].text, 60) if entry.matched else "–",
            f"{entry.synonyms[0].matched / entry.matched:.0%}" if entry.matched else "–",
            f"{sum(synonym.matched > 0 for synonym in entry.synonyms):,} of {len(entry.synonyms):,}",
        ]
        for entry in numbers.classes
    ]
    columns: list[Column] = [("class", False), ("shares", False), ("most matched", False)]
    columns += [("its share", True), ("with matches", True)]
    marks = [
        (f"s{place}", text)
        for place, text in enumerate(("most matched", "second", "third", "4th", "5th", "6th"))
    ]
    text = "A row is credited to the most frequent of the synonyms that match it; all stand below, by class."
    filled = join([legend([*marks, ("rest", "others")]), table(columns, rows, "Synonyms of each class")])
    if len(rows) > OPEN_CLASSES:
        filled = tag("details", tag("summary", f"All {len(rows):,} classes"), filled)
    return join([tag("p", text, class_="soft"), filled])


def evaluation(found: Evaluation | None) -> Html | None:
    """Accuracy of zero-shot and of every probe with its 95 % interval; None where nothing was evaluated."""
    if found is None:
        return None
    rows = [
        [
            line.name,
            f"{line.images:,}",
            f"{line.classes:,}",
            f"{line.accuracy:.1%}",
            f"{line.low:.1%} to {line.high:.1%}",
            bar(round(1000 * line.accuracy), 1000, "s1"),
        ]
        for line in found.lines
    ]
    columns: list[Column] = [("trained on", False), ("images", True), ("classes", True), ("accuracy", True)]
    text = f"Top-1 accuracy on {found.labelled:,} labelled images of {found.classes:,} classes."
    filled = table([*columns, ("95 % interval", True), ("", False)], rows, "Evaluation")
    return join([tag("p", text, class_="soft"), filled])

"""What the report's sections are made of: tables, legends, boxes that scroll, links to classes."""

from __future__ import annotations

from collections.abc import Sequence

from .counts import ClassNumbers
from .markup import Html, foreign, tag

Column = tuple[str, bool]
"""A header, and whether its cells are numbers."""


def table(columns: Sequence[Column], rows: Sequence[Sequence[str]], label: str) -> Html:
    """A table that scrolls sideways where it must, the first column as row headers."""
    kinds = ["n" if numeric else None for _, numeric in columns]
    head = [tag("th", name, class_=kind, scope="col") for (name, _), kind in zip(columns, kinds, strict=True)]
    body = [
        tag(
            "tr",
            tag("th", row[0], scope="row"),
            *(
                tag("td", cell, class_="bars" if 'class="bar"' in cell and isinstance(cell, Html) else kind)
                for cell, kind in zip(row[1:], kinds[1:], strict=True)
            ),
        )
        for row in rows
    ]
    filled = tag("table", tag("thead", tag("tr", *head)), tag("tbody", *body))
    return scrolling(filled, label)


def scrolling(content: Html, label: str) -> Html:
    """``content`` in a box that scrolls sideways, by keyboard too."""
    return tag("div", content, class_="scroll", tabindex=0, role="region", aria_label=label)


def legend(parts: Sequence[tuple[str, str]]) -> Html:
    """Colours and what they stand for: (style's name, text)."""
    squares = [
        tag("li", tag("svg", tag("rect", width="100%", height="100%", class_=name), aria_hidden="true"), text)
        for name, text in parts
    ]
    return tag("ul", *squares, class_="legend")


def class_link(entry: ClassNumbers) -> Html:
    """The class's name, leading to its own part of the page."""
    return tag("a", foreign(entry.name, 80), href=f"#class-{entry.id}")

"""A matplotlib figure as SVG inside a page: coloured by the page's stylesheet, no id or style of its own."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from .charts import THEME

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_REFERENCE = re.compile(r"(?<=#)[\w-]+")
_DIGITS = re.compile(r"\d+\.\d{3,}")
_SIZE = re.compile(r"([\d.]+)px")


def inline(
    figure: Figure, name: str, *, label: str, titles: Mapping[str, str], texts: Mapping[str, str]
) -> str:
    """``figure`` as an ``<svg>`` element called ``name``, which makes its ids unique, described by ``label``.

    ``titles`` are shown over the parts with these ids (an artist's gid), ``texts`` stand in place of their
    text. Both are escaped.
    """
    written = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(written, format="svg", transparent=True, metadata=nothing)
    root = ElementTree.fromstring(written.getvalue())  # noqa: S314 (matplotlib's own)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.attrib = {key.rpartition("}")[2]: value for key, value in element.attrib.items()}
    _without(root, {"metadata", "style"})
    used = set(_REFERENCE.findall(" ".join(v for e in root.iter() for v in e.attrib.values() if "#" in v)))
    for element in list(root.iter()):
        _dress(element, name)
        identity = element.attrib.pop("id", "")
        if identity in used:
            element.set("id", f"{name}-{identity}")
        if identity in texts:
            next(element.iter("text")).text = texts[identity]
        if identity in titles:
            element.set("class", "hit")
            title = ElementTree.Element("title")
            title.text = titles[identity]
            element.insert(0, title)
    frame = {"viewBox": root.attrib["viewBox"], "role": "img", "aria-labelledby": f"{name}-title"}
    root.attrib = {**frame, "class": "chart", "stroke-linejoin": "round"}
    title = ElementTree.Element("title", {"id": f"{name}-title"})
    title.text = label
    root.insert(0, title)
    return ElementTree.tostring(root, encoding="unicode")


def _without(parent: ElementTree.Element, tags: set[str]) -> None:
    for child in list(parent):
        if child.tag in tags:
            parent.remove(child)
        else:
            _without(child, tags)


def _dress(element: ElementTree.Element, name: str) -> None:
    """Make an element's style its attributes (the page's policy forbids it), colours the theme's."""
    declarations = element.attrib.pop("style", "")
    for declaration in filter(None, map(str.strip, declarations.split(";"))):
        key, _, value = declaration.partition(":")
        if key == "font":
            size = _SIZE.search(value)
            key, value = "font-size", size[1] if size else "9"
        if key != "font-family":
            element.set(key, value.strip())
    for key, value in element.attrib.items():
        if value in THEME:
            element.set(key, f"var(--{THEME[value]})")
        elif "#" in value:
            element.set(key, value.replace("#", f"#{name}-"))
        elif key in {"d", "transform", "x", "y", "points"}:
            element.set(key, _DIGITS.sub(lambda number: f"{float(number[0]):.2f}", value))

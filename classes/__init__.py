"""Class lists: what a class is, every file format of lists, and what is checked of each list.

In reading order:

    species     scientific names taken apart: what captions say of them
    model       ClassEntry and Synonym, the records; most_common_name by SWAT's rule
    nested      phrases of one class inside another's
    checks      validated: the defects of a list; check_classes and shared_synonyms: its warnings
    native      classes.json, captrawl's own document
    metrics     SWAT's and REAL's metrics JSON, and the files on the way to it
    json_lists  the other JSON kinds: lists, mappings, Hugging Face features
    layouts     lists as well-known data sets ship them: lines with ids, data.yaml
    tables      one name a line, CSV and TSV
    files       on top: FORMATS, load_classes, save_classes, convert, ImageFolder
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .files import load_classes as load_classes

__all__ = ["load_classes"]


def __getattr__(name: str) -> Any:
    """load_classes, imported when it is asked for: the one name that people import from here."""
    if name != "load_classes":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .files import load_classes

    return load_classes

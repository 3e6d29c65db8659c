"""captrawl: from class names to a training list, by phrase match in web captions and k-NN in CLIP space.

    import captrawl

    with captrawl.open_captions("captions") as index:
        captrawl.count(index, ["golden retriever", "goldie"]).total
        captrawl.query(index, ["golden retriever"], size=100).to_pandas()
    captrawl.similar(captrawl.Workspace.open(Path("birds")), text="a puppy")

Tables are Arrow tables: ``.to_pandas()``, or ``polars.from_arrow(table)``. Names are imported when they are
first used, so that ``import captrawl`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .classes import load_classes
    from .errors import CaptrawlError
    from .library import count, count_classes, query
    from .search.captions import open_captions
    from .search.query import CaptionQuery, Filters, Safety
    from .search.similar import similar
    from .workspace import Workspace

__version__ = "0.1.0"

__all__ = [
    "CaptionQuery",
    "CaptrawlError",
    "Filters",
    "Safety",
    "Workspace",
    "__version__",
    "count",
    "count_classes",
    "load_classes",
    "open_captions",
    "query",
    "similar",
]

_HOMES = {
    "CaptionQuery": "search.query",
    "CaptrawlError": "errors",
    "Filters": "search.query",
    "Safety": "search.query",
    "Workspace": "workspace",
    "count": "library",
    "count_classes": "library",
    "load_classes": "classes",
    "open_captions": "search.captions",
    "query": "library",
    "similar": "search.similar",
}
"""Where each name comes from."""


def __getattr__(name: str) -> Any:
    """The public name, imported now."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{home}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)

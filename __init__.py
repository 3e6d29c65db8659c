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

from .core.version import __version__

TYPE_CHECKING = False  # typing itself takes longer to import than all of this
if TYPE_CHECKING:
    from typing import Any

    from .classes.files import load_classes
    from .core.errors import CaptrawlError
    from .search.api import count, count_classes, query
    from .search.captions import open_captions
    from .search.query import CaptionQuery, Filters, Safety
    from .search.vectors.similar import similar
    from .workspace.workspace import Workspace

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
    "CaptrawlError": "core.errors",
    "Filters": "search.query",
    "Safety": "search.query",
    "Workspace": "workspace.workspace",
    "count": "search.api",
    "count_classes": "search.api",
    "load_classes": "classes.files",
    "open_captions": "search.captions",
    "query": "search.api",
    "similar": "search.vectors.similar",
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

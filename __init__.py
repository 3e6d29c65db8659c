"""captrawl: from class names to a training list, by phrase match in web captions and k-NN in CLIP space.

    import captrawl as ct

    with ct.open_captions("captions") as index:
        ct.count(index, ["golden retriever", "goldie"]).total
        ct.query(index, ["golden retriever"], size=100).to_pandas()
    ws = ct.Workspace("birds")
    ws.run()
    ws.samples["T2T500"].to_pandas()
    ws.similar("a puppy")

docs/python.md has all of it. Names are imported when they are first used, so that ``import captrawl`` costs
nothing.
"""

from __future__ import annotations

from importlib import import_module

from .core.version import __version__

TYPE_CHECKING = False  # typing itself takes longer to import than all of this
if TYPE_CHECKING:
    from typing import Any

    from .classes.files import load_classes
    from .core.errors import CaptrawlError
    from .indexer.opening import open_index as open_captions
    from .library.workspace import TaskWorkspace as Workspace
    from .search.api import count, count_classes, query
    from .search.query import CaptionQuery, Filters, Safety
    from .search.vectors.similar import similar

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
    "Workspace": "library.workspace:TaskWorkspace",
    "count": "search.api",
    "count_classes": "search.api",
    "load_classes": "classes.files",
    "open_captions": "indexer.opening:open_index",
    "query": "search.api",
    "similar": "search.vectors.similar",
}
"""Where each name comes from, and what it is called there where that differs."""


def __getattr__(name: str) -> Any:
    """The public name, imported now."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, original = home.partition(":")
    return getattr(import_module(f".{module}", __name__), original or name)


def __dir__() -> list[str]:
    return sorted(__all__)

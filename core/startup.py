"""A start without what others import and captrawl has no use for: pandas (pyarrow), wandb (timm)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType


class _NoPandas:
    """Finds no pandas, and leaves every other module to the finders behind it."""

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """Raise ImportError for pandas."""
        if name == "pandas":
            raise ImportError("pandas isn't needed here")
        return None


def settle_without_pandas() -> None:
    """Let pyarrow settle, for the rest of the process, on having no pandas; nothing where one is imported.

    pyarrow looks for it once, at its first array, which costs 0.2 s and 50 MB. ``import pandas`` works
    as before afterwards.
    """
    if "pandas" in sys.modules:
        return
    import pyarrow as pa

    finder = _NoPandas()
    sys.meta_path.insert(0, finder)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(finder)


def settle_without_wandb() -> None:
    """Let timm settle, for the rest of a command's process, on having no wandb.

    Its import takes a second, and two folders in the system's temporary one, which stay after a kill.
    """
    sys.modules.setdefault("wandb", None)  # pyright: ignore[reportArgumentType] as import has it

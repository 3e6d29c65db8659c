"""A start without pandas: pyarrow would import it at its first array, which takes 0.2 s and 50 MB."""

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

    pyarrow looks for it once. ``import pandas`` works as before afterwards.
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

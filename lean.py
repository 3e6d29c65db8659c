"""Keep pandas out of a process that never needs it."""

from __future__ import annotations

import importlib.abc
import sys


def hide_pandas() -> None:
    """Make pandas look as if it weren't installed, unless it is imported already.

    pyarrow imports it on the first array made of a list, half a second and 60 MB, to ask whether the list is
    one of its types. For short commands and worker processes that only handle captions.
    """
    if "pandas" not in sys.modules:
        sys.meta_path.insert(0, _WithoutPandas())


class _WithoutPandas(importlib.abc.MetaPathFinder):
    def find_spec(self, fullname: str, path: object, target: object = None) -> None:  # noqa: ARG002
        if fullname == "pandas":
            raise ModuleNotFoundError("pandas is hidden in this process", name="pandas")

"""Tables as Arrow, pandas or polars, that show themselves in a notebook."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Self

import pyarrow as pa

from ..core.errors import CaptrawlError
from .markup import table_html


class ArrowTable:
    """An Arrow table (``arrow``) whose paths, where it has some, start from ``root``.

    pandas, polars, DuckDB and pyarrow take it as it is, by Arrow's C stream interface.
    """

    def __init__(self, arrow: pa.Table, root: Path | None = None) -> None:
        self.arrow, self.root = arrow, root

    @property
    def column_names(self) -> list[str]:
        """The names of the columns, in order."""
        return list(self.arrow.column_names)

    @property
    def schema(self) -> pa.Schema:
        """The names and types of the columns."""
        return self.arrow.schema

    @property
    def num_rows(self) -> int:
        """How many rows there are."""
        return self.arrow.num_rows

    def __len__(self) -> int:
        return self.arrow.num_rows

    def __getitem__(self, column: str) -> pa.ChunkedArray[Any]:
        return self.arrow.column(column)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The rows as dicts, read a batch at a time."""
        for batch in self.arrow.to_batches(max_chunksize=4096):
            yield from batch.to_pylist()

    def head(self, rows: int = 5) -> Self:
        """The first ``rows`` rows."""
        return type(self)(self.arrow.slice(0, rows), self.root)

    def select(self, columns: list[str]) -> ArrowTable:
        """Some of the columns."""
        return ArrowTable(self.arrow.select(columns), self.root)

    def to_pylist(self) -> list[dict[str, Any]]:
        """Every row as a dict."""
        return self.arrow.to_pylist()

    def to_pandas(self) -> Any:
        """As a pandas.DataFrame; CaptrawlError without pandas."""
        _imported("pandas")
        return self.arrow.to_pandas()

    def to_polars(self) -> Any:
        """As a polars.DataFrame; CaptrawlError without polars."""
        return _imported("polars").from_arrow(self.arrow)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.arrow.__arrow_c_stream__(requested_schema)

    def __repr__(self) -> str:
        columns = ", ".join(self.column_names)
        return f"<{self.arrow.num_rows:,} rows of {columns}>"

    def _repr_html_(self) -> str:
        """The first rows, with their pictures."""
        return table_html(self.arrow, self.root)


def _imported(name: str) -> Any:
    """The module ``name``, which captrawl doesn't install."""
    try:
        return import_module(name)
    except ImportError as error:
        raise CaptrawlError(f"to_{name}() needs {name}: pip install {name}") from error

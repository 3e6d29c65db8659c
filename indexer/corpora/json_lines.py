"""JSON lines: an object a line, its keys as columns."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson
import pyarrow as pa

from ...core.errors import CorpusError
from ...core.records import CorpusPath
from .lines import lines
from .readers import BATCH_ROWS, SourceBatch


def keys_of(path: CorpusPath, head: Sequence[bytes]) -> tuple[str, ...]:
    """The keys of the first lines' objects, in order."""
    objects = (_object(path, number, line) for number, line in enumerate(head, 1) if line.strip())
    return tuple(dict.fromkeys(key for value in objects for key in value))


def json_batches(path: CorpusPath, sources: Mapping[str, str]) -> Iterator[SourceBatch]:
    """The objects' values of the source columns; blank lines aren't rows. CorpusError names a bad line."""
    objects = (_object(path, number, line) for number, line in enumerate(lines(path), 1) if line.strip())
    row = 0
    while batch := list(itertools.islice(objects, BATCH_ROWS)):
        columns = {name: column_of([value.get(key) for value in batch]) for name, key in sources.items()}
        yield SourceBatch(row, len(batch), columns)
        row += len(batch)


def _object(path: CorpusPath, number: int, line: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(line)
    except ValueError as error:
        raise CorpusError(f"{path}: line {number} isn't JSON ({error})") from error
    if not isinstance(value, dict):
        raise CorpusError(f"{path}: line {number} isn't a JSON object: one per line is read")
    return value


def column_of(values: list[Any]) -> pa.Array[Any]:
    """Texts, numbers or booleans where all of them are, else everything as text."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {str}:
        return pa.array(values, pa.string())
    if kinds == {bool}:
        return pa.array(values, pa.bool_())
    if kinds <= {int, float}:
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    texts = [None if v is None else v if isinstance(v, str) else orjson.dumps(v).decode() for v in values]
    return pa.array(texts, pa.string())

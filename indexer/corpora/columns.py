"""Source columns, whatever their types, to the one canonical schema (records.ROW_SCHEMA)."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from ...core.arrow import pc
from ...core.errors import CorpusError
from ...core.records import ROW_SCHEMA, CorpusFile
from ...core.row_captions import joined, without_borders
from ...core.row_ids import priorities, uids
from ..sources.owners import archive_address
from .languages import languages
from .readers import SourceBatch
from .safety import boolean_tags, number_tags, word_tags
from .templates import with_template

logger = logging.getLogger(__name__)

_UNKNOWN_LICENCES = ("", "?")
_BAD_TEXT_SHARE = 0.01
"""Above this share of a batch's rows that aren't UTF-8 the file isn't in UTF-8; below, they are accidents."""


def canonical(file: CorpusFile, batch: SourceBatch, unknown_tags: Counter[str]) -> pa.RecordBatch:
    """The rows of one batch in ROW_SCHEMA.

    Absent columns are NULL. Sizes that aren't positive numbers, a similarity outside [-1, 1], a punsafe
    outside [0, 1], an empty tag and an unknown licence ("?") are NULL; float32 values are rounded to 7
    decimals, so that 0.7 reads as 0.7. What a safety column says is made LAION's tags (safety), and what
    isn't known of it is counted in ``unknown_tags``. CorpusError names a column of an impossible type.
    """
    path, first_row, rows = file.path, batch.first_row, batch.rows
    columns = with_template(_with_punsafe(batch.columns), rows)
    convert_column = {**_CONVERT, "nsfw": partial(_nsfw, unknown_tags=unknown_tags)}
    arrays: dict[str, pa.Array[Any]] = {}
    for name, convert in convert_column.items():
        column = columns.get(name)
        if column is None:
            arrays[name] = pa.nulls(rows, ROW_SCHEMA.field(name).type)
            continue
        try:
            arrays[name] = convert(_plain(column))
        except _NotUtf8Error as error:
            where = f"row {first_row + error.row}, {name} {error.value!r}"
            if error.count > rows * _BAD_TEXT_SHARE:
                raise CorpusError(f"{path} isn't UTF-8: {where}; convert it first (iconv)") from error
            logger.warning("%s: replaced broken UTF-8 in %d texts, the first %s", path, error.count, where)
            arrays[name] = error.repaired
        except (pa.ArrowNotImplementedError, _TypeError) as error:
            raise CorpusError(
                f"{path}: the column read as {name} is of type {column.type}, which can't be a {name}"
            ) from error
        except pa.ArrowInvalid as error:
            raise CorpusError(
                f"{path}: {name} of the rows from {first_row} can't be read ({error})"
            ) from error
    if file.detect_language and "language" not in columns:
        arrays["language"] = languages(arrays["caption"])
    number = np.arange(first_row, first_row + rows, dtype=np.int64)
    if batch.keys is not None:
        arrays["url"] = _with_addresses(arrays["url"], file.file, batch.keys)
    uid = uids(arrays["url"], arrays["caption"])
    arrays["uid"] = pa.array(uid)
    arrays["caption"] = without_borders(arrays["caption"])
    arrays["priority"] = pa.array(priorities(uid, file.file, number))
    arrays["file"] = pa.repeat(pa.scalar(file.file, pa.string()), rows)
    arrays["row"] = pa.array(number)
    return pa.RecordBatch.from_arrays([arrays[name] for name in ROW_SCHEMA.names], schema=ROW_SCHEMA)


def with_more_captions(rows: pa.RecordBatch, others: Mapping[str, pa.RecordBatch]) -> pa.RecordBatch:
    """``rows``, whose captions are joined with those of ``others``, the same rows read by another column.

    Their identity is that of the first caption; a detected language is that of the first that has one.
    """
    captions = joined(rows.column("caption"), {name: one.column("caption") for name, one in others.items()})
    language = pc.coalesce(rows.column("language"), *(one.column("language") for one in others.values()))
    columns = {**dict(zip(rows.schema.names, rows.columns, strict=True)), "caption": captions}
    return pa.RecordBatch.from_arrays(list({**columns, "language": language}.values()), schema=ROW_SCHEMA)


def _with_addresses(urls: pa.Array[Any], file: str, keys: pa.Array[Any]) -> pa.Array[Any]:
    """``urls``; where there is none, what names the picture in ``file`` with this key."""
    missing = pc.or_kleene(pc.is_null(urls), pc.equal(urls, ""))
    return pc.if_else(missing, pc.binary_join_element_wise(archive_address(file, ""), keys, ""), urls)


class _TypeError(Exception):
    """A column's type has no meaning as this canonical column."""


class _NotUtf8Error(Exception):
    """Some texts of a batch aren't UTF-8: how many, the first of them, and all with U+FFFD in the gaps."""

    def __init__(self, count: int, row: int, value: bytes, repaired: pa.Array[Any]) -> None:
        super().__init__(f"row {row}: {value!r}")
        self.count = count
        self.row = row
        self.value = value
        self.repaired = repaired


def _plain(column: pa.Array[Any]) -> pa.Array[Any]:
    """Dictionaries decoded."""
    return column.dictionary_decode() if isinstance(column, pa.DictionaryArray) else column


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _is_bytes(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind)


def _text(column: pa.Array[Any]) -> pa.Array[Any]:
    """Strings and bytes as strings, raw."""
    if pa.types.is_null(column.type):
        return column.cast(pa.string())
    if not (_is_text(column.type) or _is_bytes(column.type)):
        raise _TypeError
    try:
        text = column.cast(pa.string())
        text.validate(full=True)
    except pa.ArrowInvalid as error:
        values: list[bytes | None] = column.cast(pa.binary()).to_pylist()
        texts = [None if value is None else value.decode(errors="replace") for value in values]
        bad = [
            (row, value)
            for row, (value, text) in enumerate(zip(values, texts, strict=True))
            if value is not None and text is not None and value != text.encode()
        ]
        if not bad:
            raise
        first, value = bad[0]
        raise _NotUtf8Error(len(bad), first, value[:60], pa.array(texts, pa.string())) from error
    return text


def _tag(column: pa.Array[Any]) -> pa.Array[Any]:
    """Trimmed text, NULL when empty; numbers as their text (types drift)."""
    if not (_is_text(column.type) or _is_bytes(column.type) or pa.types.is_null(column.type)):
        if pa.types.is_nested(column.type):
            raise _TypeError
        column = column.cast(pa.string())
    text = pc.utf8_trim_whitespace(_text(column))
    return _drop(text, pc.equal(text, ""))


def _with_punsafe(columns: Mapping[str, pa.Array[Any]]) -> Mapping[str, pa.Array[Any]]:
    """The columns; fractions in the place of tags are punsafe, where there is none."""
    tags = columns.get("nsfw")
    if tags is None or "punsafe" in columns or not pa.types.is_floating(tags.type):
        return columns
    return {**{name: column for name, column in columns.items() if name != "nsfw"}, "punsafe": tags}


def _nsfw(column: pa.Array[Any], unknown_tags: Counter[str]) -> pa.Array[Any]:
    """Words, booleans or numbers as LAION's tags."""
    if pa.types.is_boolean(column.type):
        return boolean_tags(column)
    if pa.types.is_nested(column.type) or _is_text(column.type) or _is_bytes(column.type):
        return word_tags(_tag(column), unknown_tags)
    if pa.types.is_null(column.type):
        return _tag(column)
    return number_tags(_number(column), unknown_tags)


def _licence(column: pa.Array[Any]) -> pa.Array[Any]:
    text = _tag(column)
    return _drop(text, pc.is_in(text, value_set=pa.array(_UNKNOWN_LICENCES)))


def _number(column: pa.Array[Any]) -> pa.Array[Any]:
    """As float64, NaN and unreadable texts as NULL; float32 rounded to the 7 decimals that it holds."""
    kind = column.type
    if pa.types.is_null(kind):
        return column.cast(pa.float64())
    if _is_text(kind) or _is_bytes(kind):
        return pa.array([_float(value) for value in column.to_pylist()], pa.float64())
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        raise _TypeError
    number = column.cast(pa.float64(), safe=False)
    if pa.types.is_float32(kind) or pa.types.is_float16(kind):
        number = pc.round(number, 7)
    return _drop(number, pc.is_nan(number))


def _float(value: str | bytes | None) -> float | None:
    try:
        number = float(value) if value is not None else None
    except ValueError:
        return None
    return None if number is None or math.isnan(number) else number


def _between(low: float, high: float) -> Callable[[pa.Array[Any]], pa.Array[Any]]:
    def convert(column: pa.Array[Any]) -> pa.Array[Any]:
        number = _number(column)
        return _drop(number, pc.or_(pc.less(number, low), pc.greater(number, high)))

    return convert


def _pixels(column: pa.Array[Any]) -> pa.Array[Any]:
    """Whole pixels; 0, negative and more than 2^31 - 1 mean nothing and are NULL."""
    number = _number(column)
    number = _drop(number, pc.or_(pc.less(number, 1), pc.greater(number, 2**31 - 1)))
    return pc.cast(pc.floor(number), pa.int32())


def _drop(values: pa.Array[Any], where: Any) -> pa.Array[Any]:
    """``values`` with NULL where ``where`` is true."""
    return pc.if_else(pc.fill_null(where, False), pa.scalar(None, values.type), values)


_CONVERT: dict[str, Callable[[pa.Array[Any]], pa.Array[Any]]] = {
    "url": _text,
    "caption": _text,
    "width": _pixels,
    "height": _pixels,
    "similarity": _between(-1.0, 1.0),
    "punsafe": _between(0.0, 1.0),
    "licence": _licence,
    "language": _tag,
}

"""A folder of published vectors → which array belongs to which metadata file.

Three layouts: clip-retrieval's (``img_emb/img_emb_0.npy``, ``text_emb/…``, ``metadata/metadata_0.parquet``),
DataComp's (``NAME.npz`` beside ``NAME.parquet``), and Parquet with a column of vectors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from ...core.errors import InputError
from ..sources.listing import files_below
from .arrays import VectorArray, npy_array, npz_array, npz_names, parquet_array, parquet_vector_columns

IMAGES, CAPTIONS = "images", "captions"
_NUMBER = re.compile(r"(\d+)$")
_CAPTION_WORD = re.compile(r"te?xt|caption")


@dataclass(frozen=True, slots=True)
class VectorSet:
    """A metadata Parquet and the arrays of its rows, by what they are of (IMAGES, CAPTIONS)."""

    metadata: str
    arrays: Mapping[str, VectorArray] = field(default_factory=dict[str, VectorArray])


def sets_in(folder: str, names: Mapping[str, str]) -> list[VectorSet]:
    """The metadata files below ``folder`` and their arrays, by name.

    ``names`` (IMAGES, CAPTIONS → the name of an array in an npz, or of a column) decides where there are
    several. InputError where there are no vectors, or it can't be seen which metadata they belong to.
    """
    files = files_below(folder)
    tables = {name: where for name, where in files if name.endswith(".parquet")}
    archives = {name: where for name, where in files if name.endswith(".npz")}
    matrices = {name: where for name, where in files if name.endswith(".npy")}
    if archives:
        pairs = [(_beside(name, tables, folder), where) for name, where in archives.items()]
        return [VectorSet(table, _npz_arrays(where, names)) for table, where in pairs]
    if matrices:
        return _matrix_sets(matrices, tables, folder)
    sets = [VectorSet(where, _column_arrays(where, names)) for where in tables.values()]
    if not any(one.arrays for one in sets):
        raise InputError(
            f"{folder} contains no vectors: no .npy, no .npz, no Parquet with a column of floats' lists"
        )
    return [one for one in sets if one.arrays]


def _beside(name: str, tables: Mapping[str, str], folder: str) -> str:
    table = str(PurePosixPath(name).with_suffix(".parquet"))
    if table not in tables:
        raise InputError(f"{folder}: {name} has no {table} beside it, so its rows have no URLs")
    return tables[table]


def _npz_arrays(where: str, names: Mapping[str, str]) -> dict[str, VectorArray]:
    chosen = _chosen(npz_names(where), names, f"{where}: the arrays")
    return {kind: npz_array(where, name) for kind, name in chosen.items()}


def _column_arrays(where: str, names: Mapping[str, str]) -> dict[str, VectorArray]:
    columns = parquet_vector_columns(where)
    chosen = _chosen(columns, names, f"{where}: the columns of vectors") if columns else {}
    return {kind: parquet_array(where, column) for kind, column in chosen.items()}


def _chosen(there: Sequence[str], names: Mapping[str, str], what: str) -> dict[str, str]:
    """Which of ``there`` has the vectors of images, and which those of captions."""
    for name in names.values():
        if name not in there:
            raise InputError(f"{what} are {', '.join(there)}: there is no {name}")
    chosen = dict(names)
    of_captions = [name for name in there if _CAPTION_WORD.search(name.lower())]
    for kind, some in ((CAPTIONS, of_captions), (IMAGES, [n for n in there if n not in of_captions])):
        if kind in chosen or not some or names:
            continue
        if len(some) > 1:
            raise InputError(f"{what} are {', '.join(there)}; say which by --{kind} NAME")
        chosen[kind] = some[0]
    return chosen


def _matrix_sets(matrices: Mapping[str, str], tables: Mapping[str, str], folder: str) -> list[VectorSet]:
    """An npy belongs to the Parquet of their stem, else to that of their number."""
    by_stem = {PurePosixPath(name).stem: where for name, where in tables.items()}
    by_number: dict[int, str] = {}
    for name, where in tables.items():
        if by_number.setdefault(_number(name), where) != where:
            raise InputError(
                f"{folder}: two metadata files have the number {_number(name)}; register them apart"
            )
    arrays: dict[str, dict[str, VectorArray]] = {}
    for name, where in matrices.items():
        table = by_stem.get(PurePosixPath(name).stem) or by_number.get(_number(name))
        if table is None:
            raise InputError(
                f"{folder}: there is no metadata Parquet of {name}: none of its name, none of its number"
            )
        kind = CAPTIONS if _CAPTION_WORD.search(name.lower()) else IMAGES
        other = arrays.setdefault(table, {}).setdefault(kind, npy_array(where))
        if other.where != npy_array(where).where:
            raise InputError(
                f"{folder}: {other.where} and {where} would both be the {kind}' vectors of {table}"
            )
    return [VectorSet(table, some) for table, some in sorted(arrays.items())]


def _number(name: str) -> int:
    digits = _NUMBER.search(PurePosixPath(name).stem)
    return int(digits[1]) if digits else -1

"""An array of vectors in an npy, an npz or a Parquet: its shape, and where its rows lie."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ...core.errors import InputError
from ..sources.blobs import ArchiveError, Blob, BlobFile
from ..sources.image_parquet import bounded
from ..sources.opening import opened

_NPY = b"\x93NUMPY"
_HEADER = 1 << 16
_LOCAL_HEADER = 30
"""Bytes of a zip member's header before its name, whose lengths stand in the last four of them."""


@dataclass(frozen=True, slots=True)
class VectorArray:
    """``rows`` vectors of ``dimension``, in the file ``where``, which had ``stamp`` when it was looked at.

    Of an npy or npz, row i lies at ``offset`` + i * :attr:`row_bytes`; of a Parquet, in ``column``.
    """

    where: str
    stamp: str
    rows: int
    dimension: int
    dtype: str = ""
    offset: int = 0
    column: str = ""

    @property
    def row_bytes(self) -> int:
        """The size of a row of an npy or npz."""
        return self.dimension * np.dtype(self.dtype).itemsize


def npy_array(where: str) -> VectorArray:
    """The array of an npy; InputError where it is no matrix of floats."""
    with opened(where, "") as blob:
        return _npy_at(blob, 0, blob.size, where)


def npz_names(where: str) -> list[str]:
    """The names of the arrays in an npz."""
    with opened(where, "") as blob, _zip(blob) as file:
        return [name.removesuffix(".npy") for name in file.namelist() if name.endswith(".npy")]


def npz_array(where: str, name: str) -> VectorArray:
    """The array ``name`` of an npz; InputError where it is compressed, or no matrix of floats."""
    with opened(where, "") as blob:
        with _zip(blob) as file:
            member = file.getinfo(f"{name}.npy")
        if member.compress_type != zipfile.ZIP_STORED:
            raise InputError(
                f"{where}: the array {name} is compressed, so its rows can't be read one by one; write it "
                "anew with numpy.savez, or as an .npy"
            )
        header = blob.read(member.header_offset, _LOCAL_HEADER)
        names = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        start = member.header_offset + _LOCAL_HEADER + names
        return _npy_at(blob, start, member.file_size, f"{where}, array {name}")


def parquet_vector_columns(where: str) -> list[str]:
    """The columns of a Parquet that are lists of floats."""
    with opened(where, "") as blob, _parquet(blob) as file:
        return [field.name for field in file.schema_arrow if _is_vector(field.type)]


def parquet_array(where: str, column: str) -> VectorArray:
    """The vectors in ``column`` of a Parquet; InputError where the first aren't of one length."""
    with opened(where, "") as blob, _parquet(blob) as file:
        rows = file.metadata.num_rows
        batches = bounded(blob, file).batches([column], 64)
        vectors = next((batch.column(0).drop_null() for batch in batches if batch.num_rows), pa.array([]))
        values: list[Any] = vectors.to_pylist()
        lengths = {len(value) for value in values}
        if len(lengths) != 1:
            text = ", ".join(map(str, sorted(lengths))) or "no"
            raise InputError(f"{where}: the vectors in column {column} have {text} lengths; one is needed")
        return VectorArray(where, blob.stamp, rows, lengths.pop(), column=column)


def _npy_at(blob: Blob, start: int, size: int, name: str) -> VectorArray:
    head = io.BytesIO(blob.read(start, min(_HEADER, size)))
    try:
        version = np.lib.format.read_magic(head)
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, by_column, kind = read(head)
    except ValueError as error:
        raise InputError(f"{name} isn't an npy array ({error!s:.80})") from error
    if len(shape) != 2 or by_column or kind not in ("<f2", "<f4", "<f8"):
        order = ", by column" if by_column else ""
        raise InputError(
            f"{name} contains {kind} of shape {shape}{order}; a row-by-row matrix of float16, 32 or 64 "
            "is needed"
        )
    rows, dimension = shape
    if head.tell() + rows * dimension * kind.itemsize > size:
        raise InputError(f"{name} is cut off: it says {rows} rows of {dimension}, and has {size} bytes")
    return VectorArray(blob.where, blob.stamp, rows, dimension, kind.str, start + head.tell())


def _zip(blob: Blob) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(BlobFile(blob))  # pyright: ignore[reportArgumentType]
    except zipfile.BadZipFile as error:
        raise ArchiveError(f"{blob.where} is cut off, or no npz") from error


def _parquet(blob: Blob) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(pa.PythonFile(BlobFile(blob), "r"), buffer_size=1 << 18, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        raise ArchiveError(
            f"{blob.where} is truncated or damaged ({str(error).partition(chr(10))[0]})"
        ) from error


def _is_vector(kind: pa.DataType) -> bool:
    if not isinstance(kind, pa.ListType | pa.LargeListType | pa.FixedSizeListType):
        return False
    values: pa.DataType = kind.value_type
    return pa.types.is_floating(values)

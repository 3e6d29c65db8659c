"""Which pictures an archive has, where they lie, and whose they are: read once, kept as a small Parquet."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mmh3
import pyarrow as pa
import pyarrow.parquet as pq

from ...core.files import atomic
from .blobs import ArchiveError, BlobFile, opened
from .locations import Archive
from .tar_members import TarMember, TarMembers

logger = logging.getLogger(__name__)

ENDINGS = frozenset({"jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff"})
HASHES = ("md5", "sha1", "sha256")
MEMBER_SCHEMA = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("url", pa.int64()),  # url_hash
        pa.field("uid", pa.int64()),
        pa.field("original", pa.string()),  # the hash of the bytes as they once came, where it is told
        pa.field("problem", pa.string(), nullable=False),
    ]
)
"""A picture of an archive a line, in the archive's order."""
_FORMAT = "1"
_LONGEST_JSON = 1 << 20
_KEY = re.compile(r"((?:.*/)?[^/.]+)\.([^/]*)")
"""webdataset's rule: a sample is what its members' names have up to the first dot."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose picture it is: a URL (url_hash) and a uid, where they are told, and the original bytes' hash."""

    url: int | None = None
    uid: int | None = None
    original: str | None = None


def url_hash(url: str) -> int:
    """64 bits of ``url``, which tables have in its place."""
    return mmh3.hash64(url.encode(errors="surrogatepass"))[0]


def member_table(archive: Archive, folder: Path) -> pa.Table:
    """The pictures of ``archive`` (MEMBER_SCHEMA), from ``folder`` where they were read before.

    A tar that is cut off gives what reads, with a warning; ArchiveError where nothing does.
    """
    name = hashlib.sha256(archive.where.encode()).hexdigest()[:24]
    path = folder / f"{name}.parquet"
    with opened(archive.where) as blob:
        stamp = f"{_FORMAT} {blob.stamp} {_stamp_of(archive.beside)}"
        stored = _stored(path, stamp)
        if stored is not None:
            return stored
        owners = _owners_beside(archive.beside) if archive.beside else None
        members = TarMembers(blob)
        table = _read(members, owners)
    with atomic(path) as temporary:
        pq.write_table(table.replace_schema_metadata({"stamp": stamp}), temporary, compression="zstd")
    return table


def _stamp_of(where: str) -> str:
    if not where:
        return ""
    with opened(where) as blob:
        return blob.stamp


def _stored(path: Path, stamp: str) -> pa.Table | None:
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException):
        return None
    metadata = table.schema.metadata or {}
    return table if metadata.get(b"stamp") == stamp.encode() else None


def _read(members: TarMembers, owners: dict[str, Owner] | None) -> pa.Table:
    """The pictures among ``members``; whose they are, their json says where there are no ``owners``."""
    pictures: dict[str, TarMember] = {}
    by_key: dict[str, Owner] = {} if owners is None else owners
    try:
        for member in members:
            key, ending = _split(member.name)
            if ending in ENDINGS:
                first = pictures.setdefault(key, member)
                if first.name == member.name:  # a name that comes twice is the later one, as in unpacking
                    pictures[key] = member
            elif ending == "json" and owners is None and not member.problem and member.size <= _LONGEST_JSON:
                by_key[key] = _owner_of_json(members.read(member))
    except ArchiveError as error:
        if not pictures:
            raise
        logger.warning("%s; the %d pictures before it are used", error, len(pictures))
    return _table(pictures, by_key)


def _split(name: str) -> tuple[str, str]:
    parts = _KEY.fullmatch(name)
    return (parts[1], parts[2].lower()) if parts else ("", "")


def _table(pictures: dict[str, TarMember], owners: dict[str, Owner]) -> pa.Table:
    nobody = Owner()
    rows = [(key, member, owners.get(key, nobody)) for key, member in pictures.items()]
    columns: list[Iterable[Any]] = [
        [key.encode(errors="replace").decode() for key, _, _ in rows],
        [member.offset for _, member, _ in rows],
        [member.size for _, member, _ in rows],
        [owner.url for _, _, owner in rows],
        [owner.uid for _, _, owner in rows],
        [owner.original for _, _, owner in rows],
        [member.problem for _, member, _ in rows],
    ]
    arrays = [pa.array(values, kind) for values, kind in zip(columns, MEMBER_SCHEMA.types, strict=True)]
    return pa.Table.from_arrays(arrays, schema=MEMBER_SCHEMA)


def _owner_of_json(data: bytes) -> Owner:
    """What a sample's json says; nothing, where it is none."""
    try:
        values: Any = json.loads(data)
    except (ValueError, RecursionError):
        return Owner()
    return _owner(values) if isinstance(values, dict) else Owner()  # pyright: ignore[reportUnknownArgumentType]


def _owner(values: dict[str, Any]) -> Owner:
    url, uid = values.get("url"), values.get("uid")
    if isinstance(uid, str) and re.fullmatch(r"-?[0-9]{1,19}", uid):
        uid = int(uid)
    number = uid if isinstance(uid, int) and not isinstance(uid, bool) and -(2**63) <= uid < 2**63 else None
    hashes = (values.get(name) for name in HASHES)
    original = next((value for value in hashes if isinstance(value, str) and len(value) <= 64), None)
    return Owner(url_hash(url) if isinstance(url, str) and url else None, number, original)


def _owners_beside(where: str) -> dict[str, Owner] | None:
    """What img2dataset's Parquet says of each key; None where it isn't one."""
    try:
        with opened(where) as blob, pq.ParquetFile(pa.PythonFile(BlobFile(blob), "r")) as file:
            names = set(file.schema_arrow.names)
            if "key" not in names or not names & {"url", "uid"}:
                return None
            columns = [name for name in ("key", "url", "uid", *HASHES) if name in names]
            batches = file.iter_batches(10_000, columns=columns, use_threads=False)
            return {str(row["key"]): _owner(row) for batch in batches for row in batch.to_pylist()}
    except (OSError, pa.ArrowException, ArchiveError) as error:
        logger.warning("%s can't be read (%s); the tar's own json is used", where, error)
        return None

"""A WebDataset tar → the pictures in it, and whose they are."""

from __future__ import annotations

import logging

import pyarrow as pa
import pyarrow.parquet as pq

from ...core.errors import InputError
from .blobs import ArchiveError, Blob, BlobFile, MissingArchiveError
from .image_parquet import bounded
from .locations import Archive
from .member_table import table_of_lines
from .opening import opened
from .owners import NAMES, Owner, owner_of, owner_of_json
from .tar_members import PICTURES, TarMember, TarMembers, sample_of

logger = logging.getLogger(__name__)

_LONGEST_JSON = 1 << 20


def tar_table(blob: Blob, archive: Archive) -> pa.Table:
    """The pictures of the tar (MEMBER_SCHEMA); whose they are, img2dataset's Parquet beside it says.

    Without one, the samples' json does. A tar that is cut off gives what reads, with a warning; ArchiveError
    where nothing does.
    """
    return _read(TarMembers(blob), _owners_beside(archive) if archive.beside else None)


def _read(members: TarMembers, owners: dict[str, Owner] | None) -> pa.Table:
    """The pictures among ``members``; whose they are, their json says where there are no ``owners``."""
    pictures: dict[str, TarMember] = {}
    by_key: dict[str, Owner] = {} if owners is None else owners
    try:
        for member in members:
            key, ending = sample_of(member.name)
            if ending in PICTURES:
                first = pictures.setdefault(key, member)
                if first.name == member.name:  # a name that comes twice is the later one, as in unpacking
                    pictures[key] = member
            elif ending == "json" and owners is None and not member.problem and member.size <= _LONGEST_JSON:
                by_key[key] = owner_of_json(members.read(member))
    except ArchiveError as error:
        if not pictures:
            raise
        logger.warning("%s; the %d pictures before it are used", error, len(pictures))
    nobody = Owner()
    return table_of_lines(
        (key, member.offset, member.size, by_key.get(key, nobody), member.problem)
        for key, member in pictures.items()
    )


def _owners_beside(archive: Archive) -> dict[str, Owner] | None:
    """What img2dataset's Parquet says of each key; None where it isn't one."""
    try:
        with (
            opened(archive.beside, archive.agent) as blob,
            pq.ParquetFile(pa.PythonFile(BlobFile(blob), "r")) as file,
        ):
            names = set(file.schema_arrow.names)
            if "key" not in names or not names & {"url", "uid"}:
                return None
            columns = [name for name in ("key", *NAMES) if name in names]
            batches = bounded(blob, file).batches(columns, 10_000)
            return {str(row["key"]): owner_of(row) for batch in batches for row in batch.to_pylist()}
    except MissingArchiveError:
        return None
    except (OSError, pa.ArrowException, InputError) as error:
        logger.warning("%s can't be read (%s); the tar's own json is used", archive.name, error)
        return None

"""WebDataset tars as a corpus: a sample a row, its txt and its json's keys columns; no picture is read."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from ...core.errors import CorpusError
from ...core.records import CorpusPath
from ..sources.blobs import ArchiveError, Blob, LocalBlob
from ..sources.remote_path import RemotePath
from ..sources.tar_members import PICTURES, TarMember, TarMembers, sample_of
from .json_lines import column_of
from .readers import BATCH_ROWS, SourceBatch

SUFFIX = ".tar"
_TEXTS = frozenset({"txt", "text", "caption"})
_HEAD = 50
_LONGEST = 1 << 20
_BATCH_BYTES = 1 << 26


@dataclass(slots=True)
class _Sample:
    """Members with one key, side by side."""

    key: str
    values: dict[str, Any] = field(default_factory=dict[str, Any])
    has_picture: bool = False
    size: int = 0


def sample_columns(path: CorpusPath) -> list[str]:
    """The columns of the tar's first samples, a member's own before the json's keys."""
    with _samples(path) as samples:
        names = [name for sample in itertools.islice(samples, _HEAD) for name in sample.values]
    return sorted(dict.fromkeys(names), key=lambda name: name not in _TEXTS)


def sample_batches(path: CorpusPath, sources: Mapping[str, str]) -> Iterator[SourceBatch]:
    """The samples as source columns, numbered from 0; CorpusError where the tar is cut off or damaged.

    Those of samples with a picture have their key, which stands for a URL where they have none.
    """
    row = 0
    with _samples(path) as samples:
        while batch := list(_some(samples)):
            columns = {
                name: column_of([one.values.get(key) for one in batch]) for name, key in sources.items()
            }
            keys = pa.array([one.key if one.has_picture else None for one in batch], pa.string())
            yield SourceBatch(row, len(batch), columns, keys)
            row += len(batch)


def _some(samples: Iterator[_Sample]) -> Iterator[_Sample]:
    """The next samples, as many as a batch may have."""
    size = 0
    for sample in itertools.islice(samples, BATCH_ROWS):
        yield sample
        size += sample.size
        if size > _BATCH_BYTES:
            return


@contextmanager
def _samples(path: CorpusPath) -> Generator[Iterator[_Sample]]:
    try:
        blob = path.blob() if isinstance(path, RemotePath) else LocalBlob(Path(str(path)))
        try:
            yield _read(blob)
        finally:
            blob.close()
    except ArchiveError as error:
        raise CorpusError(f"{error}: fetch it again, or leave it out") from error


def _read(blob: Blob) -> Iterator[_Sample]:
    members = TarMembers(blob)
    sample = None
    for member in members:
        key, ending = sample_of(member.name)
        if not key:
            continue
        if sample is None or sample.key != key:
            if sample is not None:
                yield sample
            sample = _Sample(key.encode(errors="replace").decode())
        if ending in PICTURES:
            sample.has_picture = True
        elif (ending in _TEXTS or ending == "json") and not member.problem and member.size <= _LONGEST:
            sample.size += member.size
            _take(sample, ending, members, member)
    if sample is not None:
        yield sample


def _take(sample: _Sample, ending: str, members: TarMembers, member: TarMember) -> None:
    data = members.read(member)
    if ending in _TEXTS:
        sample.values[ending] = data.decode(errors="replace").rstrip("\r\n")
        return
    try:
        values = orjson.loads(data)
    except ValueError:
        return
    if isinstance(values, dict):
        sample.values = {**values, **sample.values}

"""The open caption index and workspace of a running server, with what was read of their files."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from ..core.arrow import pc
from ..core.errors import WorkspaceError
from ..core.records import UrlState
from ..search.captions import CaptionIndex
from ..search.query import DEFAULT_PUNSAFE, UNSAFE_TAG
from ..workspace.workspace import Workspace, readable

if TYPE_CHECKING:
    from ..search.vectors.similar import Similarity

_Value = TypeVar("_Value")


class Fresh(Generic[_Value]):
    """A value read from files, read again when one of them changed; threads may share it."""

    def __init__(self, paths: Callable[[], Sequence[Path]], read: Callable[[], _Value]) -> None:
        self._paths, self._read = paths, read
        self._read_as: tuple[object, _Value] | None = None
        self._lock = Lock()

    def get(self) -> _Value:
        """The value as the files are now."""
        with self._lock:
            now = [_signature(path) for path in self._paths()]
            if self._read_as is None or self._read_as[0] != now:
                self._read_as = (now, self._read())
            return self._read_as[1]


def _signature(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


class Pictures:
    """The usable images of a workspace, found by URL or by sha256."""

    def __init__(self, table: pa.Table) -> None:
        packed = pc.equal(table["state"], UrlState.PACKED)
        usable = table.filter(pc.and_(packed, pc.is_valid(table["sha256"])))
        by_url = usable.select(["url", "sha256"]).sort_by("url")
        by_hash = usable.select(["sha256", "path"]).sort_by("sha256")
        self._urls, self._hashes = _column(by_url, "url"), _column(by_url, "sha256")
        self._sha256, self._paths = _column(by_hash, "sha256"), _column(by_hash, "path")

    def numbers_of(self, urls: Any) -> Any:
        """A number for each URL's picture, equal where the picture is; null where there is none."""
        return self._numbers.take(pc.index_in(urls, value_set=self._urls))

    @cached_property
    def _numbers(self) -> Any:
        return pc.dictionary_encode(self._hashes).indices

    def sha256_of(self, url: str | None) -> str | None:
        """The image of a URL, or None."""
        return None if url is None else _lookup(self._urls, url, self._hashes)

    def path_of(self, sha256: str) -> str | None:
        """Where an image is, relative to the workspace, or None."""
        return _lookup(self._sha256, sha256, self._paths)


def _column(table: pa.Table, name: str) -> Any:
    return table[name].combine_chunks()


def _lookup(keys: Any, key: str, values: Any) -> str | None:
    at = bisect_left(range(len(keys)), key, key=lambda place: keys[place].as_py())
    return values[at].as_py() if at < len(keys) and keys[at].as_py() == key else None


class Explorer:
    """The open index and, where there is one, the workspace of a server."""

    def __init__(self, captions: CaptionIndex, location: str, workspace: Workspace | None) -> None:
        self.captions, self.location = captions, location
        self._workspace = workspace
        self._pictures = Fresh(list[Path], lambda: Pictures(_NO_IMAGES))
        if workspace is not None:
            self._pictures = Fresh(lambda: [workspace.images_path], lambda: _read_pictures(workspace))
            self._similarity = Fresh(lambda: _vector_files(workspace), lambda: _open_similarity(workspace))

    @property
    def has_workspace(self) -> bool:
        return self._workspace is not None

    @property
    def workspace(self) -> Workspace:
        """The workspace; WorkspaceError where only an index is served."""
        if self._workspace is None:
            raise WorkspaceError(
                "this server has no workspace, only a caption index; start it with captrawl -C DIR serve"
            )
        return self._workspace

    def pictures(self) -> Pictures:
        """The workspace's usable images; none without a workspace or before `captrawl download`."""
        return self._pictures.get()

    def similarity(self) -> Similarity:
        """The workspace's vectors; WorkspaceError where there are none."""
        _ = self.workspace
        return self._similarity.get()


_NO_IMAGES = pa.table({name: pa.array([], pa.string()) for name in ("url", "state", "path", "sha256")})


def _read_pictures(workspace: Workspace) -> Pictures:
    if not workspace.images_path.exists():
        return Pictures(_NO_IMAGES)
    with readable(workspace.images_path, "download"):
        return Pictures(pq.read_table(workspace.images_path, columns=["url", "state", "path", "sha256"]))


def _vector_files(workspace: Workspace) -> list[Path]:
    from ..search.vectors.models import model_of

    folder = workspace.vectors_folder(model_of(workspace).slug)
    return [
        workspace.settings_path,
        *(folder / name for name in ("index.json", "images.faiss", "captions.faiss")),
    ]


def _open_similarity(workspace: Workspace) -> Similarity:
    from ..search.vectors.similar import Similarity

    return Similarity.open(workspace)


def is_unsafe(nsfw: str | None, punsafe: float | None) -> bool:
    """Whether a row is tagged or scored unsafe, as the default safety filter has it."""
    tagged = (nsfw or "").strip().lower() == UNSAFE_TAG
    return tagged or (punsafe is not None and punsafe > DEFAULT_PUNSAFE)

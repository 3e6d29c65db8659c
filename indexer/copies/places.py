"""Where copies are written to: a folder, an object store, a data set of a hub.

Tokens, keys and endpoints are read by the stores' libraries, from where they always are; none is logged.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from ...core.errors import InputError, MissingExtraError
from ...core.files import atomic
from ..sources.locations import is_remote
from ..sources.store_blob import store_of

_HUB = re.compile(r"hf://datasets/([^/@]+/[^/@]+)/?(.*)")
_FILES_A_COMMIT, _BYTES_A_COMMIT = 50, 5_000_000_000


class CopyTarget(Protocol):
    """Files by their names; each is written whole or not at all."""

    def sizes(self) -> Mapping[str, int]:
        """The files that are there, and their bytes."""
        ...

    def put(self, files: Sequence[tuple[str, Path]]) -> None:
        """Write files: (name, where it is now)."""
        ...


def place_at(where: str) -> CopyTarget:
    """The place that ``where`` names; InputError where nothing can be written there."""
    if not is_remote(where):
        return FolderPlace(Path(where).expanduser())
    if where.startswith(("http://", "https://")):
        raise InputError(
            f"{where.partition('?')[0]}: an index is pushed to a folder, s3:// or hf://datasets/…"
        )
    if hub := _HUB.fullmatch(where):
        return HubPlace(hub[1], hub[2].rstrip("/"))
    if where.startswith("hf://"):
        raise InputError(f"{where}: name a data set, hf://datasets/NAME/SET")
    return StorePlace(where)


def batches(files: Sequence[tuple[str, Path]]) -> list[list[tuple[str, Path]]]:
    """``files`` in so many as a place is given at once: what a kill may lose."""
    groups: list[list[tuple[str, Path]]] = []
    size = 0
    for name, path in files:
        if not groups or len(groups[-1]) == _FILES_A_COMMIT or size > _BYTES_A_COMMIT:
            groups.append([])
            size = 0
        groups[-1].append((name, path))
        size += path.stat().st_size
    return groups


class FolderPlace:
    """A folder on this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def sizes(self) -> Mapping[str, int]:
        """The files below it."""
        paths = (path for path in self._folder.rglob("*") if path.is_file())
        return {path.relative_to(self._folder).as_posix(): path.stat().st_size for path in paths}

    def put(self, files: Sequence[tuple[str, Path]]) -> None:
        """Copy them, each under a temporary name first."""
        import shutil

        try:
            for name, path in files:
                with atomic(self._folder / name) as temporary:
                    shutil.copyfile(path, temporary)
        except OSError as error:
            raise InputError(f"{self._folder} can't be written ({error.strerror or error})") from error


class StorePlace:
    """A folder of fsspec's (``s3://bucket/…``), whose files appear whole."""

    def __init__(self, url: str) -> None:
        self._where = url.partition("?")[0]
        self._store, self._path = store_of(url.rstrip("/"))

    def sizes(self) -> Mapping[str, int]:
        """The files below it; none where nothing is there yet."""
        base = self._path.rstrip("/") + "/"
        try:
            self._store.invalidate_cache()
            facts: dict[str, Any] = self._store.find(self._path, detail=True)
        except FileNotFoundError:
            return {}
        except Exception as error:  # whatever the store's library raises; its texts quote signed URLs
            raise InputError(f"{self._where} can't be listed ({type(error).__name__})") from error
        return {name.removeprefix(base): int(fact["size"]) for name, fact in facts.items()}

    def put(self, files: Sequence[tuple[str, Path]]) -> None:
        """Upload them one by one."""
        try:
            for name, path in files:
                target = f"{self._path.rstrip('/')}/{name}"
                self._store.makedirs(target.rpartition("/")[0], exist_ok=True)
                self._store.put_file(str(path), target)
        except Exception as error:  # whatever the store's library raises
            raise InputError(f"{self._where} can't be written ({type(error).__name__})") from error


class HubPlace:
    """A data set of a Hugging Face hub, made where it isn't there; some files a commit.

    Which files are large, and how they go (Xet, or LFS in one piece or in parts), is the hub's and its
    library's business.
    """

    def __init__(self, repo: str, folder: str) -> None:
        try:
            from huggingface_hub import HfApi
            from huggingface_hub.utils import disable_progress_bars
        except ImportError as error:
            raise MissingExtraError("writing hf:// files", "remote") from error
        disable_progress_bars()  # of uploads; there is one already
        self._api: Any = HfApi()
        self._repo, self._folder = repo, folder
        self._call("create_repo", exist_ok=True)

    def sizes(self) -> Mapping[str, int]:
        """The files of the data set below the folder."""
        base = f"{self._folder}/" if self._folder else ""
        entries: list[Any] = list(self._call("list_repo_tree", recursive=True))
        sizes = {entry.path: entry.size for entry in entries if hasattr(entry, "size")}
        return {path.removeprefix(base): size for path, size in sizes.items() if path.startswith(base)}

    def put(self, files: Sequence[tuple[str, Path]]) -> None:
        """Upload them in one commit."""
        from huggingface_hub import CommitOperationAdd

        base = f"{self._folder}/" if self._folder else ""
        operations = [CommitOperationAdd(f"{base}{name}", str(path)) for name, path in files]
        self._call("create_commit", operations=operations, commit_message=f"{len(files)} files of an index")

    def _call(self, name: str, **values: Any) -> Any:
        try:
            answer: Any = getattr(self._api, name)(repo_id=self._repo, repo_type="dataset", **values)
            return list(answer) if name == "list_repo_tree" else answer
        except Exception as error:  # whatever the hub's library raises; its texts quote URLs
            status = getattr(getattr(error, "response", None), "status_code", 0)
            remedy = (
                "is a token with write access set (HF_TOKEN, or hf auth login)?"
                if status in {401, 403, 404} or type(error).__name__ == "LocalTokenNotFoundError"
                else "push again for what is missing; HF_HUB_DISABLE_XET=1 does without Xet's storage"
            )
            raise InputError(
                f"hf://datasets/{self._repo} can't be written ({type(error).__name__}): {remedy}"
            ) from error

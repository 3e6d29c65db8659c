"""A task's folder: paths, settings, atomic artefacts, locks, and the record of what made each stage.

birds/
  captrawl.toml  classes.json  matches.parquet  images/  images.parquet
  embeddings/<model>/  vectors/<model>/  samples/  report/  captrawl.lock.json
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from ..core.errors import WorkspaceError
from ..core.files import read_json, sweep, sweep_writes, write_json
from ..core.version import __version__
from ..core.wording import counted
from .checksums import changed_images, record_hashes

if TYPE_CHECKING:
    from ..classes.model import ClassList
    from .settings import Changes, Settings

FORMAT = 1
T = TypeVar("T")


@contextlib.contextmanager
def readable(path: Path, stage: str) -> Generator[None]:
    """Names the artefact and its stage where it turns out damaged, or isn't there, within the block."""
    import pyarrow as pa

    try:
        yield
    except FileNotFoundError as error:
        raise WorkspaceError(f"{path} isn't there; run captrawl {stage} first") from error
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno:  # the disk's own answer; Arrow's have no number
            raise
        reason = str(error).strip().partition("\n")[0]
        raise WorkspaceError(f"{path} can't be read ({reason}); run captrawl {stage} again") from error


def read_document(path: Path, stage: str, kind: Callable[[Any], T]) -> T:
    """``kind`` of the JSON artefact ``path``; WorkspaceError names it and its stage where it is damaged."""
    try:
        with readable(path, stage):
            return kind(read_json(path))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise WorkspaceError(f"{path} can't be read ({error!s:.100}); run captrawl {stage} again") from error


@dataclass(frozen=True, slots=True)
class StageRecord:
    """What a finished stage read (hashes by name) and what it counted."""

    inputs: Mapping[str, str]
    counts: Mapping[str, int]
    details: Mapping[str, Any]
    """Values worth keeping in the lock file (corpus fingerprints, versions, seeds); never compared."""


class State(StrEnum):
    """How a stage stands: `stale` read other values, `partial` the same values with rows missing."""

    MISSING = "missing"
    PARTIAL = "partial"
    DONE = "done"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class StageStatus:
    """One line of `captrawl status`."""

    stage: str
    state: State
    counts: Mapping[str, int]
    reason: str = ""


_SHARED = frozenset({"captrawl.toml", "classes.json", "marks.json", "plan.json"})
"""What every stage may write, in an instant; other files are one stage's own, which may run elsewhere."""


class Workspace:
    """The folder of one task. Every path it gives lies inside ``root``."""

    def __init__(self, root: Path, overrides: Changes | None = None) -> None:
        self.root = root.resolve()
        self._overrides: Changes = overrides or {}

    @classmethod
    def open(cls, root: Path) -> Self:
        """The workspace at ``root``; WorkspaceError where there is none."""
        workspace = cls(root)
        if not workspace.settings_path.is_file():
            raise WorkspaceError(
                f"{root} isn't a captrawl workspace (no captrawl.toml); make one with captrawl init DIR, "
                "or name one with captrawl -C DIR …"
            )
        return workspace

    @classmethod
    def create(cls, root: Path, settings: Settings, classes: ClassList) -> Workspace:
        """Make the folder with captrawl.toml and classes.json; WorkspaceError where one is already."""
        from ..classes.files import save_classes
        from .settings import save_settings

        workspace = cls(root)
        if workspace.settings_path.exists():
            raise WorkspaceError(
                f"{root} is a captrawl workspace already; edit its captrawl.toml, or choose another folder"
            )
        if workspace.root.exists() and not workspace.root.is_dir():
            raise WorkspaceError(f"{root} is a file; choose another folder")
        workspace.root.mkdir(parents=True, exist_ok=True)
        save_classes(classes, workspace.root / settings.task.classes)
        save_settings(settings, workspace.settings_path)  # last: a killed init leaves no half workspace
        return workspace

    # Paths ------------------------------------------------------------------------------------

    @property
    def settings_path(self) -> Path:
        return self.root / "captrawl.toml"

    @property
    def lock_path(self) -> Path:
        return self.root / "captrawl.lock.json"

    @property
    def matches_path(self) -> Path:
        return self.root / "matches.parquet"

    @property
    def images_folder(self) -> Path:
        return self.root / "images"

    @property
    def ledger_path(self) -> Path:
        return self.images_folder / "ledger.sqlite"

    @property
    def images_path(self) -> Path:
        return self.root / "images.parquet"

    @property
    def samples_folder(self) -> Path:
        return self.root / "samples"

    @property
    def report_folder(self) -> Path:
        return self.root / "report"

    def embeddings_folder(self, model: str) -> Path:
        """The embeddings of one model; ``model`` is a slug (search.vectors.models.ModelId.slug)."""
        return self.root / "embeddings" / model

    def vectors_folder(self, model: str) -> Path:
        """The FAISS indices of one model."""
        return self.root / "vectors" / model

    def classes_path(self) -> Path:
        """The class list that the settings name."""
        return self.root / self.settings().task.classes

    def relative(self, path: Path) -> str:
        """``path`` as artefacts hold it: relative to the workspace, '/'-separated."""
        return path.relative_to(self.root).as_posix()

    # Settings, locks and records -----------------------------------------------------------------

    def settings(self) -> Settings:
        """captrawl.toml, read afresh, with this call's overrides; SettingsError where it isn't valid."""
        from .settings import load_settings, merged

        settings = load_settings(self.settings_path)
        return merged(settings, self._overrides) if self._overrides else settings

    def overriding(self, changes: Changes) -> Workspace:
        """The workspace with other values of some settings (table → key → value); the file stays as it is."""
        tables = {*self._overrides, *changes}
        return Workspace(
            self.root,
            {name: {**self._overrides.get(name, {}), **changes.get(name, {})} for name in tables},
        )

    @contextlib.contextmanager
    def locked(self, what: str) -> Generator[None]:
        """Hold the lock named ``what`` (a stage); WorkspaceError when another process holds it.

        The kernel drops the lock when the process ends, however it ends.
        """
        folder = self.root / ".locks"
        folder.mkdir(exist_ok=True)
        with (folder / f"{what}.lock").open("a") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise WorkspaceError(
                    f"another process is running {what!r} in {self.root}; wait for it, or stop it first"
                ) from error
            sweep(self.root, _SHARED, shared=True)
            yield

    def note(self, stage: str, record: StageRecord, made_by: Mapping[str, Any], files: Sequence[str]) -> None:
        """Write ``record`` of ``stage`` and the hashes of its ``files`` (globs) into captrawl.lock.json.

        Stages call StageFacts.record, which knows ``made_by`` and ``files``.
        """
        with self._lock_file_held():
            lock = self._read_lock()
            lock["stages"][stage] = {**asdict(record), "made_by": dict(made_by)}
            lock["artefacts"][stage] = record_hashes(self.root, files)
            sweep_writes(self.lock_path)
            write_json(self.lock_path, lock)

    def recorded(self, stage: str) -> StageRecord | None:
        """What :meth:`note` wrote of ``stage``, or None."""
        entry = self._read_lock()["stages"].get(stage)
        return StageRecord(entry["inputs"], entry["counts"], entry["details"]) if entry else None

    def check_images(self, paths: Iterable[str | None]) -> None:
        """WorkspaceError where a packed image was changed in the folders of ``paths`` since it was packed."""
        folders = {path.rpartition("/")[0] for path in paths if path}
        changed = changed_images(self.root, self.recorded_hashes().get("download", {}), folders)
        if changed:
            first, more = self.root / changed[0], len(changed) - 1
            or_another = f" (or one of {counted(more, 'image')} written since)" if more else ""
            raise WorkspaceError(
                f"{first}{or_another} isn't what was packed; put it back, or delete it and run captrawl "
                "download, which fetches it again"
            )

    def recorded_hashes(self) -> dict[str, dict[str, str]]:
        """Stage → path → sha256 of the artefacts as the stages left them."""
        return self._read_lock()["artefacts"]

    def rehash(self) -> None:
        """Note the hashes of all recorded artefacts as they are now; those that are gone are dropped."""
        with self._lock_file_held():
            lock = self._read_lock()
            for stage, hashes in lock["artefacts"].items():
                lock["artefacts"][stage] = record_hashes(self.root, [glob.escape(path) for path in hashes])
            sweep_writes(self.lock_path)
            write_json(self.lock_path, lock)

    def exports(self) -> list[Path]:
        """The folders that samples were exported to, as captrawl.lock.json knows them."""
        return [Path(folder) for folder in self._read_lock().get("exports", [])]

    def note_export(self, folder: Path, *, gone: bool = False) -> None:
        """Note in captrawl.lock.json that a sample was exported to ``folder``, or that it is ``gone``."""
        with self._lock_file_held():
            lock = self._read_lock()
            others = [other for other in lock.get("exports", []) if other != str(folder)]
            lock["exports"] = others if gone else [*others, str(folder)]
            sweep_writes(self.lock_path)
            write_json(self.lock_path, lock)

    def forget(self, stage: str) -> None:
        """Drop the record of ``stage``; nothing happens where there is none."""
        with self._lock_file_held():
            lock = self._read_lock()
            lock["artefacts"].pop(stage, None)
            if lock["stages"].pop(stage, None) is not None:
                write_json(self.lock_path, lock)

    def _read_lock(self) -> dict[str, Any]:
        if not self.lock_path.exists():
            return {"format": FORMAT, "captrawl": __version__, "stages": {}, "artefacts": {}}
        try:
            lock = read_json(self.lock_path)
        except ValueError as error:
            raise WorkspaceError(
                f"{self.lock_path} isn't readable ({error}); delete it and run again"
            ) from error
        if not isinstance(lock, dict) or not all(
            isinstance(cast("dict[str, Any]", lock).get(key, {}), dict) for key in ("stages", "artefacts")
        ):
            raise WorkspaceError(f"{self.lock_path} isn't a record of stages; delete it and run again")
        if lock.get("format") != FORMAT:
            raise WorkspaceError(
                f"{self.lock_path} has format {lock.get('format')}, this captrawl reads {FORMAT}"
            )
        return {"artefacts": {}, **lock, "captrawl": __version__}

    @contextlib.contextmanager
    def _lock_file_held(self) -> Generator[None]:
        """Serialise updates of captrawl.lock.json among processes; waits."""
        folder = self.root / ".locks"
        folder.mkdir(exist_ok=True)
        with (folder / "lock-file.lock").open("a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

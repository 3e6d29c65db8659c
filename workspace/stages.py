"""What a stage is: its files, what can change its result, how it stands, and how it is run.

Every stage has its value of :class:`Stage` beside its code; workspace.pipeline collects them.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from ..core.records import Progress
from ..core.version import __version__
from .workspace import StageRecord, StageStatus, State, Workspace

Counts = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class StageFacts:
    """What is written down about a stage, whoever runs it.

    ``files`` are its artefacts as globs below the workspace (caches and ledgers aren't artefacts),
    ``libraries`` the distributions whose version can change them, ``sections`` the tables of captrawl.toml
    that it reads.
    """

    name: str
    files: tuple[str, ...]
    libraries: tuple[str, ...] = ()
    sections: tuple[str, ...] = ()

    def record(
        self,
        workspace: Workspace,
        inputs: Mapping[str, str],
        counts: Counts,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Note in captrawl.lock.json that the stage is done, from which inputs and with which counts."""
        record = StageRecord(dict(inputs), dict(counts), dict(details or {}))
        workspace.note(self.name, record, self.made_by(workspace), self.files)

    def made_by(self, workspace: Workspace) -> dict[str, Any]:
        """``{"versions": {name: version}, "settings": {table: values}}`` of the stage, run here and now."""
        versions = {"captrawl": __version__, "python": platform.python_version()}
        for name in self.libraries:
            try:
                versions[name] = metadata.version(name)
            except metadata.PackageNotFoundError:  # one of several that serve
                continue
        if not workspace.settings_path.is_file():
            return {"versions": versions, "settings": {}}
        tables = workspace.settings().model_dump(mode="json", exclude_none=True)
        return {"versions": versions, "settings": {name: tables[name] for name in self.sections}}

    def missing(self, reason: str = "") -> StageStatus:
        """The status of a stage that hasn't run."""
        return StageStatus(self.name, State.MISSING, {}, reason)

    def compare(
        self, record: StageRecord, inputs: Mapping[str, str], counts: Counts | None = None
    ) -> StageStatus:
        """Done where ``record`` was made from these ``inputs``; else stale, naming those that differ."""
        changed = [name for name, value in inputs.items() if record.inputs.get(name) != value]
        state = State.STALE if changed else State.DONE
        reason = f"{', '.join(changed)} changed since" if changed else ""
        return StageStatus(self.name, state, record.counts if counts is None else counts, reason)


@dataclass(frozen=True, slots=True)
class Stage:
    """A step of the pipeline. ``status`` loads no model and changes nothing; ``run`` gives the counts."""

    facts: StageFacts
    status: Callable[[Workspace], StageStatus]
    run: Callable[[Workspace, Progress], Counts]

    @property
    def name(self) -> str:
        """As status and captrawl.lock.json have it."""
        return self.facts.name

"""Draw a sample by a choice, store the choice, and read what was drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import pyarrow as pa

from ..core.records import Progress, silent
from ..sampling.auto.offer import offered
from ..sampling.files import SamplePaths, read_sample
from ..sampling.recipes import check_name, method_of, name_of
from ..sampling.sample import draw
from ..sampling.task import paths_of
from ..workspace.settings import SampleSettings, sample_settings
from ..workspace.settings_edits import put_sample
from ..workspace.workspace import Workspace
from .tables import ArrowTable


class SampleChoice(TypedDict, total=False):
    """How the images of each class are chosen: the keys of a [[sample]] (docs/sampling.md)."""

    method: str
    n: int
    rank: str
    keep: Sequence[str]
    threshold: float | None
    dedup: float | str | None
    diverse: float | str | None
    zeroshot: bool
    leak_guard: str | Path
    referee: str
    tail: bool
    seed: int
    names: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """A sample that was drawn: its settings, its counts, and whether captrawl.toml got it."""

    spec: SampleSettings
    counts: Mapping[str, int]
    stored: bool


def draw_choice(
    workspace: Workspace,
    name: str,
    choice: SampleChoice,
    *,
    replace: bool = False,
    progress: Progress = silent,
) -> Drawing:
    """Draw the sample ``name`` by ``choice`` and store it as a [[sample]].

    Without a choice it is the [[sample]] of that name (T2T500 without one) as captrawl.toml has it; without
    a name the choice gives one, such as T2I500. InputError where the name is that of another choice, without
    ``replace``.
    """
    guard = choice.get("leak_guard", "")
    values = {**choice, "keep": list(choice.get("keep", ()))}
    values["leak_guard"] = str(Path(guard).resolve()) if guard else ""
    spec = sample_settings(**values, name=name or SampleSettings().name)
    if not choice:
        spec = next((one for one in workspace.settings().sample if one.name == spec.name), spec)
    elif not name:
        spec = spec.model_copy(update={"name": name_of(spec, method_of(workspace, spec))})
    if not replace:
        check_name(workspace, spec)
    counts = draw(workspace, spec, progress=progress)
    stored = spec not in workspace.settings().sample
    if stored:  # only what could be drawn: run and status go by the settings
        put_sample(workspace.settings_path, spec)
    return Drawing(spec, counts, stored)


def store_auto(workspace: Workspace) -> str:
    """Put the sample that auto draws into captrawl.toml where shots allow it and no other is asked for.

    Its name, "" where there is none to store.
    """
    spec = offered(workspace)
    if spec:
        put_sample(workspace.settings_path, spec)
    return spec.name if spec else ""


class SampleTable(ArrowTable):
    """The kept rows of a drawn sample, by class and rank, with the four scores."""

    def __init__(self, arrow: pa.Table, root: Path | None = None, paths: SamplePaths | None = None) -> None:
        super().__init__(arrow, root)
        self._paths = paths

    @property
    def listing(self) -> Path | None:
        """The training list: a ``path label flag`` line for each row; None of a part of a table."""
        return self._paths.listing if self._paths else None

    @property
    def pool(self) -> ArrowTable:
        """Every row that was matched, the dropped ones with the reason."""
        return ArrowTable(read_sample(self._paths), self.root) if self._paths else ArrowTable(self.arrow)


class DrawnSamples(Mapping[str, SampleTable]):
    """The samples that a workspace has files of, by name."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def __getitem__(self, name: str) -> SampleTable:
        if name not in list(self):
            raise KeyError(f"{name}: not drawn; there are {', '.join(self) or 'none'}")
        paths = paths_of(self._workspace, name)
        return SampleTable(read_sample(paths, kept=True), self._workspace.root, paths)

    def __iter__(self) -> Iterator[str]:
        tables = sorted(self._workspace.samples_folder.glob("[!.]*.parquet"))
        return iter([path.stem for path in tables if path.with_suffix(".txt").is_file()])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"<samples {', '.join(self) or 'none yet'}>"

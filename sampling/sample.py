"""Draw a sample: every class's pool scored, chosen from, and written; and how a sample stands."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ..classes import ClassList, load_classes
from ..errors import InputError, WorkspaceError
from ..records import Progress, silent
from ..search.embeddings import Embeddings, EmbeddingsInfo, count_shards, shard_paths
from ..search.models import ModelId, model_of
from ..settings import SampleSettings
from ..workspace import StageStatus, State, Workspace, digest
from .filters import Choice, Steps, choose
from .lists import SAMPLE_SCHEMA, SamplePaths, writing
from .methods import Method, Score, resolve
from .pool import Pool, candidates_of, read_pools
from .prompts import class_names, templates_of
from .reference import References, Shots, read_shots, shots_of
from .scores import ORDER, Scores, score
from .shots import Labelled, read_labelled


@dataclass(frozen=True, slots=True)
class SampleTask:
    """Everything a sample is made from besides the rows themselves."""

    spec: SampleSettings
    method: Method
    classes: ClassList
    names: list[tuple[str, ...]]
    templates: tuple[str, ...]
    model: ModelId
    shots: Labelled | None
    leaks: Labelled | None


def stage_name(spec: SampleSettings) -> str:
    """The stage of a sample in captrawl.lock.json and `captrawl status`."""
    return f"sample:{spec.name}"


def paths_of(workspace: Workspace, name: str) -> SamplePaths:
    """The files of the sample called ``name``."""
    return SamplePaths(workspace.samples_folder, name)


def task_of(workspace: Workspace, spec: SampleSettings) -> SampleTask:
    """What ``spec`` asks of this workspace, with every error that can be found before any work.

    InputError: an unknown method or score, shots that are asked for and not there, a list that can't be read.
    """
    settings = workspace.settings()
    method = resolve(spec, thresholds_of(settings.task.dataset))
    if method.needs_shots and not settings.task.shots:
        raise InputError(
            f"sample {spec.name!r}: {method.name} needs few shots and the task has none; set shots (a `path "
            "label flag` list or a folder of class folders) and root in [task] of captrawl.toml"
        )
    if any(character.isspace() for character in str(workspace.root)):
        raise WorkspaceError(
            f"{workspace.root} holds a blank, and readers of `path label flag` lists split at blanks; move "
            "the workspace to a path without blanks"
        )
    classes = load_classes(workspace.root / settings.task.classes)
    leaks = None
    if spec.leak_guard:
        leaks = read_labelled(workspace.root / spec.leak_guard, workspace.root / settings.task.root, None)
    return SampleTask(
        spec,
        method,
        classes,
        class_names(classes, settings),
        templates_of(settings),
        model_of(workspace),
        read_shots(workspace, classes),
        leaks,
    )


def thresholds_of(dataset: str) -> Mapping[str, float]:
    """The thresholds by method of a data set preset; none for ""."""
    if not dataset:
        return {}
    from ..datasets import load_dataset

    return load_dataset(dataset).thresholds


def draw(workspace: Workspace, spec: SampleSettings, *, progress: Progress = silent) -> dict[str, int]:
    """Make the files of the sample ``spec`` in samples/ and return its counts.

    Counts: classes, classes without a pool, pool rows, embedded rows, kept rows, and every reason of a drop.
    """
    stage = stage_name(spec)
    with workspace.locked(stage):
        task = task_of(workspace, spec)
        embeddings = Embeddings.open(workspace.embeddings_folder(task.model.slug))
        inputs = _inputs(workspace, task)
        references = References(workspace, task.model, embeddings.info, progress=progress)
        drawer = Drawer(
            task,
            prompts=references.prompts(task.names, task.templates),
            shots=shots_of(task.shots, references, embeddings.dimension),
            leaks=references.images(task.leaks.paths) if task.leaks else None,
        )
        tally: Counter[str] = Counter(classes=len(task.classes), without_pool=0, pool=0, embedded=0, kept=0)
        with writing(paths_of(workspace, spec.name), root=workspace.root, method=task.method) as writer:
            for index, pool in enumerate(read_pools(workspace, task.classes, embeddings)):
                kept, dropped = drawer.draw(pool, index, embeddings)
                writer.add(pool.class_id, kept, dropped)
                _tally(tally, pool, kept, dropped)
                progress(f"sample {spec.name}", index + 1, len(task.classes))
        counts = dict(tally)
        workspace.record(stage, inputs, counts, {"method": str(task.method), "sample": spec.model_dump()})
    return counts


@dataclass(frozen=True, slots=True)
class Drawer:
    """Scores a pool against prompts and shots and chooses from it; row i of ``prompts`` is class i's."""

    task: SampleTask
    prompts: NDArray[np.float32]
    shots: Shots
    leaks: NDArray[np.float32] | None

    def draw(self, pool: Pool, index: int, embeddings: Embeddings) -> tuple[pa.Table, pa.Table]:
        """The kept rows in rank order and the dropped ones in the pool's order (SAMPLE_SCHEMA)."""
        rows = pool.embedded[pool.embedded >= 0]
        images = embeddings.images.take(rows)
        captions = embeddings.captions.take(rows)
        shots = self.shots.of(pool.class_id)
        scores = score(images, captions, prompt=self.prompts[index], shots=shots)
        choice = choose(candidates_of(pool, scores, images), self.task.method, self.steps(index))
        return split(pool, scores, choice)

    def steps(self, index: int) -> Steps:
        """The steps besides the method, for the class at ``index``."""
        spec = self.task.spec
        steps = Steps(spec.n, spec.seed, spec.tail, spec.dedup, leaks=self.leaks)
        return replace(steps, prompts=self.prompts, own=index) if spec.zeroshot else steps


def split(pool: Pool, scores: Scores, choice: Choice) -> tuple[pa.Table, pa.Table]:
    """The pool's rows with scores, rank and reason: the kept by rank, the others in the pool's order."""
    at = np.flatnonzero(pool.embedded >= 0)
    size = pool.table.num_rows
    values = np.full((size, len(ORDER)), np.nan)
    values[at] = scores.values
    rank = np.zeros(size, dtype=np.int32)
    rank[at[choice.kept]] = np.arange(1, len(choice.kept) + 1)
    reasons = np.array(pool.table.column("missing").to_pylist(), dtype=object)
    reasons[at] = choice.reasons
    columns: dict[str, Any] = {
        "class_id": pa.array(np.full(size, pool.class_id)),
        **{name: pool.table.column(name) for name in ("uid", "url", "caption", "synonym", "path", "sha256")},
        **{s.column: pa.array(values[:, ORDER.index(s)], from_pandas=True) for s in Score},
        "kept": pa.array(rank > 0),
        "rank": pa.array(rank, mask=rank == 0),
        "reason": pa.array(reasons, pa.string()),
    }
    table = pa.table([columns[name] for name in SAMPLE_SCHEMA.names], schema=SAMPLE_SCHEMA)
    return table.take(at[choice.kept]), table.filter(pa.array(rank == 0))


def _tally(tally: Counter[str], pool: Pool, kept: pa.Table, dropped: pa.Table) -> None:
    tally["without_pool"] += pool.table.num_rows == 0
    tally["pool"] += pool.table.num_rows
    tally["embedded"] += int((pool.embedded >= 0).sum())
    tally["kept"] += kept.num_rows
    for reason in dropped.column("reason").to_pylist():
        tally[str(reason).partition(":")[0]] += 1


def sample_status(workspace: Workspace, spec: SampleSettings) -> StageStatus:
    """How the sample stands: stale where it was made from other values, which the reason names."""
    stage = stage_name(spec)
    record = workspace.recorded(stage)
    paths = paths_of(workspace, spec.name)
    if record is None or not paths.table.exists():
        return StageStatus(stage, State.MISSING, {})
    lost = [path.name for path in paths.all() if not path.exists()]
    if lost:
        return StageStatus(stage, State.PARTIAL, record.counts, f"{', '.join(lost)} not there")
    inputs = _inputs(workspace, task_of(workspace, spec))
    other = [name for name, value in inputs.items() if record.inputs.get(name) != value]
    if other:
        return StageStatus(stage, State.STALE, record.counts, f"made from other {', '.join(other)}")
    return StageStatus(stage, State.DONE, record.counts)


def _inputs(workspace: Workspace, task: SampleTask) -> dict[str, str]:
    """Hashes of what the sample is made from, by the name that `status` says."""
    spec = task.spec
    ids = [entry.id for entry in task.classes]
    folder = workspace.embeddings_folder(task.model.slug)
    return {
        "method": digest([task.method.name, str(task.method), spec.n, spec.dedup, spec.zeroshot, spec.tail]),
        "seed": digest(spec.seed if task.method.order is None else 0),
        "prompts": digest([list(zip(ids, task.names, strict=True)), task.templates]),
        "shots": task.shots.fingerprint() if task.shots else "",
        "test images": task.leaks.fingerprint() if task.leaks else "",
        "matches": file_digest(workspace.matches_path),
        "images": file_digest(workspace.images_path),
        "embeddings": _embeddings_digest(folder),
    }


def _embeddings_digest(folder: Path) -> str:
    try:
        info = EmbeddingsInfo.load(folder)
    except WorkspaceError:
        return ""
    shards = [file_digest(shard_paths(folder, shard)[2]) for shard in range(count_shards(folder))]
    return digest([info.weights, info.precision, shards])


def file_digest(path: Path, end: int = 1 << 20) -> str:
    """A hash of the file's size, first and last MiB; "" where it isn't there. A Parquet's footer is in it."""
    try:
        with path.open("rb") as handle:
            size = path.stat().st_size
            head = handle.read(end)
            handle.seek(max(0, size - end))
            return hashlib.sha256(head + handle.read() + str(size).encode()).hexdigest()
    except FileNotFoundError:
        return ""

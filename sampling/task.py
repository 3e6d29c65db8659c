"""What a sample is made from: settings, classes, method, lists; checked before any work, then hashed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..classes.files import load_classes
from ..classes.model import ClassList
from ..core.errors import InputError, WorkspaceError, nearest
from ..core.files import digest
from ..core.picture_hash import VERSION
from ..search.vectors.models import ModelId, model_of
from ..search.vectors.store import EmbeddingsInfo, count_shards, shard_paths
from ..workspace.settings import COPIES, SampleSettings
from ..workspace.stages import StageFacts
from ..workspace.workspace import Workspace
from .copies.descriptors import Descriptors, is_descriptors, load_descriptors
from .files import SamplePaths
from .judge.answers import JudgeAnswers
from .marks import Marks
from .methods import AUTO, METHODS, Method, Score, resolve
from .prompts import class_names, templates_of
from .references import read_shots
from .shots import Labelled, read_labelled

RULE = 2
"""Counts the versions of how auto chooses."""


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
    leaks: Labelled | Descriptors | None
    marks: Marks
    repeats: bool = False
    """Whether every matched row of a picture may stay ([task] repeats)."""


def sample_facts(name: str) -> StageFacts:
    """The stage of the sample called ``name``."""
    files = tuple(path.as_posix() for path in SamplePaths(Path("samples"), name).all())
    return StageFacts(f"sample:{name}", files, ("faiss-cpu", "faiss-gpu", "numpy"))


def paths_of(workspace: Workspace, name: str) -> SamplePaths:
    """The files of the sample called ``name``."""
    return SamplePaths(workspace.samples_folder, name)


def drawn(workspace: Workspace) -> list[SampleSettings]:
    """The samples of the settings that are there, in their order."""
    return [spec for spec in workspace.settings().sample if paths_of(workspace, spec.name).table.exists()]


def task_of(workspace: Workspace, spec: SampleSettings) -> SampleTask:
    """What ``spec`` asks of this workspace, with every error that can be found before any work.

    InputError: an unknown method or score, shots that are asked for and not there, a list that can't be read.
    """
    settings = workspace.settings()
    method = resolve(spec, thresholds_of(settings.task.dataset))
    marks = Marks.load(workspace)
    if method.needs_shots and not settings.task.shots and not marks.any_confirmed:
        raise InputError(
            f"sample {spec.name!r}: {method.name} needs few shots and the task has none; set shots (a `path "
            "label flag` list or a folder of class folders) and root in [task] of captrawl.toml"
        )
    if any(character.isspace() for character in str(workspace.root)):
        raise WorkspaceError(
            f"{workspace.root} contains a space, and readers of `path label flag` lists split at spaces; "
            "move the workspace to a path without spaces"
        )
    for suffix in ("_sampled_list", "_filtered_list"):
        if spec.name.endswith(suffix):
            other = spec.name.removesuffix(suffix)
            raise InputError(f"a sample can't be named {spec.name!r}: sample {other!r} has such a file")
    classes = load_classes(workspace.root / settings.task.classes)
    if _judges(method) and not len(JudgeAnswers(workspace, classes)):
        raise InputError(
            f"sample {spec.name!r}: {method} needs the score judge, and no picture was judged; run "
            "captrawl judge"
        )
    leaks = None
    if spec.leak_guard:
        listing = workspace.root / spec.leak_guard
        start = workspace.root / settings.task.root if settings.task.root else listing.parent
        leaks = load_descriptors(listing) if is_descriptors(listing) else read_labelled(listing, start, None)
    return SampleTask(
        spec,
        method,
        classes,
        class_names(classes, settings, spec.names),
        templates_of(settings),
        model_of(workspace),
        read_shots(workspace, classes),
        leaks,
        marks,
        settings.task.repeats,
    )


def takes_any(workspace: Workspace, spec: SampleSettings) -> bool:
    """Whether ``spec`` takes its n at random and judges none: then no more than n usable images serve it."""
    method = resolve(spec, thresholds_of(workspace.settings().task.dataset))
    steps = (spec.zeroshot, spec.dedup, spec.diverse, spec.leak_guard, spec.referee)
    judges = method.order is not None or method.conditions or method.name == AUTO or any(steps)
    return not judges and not Marks.load(workspace).by_class


def thresholds_of(dataset: str) -> Mapping[str, float]:
    """The thresholds by method of a data set preset; none for "". InputError where a method is none."""
    if not dataset:
        return {}
    from ..datasets import load_dataset

    thresholds = load_dataset(dataset).thresholds
    for name in thresholds:
        if name not in METHODS:
            hint = nearest(name, list(METHODS))
            raise InputError(f"the data set {dataset}: thresholds: there is no method {name!r}; {hint}")
    return thresholds


def inputs_of(workspace: Workspace, task: SampleTask) -> dict[str, str]:
    """Hashes of what the sample is made from, by the name that `status` says."""
    spec = task.spec
    ids = [entry.id for entry in task.classes]
    folder = workspace.embeddings_folder(task.model.slug)
    senses = [[entry.id, entry.other_senses] for entry in task.classes if entry.other_senses]
    copies = _copies_by(workspace, spec)
    return {
        "method": digest([_rule(task.method), str(task.method), *_steps_of(spec, task.repeats), *copies]),
        "seed": digest(spec.seed if task.method.order is None else 0),
        "prompts": digest([list(zip(ids, task.names, strict=True)), task.templates, *senses]),
        "shots": task.shots.fingerprint() if task.shots else "",
        "test images": task.leaks.fingerprint() if task.leaks else "",
        "marks": task.marks.fingerprint(),
        "folder": digest(
            str(workspace.root)
        ),  # the lists hold absolute paths: a moved workspace needs new ones
        "matches": file_digest(workspace.matches_path),
        "images": file_digest(workspace.images_path),
        "embeddings": _embeddings_digest(folder),
        **({"judge": JudgeAnswers(workspace, task.classes).fingerprint()} if _judges(task.method) else {}),
    }


def _judges(method: Method) -> bool:
    return Score.JUDGE in method.scores


def _rule(method: Method) -> str:
    """The name of a method; auto's with the number of its rule, since another may choose another sample."""
    return f"{AUTO}, rule {RULE}" if method.name == AUTO else method.name


def _steps_of(spec: SampleSettings, repeats: bool) -> list[Any]:
    steps = [spec.n, spec.dedup, spec.zeroshot, spec.referee, spec.tail]
    steps += ["repeats"] if repeats else []
    return steps if spec.diverse is None else [*steps, "diverse", spec.diverse]


def _copies_by(workspace: Workspace, spec: SampleSettings) -> list[str]:
    """What tells copies, where any are looked for."""
    if not spec.leak_guard and spec.dedup != COPIES:
        return []
    model = workspace.settings().model.copies
    return [f"picture hash {VERSION}", *([file_digest(workspace.root / model)] if model else [])]


def _embeddings_digest(folder: Path) -> str:
    try:
        info = EmbeddingsInfo.load(folder)
    except WorkspaceError:
        return ""
    shards = [file_digest(shard_paths(folder, shard)[2]) for shard in range(count_shards(folder))]
    return digest([info.weights, info.precision, shards, *info.unusual.values()])


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

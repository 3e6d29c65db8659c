"""What a sample is worth: accuracy on the user's labelled images, from the cached embeddings.

Zero-shot, and a linear probe (logistic regression) trained on the shots, on each sample, and on both.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..classes.files import load_classes
from ..classes.model import ClassList
from ..core.errors import WorkspaceError
from ..core.files import write_json
from ..core.records import Progress, Vectors, silent
from ..search.vectors.models import model_of
from ..search.vectors.store import Embeddings
from ..workspace.workspace import Workspace
from .files import read_sample
from .probe import bootstrap, fitted_accuracy, student, wilson
from .prompts import class_names, templates_of
from .references import References, Shots, read_shots, shots_of
from .shots import read_labelled
from .task import paths_of

FORMAT = 1
SEEDS = 5


@dataclass(frozen=True, slots=True)
class AccuracyLine:
    """One line: top-1 accuracy on the labelled images, and its 95 % interval.

    Of a probe: mean and Student interval over seeds, each a bootstrap of the training images within their
    classes. Of zero-shot, which has no seeds, and of a single seed: Wilson's for this many test images.
    """

    name: str
    """zero-shot, shots, a sample's name, or ``shots + NAME``."""
    images: int
    """Training images."""
    classes: int
    """Classes that have any."""
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Every line, and on how many labelled images."""

    labelled: int
    classes: int
    lines: tuple[AccuracyLine, ...]


def evaluation_path(workspace: Workspace) -> Path:
    """Where the last evaluation is kept."""
    return workspace.samples_folder / "evaluation.json"


def read_evaluation(workspace: Workspace) -> Evaluation | None:
    """The last evaluation, None where there is none."""
    path = evaluation_path(workspace)
    if not path.exists():
        return None
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    lines = tuple(AccuracyLine(**line) for line in data["lines"])
    return Evaluation(data["labelled"], data["classes"], lines)


def evaluate(
    workspace: Workspace,
    labelled: Path,
    root: Path,
    *,
    samples: Sequence[str] = (),
    seeds: int = SEEDS,
    progress: Progress = silent,
) -> Evaluation:
    """Accuracies on the images of ``labelled`` (a list below ``root``, or an ImageFolder); kept as JSON.

    ``samples``: names, all of the settings' that are made where empty. WorkspaceError where there is none.
    """
    settings = workspace.settings()
    classes = load_classes(workspace.root / settings.task.classes)
    tests = read_labelled(labelled, root, classes)
    names = list(samples) or [s.name for s in settings.sample if paths_of(workspace, s.name).table.exists()]
    if not names:
        raise WorkspaceError(f"{workspace.root} has no sample yet; make one with captrawl sample")
    model = model_of(workspace)
    embeddings = Embeddings.open(workspace.embeddings_folder(model.slug))
    references = References(workspace, model, embeddings.info, progress=progress)
    test = shots_of(tests, references, embeddings.dimension)
    shots = shots_of(read_shots(workspace, classes), references, embeddings.dimension)
    training = {name: sample_vectors(workspace, name, embeddings) for name in names}
    if len(shots.labels):
        training = {
            "shots": shots,
            **training,
            **{f"shots + {name}": shots.joined(training[name]) for name in names},
        }
    prompts = references.prompts(class_names(classes, settings), templates_of(settings))
    lines = [zero_shot(test, prompts, classes)]
    for place, (name, train) in enumerate(training.items()):

        def fitted(done: int, before: int = place * seeds) -> None:
            progress("evaluate", before + done, len(training) * seeds)

        lines.append(linear_probe(name, train, test, seeds=seeds, fitted=fitted))
    result = Evaluation(len(test.labels), len(classes), tuple(lines))
    write_json(evaluation_path(workspace), {"format": FORMAT, **asdict(result)})
    return result


def sample_vectors(workspace: Workspace, name: str, embeddings: Embeddings) -> Shots:
    """The image vectors and classes of a sample; WorkspaceError where its rows aren't embedded any more."""
    kept = read_sample(paths_of(workspace, name), ["class_id", "uid"], kept=True)
    rows = embeddings.rows_of(kept.column("uid").to_numpy())
    if (rows < 0).any():
        raise WorkspaceError(
            f"sample {name}: {int((rows < 0).sum())} of its {len(rows)} rows have no vectors of the model "
            "in the settings; draw it again with captrawl sample"
        )
    return Shots(embeddings.images.take(rows), kept.column("class_id").to_numpy())


def zero_shot(test: Shots, prompts: Vectors, classes: ClassList) -> AccuracyLine:
    """AccuracyLine of the nearest prompt; a class without a prompt is never predicted."""
    ids = np.array([entry.id for entry in classes])
    nearest = np.nan_to_num(test.vectors @ prompts.T, nan=-np.inf).argmax(axis=1)
    correct = int((ids[nearest] == test.labels).sum())
    low, high = wilson(correct, len(test.labels))
    return AccuracyLine("zero-shot", 0, len(classes), correct / max(len(test.labels), 1), low, high)


def linear_probe(
    name: str, train: Shots, test: Shots, *, seeds: int, fitted: Callable[[int], None]
) -> AccuracyLine:
    """AccuracyLine of logistic regression on ``train``, over ``seeds`` bootstraps of it; no broken vectors.

    ``fitted`` is told after each how many are done.
    """
    train = train.where(np.flatnonzero(np.isfinite(train.vectors.sum(axis=1))))
    accuracies: list[float] = []
    for seed in range(seeds):
        accuracies.append(fitted_accuracy(train.where(bootstrap(train.labels, seed)), test))
        fitted(seed + 1)
    correct = round(accuracies[0] * len(test.labels))
    low, high = student(accuracies) if len(accuracies) > 1 else wilson(correct, len(test.labels))
    return AccuracyLine(
        name,
        len(train.labels),
        len(np.unique(train.labels)),
        float(np.mean(accuracies)),
        max(low, 0.0),
        min(high, 1.0),
    )

"""What a sample is worth: accuracy on the user's labelled images, from the cached embeddings.

Zero-shot, and a linear probe (logistic regression) trained on the shots, on each sample, and on both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..classes.files import load_classes
from ..classes.model import ClassList
from ..core.errors import WorkspaceError
from ..core.files import sweep, write_json
from ..core.records import Progress, Vectors, silent
from ..search.vectors.models import model_of
from ..search.vectors.store import Embeddings
from ..workspace.workspace import Workspace, read_document
from .files import read_sample
from .probe import evenly, interval, predicted, resampled, wilson
from .prompts import class_names, templates_of
from .references import References, Shots, read_shots, shots_of
from .shots import read_labelled
from .task import paths_of

FORMAT = 2
"""Format 1 had no differences."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A line's accuracy less another's, and the 95 % interval of that by a paired bootstrap."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class AccuracyLine:
    """One line: top-1 accuracy on the labelled images, and its 95 % interval.

    Zero-shot and every probe are fitted once and judged on the same images; intervals are over these images,
    by a bootstrap that draws the same ones for all lines, by Wilson's where all or none are right.
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
    to_best: Difference | None = None
    """Against the most accurate line; None for that line itself."""
    to_shots: Difference | None = None
    """Against the shots alone; None for them, and without shots."""

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> AccuracyLine:
        """A line as JSON has it."""
        fields: dict[str, Any] = dict(values)
        for key in ("to_best", "to_shots"):
            fields[key] = Difference(**fields[key]) if fields.get(key) else None
        return cls(**fields)


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
    return read_document(path, "evaluate", _evaluation)


def _evaluation(data: dict[str, Any]) -> Evaluation:
    return Evaluation(data["labelled"], data["classes"], tuple(map(AccuracyLine.of, data["lines"])))


def evaluate(
    workspace: Workspace,
    labelled: Path,
    root: Path,
    *,
    samples: Sequence[str] = (),
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
    trials = [_Trial("zero-shot", 0, len(classes), nearest(test.vectors, prompts, classes) == test.labels)]
    for done, (name, train) in enumerate(training.items(), start=1):
        trials.append(_probed(name, train, test))
        progress("evaluate", done, len(training))
    result = Evaluation(len(test.labels), len(classes), compared(trials))
    sweep(workspace.samples_folder, {evaluation_path(workspace).name}, shared=True)
    write_json(evaluation_path(workspace), {"format": FORMAT, **asdict(result)})
    return result


class _Trial(NamedTuple):
    """A line before its intervals: which of the labelled images it has right."""

    name: str
    images: int
    classes: int
    correct: NDArray[np.bool_]


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


def nearest(vectors: Vectors, prompts: Vectors, classes: ClassList) -> NDArray[np.int64]:
    """The class of the nearest prompt; a class without a prompt is never predicted."""
    ids = np.array([entry.id for entry in classes])
    return ids[np.nan_to_num(vectors @ prompts.T, nan=-np.inf).argmax(axis=1)]


def _probed(name: str, train: Shots, test: Shots) -> _Trial:
    """What logistic regression on ``train``, as it is but for broken vectors, has right."""
    train = train.where(np.flatnonzero(np.isfinite(train.vectors.sum(axis=1))))
    correct = predicted(train.where(evenly(train.labels)), test.vectors) == test.labels
    return _Trial(name, len(train.labels), len(np.unique(train.labels)), correct)


def compared(trials: Sequence[_Trial]) -> tuple[AccuracyLine, ...]:
    """The lines of ``trials``, each with its interval and its differences to the best and to the shots."""
    correct = np.array([trial.correct for trial in trials])
    draws = resampled(correct)
    right, images = correct.sum(axis=1), correct.shape[1]
    accuracies = right / max(images, 1)
    best = int(accuracies.argmax())
    shots = next((place for place, trial in enumerate(trials) if trial.name == "shots"), None)

    def against(place: int, other: int | None) -> Difference | None:
        if other is None or place == other:
            return None
        low, high = interval(draws[:, place] - draws[:, other])
        return Difference(float(accuracies[place] - accuracies[other]), low, high)

    lines: list[AccuracyLine] = []
    for place, trial in enumerate(trials):
        mixed = 0 < right[place] < images  # else every draw is the same
        low, high = interval(draws[:, place]) if mixed else wilson(int(right[place]), images)
        line = AccuracyLine(trial.name, trial.images, trial.classes, float(accuracies[place]), low, high)
        lines.append(replace(line, to_best=against(place, best), to_shots=against(place, shots)))
    return tuple(lines)

"""The sample that a run draws beside the default one, where the task has shots to choose by."""

from __future__ import annotations

import numpy as np

from ...classes.files import load_classes
from ...workspace.settings import SampleSettings
from ...workspace.workspace import Workspace
from ..methods import AUTO
from ..references import read_shots
from ..task import sample_facts

OFFER = SampleSettings(name="auto500", method=AUTO)


def offered(workspace: Workspace) -> SampleSettings | None:
    """``auto`` for a task with shots whose only [[sample]] is the default one, and that never had it.

    None too where no class has two shots, which auto can't compare by. InputError on wrong shots.
    """
    settings = workspace.settings()
    if settings.sample != [SampleSettings()] or not settings.task.shots:
        return None
    if workspace.recorded(sample_facts(OFFER.name).name):  # drawn once, and taken out of the settings
        return None
    shots = read_shots(workspace, load_classes(workspace.classes_path()))
    if shots is None or np.unique_counts(shots.labels).counts.max() < 2:
        return None
    return OFFER

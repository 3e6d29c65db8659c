"""What a sample with other thresholds would keep of a class, chosen by sampling itself, and its command."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from threading import Lock

import numpy as np

from ..sampling.filters import Candidates, choose
from ..sampling.marks import Mark, Marks
from ..sampling.orders.doubt import DOUBTING, certainty, most_doubtful
from ..sampling.pool import Pool, read_pool
from ..sampling.recipes import method_of
from ..sampling.sample import Drawer
from ..sampling.task import task_of
from ..search.vectors.models import model_of
from ..workspace.settings import SampleSettings
from ..workspace.workspace import Workspace
from .explorer import Explorer, Fresh
from .files import NotServedError
from .schemas import Doubtful, DoubtParameters, Preview, PreviewParameters

OPTIONS = {"names": "--prompt-name"}
"""The options of `captrawl sample` that aren't called as their settings are."""
POOLS = 8
"""Classes whose scored pools are kept for the next slider."""


class SamplePreview:
    """Answers for the classes of a server's workspace; threads may share it."""

    def __init__(self, explorer: Explorer) -> None:
        self._explorer = explorer
        self._drawers = Fresh(self._files, dict[str, Drawer])
        self._pools = Fresh(self._files, dict[tuple[object, ...], tuple[Pool, Candidates]])
        self._lock = Lock()

    def of(self, class_id: int, question: PreviewParameters) -> Preview:
        """The uids that the command of ``question`` keeps of the class, by rank."""
        workspace = self._explorer.workspace
        changes = {"method": "", "threshold": None, "rank": question.rank, "keep": list(question.keep)}
        spec = self._spec(question.sample).model_copy(update={**changes, "n": question.n})
        method = method_of(workspace, spec)
        with self._lock:
            drawer = self._drawer(workspace, spec)
            index = [entry.id for entry in drawer.task.classes].index(class_id)
            pool, candidates = self._pool(drawer.with_task_scores(workspace, method.scores), index, spec.name)
        steps = replace(drawer.steps(index, pool.rows), n=spec.n)
        kept = np.flatnonzero(pool.embedded >= 0)[choose(candidates, method, steps).kept]
        pictures = pool.table["sha256"].drop_null().unique()
        return Preview(
            kept=[str(uid) for uid in pool.table["uid"].to_numpy()[kept].tolist()],
            images=len(pictures),
            command=command(workspace, spec),
        )

    def doubtful(self, class_id: int, question: DoubtParameters) -> Doubtful:
        """The uids of the rows that shots and marks, as they are now, leave most in doubt."""
        workspace, spec = self._explorer.workspace, self._spec(question.sample)
        with self._lock:
            drawer = self._drawer(workspace, spec).with_task_scores(workspace, DOUBTING)
            index = [entry.id for entry in drawer.task.classes].index(class_id)
            pool, candidates = self._pool(drawer, index, spec.name)
        uids = drawer.embeddings.uids[pool.rows]
        settled = np.isin(uids, list(drawer.task.marks.of(class_id)))
        images = drawer.embeddings.images.take(pool.rows)
        places = most_doubtful(certainty(candidates.scores), images, settled=settled, count=question.limit)
        return Doubtful(uids=[str(uid) for uid in uids[places].tolist()])

    def _spec(self, name: str) -> SampleSettings:
        for spec in self._explorer.workspace.settings().sample:
            if spec.name == name:
                return spec
        raise NotServedError(f"there is no sample {name!r}")

    def _files(self) -> list[Path]:
        workspace = self._explorer.workspace
        vectors = workspace.vectors_folder(model_of(workspace).slug) / "index.json"
        paths = (workspace.settings_path, workspace.classes_path(), workspace.matches_path)
        return [*paths, workspace.images_path, vectors]

    def _drawer(self, workspace: Workspace, spec: SampleSettings) -> Drawer:
        """What draws ``spec``, with the marks as they are now."""
        drawers = self._drawers.get()
        if spec.name not in drawers:
            plain = spec.model_copy(update={"method": "", "threshold": None, "rank": "T2T", "keep": []})
            drawers[spec.name] = Drawer.of(workspace, task_of(workspace, plain))
        drawer = drawers[spec.name]
        return replace(drawer, task=replace(drawer.task, marks=Marks.load(workspace))).with_confirmed()

    def _pool(self, drawer: Drawer, index: int, sample: str) -> tuple[Pool, Candidates]:
        """The pool of the class at ``index``, scored."""
        class_id = drawer.task.classes[index].id
        marks = drawer.task.marks
        shots = marks.fingerprint() if drawer.whole else tuple(marks.uids(class_id, Mark.CONFIRMED))
        pools = self._pools.get()
        key = (sample, class_id, shots, drawer.whole.scores if drawer.whole else None)
        if key not in pools:
            if len(pools) >= POOLS:
                pools.pop(next(iter(pools)))
            pool = read_pool(self._explorer.workspace, class_id, drawer.embeddings)
            pools[key] = (pool, drawer.candidates(pool, index, drawer.steps(index, pool.rows)))
        return pools[key]


def command(workspace: Workspace, spec: SampleSettings) -> str:
    """The command that draws ``spec``, under the name that follows from it."""
    words = ["captrawl", "-C", str(workspace.root), "sample", "-n", str(spec.n)]
    for name, field in SampleSettings.model_fields.items():
        value = getattr(spec, name)
        option = OPTIONS.get(name, f"--{name.replace('_', '-')}")
        if name in ("name", "n") or value == field.default:
            continue
        if name == "leak_guard":
            value = workspace.root / value
        if isinstance(value, bool):
            words.append(option)
        else:
            for each in value if isinstance(value, list) else [value]:
                words += [option, str(each)]
    return shlex.join(words)

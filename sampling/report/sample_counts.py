"""The counts of one sample, made from its NAME.parquet: kept rows, drops by reason, score histograms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...workspace.settings import SampleSettings, sample_settings
from ...workspace.workspace import Workspace
from ..auto.trials import AutoRecord
from ..files import read_sample
from ..methods import Condition, Method, Order, Score
from ..outcome import auto_of, dropped_for
from ..recipes import describe, method_of
from ..task import drawn, paths_of, sample_facts

BINS = 48


@dataclass(frozen=True, slots=True)
class Histogram:
    """Rows with a score by its value: of the whole pool, and of those kept; bin i is [edge i, edge i+1).

    The last bin holds its upper edge too. ``thresholds`` are the method's conditions on this score.
    """

    score: Score
    edges: tuple[float, ...]
    pool: tuple[int, ...]
    kept: tuple[int, ...]
    thresholds: tuple[Condition, ...]

    def shows(self, condition: Condition) -> bool:
        """Whether the condition's value lies between the first edge and the last."""
        return not condition.cut and self.edges[0] <= condition.value <= self.edges[-1]


@dataclass(frozen=True, slots=True)
class SampleCounts:
    """One sample. ``reasons``: dropped rows by reason, most first, as NAME.parquet gives them.

    ``kept_of``: kept rows by class id, classes with none left out. ``images``: distinct files kept.
    """

    name: str
    title: str
    """The method as SWAT calls it, or the order and conditions."""
    order: Order | None
    n: int
    pool: int
    kept: int
    images: int
    kept_of: dict[int, int]
    reasons: Mapping[str, int]
    histograms: tuple[Histogram, ...]
    auto: AutoRecord | None = None
    """What was tried, where auto chose it."""

    def number(self, class_id: int) -> int:
        """The images that were asked for of a class."""
        return self.auto.number(class_id) if self.auto else self.n

    @property
    def certainty(self) -> Order:
        """The score that says how certain a kept image is: the order's, T2I for a random one."""
        return self.order or Score.T2I

    @property
    def removed(self) -> dict[str, int]:
        """Dropped rows by reason, all that have no image together, most first."""
        whole: Counter[str] = Counter()
        for reason, rows in self.reasons.items():
            whole[reason.partition(":")[0]] += rows
        return dict(whole.most_common())


def count_samples(workspace: Workspace) -> tuple[SampleCounts, ...]:
    """The samples of the settings that are drawn, in their order."""
    return tuple(count_sample(workspace, spec) for spec in drawn(workspace))


def count_sample(workspace: Workspace, spec: SampleSettings) -> SampleCounts:
    """The numbers of one sample as it was drawn, whatever ``spec`` says by now; holds no text but reasons."""
    record = workspace.recorded(sample_facts(spec.name).name)
    if record and "sample" in record.details:
        spec = sample_settings(**record.details["sample"])
    method = method_of(workspace, spec, record)
    auto = auto_of(workspace, spec)
    paths = paths_of(workspace, spec.name)
    table: Any = read_sample(paths, ["class_id", "kept", *(score.column for score in Score)])
    files: Any = read_sample(paths, ["sha256"], kept=True).column("sha256")
    kept: NDArray[np.bool_] = table.column("kept").to_numpy()
    ids, numbers = np.unique(table.column("class_id").to_numpy()[kept], return_counts=True)
    return SampleCounts(
        name=spec.name,
        title=describe(spec, method),
        order=method.order,
        n=auto.n if auto else spec.n,
        pool=table.num_rows,
        kept=int(kept.sum()),
        images=len(files.unique()),
        kept_of=dict(zip(ids.tolist(), numbers.tolist(), strict=True)),
        reasons=dict(dropped_for(workspace, spec.name)),
        histograms=tuple(_histograms(table, kept, method)),
        auto=auto,
    )


def _histograms(table: Any, kept: NDArray[np.bool_], method: Method) -> list[Histogram]:
    """One of every score that any row has."""
    histograms: list[Histogram] = []
    for score in Score:
        values = table.column(score.column).to_numpy()
        present = np.isfinite(values)
        if not present.any():
            continue
        low, high = float(values[present].min()), float(values[present].max())
        edges = np.linspace(low, high if high > low else low + 1e-3, BINS + 1)
        pool, _ = np.histogram(values[present], edges)
        chosen, _ = np.histogram(values[present & kept], edges)
        conditions = tuple(c for c in method.conditions if c.score == score)
        histograms.append(
            Histogram(score, tuple(edges.tolist()), tuple(pool.tolist()), tuple(chosen.tolist()), conditions)
        )
    return histograms

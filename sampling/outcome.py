"""What became of a sample: rows kept in each class, which classes are short of n, and why a list is empty."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from ..classes.files import load_classes
from ..core.arrow import pc
from ..core.wording import counted
from ..workspace.settings import SampleSettings
from ..workspace.workspace import Workspace, read_document
from .auto.trials import AutoRecord, read_auto
from .files import sample_readable
from .methods import AUTO
from .task import drawn, paths_of, sample_facts

REMEDIES = {
    "private_address": "the images lie on private or loopback addresses: --allow-private fetches them",
    "not_asked": "their URLs were never asked for: captrawl download",
    "queued": "their URLs are still to be asked: captrawl download",
    "not_embedded": "their images have no vectors of this model: captrawl embed",
    "no_score": "a score that the method needs is missing: it needs few shots, or another method",
}
"""What to do where a sample kept nothing, by the reason of most of its rows."""
REASONS_SHOWN = 3
FAR = 0.5
NAMED, NEAR_NAMED = 100, 6
"""Classes that a line names: of those far from n, and at least of those short of it."""


@dataclass(frozen=True, slots=True)
class ClassOutcome:
    """Rows kept of one class."""

    id: int
    name: str
    kept: int
    n: int
    """Images that were asked for."""


@dataclass(frozen=True, slots=True)
class SampleOutcome:
    """A drawn sample. ``classes`` are in the class list's order; ``listing`` is the training list."""

    name: str
    listing: Path
    n: int
    """Images a class that were asked for, or that auto chose."""
    classes: tuple[ClassOutcome, ...]
    auto: str = ""
    """What auto chose and how good that is, in a line."""

    @property
    def kept(self) -> int:
        """Rows of the training list."""
        return sum(entry.kept for entry in self.classes)

    @property
    def short(self) -> tuple[ClassOutcome, ...]:
        """The classes with fewer than their n rows, those with none included."""
        return tuple(entry for entry in self.classes if entry.kept < entry.n)


def outcome_of(workspace: Workspace, spec: SampleSettings) -> SampleOutcome:
    """What the sample ``spec``, which is drawn, kept of each class."""
    paths = paths_of(workspace, spec.name)
    auto = auto_of(workspace, spec)
    kept = read_document(paths.counts, f"sample --name {spec.name}", dict[str, int])
    classes = load_classes(workspace.classes_path())
    outcomes = tuple(
        ClassOutcome(
            entry.id, entry.name, kept.get(str(entry.id), 0), auto.number(entry.id) if auto else spec.n
        )
        for entry in classes
    )
    line = auto.line({entry.id: entry.name for entry in classes}) if auto else ""
    return SampleOutcome(spec.name, paths.listing, auto.n if auto else spec.n, outcomes, line)


def auto_of(workspace: Workspace, spec: SampleSettings) -> AutoRecord | None:
    """What auto chose for the list that stands, and the trials behind it."""
    if spec.method != AUTO:
        return None
    return read_auto(paths_of(workspace, spec.name).auto, workspace.recorded(sample_facts(spec.name).name))


def outcomes(workspace: Workspace) -> list[SampleOutcome]:
    """What every sample of the settings that is drawn kept, in the settings' order."""
    return [outcome_of(workspace, spec) for spec in drawn(workspace)]


def short_text(outcome: SampleOutcome) -> str:
    """Which classes are short of n, the emptiest first, in a line; "" where none is.

    Every class without an image and every one with less than FAR of its n is named, up to NAMED of them.
    """
    short = sorted(outcome.short, key=lambda entry: (entry.kept, entry.id))
    if not short:
        return ""
    far = sum(entry.kept < FAR * entry.n for entry in short)
    most = min(max(far, NEAR_NAMED), NAMED)
    some = ", ".join(f"{entry.name} {entry.kept:,}" for entry in short[:most])
    more = f" and {len(short) - most:,} more" if len(short) > most else ""
    return (
        f"short of {outcome.n:,}: {len(short):,} of {counted(len(outcome.classes), 'class')} ({some}{more})"
    )


def why_nothing(workspace: Workspace, name: str) -> str:
    """Why the sample ``name`` kept no row and what to do, in a line."""
    reasons = dropped_for(workspace, name)
    if not reasons:
        return "no caption of the index matched a class; captrawl count --classes shows what would"
    reasons_text = ", ".join(f"{reason} {rows:,}" for reason, rows in reasons[:REASONS_SHOWN])
    causes = [reason.rpartition(": ")[2] for reason, _ in reasons]
    remedy = next(
        (REMEDIES[cause] for cause in causes if cause in REMEDIES), "captrawl report shows examples"
    )
    return f"every matched row was dropped ({reasons_text}); {remedy}"


def dropped_for(workspace: Workspace, name: str) -> Sequence[tuple[str, int]]:
    """The reasons of a sample's dropped rows, most first, as NAME.parquet has them."""
    rows: Counter[str] = Counter()
    paths = paths_of(workspace, name)
    with sample_readable(paths), pq.ParquetFile(paths.table) as source:
        for batch in source.iter_batches(1 << 18, columns=["reason"]):
            for line in pc.value_counts(batch.column(0)).to_pylist():
                rows[line["values"]] += line["counts"]
    del rows[""]
    return sorted(rows.items(), key=lambda pair: (-pair[1], pair[0]))

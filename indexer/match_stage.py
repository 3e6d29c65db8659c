"""matches.parquet: the match stage of a workspace, written class by class, resumable, in constant memory.

Each class's matches are first a file of its own under ``.matches/`` (named by what was asked, so that a
rerun after a kill asks only for the missing classes); at the end they become one file by rename.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..classes.checks import drop_shared
from ..classes.files import load_classes, save_classes
from ..classes.model import ClassEntry, ClassList
from ..classes.native import is_own
from ..classes.nested import longest
from ..core.errors import WorkspaceError
from ..core.files import atomic, digest, sweep_writes
from ..core.records import MATCH_SCHEMA, Progress, silent
from ..search.captions import CaptionIndex, absolute_location
from ..search.match import ClassCount, Scope, class_counts, count_safety, matches
from ..search.query import Filters
from ..workspace.parts import StagePart
from ..workspace.settings import Settings
from ..workspace.stages import StageFacts
from ..workspace.workspace import StageStatus, State, Workspace, readable
from .fetch.blocklist import Blocklist
from .fetch.tombstones import load_tombstones
from .opening import open_index
from .published.rank import PoolFiles, Ranking

logger = logging.getLogger(__name__)

MATCH = StageFacts(
    "match", ("matches.parquet",), ("tantivy", "elasticsearch", "pyarrow"), ("task", "captions", "match")
)

BATCH_ROWS = 1 << 15


@dataclass(frozen=True, slots=True)
class MatchTask:
    """What the match stage asks: every value that its result depends on, but the corpus."""

    classes: ClassList
    scope: Scope
    sample: int | None
    seed: int

    def inputs(self, corpus: str) -> dict[str, str]:
        """Hashes of the values read, by the name that `status` says."""
        synonyms = [[entry.id, *entry.match_phrases()] for entry in self.classes]
        prefixes = {str(entry.id): entry.prefix for entry in self.classes if entry.prefix}
        exclusions = {str(entry.id): list(entry.exclude) for entry in self.classes if entry.exclude}
        prefix, exclude = self.scope.prefix, list(self.scope.exclude)
        return {
            "synonyms": digest(synonyms),
            "prefix": digest([prefix, prefixes] if prefixes else prefix),
            "exclusions": digest([exclude, exclusions] if exclusions else exclude),
            "filters": digest(asdict(self.scope.filters)),
            "sample": digest(self.sample),
            "seed": digest(self.seed),
            "corpus": corpus,
        }


def task_of(workspace: Workspace) -> MatchTask:
    """The match task that the workspace's settings and class list describe."""
    settings = workspace.settings()
    classes = load_classes(workspace.root / settings.task.classes)
    if settings.match.shared == "drop":
        classes = drop_shared(classes)
    if settings.match.longest:
        classes = longest(classes)
    sample = None if settings.match.sample == "all" else settings.match.sample
    return MatchTask(classes, scope_of(settings), sample, settings.match.seed)


def scope_of(settings: Settings) -> Scope:
    """Prefix, exclusions and filters of a task."""
    return Scope(settings.task.prefix, tuple(settings.task.exclude), filters_of(settings))


def filters_of(settings: Settings) -> Filters:
    """[match.filters] as the query's filters."""
    return Filters.of(settings.match.filters.model_dump())


def match_part(
    workspace: Workspace, part: StagePart, *, ranking: Ranking | None = None, progress: Progress = silent
) -> dict[str, int]:
    """Fill the files of every n-th class, which the next :func:`match` finds; counts classes and rows.

    Other parts may run at the same time, on other machines too: each writes files of its own. ``ranking`` is
    that of the match which joins them, and ranks.
    """
    task = task_of(workspace)
    with workspace.locked(f"match-{part.name}"), open_index(index_location(workspace)) as index:
        parts = _parts_folder(workspace, _inputs(task, _digest_of(index), ranking))
        pools = _pools_folder(parts, ranking)
        own = replace(task, classes=tuple(_of_part(task.classes, part)))
        counts = class_counts(index, own.classes, own.scope)
        _prepare(parts, pools, own.classes)
        purged = Blocklist(tombstones=load_tombstones(workspace.root))
        _write_classes(index, own, counts, pools, progress, purged=purged)
    rows = sum(pq.read_metadata(_part(pools, entry.id)).num_rows for entry in own.classes)
    return {"classes": len(own.classes), "matches": rows}


def matched_parts(workspace: Workspace, count: int, ranking: Ranking | None = None) -> set[int]:
    """Which of ``count`` parts have all their classes' files, as the settings and the index are now."""
    task = task_of(workspace)
    with open_index(index_location(workspace)) as index:
        inputs = _inputs(task, _digest_of(index), ranking)
    pools = _pools_folder(_parts_folder(workspace, inputs), ranking)
    shares = {number: _of_part(task.classes, StagePart(number, count)) for number in range(1, count + 1)}
    return {
        number
        for number, classes in shares.items()
        if all(_part(pools, entry.id).is_file() for entry in classes)
    }


def match(
    workspace: Workspace, *, ranking: Ranking | None = None, progress: Progress = silent
) -> dict[str, int]:
    """Fill matches.parquet and the frequencies in classes.json; return the counts.

    ``ranking`` puts each class's rows in rank order and keeps the first; None: as they were sampled.
    Raises CaptionIndexError when the index can't be asked, WorkspaceError when another process matches.
    """
    task = task_of(workspace)
    settings = workspace.settings()
    with workspace.locked("match"), open_index(index_location(workspace)) as index:
        corpus = corpus_of(index)
        inputs = _inputs(task, corpus_digest(corpus, index.analyzer), ranking)
        progress("match: counting", 0, None)
        counts_of_classes = class_counts(index, task.classes, task.scope)
        queries = [
            task.scope.of(entry).query(phrases)
            for entry in task.classes
            if (phrases := entry.match_phrases())
        ]
        matching = sum(count.total for count in counts_of_classes)
        safety = count_safety(index, queries, matching)
        parts = _parts_folder(workspace, inputs)
        pools = _pools_folder(parts, ranking)
        _prepare(parts, pools, task.classes)
        files = [PoolFiles(one.id, _part(pools, one.id), _part(parts, one.id)) for one in task.classes]
        sweep_writes(workspace.matches_path, *(one.ranked for one in files))
        purged = Blocklist(tombstones=load_tombstones(workspace.root))
        _write_classes(index, task, counts_of_classes, pools, progress, purged=purged)
        if ranking:
            ranking.rank([one for one in files if not one.ranked.exists()], corpus, progress)
        rows = _join(workspace, [one.ranked for one in files])
        _save_frequencies(workspace, counts_of_classes)
        counts = {
            "classes": len(task.classes),
            "matching": matching,
            "matches": rows,
            "classes_without_a_match": sum(count.total == 0 for count in counts_of_classes),
            "unsafe_left_out": safety.left_out,
            "safety_unknown": safety.unknown,
        }
        details = {
            "index": settings.captions.index,
            "corpus": corpus,
            "sample": task.sample,
            "seed": task.seed,
            **({"rank": ranking.score, "top": ranking.top} if ranking else {}),
        }
        MATCH.record(workspace, inputs, counts, details)
        shutil.rmtree(parts.parent)
    return counts


def _inputs(task: MatchTask, corpus: str, ranking: Ranking | None) -> dict[str, str]:
    return {**task.inputs(corpus), **(ranking.inputs() if ranking else {})}


def match_status(workspace: Workspace, ranking: Ranking | None = None) -> StageStatus:
    """Whether matches.parquet is what the settings, the class list and the index would give now."""
    record = workspace.recorded(MATCH.name)
    if record is None or not workspace.matches_path.exists():
        unfinished = (workspace.root / ".matches").is_dir()
        return StageStatus(MATCH.name, State.PARTIAL, {}) if unfinished else MATCH.missing()
    if workspace.settings().captions.index:
        with open_index(index_location(workspace)) as index:
            corpus = corpus_digest(corpus_of(index), index.analyzer)
    else:  # imported matches: there is no index to compare them with
        corpus = record.inputs["corpus"]
    inputs = _inputs(task_of(workspace), corpus, ranking)
    if not ranking and "rank" in record.inputs:
        inputs["rank"] = ""
    return MATCH.compare(record, inputs)


def read_matches(workspace: Workspace, columns: Sequence[str] | None = None) -> pa.Table:
    """matches.parquet as a table; WorkspaceError where it isn't there."""
    if not workspace.matches_path.exists():
        raise WorkspaceError(
            f"{workspace.root} contains no matches.parquet; run captrawl -C {workspace.root} match first"
        )
    with readable(workspace.matches_path, MATCH.name):
        return pq.read_table(workspace.matches_path, columns=list(columns) if columns else None)


def corpus_digest(corpus: Mapping[str, str], analyzer: int) -> str:
    """A hash of an index's files (corpus_of) and, from analyzer 2, of what their captions went through."""
    return digest(corpus if analyzer == 1 else {"analyzer": analyzer, "files": corpus})


def corpus_of(index: CaptionIndex) -> dict[str, str]:
    """The fingerprint of every file in the index, by file."""
    return {file: mark.digest for file, mark in sorted(index.files().items())}


def index_location(workspace: Workspace) -> str:
    """Where the caption index is: a relative folder counts from the workspace.

    WorkspaceError where the settings name none (an imported workspace has its matches from elsewhere).
    """
    location = workspace.settings().captions.index
    if not location:
        raise WorkspaceError(
            f"{workspace.root} has no caption index; set [captions] index in captrawl.toml to match anew"
        )
    return absolute_location(location, workspace.root)


def _digest_of(index: CaptionIndex) -> str:
    return corpus_digest(corpus_of(index), index.analyzer)


def _parts_folder(workspace: Workspace, inputs: Mapping[str, str]) -> Path:
    """Where the classes' files lie until they are one; another one for other values or another index."""
    return workspace.root / ".matches" / digest(inputs)[:16]


def _pools_folder(parts: Path, ranking: Ranking | None) -> Path:
    return parts / "pools" if ranking else parts


def _of_part(classes: Sequence[ClassEntry], part: StagePart) -> Sequence[ClassEntry]:
    return classes[part.number - 1 :: part.count]


def _prepare(parts: Path, pools: Path, classes: Sequence[ClassEntry]) -> None:
    """Make the folder, remove what an earlier run with other values left, and half-written files of these."""
    _drop_other_parts(parts)
    pools.mkdir(parents=True, exist_ok=True)
    sweep_writes(*(_part(pools, entry.id) for entry in classes))


def _part(parts: Path, class_id: int) -> Path:
    return parts / f"{class_id}.parquet"


def _drop_other_parts(parts: Path) -> None:
    """Remove what an earlier run with other values left unfinished."""
    if parts.parent.is_dir():
        for other in parts.parent.iterdir():
            if other != parts:
                shutil.rmtree(other, ignore_errors=True)  # another part does the same


def _write_classes(
    index: CaptionIndex,
    task: MatchTask,
    counts_of_classes: Sequence[ClassCount],
    parts: Path,
    progress: Progress,
    *,
    purged: Blocklist,
) -> None:
    """Write every class's part that isn't there yet, without the rows that were purged."""
    every = list(zip(task.classes, counts_of_classes, strict=True))
    missing = [(entry, count) for entry, count in every if not _part(parts, entry.id).exists()]
    pools = matches(index, missing, task.scope, sample=task.sample, seed=task.seed)
    done = len(every) - len(missing)
    progress("match: classes", done, len(every))
    for number, (entry, rows) in enumerate(pools, done + 1):
        with (
            atomic(_part(parts, entry.id)) as temporary,
            pq.ParquetWriter(temporary, MATCH_SCHEMA) as writer,
        ):
            for batch in rows:
                writer.write_batch(_unpurged(batch, purged) if purged.tombstones else batch)
        pa.default_memory_pool().release_unused()
        progress("match: classes", number, len(every))


def _unpurged(batch: pa.RecordBatch, purged: Blocklist) -> pa.RecordBatch:
    """The rows of ``batch`` that have no tombstone."""
    uids: list[Any] = batch.column("uid").to_pylist()
    rows = zip(uids, batch.column("url").to_pylist(), strict=True)
    return batch.filter(pa.array([not purged.blocks_row(uid, url) for uid, url in rows], pa.bool_()))


def _join(workspace: Workspace, parts: Sequence[Path]) -> int:
    """Write the parts one after the other as matches.parquet; return its rows."""
    total = 0
    with (
        atomic(workspace.matches_path) as temporary,
        pq.ParquetWriter(temporary, MATCH_SCHEMA, compression="zstd") as writer,
    ):
        for table in _grouped(parts):
            writer.write_table(table)
            total += table.num_rows
            pa.default_memory_pool().release_unused()  # or what is freed here and there adds up
    return total


def _grouped(parts: Sequence[Path]) -> Iterator[pa.Table]:
    """The parts' rows in tables of about BATCH_ROWS, so that small classes share a row group."""
    batches: list[pa.RecordBatch] = []
    rows = 0
    for part in parts:
        with pq.ParquetFile(part) as file:
            for batch in file.iter_batches(BATCH_ROWS):
                batches.append(batch)
                rows += batch.num_rows
                if rows >= BATCH_ROWS:
                    yield pa.Table.from_batches(batches, MATCH_SCHEMA)
                    batches, rows = [], 0
    if batches:
        yield pa.Table.from_batches(batches, MATCH_SCHEMA)


def _totals(count: ClassCount, extra: Mapping[str, object]) -> dict[str, int]:
    """The totals that SWAT's metrics keep beside the frequencies, where ``extra`` has them: of one corpus."""
    totals = {"actual_freq": count.total, "freq": sum(count.synonyms.values())}
    return {key: total for key, total in totals.items() if key in extra}


def _save_frequencies(workspace: Workspace, counts_of_classes: Sequence[ClassCount]) -> None:
    """Note each matching synonym's frequency in classes.json; everything else in it stays.

    A list of another format (names.txt) is the user's, and stays as it is.
    """
    path = workspace.classes_path()
    if not is_own(path):
        return
    by_id: Mapping[int, ClassCount] = {count.id: count for count in counts_of_classes}
    entries: list[ClassEntry] = []
    for entry in load_classes(path):
        count = by_id.get(entry.id)
        frequencies = count.synonyms if count else {}
        synonyms = tuple(replace(s, frequency=frequencies.get(s.text, s.frequency)) for s in entry.synonyms)
        extra = {**entry.extra, **_totals(count, entry.extra)} if count else entry.extra
        entries.append(replace(entry, synonyms=synonyms, extra=extra))
    save_classes(tuple(entries), path)

"""What the class view shows: classes, synonyms' shares, and a class's pool with the scores of a sample."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..classes.files import load_classes
from ..classes.model import ClassEntry, ClassList
from ..core.arrow import pc
from ..core.errors import CaptrawlError
from ..indexer.match_stage import task_of
from ..sampling.files import SAMPLE_SCHEMA, read_sample
from ..sampling.filters import MEANINGS
from ..sampling.judge.answers import JudgeAnswers
from ..sampling.marks import Mark, Marks
from ..sampling.methods import Method, Score
from ..sampling.outcome import auto_of
from ..sampling.recipes import method_of
from ..sampling.task import drawn, paths_of, sample_facts
from ..search import api as explore
from ..workspace.settings import SampleSettings
from ..workspace.workspace import Workspace, readable
from .explorer import Explorer, Fresh, is_unsafe
from .files import NotServedError
from .schemas import ClassLine, ClassPage, PoolPage, PoolRow, SynonymShare

MATCHED = ["class_id", "synonym", "uid", "url", "caption", "nsfw", "punsafe"]


@dataclass(frozen=True, slots=True)
class _Tally:
    """Matches and pictures, by (class, synonym) and by class; a class's picture counts once."""

    pool: Counter[tuple[int, str]]
    images: Counter[tuple[int, str]]
    class_pool: Counter[int]
    class_images: Counter[int]


class ClassPools:
    """The classes of a server's workspace."""

    def __init__(self, explorer: Explorer) -> None:
        self._explorer = explorer
        self._tally = Fresh(
            lambda: [explorer.workspace.matches_path, explorer.workspace.images_path], self._count
        )
        self._classes = Fresh(
            lambda: [explorer.workspace.settings_path, explorer.workspace.classes_path()],
            lambda: load_classes(explorer.workspace.classes_path()),
        )

    def lines(self) -> list[ClassLine]:
        """Every class with its counts, by id."""
        tally, marks = self._tally.get(), Marks.load(self._explorer.workspace)
        return [_line(entry, tally, marks) for entry in self._classes.get()]

    def examples(self, count: int = 3) -> list[str]:
        """The names of ``count`` classes, spread over the list."""
        classes = self._classes.get()
        return [classes[len(classes) * place // count].name for place in range(min(count, len(classes)))]

    def page(self, class_id: int) -> ClassPage:
        """One class: synonyms with shares, and the samples."""
        entry, tally = self.entry(class_id), self._tally.get()
        matches = self._frequencies(entry)
        marks = Marks.load(self._explorer.workspace)
        shares = [
            SynonymShare(
                text=synonym.text,
                match=synonym.match,
                prompt=synonym.prompt,
                reason=synonym.reason,
                frequency=matches.get(synonym.text),
                pool=tally.pool[class_id, synonym.text],
                images=tally.images[class_id, synonym.text],
            )
            for synonym in entry.synonyms
        ]
        line = _line(entry, tally, marks)
        return ClassPage(**line.model_dump(), synonyms=shares, samples=self.samples())

    def _frequencies(self, entry: ClassEntry) -> Mapping[str, int]:
        """How many rows of the index contain each synonym: as the class list says, else counted now."""
        phrases = entry.match_phrases()
        stored = {one.text: one.frequency for one in entry.synonyms if one.frequency is not None}
        if stored.keys() >= set(phrases) or not phrases:
            return stored
        scope = task_of(self._explorer.workspace).scope.of(entry)
        return explore.frequencies(self._explorer.captions, scope.query(phrases)).synonyms

    def entry(self, class_id: int) -> ClassEntry:
        """The class with this id; NotServedError where there is none."""
        classes: ClassList = self._classes.get()
        for entry in classes:
            if entry.id == class_id:
                return entry
        raise NotServedError(f"there is no class {class_id}")

    def missing(self, class_id: int, uids: Iterable[int]) -> list[int]:
        """Those of ``uids`` that no row of the class's pool has."""
        pool = set(_matches(self._explorer.workspace, class_id)["uid"].to_pylist())
        return [uid for uid in uids if uid not in pool]

    def is_stale(self, sample: str, marks: Marks) -> bool:
        """Whether ``sample`` was drawn with other marks than ``marks``."""
        record = self._explorer.workspace.recorded(sample_facts(sample).name)
        return record is not None and record.inputs.get("marks", "") != marks.fingerprint()

    def samples(self) -> list[str]:
        """The samples that are there, in the settings' order."""
        return [spec.name for spec in drawn(self._explorer.workspace)]

    def pool(self, class_id: int, sample: str, offset: int, limit: int) -> PoolPage:
        """Part of a class's pool with the scores of ``sample`` ("": without scores, before any sample)."""
        self.entry(class_id)
        workspace = self._explorer.workspace
        if sample and sample not in self.samples():
            raise NotServedError(f"there is no sample {sample!r}")
        matches = _matches(workspace, class_id)
        table = _sampled(workspace, class_id, sample) if sample else self._unsampled(matches)
        marks = Marks.load(workspace).of(class_id)
        answers = JudgeAnswers(workspace, self._classes.get())
        unsafe = {
            uid: is_unsafe(nsfw, punsafe)
            for uid, nsfw, punsafe in zip(
                *(matches[name].to_pylist() for name in ("uid", "nsfw", "punsafe")), strict=True
            )
        }
        rows = [
            _pool_row(
                row,
                marks.get(row["uid"]),
                answers[class_id, row["sha256"]].words if (class_id, row["sha256"]) in answers else None,
                unsafe=unsafe.get(row["uid"], False),
            )
            for row in table.slice(offset, limit).to_pylist()
        ]
        if not sample:
            return PoolPage(total=table.num_rows, rows=rows, method="", rank="", keep=[], n=0, stale=False)
        spec = next(spec for spec in workspace.settings().sample if spec.name == sample)
        method, auto = _method(workspace, spec), auto_of(workspace, spec)
        return PoolPage(
            total=table.num_rows,
            rows=rows,
            method=str(method) if method else spec.method,
            rank=str(method.order or "Random") if method else "T2T",
            keep=[str(condition) for condition in method.conditions] if method else [],
            n=auto.number(class_id) if auto else spec.n,
            stale=self.is_stale(sample, Marks.load(workspace)),
        )

    def _unsampled(self, matches: pa.Table) -> pa.Table:
        pictures = self._explorer.pictures()
        size = matches.num_rows
        hashes = [pictures.sha256_of(url) for url in matches["url"].to_pylist()]
        columns: dict[str, Any] = {
            **{name: matches[name] for name in ("class_id", "uid", "url", "caption", "synonym")},
            "sha256": pa.array(hashes, pa.string()),
            "kept": pa.array([False] * size, pa.bool_()),
            "reason": pa.array(["no sample yet"] * size, pa.string()),
        }
        missing = {field.name: pa.nulls(size, field.type) for field in SAMPLE_SCHEMA}
        return pa.table({**missing, **columns}).select(SAMPLE_SCHEMA.names)

    def _count(self) -> _Tally:
        tally = _Tally(Counter(), Counter(), Counter(), Counter())
        path = self._explorer.workspace.matches_path
        if not path.exists():
            return tally
        pictures = self._explorer.pictures()
        with_pictures: list[pa.Table] = []
        with readable(path, "match"), pq.ParquetFile(path) as source:
            for batch in source.iter_batches(1 << 20, columns=["class_id", "synonym", "url"]):
                rows = pa.Table.from_batches([batch])
                for class_id, synonym, count in _grouped(rows, ["class_id", "synonym"]):
                    tally.pool[class_id, synonym] += count
                    tally.class_pool[class_id] += count
                rows = rows.set_column(2, "picture", pictures.numbers_of(rows["url"]))
                some = rows.filter(pc.is_valid(rows["picture"]))
                with_pictures.append(some.group_by(some.column_names).aggregate([]))
        if not with_pictures:
            return tally
        distinct = pa.concat_tables(with_pictures).group_by(["class_id", "synonym", "picture"]).aggregate([])
        for class_id, synonym, count in _grouped(distinct, ["class_id", "synonym"]):
            tally.images[class_id, synonym] = count
        for class_id, count in _grouped(
            distinct.group_by(["class_id", "picture"]).aggregate([]), ["class_id"]
        ):
            tally.class_images[class_id] = count
        return tally


def _grouped(table: pa.Table, keys: list[str]) -> list[tuple[Any, ...]]:
    """The distinct values of ``keys``, each with its number of rows."""
    counts = table.group_by(keys).aggregate([([], "count_all")])
    return list(zip(*(counts[name].to_pylist() for name in [*keys, "count_all"]), strict=True))


def _line(entry: ClassEntry, tally: _Tally, marks: Marks) -> ClassLine:
    return ClassLine(
        id=str(entry.id),
        name=entry.name,
        pool=tally.class_pool[entry.id],
        images=tally.class_images[entry.id],
        confirmed=len(marks.uids(entry.id, Mark.CONFIRMED)),
        rejected=len(marks.uids(entry.id, Mark.REJECTED)),
    )


def _matches(workspace: Workspace, class_id: int) -> pa.Table:
    if not workspace.matches_path.exists():
        return pa.table({name: [] for name in MATCHED})
    of_class = pc.field("class_id") == class_id
    with readable(workspace.matches_path, "match"):
        return pq.read_table(workspace.matches_path, columns=MATCHED, filters=of_class)


def _sampled(workspace: Workspace, class_id: int, sample: str) -> pa.Table:
    return read_sample(paths_of(workspace, sample), class_id=class_id)


def _method(workspace: Workspace, spec: SampleSettings) -> Method | None:
    """The method that the sample was drawn by; None where the settings name none."""
    try:
        return method_of(workspace, spec, workspace.recorded(sample_facts(spec.name).name))
    except CaptrawlError:
        return None


def _pool_row(row: dict[str, Any], mark: Mark | None, judged: str | None, *, unsafe: bool) -> PoolRow:
    return PoolRow(
        uid=str(row["uid"]),
        url=row["url"],
        caption=row["caption"],
        synonym=row["synonym"],
        sha256=row["sha256"],
        scores=[row[score.column] for score in Score],
        kept=row["kept"],
        rank=row["rank"],
        reason=row["reason"],
        meaning=MEANINGS.get(row["reason"].partition(":")[0], row["reason"]),
        unsafe=unsafe,
        mark=mark.value if mark else None,
        judged=judged,
    )

"""What the class view shows: classes, synonyms' shares, and a class's pool with the scores of a sample."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..classes.files import load_classes
from ..classes.model import ClassEntry, ClassList
from ..core.arrow import pc
from ..core.errors import CaptrawlError
from ..sampling.files import SAMPLE_SCHEMA
from ..sampling.filters import MEANINGS
from ..sampling.marks import Mark, Marks
from ..sampling.methods import Score, resolve
from ..sampling.task import paths_of, sample_facts, thresholds_of
from ..workspace.settings import SampleSettings
from ..workspace.workspace import Workspace
from .explorer import Explorer, Fresh, is_unsafe
from .files import NotServedError
from .schemas import ClassLine, ClassPage, PoolPage, PoolRow, SynonymShare

MATCHED = ["class_id", "synonym", "uid", "url", "caption", "nsfw", "punsafe"]


@dataclass(frozen=True, slots=True)
class _Tally:
    """Matches, and matches with an image, by (class, synonym)."""

    pool: Counter[tuple[int, str]]
    images: Counter[tuple[int, str]]


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
        pool, images = _by_class(tally.pool), _by_class(tally.images)
        return [_line(entry, pool[entry.id], images[entry.id], marks) for entry in self._classes.get()]

    def page(self, class_id: int) -> ClassPage:
        """One class: synonyms with shares, and the samples."""
        entry, tally = self.entry(class_id), self._tally.get()
        marks = Marks.load(self._explorer.workspace)
        shares = [
            SynonymShare(
                text=synonym.text,
                match=synonym.match,
                prompt=synonym.prompt,
                reason=synonym.reason,
                frequency=synonym.frequency,
                pool=tally.pool[class_id, synonym.text],
                images=tally.images[class_id, synonym.text],
            )
            for synonym in entry.synonyms
        ]
        pool, images = _by_class(tally.pool)[class_id], _by_class(tally.images)[class_id]
        line = _line(entry, pool, images, marks)
        return ClassPage(**line.model_dump(), synonyms=shares, samples=self.samples())

    def entry(self, class_id: int) -> ClassEntry:
        """The class with this id; NotServedError where there is none."""
        classes: ClassList = self._classes.get()
        for entry in classes:
            if entry.id == class_id:
                return entry
        raise NotServedError(f"there is no class {class_id}")

    def holds(self, class_id: int, uid: int) -> bool:
        """Whether the class's pool has a row with this uid."""
        return bool(pc.any(pc.equal(_matches(self._explorer.workspace, class_id)["uid"], uid)).as_py())

    def samples(self) -> list[str]:
        """The samples that are there, in the settings' order."""
        workspace = self._explorer.workspace
        names = [spec.name for spec in workspace.settings().sample]
        return [name for name in names if paths_of(workspace, name).table.exists()]

    def pool(self, class_id: int, sample: str, offset: int, limit: int) -> PoolPage:
        """Part of a class's pool with the scores of ``sample`` ("": without scores, before any sample)."""
        self.entry(class_id)
        workspace = self._explorer.workspace
        if sample and sample not in self.samples():
            raise NotServedError(f"there is no sample {sample!r}")
        matches = _matches(workspace, class_id)
        table = _sampled(workspace, class_id, sample) if sample else self._unsampled(matches)
        marks = Marks.load(workspace).of(class_id)
        unsafe = {
            uid: is_unsafe(nsfw, punsafe)
            for uid, nsfw, punsafe in zip(
                *(matches[name].to_pylist() for name in ("uid", "nsfw", "punsafe")), strict=True
            )
        }
        rows = [
            _pool_row(row, unsafe.get(row["uid"], False), marks.get(row["uid"]))
            for row in table.slice(offset, limit).to_pylist()
        ]
        method, stale = _method(workspace, sample) if sample else ("", False)
        return PoolPage(total=table.num_rows, rows=rows, method=method, stale=stale)

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
        path = self._explorer.workspace.matches_path
        tally = _Tally(Counter(), Counter())
        if not path.exists():
            return tally
        urls = self._explorer.pictures().urls
        with pq.ParquetFile(path) as source:
            for batch in source.iter_batches(1 << 17, columns=["class_id", "synonym", "url"]):
                table = pa.Table.from_batches([batch])
                with_image = pc.is_in(table["url"], value_set=urls)
                for counter, rows in ((tally.pool, table), (tally.images, table.filter(with_image))):
                    grouped = rows.group_by(["class_id", "synonym"]).aggregate([([], "count_all")])
                    for line in grouped.to_pylist():
                        counter[line["class_id"], line["synonym"]] += line["count_all"]
        return tally


def _by_class(counts: Counter[tuple[int, str]]) -> Counter[int]:
    summed: Counter[int] = Counter()
    for (class_id, _), count in counts.items():
        summed[class_id] += count
    return summed


def _line(entry: ClassEntry, pool: int, images: int, marks: Marks) -> ClassLine:
    return ClassLine(
        id=str(entry.id),
        name=entry.name,
        pool=pool,
        images=images,
        confirmed=len(marks.uids(entry.id, Mark.CONFIRMED)),
        rejected=len(marks.uids(entry.id, Mark.REJECTED)),
    )


def _matches(workspace: Workspace, class_id: int) -> pa.Table:
    if not workspace.matches_path.exists():
        return pa.table({name: [] for name in MATCHED})
    of_class = pc.field("class_id") == class_id
    return pq.read_table(workspace.matches_path, columns=MATCHED, filters=of_class)


def _sampled(workspace: Workspace, class_id: int, sample: str) -> pa.Table:
    table = paths_of(workspace, sample).table
    return pq.read_table(table, filters=pc.field("class_id") == class_id)


def _method(workspace: Workspace, sample: str) -> tuple[str, bool]:
    """The sample's method in words, and whether the marks changed since it was drawn."""
    spec = next(spec for spec in workspace.settings().sample if spec.name == sample)
    record = workspace.recorded(sample_facts(spec.name).name)
    stale = record is not None and record.inputs.get("marks", "") != Marks.load(workspace).fingerprint()
    return _method_text(workspace, spec), stale


def _method_text(workspace: Workspace, spec: SampleSettings) -> str:
    try:
        return str(resolve(spec, thresholds_of(workspace.settings().task.dataset)))
    except CaptrawlError:
        return spec.method


def _pool_row(row: dict[str, Any], unsafe: bool, mark: Mark | None) -> PoolRow:
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
    )

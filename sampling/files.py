"""The files of a sample: NAME.txt and its companions in SWAT's formats, and NAME.parquet with everything.

What is written here is read back here; ``path label flag`` lists of others (few shots, test sets) too.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..core.errors import InputError, WorkspaceError
from ..core.files import atomic, sweep_writes
from ..workspace.workspace import readable
from .filters import DropReason
from .methods import Method, Order, Score

SAMPLE_SCHEMA = pa.schema(
    [
        pa.field("class_id", pa.int64(), nullable=False),
        pa.field("uid", pa.int64(), nullable=False),
        pa.field("url", pa.string()),
        pa.field("caption", pa.string()),
        pa.field("synonym", pa.string(), nullable=False),
        pa.field("path", pa.string()),  # relative to the workspace
        pa.field("sha256", pa.string()),
        *(pa.field(score.column, pa.float64()) for score in Score),
        pa.field("blend", pa.float64()),  # the value of an order of several scores
        pa.field("kept", pa.bool_(), nullable=False),
        pa.field("rank", pa.int32()),  # from 1 within its class; NULL where dropped
        pa.field("reason", pa.string(), nullable=False),  # of a drop; "" where kept
    ]
)
"""NAME.parquet: every row of every pool; the kept ones first, by class and rank, then the others by class."""

GROUP_ROWS = 1 << 16
NO_CAPTION = "N.A."  # as SWAT writes it


@dataclass(frozen=True, slots=True)
class Listed:
    """A line of a ``path label flag`` list; flag 0 = retrieved, 1 = few-shot."""

    path: str
    label: int
    flag: int
    line: int


def read_list(path: Path) -> list[Listed]:
    """The lines of a ``path label [flag]`` list (flag 0 where missing), empty lines skipped.

    Label and flag are the last words, so with both a path may hold blanks. InputError names file and line.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} can't be read as a list of `path label flag` lines: {error}") from error
    return [_listed(path, number, line) for number, line in enumerate(lines, start=1) if line.strip()]


def _listed(path: Path, number: int, line: str) -> Listed:
    words = line.strip().rsplit(maxsplit=2)
    numbers = [word for word in words[1:] if word.removeprefix("-").isdecimal()]
    if len(words) == 3 and len(numbers) == 2:
        return Listed(words[0], int(words[1]), int(words[2]), number)
    if len(words) == 2 and len(numbers) == 1:
        return Listed(words[0], int(words[1]), 0, number)
    raise InputError(
        f"{path}:{number}: {line.strip()!r:.120} isn't `path label flag`, such as birds/1.jpg 0 1"
    )


@dataclass(frozen=True, slots=True)
class SamplePaths:
    """Where the files of one sample lie."""

    folder: Path
    name: str

    @property
    def table(self) -> Path:
        return self.folder / f"{self.name}.parquet"

    @property
    def listing(self) -> Path:
        return self.folder / f"{self.name}.txt"

    @property
    def counts(self) -> Path:
        return self.folder / f"{self.name}_num_imgs_sampled.json"

    @property
    def sampled(self) -> Path:
        return self.folder / f"{self.name}_sampled_list.txt"

    @property
    def filtered(self) -> Path:
        return self.folder / f"{self.name}_filtered_list.txt"

    @property
    def auto(self) -> Path:
        """The table that led to the method, where it was chosen (`--method auto`)."""
        return self.folder / f"{self.name}_auto.json"

    def all(self) -> tuple[Path, ...]:
        """Every file that each sample has."""
        return (self.table, self.listing, self.counts, self.sampled, self.filtered)


def read_sample(
    paths: SamplePaths,
    columns: Sequence[str] | None = None,
    *,
    kept: bool = False,
    class_id: int | None = None,
) -> pa.Table:
    """NAME.parquet (SAMPLE_SCHEMA, or ``columns`` of it); ``kept``: only the rows of the training list.

    WorkspaceError where it isn't there, or is damaged.
    """
    if not paths.table.exists():
        raise WorkspaceError(
            f"there is no sample {paths.name!r} ({paths.table} is missing); make it with captrawl sample "
            f"--name {paths.name}"
        )
    filters = pc.field("kept") if kept else None
    if class_id is not None:
        of_class = pc.field("class_id") == class_id
        filters = of_class if filters is None else filters & of_class
    with sample_readable(paths):
        names = list(columns) if columns else None  # those of later scores are NULL in an older table
        return pq.read_table(paths.table, columns=names, filters=filters, schema=SAMPLE_SCHEMA)


def sample_readable(paths: SamplePaths) -> contextlib.AbstractContextManager[None]:
    """Name the sample where its table turns out damaged within the block."""
    return readable(paths.table, f"sample --name {paths.name}")


def listed_classes(paths: SamplePaths) -> tuple[list[int], list[int]]:
    """The class of each line of NAME_sampled_list.txt and of NAME_filtered_list.txt."""
    rows = read_sample(paths, ["class_id", "path", "kept", "reason"])
    kept = rows.column("kept")
    judged = rows.filter(pc.and_not(_is_judged(rows), kept))
    sampled: Any = rows.filter(kept).column("class_id").to_pylist()
    filtered: Any = judged.column("class_id").to_pylist()
    return sampled, filtered


class SampleWriter:
    """Writes a sample class by class, ascending, in memory bound by one class and a row group.

    The files appear under their names together, at the end of :func:`writing`.
    """

    def __init__(self, files: dict[str, Any], *, root: Path, method: Method) -> None:
        self._kept: Buffered = files["kept"]
        self._dropped: Buffered = files["dropped"]
        self._listing: TextIO = files["listing"]
        self._sampled = Lines(files["sampled"])
        self._filtered = Lines(files["filtered"])
        self._root = root
        self._shown = shown_scores(method)
        self.counts: dict[str, int] = {}
        """{"class": kept images}, in SWAT's form."""

    def add(self, class_id: int, kept: pa.Table, dropped: pa.Table) -> None:
        """Add a class: its kept rows in rank order and the others (SAMPLE_SCHEMA both)."""
        self.counts[str(class_id)] = kept.num_rows
        self._kept.add(kept)
        self._dropped.add(dropped)
        for path in kept.column("path").to_pylist():
            self._listing.write(f"{self._root}/{path} {class_id} 0\n")
        self._write_scored(self._sampled, kept)
        judged = dropped.filter(_is_judged(dropped))
        order = self._shown[0][0]
        if order is not None and judged.num_rows:
            judged = judged.sort_by([(order.column, "descending")])
        self._write_scored(self._filtered, judged)

    def _write_scored(self, lines: Lines, rows: pa.Table) -> None:
        """Lines ``score/threshold[, score/threshold], path, caption``."""
        texts: list[list[str]] = []
        for score, threshold in self._shown:
            values = [1.0] * rows.num_rows if score is None else rows.column(score.column).to_pylist()
            texts.append([f"{'nan' if v is None else round(v, 4)}/{threshold}" for v in values])
        paths = [f"{self._root}/{path}" for path in rows.column("path").to_pylist()]
        captions = [
            NO_CAPTION if caption is None else " ".join(caption.splitlines())
            for caption in rows.column("caption").to_pylist()
        ]
        for words in zip(*texts, paths, captions, strict=True):
            lines.add(", ".join(words))


def shown_scores(method: Method) -> list[tuple[Order | None, float | str]]:
    """The orders and thresholds of the scored lists: the order's, then each other condition's.

    As SWAT shows them: an order without a threshold of its own has 0.0; plain Random has a score of 1.0.
    """
    limits = [(c.score, c.limit if c.cut else float(c.value)) for c in method.conditions]
    others = [(score, limit) for score, limit in limits if score != method.order]
    if method.order is not None:
        own = [limit for score, limit in limits if score == method.order]
        return [(method.order, own[0] if own else 0.0), *others]
    return [*others] or [(None, 0.0)]


def _is_judged(rows: pa.Table) -> pa.BooleanArray:
    """Which dropped rows had an image and a place before the list was full."""
    unjudged = pa.array([DropReason.NOT_EMBEDDED, DropReason.BLANK_IN_PATH, DropReason.BEYOND_N], pa.string())
    passed_over = pc.is_in(rows.column("reason"), value_set=unjudged)
    return pc.and_not(pc.is_valid(rows.column("path")), passed_over)


@contextlib.contextmanager
def writing(paths: SamplePaths, *, root: Path, method: Method) -> Generator[SampleWriter]:
    """A writer of the sample at ``paths``; its files are renamed into place when the block ends well.

    ``root`` is the workspace's absolute path, which the text lists put before every image's. The caller
    holds the sample's lock.
    """
    sweep_writes(*paths.all(), paths.auto)
    with contextlib.ExitStack() as stack:
        table, listing, counts, sampled, filtered = (
            stack.enter_context(atomic(path)) for path in paths.all()
        )
        aside = table.with_suffix(".dropped")
        stack.callback(aside.unlink, missing_ok=True)
        with contextlib.ExitStack() as files:
            texts = {
                name: files.enter_context(path.open("w", encoding="utf-8", newline="\n"))
                for name, path in (("listing", listing), ("sampled", sampled), ("filtered", filtered))
            }
            kept = files.enter_context(contextlib.closing(Buffered(table)))
            dropped = Buffered(aside)
            with contextlib.closing(dropped):
                writer = SampleWriter({"kept": kept, "dropped": dropped, **texts}, root=root, method=method)
                yield writer
            with pq.ParquetFile(aside) as source:
                for batch in source.iter_batches(GROUP_ROWS):
                    kept.add(pa.Table.from_batches([batch], SAMPLE_SCHEMA))
        counts.write_text(json.dumps(writer.counts, indent=4), encoding="utf-8")


class Lines:
    """Lines joined by newlines, none after the last: as SWAT writes its scored lists."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._first = True

    def add(self, line: str) -> None:
        """Write one line."""
        self._file.write(line if self._first else f"\n{line}")
        self._first = False


class Buffered:
    """A Parquet file of SAMPLE_SCHEMA, in row groups of about GROUP_ROWS whatever the pieces."""

    def __init__(self, path: Path) -> None:
        self._writer = pq.ParquetWriter(path, SAMPLE_SCHEMA, compression="zstd")
        self._pieces: list[pa.Table] = []
        self._rows = 0

    def add(self, rows: pa.Table) -> None:
        """Append ``rows``."""
        self._pieces.append(rows)
        self._rows += rows.num_rows
        if self._rows >= GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(pa.concat_tables(self._pieces), row_group_size=GROUP_ROWS)
        self._pieces, self._rows = [], 0

    def close(self) -> None:
        """Write what is buffered and the footer."""
        self._flush()
        self._writer.close()

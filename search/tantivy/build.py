"""Groups on their way into an embedded caption index: staged, built part by part, committed as one.

    with staged(root, files) as staging:                      # IndexBusyError: another process builds it
        build_part(staging.folder, 0, [(file, batches), …])   # in any process, in any order
        build_part(staging.folder, 1, …)                      # cuts of a huge file, or other files
        staging.commit(parts=2)                               # all its rows are in, or none

A part that is built stays built: after a kill, staging the same files again finds it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import shutil
import uuid
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import tantivy

from ...core.analyzers import Analyzer
from ...core.errors import CaptionIndexError, CorpusError, IndexBusyError
from ...core.files import digest, sweep, write_json
from ...core.records import CorpusFile
from .folder import (
    ROWS,
    STRIDE,
    IndexedFile,
    analyzer_of,
    commit_group,
    committing,
    discard,
    format_of,
    read_groups,
    sweep_group,
)
from .query import SCHEMA
from .row_blocks import FORMATS, BlockFormat
from .row_store import RowWriter
from .schema import documents, optional_columns, positions_of

logger = logging.getLogger(__name__)

HEAP_BYTES = 256_000_000
"""What a writer may hold before it writes a segment: about a million rows, so few segments are merged."""

Contents = Iterable[tuple[CorpusFile, Iterable[pa.RecordBatch]]]


@dataclass(frozen=True, slots=True)
class Staging:
    """A group that this process may build and commit; ``files`` are sorted bytewise."""

    root: Path
    folder: Path
    files: tuple[CorpusFile, ...]

    def built(self, number: int) -> dict[str, int]:
        """The rows of each file in part ``number``, none where it isn't built."""
        return _finished(self.folder / part_name(number)) or {}

    def commit(self, *, parts: int, replace: bool = False) -> int:
        """Take the rows of parts 0 to ``parts`` - 1 in as one, and return how many they are.

        0 where another process was faster. CaptionIndexError where a file is in otherwise, unless
        ``replace``; CorpusError where a file gave another number of rows than its fingerprint says.
        """
        names = [part_name(number) for number in range(parts)]
        counts = [self.built(number) for number in range(parts)]
        files = [
            IndexedFile(f.file, f.fingerprint, sum(c.get(f.file, 0) for c in counts), f) for f in self.files
        ]
        for file, indexed_file in zip(self.files, files, strict=True):
            if 0 <= file.fingerprint.rows != indexed_file.rows:
                raise CorpusError(
                    f"{file.path} gave {indexed_file.rows} rows instead of {file.fingerprint.rows}; "
                    "it changed while it was read: index it again"
                )
        committed = commit_group(self.root, self.folder, files, names, replace_files=replace)
        return sum(indexed_file.rows for indexed_file in files) if committed else 0


@contextlib.contextmanager
def staged(root: Path, files: Sequence[CorpusFile], *, plan: str = "") -> Generator[Staging]:
    """A place to build a group of ``files`` in; what isn't committed at the end waits for another try.

    ``plan`` says how the files are cut into parts: finished parts are only found again under the same plan.
    IndexBusyError where another process is building the same.
    """
    files_in_order = tuple(sorted(files, key=lambda file: file.file))
    marks = [(f.file, f.fingerprint.rows, f.fingerprint.size, f.fingerprint.digest) for f in files_in_order]
    name = digest([plan, marks])[:20]
    folder = root / "building" / name
    lock = folder.with_name(f"{name}.lock")
    with contextlib.ExitStack() as stack:
        with committing(root):
            folder.mkdir(parents=True, exist_ok=True)
            handle = stack.enter_context(lock.open("a"))
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise IndexBusyError(
                    f"another process is indexing {files_in_order[0].file} into {root}; wait for it, "
                    "or stop it"
                ) from error
            if not (folder / "files.json").exists():
                write_json(folder / "files.json", [file.file for file in files_in_order])
        try:
            yield Staging(root, folder, files_in_order)
        finally:
            with committing(root):
                if folder.exists() and not any(map(_finished, folder.glob("part-?????"))):
                    discard(root, folder)
                if not folder.exists():
                    lock.unlink(missing_ok=True)


def build_part(folder: Path, number: int, contents: Contents) -> int:
    """Build part ``number`` of the group staged at ``folder``, or find it built, and return its rows.

    ``contents`` are files of the group, each with (some of) its rows; it isn't read where the part is built.
    An error in it, or a kill, leaves no part.
    """
    target = folder / part_name(number)
    rows_of_file = _finished(target)
    if rows_of_file is None:
        ordinals: dict[str, int] = {
            file: at for at, file in enumerate(json.loads(_text(folder / "files.json")))
        }
        temporary = folder / f".{target.name}-{uuid.uuid4().hex}"
        try:
            root = folder.parents[1]
            rows_of_file = _write(
                temporary, ordinals, contents, analyzer=analyzer_of(root), form=FORMATS.get(format_of(root))
            )
            temporary.rename(target)
        except (ValueError, OSError) as error:
            raise CaptionIndexError(f"writing {folder} failed: {error}; is the disk full?") from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return sum(rows_of_file.values())


def sweep_index(root: Path) -> None:
    """Delete what killed builds left behind, other than builds that are still running."""
    with committing(root):
        for group in read_groups(root):
            sweep_group(group.folder, group.parts)
        sweep(root, shared=True)
        sweep(root / "groups")
        building = root / "building"
        for entry in building.iterdir() if building.exists() else ():
            if entry.name.startswith("trash-"):
                shutil.rmtree(entry, ignore_errors=True)
            elif entry.suffix == ".lock":
                with entry.open("a") as handle, contextlib.suppress(BlockingIOError):
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(entry.with_suffix(""), ignore_errors=True)
                    entry.unlink()


def _write(
    folder: Path,
    ordinals: dict[str, int],
    contents: Contents,
    *,
    analyzer: Analyzer,
    form: BlockFormat | None,
) -> dict[str, int]:
    """A sub-index of ``contents`` at ``folder``, durably; the rows of each file."""
    folder.mkdir()
    index = _empty_index(folder)
    index.register_tokenizer("captrawl", analyzer.tokenizer)
    writer = index.writer(HEAP_BYTES, num_threads=1)
    rows: dict[str, int] = {}
    columns: set[str] = set()
    starts: list[int] = []
    with RowWriter(folder / ROWS, form) if form else contextlib.nullcontext() as values:
        for file, batches in contents:
            rows.setdefault(file.file, 0)
            for batch in batches:
                positions = positions_of(batch, ordinals[file.file])
                if values:
                    values.add(positions, batch)
                else:
                    starts += positions[::STRIDE].tolist()
                optional = optional_columns(batch, file.file)
                words = analyzer.native_column(batch.column("caption"))
                for document in documents(batch, words, positions, optional):
                    writer.add_document(document)
                columns.update(optional)
                rows[file.file] += batch.num_rows
    writer.commit()
    writer.wait_merging_threads()
    mark = {"files": rows, "columns": sorted(columns)}
    write_json(folder / "part.json", mark if form else {**mark, "starts": sorted(starts)})
    for private in ("meta.json", ".managed.json"):  # tantivy lets only their owner read them
        shutil.copymode(folder / "part.json", folder / private)
    return rows


def _empty_index(folder: Path) -> tantivy.Index:
    """A new sub-index. Its tags have no field norms: a byte a row, by which nothing is scored."""
    tantivy.Index(SCHEMA, str(folder))
    meta = folder / "meta.json"  # tantivy-py's schemas can't say it, those in its files can
    values: dict[str, Any] = json.loads(_text(meta))
    (tags,) = (field for field in values["schema"] if field["name"] == "tags")
    tags["options"]["indexing"]["fieldnorms"] = False
    write_json(meta, values)
    return tantivy.Index.open(str(folder))


def _finished(part: Path) -> dict[str, int] | None:
    """The rows of each file in a finished part; None where there is none."""
    mark = part / "part.json"
    return json.loads(_text(mark))["files"] if mark.exists() else None


def part_name(number: int) -> str:
    """The folder of a part in its group's."""
    return f"part-{number:05}"


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")

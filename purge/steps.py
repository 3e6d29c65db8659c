"""What a purge does to each kind of artefact, in order. Every step can be killed and done again."""

from __future__ import annotations

import re
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..core.arrow import pc
from ..core.errors import WorkspaceError
from ..core.files import atomic, digest, read_json, sweep, write_json
from ..core.records import SHARD
from ..indexer.download.session import PLAN
from ..indexer.embed.faiss_index import misfit
from ..indexer.fetch.sites import site_of
from ..indexer.fetch.tombstones import add_tombstones
from ..indexer.ledger import Ledger
from ..indexer.match_stage import index_location
from ..indexer.opening import open_index
from ..sampling.copies.stored import hash_shards, hashes_folder
from ..sampling.export.formats import EXPORTED
from ..sampling.files import SamplePaths
from ..sampling.judge.answers import forget as forget_answers
from ..sampling.marks import Marks, set_marks
from ..sampling.shots import PIXELS_VERSION
from ..sampling.vector_cache import forget
from ..search.match import file_of_row
from ..search.vectors.store import Embeddings, count_shards, shard_paths
from ..workspace.workspace import Workspace
from .residue import Residue
from .tables import Ranks, doomed_rows, drop_rows
from .targets import Doomed

Step = Callable[[Workspace, Doomed], int]
"""Removes what is doomed from one kind of artefact, and returns how many things that were."""

_PACKED = re.compile(r"images/\d{5,}/\d+\.\w+")
_INDICES = ("index.json", "images.faiss", "captions.faiss")


def tombstones(workspace: Workspace, doomed: Doomed) -> int:
    """Nothing of it is fetched, adopted or matched from now on."""
    lines = doomed.tombstones()
    add_tombstones(workspace.root, lines)
    return len(lines)


def spool(workspace: Workspace, doomed: Doomed) -> int:
    """Bytes that wait to be packed, what a killed packing left, and what archives were said to have."""
    folder = workspace.images_folder / "spool"
    shutil.rmtree(workspace.images_folder / "members", ignore_errors=True)  # made anew when needed
    shutil.rmtree(workspace.images_folder / ".tmp", ignore_errors=True)
    removed = 0
    for file in sorted(folder.iterdir()) if folder.is_dir() else ():
        if file.name in doomed.hashes or file.suffix == ".part":
            file.unlink(missing_ok=True)
            removed += 1
    return removed


def images(workspace: Workspace, doomed: Doomed) -> int:
    """Packed pictures, and their lines in the tables beside them."""
    folders = sorted({(workspace.root / path).parent for path in doomed.paths})
    removed = 0
    for path in sorted(doomed.paths):
        file = workspace.root / path
        removed += file.is_file()
        file.unlink(missing_ok=True)
    for folder in folders:
        drop_rows(folder / SHARD, doomed)
        if folder.is_dir() and {entry.name for entry in folder.iterdir()} <= {SHARD}:
            shutil.rmtree(folder)
    workspace.rehash()
    return removed


def ledger(workspace: Workspace, doomed: Doomed) -> int:
    """The ledger's rows, and images.parquet made of it."""
    if not workspace.ledger_path.is_file():
        return 0
    with Ledger(workspace.ledger_path) as opened:
        removed = opened.erase(doomed.urls, doomed.hashes, set(map(site_of, doomed.urls)))
        if workspace.images_path.is_file():
            opened.export(workspace.images_path)
    return removed


def matches(workspace: Workspace, doomed: Doomed) -> int:
    """matches.parquet, what an unfinished match left, and the list for other downloaders."""
    shutil.rmtree(workspace.root / ".matches", ignore_errors=True)
    drop_rows(workspace.root / PLAN, doomed)
    return drop_rows(workspace.matches_path, doomed)


def embeddings(workspace: Workspace, doomed: Doomed) -> int:
    """The vectors of every model, and its list of undecodable pictures."""
    removed = 0
    for folder in _models(workspace, "embeddings"):
        drop_rows(folder / "failed.parquet", doomed)
        for shard in range(count_shards(folder)):
            *arrays, metadata = shard_paths(folder, shard)
            removed += _drop_vectors(arrays, metadata, doomed)
    return removed


def picture_hashes(workspace: Workspace, doomed: Doomed) -> int:
    """The perceptual hashes of the pictures."""
    folder = hashes_folder(workspace)
    removed = sum(forget(store, doomed.hashes) for store in folder.glob("*.npz"))
    return removed + sum(_drop_vectors([array], table, doomed) for array, table in hash_shards(folder))


def _drop_vectors(arrays: Sequence[Path], metadata: Path, doomed: Doomed) -> int:
    """The rows of a shard; its metadata last, since what is still to be done is read from there."""
    rows = pq.read_table(metadata)
    going = doomed_rows(rows, doomed)
    if not going.any():
        return 0
    for path in arrays:
        vectors = np.load(path, mmap_mode="r")
        if len(vectors) == len(going):  # else an earlier try has done it
            with atomic(path) as temporary, temporary.open("wb") as handle:
                np.save(handle, vectors[~going])
    with atomic(metadata) as temporary:
        pq.write_table(rows.filter(pa.array(~going)), temporary)
    return int(going.sum())


def indices(workspace: Workspace, _: Doomed) -> int:
    """The FAISS indices of models whose embeddings lost rows; they are made anew from these."""
    removed = 0
    for folder in _models(workspace, "vectors"):
        try:
            reason = misfit(folder, Embeddings.open(workspace.embeddings_folder(folder.name)))
        except WorkspaceError as error:
            reason = str(error)
        for name in _INDICES if reason else ():
            removed += (folder / name).is_file()
            (folder / name).unlink(missing_ok=True)
    return removed


def samples(workspace: Workspace, doomed: Doomed) -> int:
    """The lines of every sample, whose ranks close up; captrawl run draws it anew."""
    removed = 0
    sweep(workspace.samples_folder)
    for table in sorted(workspace.samples_folder.glob("*.parquet")):
        paths = SamplePaths(table.parent, table.stem)
        removed += drop_rows(table, doomed, Ranks())
        for listing in (paths.listing, paths.sampled, paths.filtered):
            _drop_lines(listing, doomed)
        if paths.counts.is_file():
            kept: Any = pq.read_table(table, columns=["class_id"], filters=pc.field("kept"))
            counts = Counter(map(str, kept.column("class_id").to_pylist()))
            write_json(paths.counts, {key: counts[key] for key in read_json(paths.counts)})
    return removed


def _drop_lines(path: Path, doomed: Doomed) -> None:
    """The lines of a list that name one of the pictures; the file ends as it did."""
    if not path.is_file():
        return
    text = path.read_text(encoding="utf-8")
    lines = text.split("\n")
    rest = [line for line in lines if not ((m := _PACKED.search(line)) and m[0] in doomed.paths)]
    if len(rest) < len(lines):
        with atomic(path) as temporary:
            temporary.write_text("\n".join(rest), encoding="utf-8", newline="\n")


def report(workspace: Workspace, _: Doomed) -> int:
    """The report: its page has pictures inside."""
    files = [path for path in workspace.report_folder.glob("*") if path.is_file()]
    for path in files:
        path.unlink()
    workspace.forget("report")
    return len(files)


def exports(workspace: Workspace, doomed: Doomed) -> int:
    """Every file of a known export that has any of it; an export that lost one is no finished one."""
    residue = Residue(doomed)
    removed = 0
    for folder in workspace.exports():
        files = [path for path in sorted(folder.rglob("*")) if path.is_file() and residue.of_file(path)]
        if not folder.is_dir() or files:
            (folder / EXPORTED).unlink(missing_ok=True)
        for path in files:
            path.unlink()
            removed += 1
        if not folder.is_dir() or files:
            workspace.note_export(folder, gone=True)
    return removed


def marks(workspace: Workspace, doomed: Doomed) -> int:
    """What was said of it by hand."""
    removed = 0
    for class_id, by_uid in Marks.load(workspace).by_class.items():
        going = doomed.uids & by_uid.keys()
        if going:
            set_marks(workspace, class_id, dict.fromkeys(going))
            removed += len(going)
    return removed


def judged(workspace: Workspace, doomed: Doomed) -> int:
    """What a vision model said of the pictures."""
    return forget_answers(workspace, doomed.hashes)


def shots(workspace: Workspace, doomed: Doomed) -> int:
    """The kept vectors of pictures that serve as shots or test images."""
    keys = {digest([value, PIXELS_VERSION]) for value in doomed.hashes}
    stores = [folder / "labelled.npz" for folder in _models(workspace, "vectors")]
    return sum(forget(store, keys) for store in stores if store.is_file())


def captions(workspace: Workspace, doomed: Doomed) -> int:
    """The rows of the caption index that this workspace matched."""
    if not doomed.rows or not workspace.settings().captions.index:
        return 0
    with open_index(index_location(workspace)) as index:
        files, rows = index.files(), defaultdict[str, set[int]](set)
        for file, numbers in doomed.rows.items():  # a row may be named by each of its captions
            rows[file_of_row(file, files)].update(numbers)
        return index.remove_rows(rows)


def hashes(workspace: Workspace, _: Doomed) -> int:
    """What captrawl.lock.json says of the artefacts' bytes."""
    workspace.rehash()
    return 0


STEPS: Mapping[str, Step] = {
    step.__name__: step
    for step in (
        tombstones, spool, images, ledger, matches, embeddings, picture_hashes, indices, samples, report,
        exports, marks, judged, shots, captions, hashes,
    )
}  # fmt: skip
"""The steps by name, in order: first nothing can come back, then everything goes."""


def _models(workspace: Workspace, kind: str) -> list[Path]:
    """The folders of the models under embeddings/ or vectors/."""
    folder = workspace.root / kind
    return sorted(entry for entry in folder.iterdir() if entry.is_dir()) if folder.is_dir() else []

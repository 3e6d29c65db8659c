"""Stored embeddings → two FAISS indices, exact while they fit, and their index.json.

Vectors are added in blocks; only an index's own memory grows with the rows. Training is seeded, so equal
embeddings give equal indices. Recall of an inexact index is measured on a sample and stored.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.errors import ModelError, WorkspaceError
from ...core.files import atomic, digest, sweep_writes
from ...core.records import Progress, silent
from ...core.wording import counted
from ...search.vectors.exact import import_faiss
from ...search.vectors.gpu import has_gpu
from ...search.vectors.models import INFO, model_of
from ...search.vectors.neighbours import METRIC, WHERE, VectorsInfo
from ...search.vectors.store import Embeddings, Matrix
from ...workspace.stages import Stage, StageFacts
from ...workspace.workspace import StageStatus, State, Workspace
from .recall import inverted_lists, sample_queries, tune

VECTORS = StageFacts(
    "vectors",
    ("vectors/[!.]*/*.faiss", "vectors/[!.]*/index.json"),
    ("faiss-cpu", "faiss-gpu", "numpy"),
)
EXACT_ROWS = 1_000_000
LISTED_ROWS = 10_000_000
BLOCK = 65_536
SEED = 1234
TRAINING_BYTES = 2 << 30
QUERY_BITS = 4
"""Of a number of a query, beside RaBitQ's one of a row: a hundred times as fast as the whole number."""


def choose_factory(rows: int, dimension: int, *, gpu: bool = False) -> str:
    """FAISS's factory string for so many rows.

    Exact up to a million rows (2 GB at 512 dimensions). Up to ten million inverted lists over float16
    vectors, which lose nothing of float16 embeddings; beyond, RaBitQ's bit for each dimension, which needs no
    codebook. A GPU can't fill that, and product codes of a byte each it can. Lists: the power of two nearest
    to 4 √rows, as FAISS's guidelines have it.
    """
    if rows <= EXACT_ROWS:
        return "Flat"
    lists = 1 << round(math.log2(4 * math.sqrt(rows)))
    if rows <= LISTED_ROWS:
        return f"IVF{lists},SQfp16"
    if not gpu:
        return f"IVF{lists},RaBitQ"
    codes = next(size for size in (64, 32, 16, 8, 4, 2, 1) if dimension % size == 0)
    return f"OPQ{codes},IVF{lists},PQ{codes}x8"


def build_vectors(workspace: Workspace, *, factory: str = "", progress: Progress = silent) -> dict[str, int]:
    """Build images.faiss and captions.faiss over all embedded rows; returns {"rows": n}.

    Nothing happens where they are there already. Where rows were only added and the factory is the same,
    those are added; else all is built anew. ``factory`` overrides the choice by size. Raises WorkspaceError
    where nothing is embedded yet, ModelError where FAISS can't make such an index from these vectors.
    """
    with workspace.locked(VECTORS.name):
        model = model_of(workspace)
        folder = workspace.vectors_folder(model.slug)
        stored = Embeddings.open(workspace.embeddings_folder(model.slug))
        sweep_writes(folder / "index.json", *(folder / f"{where}.faiss" for where in WHERE))
        recipe = factory or _factory_now(folder, stored)
        if misfit(folder, stored) or (factory and VectorsInfo.load(folder).factory != factory):
            _build(folder, stored, recipe, progress)
        info = VectorsInfo.load(folder)
        counts = {"rows": info.rows}
        details = {"factory": info.factory, "recall": info.recall, "dimension": info.dimension}
        inputs = {"embeddings": digest([info.weights, info.precision, info.content])}
        VECTORS.record(workspace, inputs, counts, details)
        return counts


def vectors_status(workspace: Workspace) -> StageStatus:
    """How the indices stand against the embeddings."""
    model = model_of(workspace)
    folder = workspace.vectors_folder(model.slug)
    if not (workspace.embeddings_folder(model.slug) / INFO).is_file():
        return VECTORS.missing("needs embed")
    if not (folder / "index.json").is_file():
        return VECTORS.missing()
    stored = Embeddings.open(workspace.embeddings_folder(model.slug))
    counts = {"rows": VectorsInfo.load(folder).rows}
    reason = misfit(folder, stored)
    if not reason:
        return StageStatus(VECTORS.name, State.DONE, counts)
    state = State.PARTIAL if _is_extension(folder, stored) else State.STALE
    return StageStatus(VECTORS.name, state, counts, reason)


VECTORS_STAGE = Stage(
    VECTORS, vectors_status, lambda workspace, progress: build_vectors(workspace, progress=progress)
)


def content_of(stored: Embeddings, rows: int) -> str:
    """A hash of the first ``rows`` embedded rows' identities (uid, image), in order."""
    some = stored.metadata.slice(0, rows)
    total = hashlib.sha256(some["uid"].to_numpy().tobytes())
    images: Any = some["sha256"].to_pylist()
    total.update("".join(images).encode())
    return total.hexdigest()


@dataclass(frozen=True, slots=True)
class _Builder:
    """How one kind of vectors becomes an index: what to start from, the recipe, and who is told."""

    faiss: Any
    factory: str
    progress: Progress

    def new(self, matrix: Matrix) -> Any:
        """A trained, empty index for ``matrix``."""
        faiss = self.faiss
        try:
            index = faiss.index_factory(matrix.dimension, self.factory, faiss.METRIC_INNER_PRODUCT)
            lists = inverted_lists(faiss, index)
            if lists is not None:
                lists.cp.seed, lists.cp.min_points_per_centroid = SEED, 1
                if hasattr(lists, "qb"):
                    lists.qb = QUERY_BITS
                index.train(_training_rows(matrix, lists.nlist))
            elif not index.is_trained:
                index.train(_training_rows(matrix, 1024))
        except RuntimeError as error:
            reason = " ".join(str(error).split())[-200:]
            raise ModelError(
                f"FAISS can't make {self.factory!r} from {len(matrix)} vectors of {matrix.dimension} "
                f"dimensions: {reason}"
            ) from error
        return index

    def fill(self, index: Any, matrix: Matrix, where: str) -> Any:
        """``index`` with the rows of ``matrix`` that it lacks."""
        faiss = self.faiss
        on_gpu = self.factory != "Flat" and "RaBitQ" not in self.factory and has_gpu(faiss)
        if on_gpu:
            resources, options = faiss.StandardGpuResources(), faiss.GpuClonerOptions()
            # In float32 the tables of PQ64 don't fit the shared memory of a card.
            options.useFloat16 = "PQ" in self.factory
            index = faiss.index_cpu_to_gpu(resources, 0, index, options)
        for block in matrix.blocks(BLOCK, start=index.ntotal):
            index.add(block)
            self.progress(f"index {where}", index.ntotal, len(matrix))
        return faiss.index_gpu_to_cpu(index) if on_gpu else index


def _build(folder: Path, stored: Embeddings, factory: str, progress: Progress) -> None:
    """Write both indices, then index.json: it is what makes them count."""
    faiss = import_faiss()
    builder = _Builder(faiss, factory, progress)
    extend = _is_extension(folder, stored) and VectorsInfo.load(folder).factory == factory
    rows_there = VectorsInfo.load(folder).rows if extend else 0
    recall: dict[str, float] = {}
    for where, matrix, others in (
        ("images", stored.images, stored.captions),
        ("captions", stored.captions, stored.images),
    ):
        path = folder / f"{where}.faiss"
        index = _opened(faiss, path, rows_there) if extend else None
        index = builder.fill(index if index is not None else builder.new(matrix), matrix, where)
        if not _is_exact(faiss, index):
            recall[where] = tune(faiss, index, matrix, sample_queries(others))
        with atomic(path) as temporary:
            _write(faiss, index, temporary)
    source = stored.info
    VectorsInfo(
        name=source.name,
        pretrained=source.pretrained,
        weights=source.weights,
        dimension=source.dimension,
        metric=METRIC,
        precision=source.precision,
        rows=stored.rows,
        content=content_of(stored, stored.rows),
        factory=factory,
        recall=recall or None,
    ).save(folder)


def _factory_now(folder: Path, stored: Embeddings) -> str:
    """The factory by size; a user's own choice, which the size wouldn't have led to, is kept."""
    gpu = has_gpu(import_faiss())
    if _is_extension(folder, stored):
        info = VectorsInfo.load(folder)
        if info.factory != choose_factory(info.rows, info.dimension, gpu=gpu):
            return info.factory
    return choose_factory(stored.rows, stored.dimension, gpu=gpu)


def misfit(folder: Path, stored: Embeddings) -> str:
    """Why the indices of ``folder`` aren't those of ``stored``; "" where they are."""
    if not all((folder / name).is_file() for name in ("index.json", *(f"{where}.faiss" for where in WHERE))):
        return "not built yet"
    info, source = VectorsInfo.load(folder), stored.info
    if (info.name, info.pretrained, info.weights) != (source.name, source.pretrained, source.weights):
        return f"built from {info.name} ({info.weights[:12]}…), the embeddings are of {source.name}"
    if (info.dimension, info.precision) != (source.dimension, source.precision):
        return f"built from {info.precision} vectors, the embeddings contain {source.precision}"
    if info.rows != stored.rows:
        return f"{counted(info.rows, 'row')} indexed, {stored.rows:,} embedded"
    return "" if info.content == content_of(stored, stored.rows) else "other rows are embedded"


def _is_extension(folder: Path, stored: Embeddings) -> bool:
    """Whether ``stored`` only has rows beside those that the indices of ``folder`` were built from."""
    if not (folder / "index.json").is_file():
        return False
    info, source = VectorsInfo.load(folder), stored.info
    same = (info.name, info.pretrained, info.weights, info.dimension, info.precision) == (
        source.name, source.pretrained, source.weights, source.dimension, source.precision,
    )  # fmt: skip
    return same and 0 < info.rows <= stored.rows and info.content == content_of(stored, info.rows)


def _opened(faiss: Any, path: Path, rows: int) -> Any | None:
    """The index at ``path`` if just ``rows`` are in it; a build killed between two files leaves others."""
    try:
        index = faiss.read_index(str(path))
    except RuntimeError:
        return None
    return index if index.ntotal == rows else None


def _write(faiss: Any, index: Any, path: Path) -> None:
    try:
        faiss.write_index(index, str(path))
    except RuntimeError as error:
        raise WorkspaceError(f"can't write {path.parent}: {' '.join(str(error).split())[-200:]}") from error


def _is_exact(faiss: Any, index: Any) -> bool:
    return isinstance(index, faiss.IndexFlat)


def _training_rows(matrix: Matrix, lists: int) -> NDArray[np.float32]:
    """50 rows a list, at least 10,000, within TRAINING_BYTES: by a fixed seed, in order; no broken ones."""
    size = min(len(matrix), max(10_000, 50 * lists), TRAINING_BYTES // (4 * matrix.dimension))
    places = np.random.default_rng(SEED).choice(len(matrix), size, replace=False)
    rows = matrix.take(np.sort(places).astype(np.int64))
    return rows[np.isfinite(rows).all(axis=1)]

"""The embed stage: images and captions → embeddings/<model>/.

Which model, whether its vectors may join those in the folder, and how far the folder is; writer.py fills it.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
from pathlib import Path

import pyarrow as pa

from ...core.arrow import pc
from ...core.errors import ModelError
from ...core.files import digest, sweep
from ...core.records import Progress, silent
from ...core.version import __version__
from ...core.wording import counted
from ...search.vectors.loading import load_encoder
from ...search.vectors.models import INFO, ModelId, fingerprint, model_of, others_of
from ...search.vectors.store import (
    RAW,
    Embeddings,
    EmbeddingsInfo,
    count_shards,
    drop_shards,
    shard_paths,
    whole_shards,
)
from ...workspace.parts import StagePart, check_count, drop_parts, parts_folder
from ...workspace.stages import Stage, StageFacts
from ...workspace.workspace import StageStatus, State, Workspace
from .parts import finished_parts, note_done, part_folders, part_is_done, rows_of_part
from .published import PublishedImages
from .rows import forgive_missing, load_failed, remaining_rows, rows_to_embed
from .target import EmbeddingTarget
from .verify import confirm_imported
from .writer import EmbeddingWriter

EMBED = StageFacts(
    "embed",
    (
        "embeddings/[!.]*/*.json",
        "embeddings/[!.]*/*.parquet",
        "embeddings/[!.]*/*_emb/*.npy",
        "embeddings/[!.]*/metadata/*.parquet",
    ),
    ("torch", "open_clip_torch", "timm", "Pillow", "numpy"),
    ("model",),
)

logger = logging.getLogger(__name__)


def embed(workspace: Workspace, *, replace: bool = False, progress: Progress = silent) -> dict[str, int]:
    """Embed every distinct matched uid with a usable image; returns what the folder contains then.

    Counts: rows, images and captions (distinct ones), failed (images that can't be decoded). Only what is
    missing is embedded; the model isn't loaded where nothing is. Raises ModelError where the folder's vectors
    came from another model, weights, precision or captions, unless ``replace``: then all is made anew beside
    them and put in their place at the end.
    """
    settings = workspace.settings().model
    with workspace.locked(EMBED.name):
        model = model_of(workspace)
        target = EmbeddingTarget.of(model, fingerprint(model), settings)
        folder = workspace.embeddings_folder(target.model.slug)
        staging = folder.with_name(f".{folder.name}.new")
        rows = rows_to_embed(workspace)
        _end_swap(folder, staging)
        _sweep(folder)
        if not target.misfit(folder) and _is_complete(workspace, folder, rows):
            return _recorded(workspace, folder, target)
        workspace.check_images(rows["image_path"].to_pylist())
        encoder = load_encoder(target.model, device=settings.device, batch=settings.batch)
        target, encoder = target.settled(encoder, [folder, staging, *part_folders(workspace, model.slug)])
        confirm_imported(workspace, folder, encoder)
        misfit = target.misfit(folder)
        if misfit and not replace:
            raise ModelError(f"{misfit}; delete that folder to embed again")
        if staging.exists() and (not misfit or target.misfit(staging)):
            shutil.rmtree(staging)
        into = staging if misfit else folder
        info = target.info(encoder)
        parts = finished_parts(workspace, target.model.slug, rows, info)
        published = PublishedImages(workspace, encoder) if workspace.settings().model.published else None
        EmbeddingWriter(workspace, into, info, encoder, published, parts).fill(rows, progress)
        if misfit:
            folder.rename(folder.with_name(f".{folder.name}.old"))
            _end_swap(folder, staging)
        return _recorded(workspace, folder, target)


def embed_part(workspace: Workspace, part: StagePart, *, progress: Progress = silent) -> dict[str, int]:
    """Embed the rows whose uid is ``part``'s, into a folder that the next :func:`embed` copies from.

    Counts as :func:`embed` does. Other parts may run at the same time, on other machines too.
    """
    settings = workspace.settings().model
    model = model_of(workspace)
    parts = parts_folder(workspace, EMBED.name, model.slug)
    check_count(parts, part)
    folder = parts / part.name
    with workspace.locked(f"{EMBED.name}-{part.name}"):
        rows = rows_of_part(rows_to_embed(workspace), part)
        workspace.check_images(rows["image_path"].to_pylist())
        encoder = load_encoder(model, device=settings.device, batch=settings.batch)
        target = EmbeddingTarget.of(model, encoder.weights, settings)
        target, encoder = target.settled(encoder, part_folders(workspace, model.slug))
        info = target.info(encoder)
        if (folder / INFO).is_file() and EmbeddingsInfo.load(folder) != info:
            shutil.rmtree(folder)
        _sweep(folder)
        published = PublishedImages(workspace, encoder) if settings.published else None
        EmbeddingWriter(workspace, folder, info, encoder, published).fill(rows, progress)
        note_done(folder, rows)
        return _counts(folder)


def embedded_parts(workspace: Workspace, count: int) -> set[int]:
    """Which of ``count`` parts are complete, as far as is known without loading the model."""
    model, settings = model_of(workspace), workspace.settings().model
    parts = parts_folder(workspace, EMBED.name, model.slug)
    check_count(parts, StagePart(1, count))
    target = EmbeddingTarget.of(model, fingerprint(model), settings)
    rows = rows_to_embed(workspace)
    every = [StagePart(number, count) for number in range(1, count + 1)]
    return {
        part.number
        for part in every
        if part_is_done(parts / part.name, rows_of_part(rows, part)) and not target.misfit(parts / part.name)
    }


def embed_status(workspace: Workspace) -> StageStatus:
    """How the embeddings stand: missing, partial (rows missing), done, or stale (another model or precision).

    Loads no model; a hub's weights are compared when they are loaded.
    """
    model = model_of(workspace)
    folder = workspace.embeddings_folder(model.slug)
    if not workspace.matches_path.is_file() or not workspace.images_path.is_file():
        return EMBED.missing("needs match and download")
    if not (folder / INFO).is_file():
        return EMBED.missing(_other_weights(workspace, model))
    weights = ""
    with contextlib.suppress(ModelError):  # a model that is gone can't have changed
        weights = fingerprint(model)
    whole = whole_shards(folder)
    if whole < count_shards(folder):
        return StageStatus(EMBED.name, State.PARTIAL, {}, f"a file of shard {whole} is gone")
    counts = _counts(folder)
    settings = workspace.settings().model
    misfit = EmbeddingTarget.of(model, weights, settings).misfit(folder)
    if misfit:
        return StageStatus(EMBED.name, State.STALE, counts, misfit)
    stored = Embeddings.open(folder)
    if not stored.info.weights:
        return StageStatus(EMBED.name, State.PARTIAL, counts, "imported, not yet compared with the model")
    rows = rows_to_embed(workspace)
    missing = remaining_rows(rows, stored, load_failed(folder, stored.shards)).num_rows
    if missing:
        state = State.PARTIAL if stored.rows else State.MISSING
        return StageStatus(
            EMBED.name, state, {**counts, "missing": missing}, f"{counted(missing, 'row')} not embedded"
        )
    return StageStatus(EMBED.name, State.DONE, counts)


def _other_weights(workspace: Workspace, model: ModelId) -> str:
    """What vectors of other local models are there, where a local one has none."""
    others = others_of(workspace) if model.is_local else []
    if not others:
        return ""
    with contextlib.suppress(ModelError):
        was = ", ".join(f"{one.model} (weights {one.weights[:12]}…)" for one in others)
        return f"there are vectors of {was}; {model} has weights {fingerprint(model)[:12]}…"
    return ""


def _run(workspace: Workspace, progress: Progress) -> dict[str, int]:
    # Vectors of other weights or another precision are made anew beside the old ones, then swapped.
    return embed(workspace, replace=embed_status(workspace).state is State.STALE, progress=progress)


EMBED_STAGE = Stage(EMBED, embed_status, _run)


def _is_complete(workspace: Workspace, folder: Path, rows: pa.Table) -> bool:
    if not (folder / INFO).is_file() or not EmbeddingsInfo.load(folder).weights:
        return False
    stored = Embeddings.open(folder)
    forgive_missing(workspace, folder, rows, stored.shards)
    return not remaining_rows(rows, stored, load_failed(folder, stored.shards)).num_rows


def _sweep(folder: Path) -> None:
    """Remove what a killed run left half-written in ``folder``."""
    for written in (folder, *(path.parent for path in shard_paths(folder, 0))):
        sweep(written)
    _drop_broken(folder)


def _drop_broken(folder: Path) -> None:
    """Delete the shards from the first that lacks a file, so that its rows are embedded again."""
    whole, number = whole_shards(folder), count_shards(folder)
    if whole < number:
        logger.warning(
            "a file of shard %d in %s is gone: it is made anew, with those behind it", whole, folder
        )
    drop_shards(folder, whole)


def _counts(folder: Path) -> dict[str, int]:
    stored = Embeddings.open(folder)
    return {
        "rows": stored.rows,
        "images": pc.count_distinct(stored.metadata["sha256"]).as_py(),
        "captions": pc.count_distinct(pc.fill_null(stored.metadata["caption"], "")).as_py(),
        "failed": load_failed(folder, stored.shards).num_rows,
    }


def _recorded(workspace: Workspace, folder: Path, target: EmbeddingTarget) -> dict[str, int]:
    info = EmbeddingsInfo.load(folder)
    counts = _counts(folder)
    inputs = {
        "model": digest([info.name, info.pretrained]),
        "weights": info.weights,
        "precision": digest(info.precision),
    }
    if info.caption_text != RAW:
        inputs["caption text"] = info.caption_text
    details = {"model": str(target.model), "dimension": info.dimension, "captrawl": __version__}
    EMBED.record(workspace, inputs, counts, details)
    drop_parts(parts_folder(workspace, EMBED.name, target.model.slug))
    return counts


def _end_swap(folder: Path, staging: Path) -> None:
    """Bring a swap to its end: ``folder`` was moved away, ``staging`` is whole and takes its place."""
    old = folder.with_name(f".{folder.name}.old")
    if old.exists() and not folder.exists() and staging.exists():
        staging.rename(folder)
    if old.exists() and folder.exists():
        shutil.rmtree(old)

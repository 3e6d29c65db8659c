"""A workspace in SWAT's folders and files (docs/from-swat.md), so that its own scripts go on from any step.

    DATASET/DATASET_retrieved_LAION400M-all_synonyms-SAMPLING/CLASS/N.jpg   every usable image of a pool
    DATASET/DATASET_mined_captions-….pkl, …_metadata-….meta and .map, …-urls-….parquet, counts as JSON
    DATASET/DATASET_MODEL_mined.pth                                         features, labels, paths
    DATASET/DATASET_metrics-LAION400M.json                                  the synonyms that match
    data/DATASET/DATASET_metrics-LAION400M.json                             the synonyms that prompt
    data/DATASET/DATASET_metrics-LAION400M_query.json                       those that match, if SWAT has two
    data/DATASET/NAME.txt, output/DATASET_MODEL_NAME/NAME.txt and its companions

Lists hold absolute paths below the folder the export is made for.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ...classes.metrics import metrics_document
from ...classes.model import ClassList, most_common_name
from ...core.errors import InputError, MissingExtraError, WorkspaceError
from ...core.files import write_json
from ...core.records import Progress
from ...datasets import PRESETS, load_dataset
from ...search.vectors.models import MODELS, model_of
from ...search.vectors.store import Embeddings
from ...workspace.workspace import readable
from ..files import listed_classes
from ..pool import Pool, read_pools
from .class_folders import plain
from .image_files import place

if TYPE_CHECKING:
    from .sample import Sample

DATABASE = "LAION400M"  # the name that SWAT's scripts look for, whatever the corpus
"""What SWAT calls its corpus."""
NO_CAPTION = "N.A."
"""Its text for a NULL."""


@dataclass
class Gathered:
    """What SWAT's files hold, by class as text."""

    mined: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict[str, list[tuple[Any, ...]]])
    meta: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict[str, list[tuple[Any, ...]]])
    captions: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    rows: list[int] = field(default_factory=list[int])
    labels: list[int] = field(default_factory=list[int])
    files: list[str] = field(default_factory=list[str])
    numbers: dict[tuple[int, str], str] = field(default_factory=dict[tuple[int, str], str])
    """(class id, path in the workspace) → path in the export."""


def write_swat(sample: Sample, folder: Path, progress: Progress) -> dict[str, int]:
    """Everything of the table above in ``folder``; counts images and listed images.

    InputError where the folder's path holds a blank: SWAT's reader splits lists at blanks.
    """
    if find_spec("torch") is None:
        raise MissingExtraError("writing SWAT's _mined.pth", "cpu")
    final = sample.target
    if any(character.isspace() for character in str(final)):
        raise InputError(
            f"{final} contains a space, at which SWAT's reader splits its lists; export elsewhere"
        )
    settings = sample.workspace.settings()
    task_name = settings.task.name or sample.workspace.root.name
    dataset = plain(
        Path(settings.task.dataset).stem or task_name
    )  # a path, where the user's own file is the preset
    sampling = "all" if settings.match.sample == "all" else "random"
    home = folder / dataset
    images = f"{dataset}_retrieved_{DATABASE}-all_synonyms-{sampling}"
    model = model_of(sample.workspace)
    embeddings = Embeddings.open(sample.workspace.embeddings_folder(model.slug))
    images_path = sample.workspace.images_path
    with readable(images_path, "download"):  # the export takes every pool whole, not only the sample
        paths = pq.read_table(images_path, columns=["path"])["path"].to_pylist()
    sample.workspace.check_images(paths)
    gathered = Gathered()
    for index, pool in enumerate(read_pools(sample.workspace, sample.classes, embeddings)):
        _gather(sample, pool, gathered, home / images, str(final / dataset / images))
        progress("export", index + 1, len(sample.classes))
    home.mkdir(exist_ok=True)
    prefix = f"-{settings.task.prefix}" if settings.task.prefix else ""
    stem = f"{dataset}_metadata-{sampling}-0.0-{DATABASE}"
    for name, value in (
        (f"{dataset}_mined_captions-{DATABASE}{prefix}.pkl", gathered.mined),
        (f"{stem}.meta", gathered.meta),
        (f"{stem}.map", gathered.captions),
    ):
        (home / name).write_bytes(pickle.dumps(value))
    _write_counts(gathered, sample.names, home, f"{dataset}_downloaded_ct-{DATABASE}-all_synonyms-{sampling}")
    data = folder / "data" / dataset
    lists = {home / f"{dataset}_metrics-{DATABASE}.json": "match"}
    lists |= {data / name: "match" for name in _match_lists(settings.task.dataset)}
    lists |= {data / f"{dataset}_metrics-{DATABASE}.json": "prompt"}
    _write_metrics(sample.classes, gathered, lists)
    _write_urls(gathered, home / f"{dataset}-urls-{sampling}-0.0-{DATABASE}.parquet")
    config = next((alias for alias, preset in MODELS.items() if preset == model), model.slug)
    _write_features(gathered, embeddings, home / f"{dataset}_{config}_mined.pth")
    lines = _write_lists(sample, gathered, folder, dataset=dataset, config=config)
    return {"images": len(gathered.files), "listed": lines}


def _gather(sample: Sample, pool: Pool, gathered: Gathered, folder: Path, final: str) -> None:
    """Place a pool's usable images as 0.jpg, 1.jpg … in the pool's order, and note its rows."""
    key = str(pool.class_id)
    columns = ("synonym", "file", "row", "caption", "url", "nsfw", "path", "missing")
    rows = zip(
        *(pool.table.column(name).to_pylist() for name in columns), pool.embedded.tolist(), strict=True
    )
    mined: list[tuple[Any, ...]] = []
    meta: list[tuple[Any, ...]] = []
    captions: dict[str, str] = {}
    number = 0
    for synonym, file, row, caption, url, nsfw, path, missing, embedded in rows:
        mined.append((synonym, _shard(file), row, caption or NO_CAPTION))
        entry = (*mined[-1], url, nsfw)  # SWAT's order: caption fourth from the end of a full tuple
        if missing:
            meta.append(entry)
            continue
        name = f"{key}/{number}{Path(path).suffix}"
        place(sample.image(path), folder / name)
        meta.append((*entry, number))
        captions[str(number)] = caption or NO_CAPTION
        gathered.numbers.setdefault((pool.class_id, path), f"{final}/{name}")
        gathered.rows.append(embedded)
        gathered.labels.append(pool.class_id)
        gathered.files.append(f"{final}/{name}")
        number += 1
    gathered.mined[key], gathered.meta[key], gathered.captions[key] = mined, meta, captions


def _shard(file: str) -> int | str:
    """SWAT's number of a shard, where ``file`` is one of its database; else ``file``."""
    number = file.removeprefix("swat/part")
    return int(number) if number != file and number.isdecimal() else file


def _write_counts(gathered: Gathered, names: Mapping[int, str], home: Path, downloaded: str) -> None:
    counts_of = {
        key: {"name": names[int(key)], "actual_freq": len(rows)} for key, rows in gathered.mined.items()
    }
    ranked = dict(sorted(counts_of.items(), key=lambda item: -len(gathered.mined[item[0]])))
    arrived = {key: len(captions) for key, captions in gathered.captions.items()}
    for name, counts in ((f"{home.name}_class_frequency-{DATABASE}", ranked), (downloaded, arrived)):
        (home / f"{name}.json").write_text(json.dumps(counts, indent=4), encoding="utf-8")


def _match_lists(dataset: str) -> tuple[str, ...]:
    """What SWAT's data folder calls the list that a preset is matched with; semi-aves and cars have two."""
    return load_dataset(dataset).lists.match[:1] if dataset in PRESETS else ()


def _write_metrics(classes: ClassList, gathered: Gathered, lists: Mapping[Path, str]) -> None:
    """The metrics JSON at each of the paths: the synonyms that have its flag."""
    for path, flag in lists.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        flagged = (
            replace(entry, synonyms=tuple(one for one in entry.synonyms if getattr(one, flag)))
            for entry in classes
        )
        document = metrics_document(tuple(flagged))
        for entry in classes:
            record = document[str(entry.id)]
            record.setdefault("most_common_name", most_common_name(entry))
            record.setdefault("actual_freq", len(gathered.mined[str(entry.id)]))
        write_json(path, document)


def _write_urls(gathered: Gathered, path: Path) -> None:
    pairs = [(key, entry[4]) for key, entries in gathered.meta.items() for entry in entries]
    classes = pa.array([key for key, _ in pairs], pa.string())  # SWAT joins it to paths
    pq.write_table(
        pa.table({"class": classes, "url": pa.array([url for _, url in pairs], pa.string())}), path
    )


def _write_features(gathered: Gathered, embeddings: Embeddings, path: Path) -> None:
    """The .pth of SWAT's feature extraction: float32 unit rows, labels and paths, aligned."""
    import torch

    rows = np.array(gathered.rows, dtype=np.int64)
    torch.save(
        {
            "image_features": torch.from_numpy(embeddings.images.take(rows)),
            "caption_features": torch.from_numpy(embeddings.captions.take(rows)),
            "labels": torch.tensor(gathered.labels, dtype=torch.int64),
            "filepath": gathered.files,
        },
        path,
    )


def _write_lists(sample: Sample, gathered: Gathered, folder: Path, *, dataset: str, config: str) -> int:
    """NAME.txt with the exported paths, twice as SWAT does; the other lists with their paths exchanged."""
    name = sample.paths.name
    output = folder / "output" / f"{dataset}_{config}_{name}"
    data = folder / "data" / dataset
    output.mkdir(parents=True)
    paths = cast("list[str]", list[Any](sample.rows.column("path").to_pylist()))
    exported = ExportedPaths(name, gathered.numbers)
    pairs = zip(sample.class_ids, paths, strict=True)
    lines = [f"{exported.copy_of(class_id, path)} {class_id} 0\n" for class_id, path in pairs]
    for target in (output, data):
        (target / f"{name}.txt").write_text("".join(lines), encoding="utf-8")
    (output / sample.paths.counts.name).write_bytes(sample.paths.counts.read_bytes())
    scored = zip((sample.paths.sampled, sample.paths.filtered), listed_classes(sample.paths), strict=True)
    for source, class_ids in scored:
        text = source.read_text(encoding="utf-8").splitlines()
        moved = [exported.moved(line, class_id) for line, class_id in zip(text, class_ids, strict=True)]
        (output / source.name).write_text("\n".join(moved), encoding="utf-8")
    return len(lines)


@dataclass(frozen=True, slots=True)
class ExportedPaths:
    """Where the images of a sample are in the export: (class id, path in the workspace) → path there."""

    sample: str
    numbers: Mapping[tuple[int, str], str]

    def copy_of(self, class_id: int, path: str) -> str:
        """The class's own copy of ``path``; WorkspaceError where it is in no pool any more."""
        try:
            return self.numbers[class_id, path]
        except KeyError:
            raise WorkspaceError(
                f"sample {self.sample} contains {path} of class {class_id}, which isn't among its matches "
                f"any more; draw it again with captrawl run"
            ) from None

    def moved(self, line: str, class_id: int) -> str:
        """A line ``scores, path, caption`` with the path of the class's own copy.

        The path is known by its end: the workspace may have moved since the line was written.
        """
        scores, _, rest = line.partition(", /")
        path, _, caption = rest.partition(", ")
        parts = path.split("/")
        ends = ("/".join(parts[start:]) for start in range(len(parts)))
        inside = next((end for end in ends if (class_id, end) in self.numbers), path)
        return f"{scores}, {self.copy_of(class_id, inside)}, {caption}"

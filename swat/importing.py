"""``captrawl import swat``: a workspace of what SWAT's scripts left; the stages make the rest."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ..classes.files import load_classes
from ..classes.model import ClassList
from ..core.errors import InputError, WorkspaceError
from ..core.files import atomic, digest, new_folder, read_json, sha256_file, vacant, write_json
from ..core.records import MATCH_SCHEMA, Progress, silent
from ..core.row_ids import uid_list
from ..datasets import PRESETS, load_dataset, metrics_files
from ..indexer.match_stage import MATCH, task_of
from ..search.vectors.models import resolve
from ..workspace.settings import Settings, parse_settings
from ..workspace.workspace import Workspace
from .features import load_features, model_named, store_features
from .folder import SwatFolder, find
from .profile import with_profile
from .rows import Mined, match_table, read_rows

logger = logging.getLogger(__name__)

IMPORTED = "imported.json"
"""What a finished import says of itself, in the workspace."""


@dataclass(frozen=True, slots=True)
class SwatChoices:
    """What the files themselves may leave open."""

    classes: Path | None = None
    """A metrics JSON, or a folder of them, where the SWAT folder has none."""
    sampling: str = ""
    """Which of a folder's samplings (all, random, few, ranked), where it contains several."""
    model: str = ""
    """The model whose vectors a _mined.pth of no name of SWAT's contains."""
    prefix: str | None = None
    """Which matched captions, where the folder contains those of several prefixes; "" are those without."""
    tag: str = ""
    """What SWAT's ``--tag`` put into the names of its files."""


def import_swat(
    source: Path, to: Path, choices: SwatChoices | None = None, *, progress: Progress = silent
) -> dict[str, int]:
    """Make the workspace ``to`` of SWAT's files in ``source`` (a folder, or one file); returns the counts.

    Counts: classes, matches, without_url, images (linked), rows embedded. ``to`` appears whole, at the end,
    with IMPORTED; where it is the workspace that this very import made, nothing is done. InputError for files
    that aren't SWAT's, a pickle that is a program, and classes that no list names.
    """
    choices = choices or SwatChoices()
    empty = vacant(to)
    folder = find(source, sampling=choices.sampling, prefix=choices.prefix, tag=choices.tag)
    description = _description(folder, choices)
    if not empty:
        if (counts := _finished(to, description)) is not None:
            logger.warning("%s was imported from %s before; nothing is done", to, source)
            return counts
        raise WorkspaceError(f"{to} isn't empty; import into a new folder")
    entries, settings = _classes(folder, choices), _settings(folder, choices)
    rows = read_rows(folder)
    unknown = sorted(set(rows) - {entry.id for entry in entries})
    if unknown:
        raise InputError(
            f"{folder.root} has rows of class {unknown[0]}, which the class list ({len(entries)} classes) "
            "lacks; give the data set's own metrics JSON with --classes"
        )
    with new_folder(to) as temporary:
        workspace = Workspace.create(temporary, settings, entries)
        files: dict[str, str] = description["files"]
        counts = {"classes": len(entries), **_write_matches(workspace, files, entries, rows)}
        if folder.get("images"):
            counts["images"] = _link(workspace, folder, rows, progress)
            counts |= _store(workspace, folder, rows, choices)
        write_json(temporary / IMPORTED, {**description, "counts": counts})
    _warn(folder, counts)
    return counts


def _description(folder: SwatFolder, choices: SwatChoices) -> dict[str, Any]:
    """What makes an import the same again: the hashes of its files, and the choices."""
    sources = [path for kind, path in folder.files.items() if kind not in ("images", "database")]
    choice = {key: str(value) for key, value in asdict(choices).items() if value not in (None, "")}
    return {"format": 1, "files": {path.name: sha256_file(path) for path in sources}, "choices": choice}


def _finished(to: Path, description: Mapping[str, Any]) -> dict[str, int] | None:
    """The counts of the import that made ``to``; None where it is another folder, or of another import."""
    try:
        document: Any = read_json(to / IMPORTED)
        same = isinstance(document, dict) and document.items() >= description.items()
        return document["counts"] if same else None
    except (OSError, ValueError, KeyError):
        return None


def _warn(folder: SwatFolder, counts: Mapping[str, int]) -> None:
    """Log what can't be used for want of another file of SWAT's."""
    if (images := folder.get("images")) and not folder.get("meta"):
        logger.warning(
            "the images in %s aren't taken: whose they are stands in %s_metadata-%s-0.0-LAION400M.meta",
            images,
            folder.dataset,
            folder.sampling,
        )
    mined = None if folder.get("meta") else folder.get("mined")
    if mined and counts["without_url"]:
        logger.warning(
            "%d of %d matches have no URL and can't be fetched; %s",
            counts["without_url"],
            counts["matches"],
            f"{folder.get('database')} hasn't them"
            if folder.get("database")
            else f"import again with laion400m.db beside {mined}",
        )


def _classes(folder: SwatFolder, choices: SwatChoices) -> ClassList:
    """The class list: --classes, else the folder's metrics, else the preset's names."""
    lists = choices.classes or (folder.root if folder.get("metrics") and folder.root.is_dir() else None)
    if folder.preset not in PRESETS:
        return load_classes(_own_list(folder, choices.classes))
    preset = load_dataset(folder.preset)
    if lists is None:
        logger.warning(
            "no metrics JSON: classes of %s get their names as synonyms; give one with --classes", preset.name
        )
        return preset.classes()
    single = folder.get("metrics")
    if choices.classes is None and single is not None:
        names = {*preset.lists.match, *preset.lists.prompt}
        lists = lists if all((lists / name).is_file() for name in names) else single
    return preset.classes_from(lists)


def _own_list(folder: SwatFolder, choice: Path | None) -> Path:
    """The class list of a data set without a preset: ``choice``, its metrics JSON there, or the folder's."""
    if choice is None:
        if (single := folder.get("metrics")) is not None:
            return single
        raise InputError(
            f"{folder.root} contains no metrics JSON and {folder.dataset!r} is no data set of captrawl's; "
            "give the class list with --classes"
        )
    there = metrics_files(choice, folder.dataset) if choice.is_dir() else []
    own = [path for path in there if path.name.startswith(f"{folder.dataset}_metrics-")]
    if len(own) > 1 or (not own and choice.is_dir() and metrics_files(choice)):
        raise InputError(
            f"{choice} contains {len(own)} metrics files of {folder.dataset}; "
            "name the one JSON with --classes"
        )
    return own[0] if own else choice


def _settings(folder: SwatFolder, choices: SwatChoices) -> Settings:
    """The swat profile, the data set's preset, and what the files' names say."""
    data: dict[str, Any] = {"task": {"name": folder.dataset}, "captions": {"index": ""}}
    if folder.prefix:
        data["task"]["prefix"] = folder.prefix
    if folder.sampling:
        data["match"] = {"sample": {"all": "all", "few": 5}.get(folder.sampling, 2000)}
    models = [model for config, _ in folder.features if (model := model_named(folder, config, choices.model))]
    if models:
        data["model"] = {"name": models[0].name, "pretrained": models[0].pretrained}
    elif choices.model:
        model_id = resolve(choices.model)  # a relative local-dir: starts here, not in the workspace
        data["model"] = {"name": model_id.name, "pretrained": model_id.pretrained}
    if folder.preset in PRESETS:
        data = load_dataset(folder.preset).settings(data)
    return parse_settings(with_profile(data, "swat"), f"the settings of {folder.dataset}")


def _write_matches(
    workspace: Workspace, files: Mapping[str, str], entries: ClassList, rows: Mapping[int, Sequence[Mined]]
) -> dict[str, int]:
    """matches.parquet in class order, recorded as done from the values of the settings now."""
    counts = {"matches": 0, "without_url": 0}
    with atomic(workspace.matches_path) as temporary, pq.ParquetWriter(temporary, MATCH_SCHEMA) as writer:
        for entry in entries:
            table = match_table(entry, rows.get(entry.id, ()))
            writer.write_table(table)
            counts["matches"] += table.num_rows
            counts["without_url"] += table["url"].null_count
    recorded = {"classes": len(entries), **counts}
    details = {"imported": "swat", "files": dict(files)}
    MATCH.record(workspace, task_of(workspace).inputs(digest(details)), recorded, details)
    return counts


def _link(
    workspace: Workspace, folder: SwatFolder, rows: Mapping[int, Sequence[Mined]], progress: Progress
) -> int:
    """The images of ``folder`` in the workspace's images/; how many URLs have one."""
    from ..indexer.download.link import link_images
    from ..indexer.download.session import finish, open_session

    images = folder.files["images"]
    with open_session(workspace) as session:
        images_count = link_images(session, _on_disk(images, rows, session.rules.min_side), progress=progress)
        finish(session)
    return images_count


def _on_disk(images: Path, rows: Mapping[int, Sequence[Mined]], min_side: int) -> Iterator[Any]:
    from ..indexer.download.link import OnDisk
    from ..indexer.outcomes import Body
    from ..indexer.pack.sniff import sniff

    for class_id, some in rows.items():
        there = _numbered(images / str(class_id))
        for row in some:
            path = there.get(row.number)
            if path is None or row.url is None:
                continue
            data = path.read_bytes()
            header = sniff(data, min_side=min_side)
            body = Body.of(data, header.width, header.height)
            consent = f"unchecked: imported from {images.name}"
            size = (header.width, header.height)
            yield OnDisk(
                row.url, path, size, body, consent, reason=header.reason.value if header.reason else ""
            )


def _numbered(folder: Path) -> dict[int, Path]:
    """The images of one class's folder by number, links followed; {} where there is none."""
    if not folder.is_dir():
        return {}
    return {int(path.stem): path.resolve() for path in sorted(folder.iterdir()) if path.stem.isdecimal()}


def _store(
    workspace: Workspace, folder: SwatFolder, rows: Mapping[int, Sequence[Mined]], choices: SwatChoices
) -> dict[str, int]:
    """Embeddings of every _mined.pth whose model is known; how many rows have vectors."""
    with_image = [
        ((class_id, row.number), row)
        for class_id, some in rows.items()
        for row in some
        if row.number >= 0 and row.url is not None
    ]
    uids = uid_list([row.url for _, row in with_image], [row.caption for _, row in with_image])
    by_number = {key: (row.url or "", uid) for (key, row), uid in zip(with_image, uids, strict=True)}
    embedded = 0
    for config, path in folder.features:
        model = model_named(folder, config, choices.model)
        if model is None:
            logger.warning("%s isn't read: %r is no model of SWAT's; name it with --model", path.name, config)
            continue
        embedded += store_features(workspace, load_features(path), model, by_number)
    return {"embedded": embedded} if folder.features else {}

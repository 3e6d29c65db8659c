"""A caption index → a place where others pull it from."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from ...core.errors import InputError
from ...core.records import Progress, silent
from ...search.captions import is_path
from ..sources.locations import is_remote
from .card import card, croissant
from .manifest import MANIFEST, IndexManifest
from .places import CopyTarget, batches, place_at
from .pull import read_manifest

__all__ = ["PushedIndex", "push"]


@dataclass(frozen=True, slots=True)
class PushedIndex:
    """What a push did: the copy, and how many of its files weren't there yet."""

    manifest: IndexManifest
    sent: int


def push(index: str, where: str, licence: str, *, progress: Progress = silent) -> PushedIndex:
    """Copy the index at ``index`` to ``where``: its files, a card, and last the manifest.

    Killed, the next call sends what is missing. InputError where ``where`` has another index already, or
    ``index`` is a server.
    """
    if not is_path(index):
        raise InputError(f"{index} is a server; push an index in a folder (index captions --to FOLDER)")
    root = Path(index).expanduser().resolve()
    place = place_at(where)
    there = place.sizes()
    manifest = IndexManifest.of(root, licence, progress)
    if MANIFEST in there:
        other = read_manifest(where)
        if other == manifest:
            return PushedIndex(manifest, 0)
        raise InputError(
            f"{where.partition('?')[0]} has an index of {other.title} already ({other.rows:,} rows); "
            "name another place"
        )
    missing = {file.name: root / file.path for file in manifest.files if there.get(file.name) != file.size}
    done = 0
    for batch in batches(list(missing.items())):
        place.put(batch)
        done += len(batch)
        progress("push files", done, len(missing))
    _write_texts(place, manifest, where)
    return PushedIndex(manifest, sum(file.name in missing for file in manifest.files))


def _write_texts(place: CopyTarget, manifest: IndexManifest, where: str) -> None:
    address = where.partition("?")[0] if is_remote(where) else str(Path(where).expanduser().resolve())
    texts = {
        "README.md": card(manifest, address),
        "croissant.json": croissant(manifest, address),
        MANIFEST: manifest.text(),
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, text in texts.items():
            path = Path(folder) / name
            path.write_text(text, encoding="utf-8")
            place.put([(name, path)])

"""Which files of a folder are SWAT's, by their names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from ..core.errors import InputError

Kind = Literal["mined", "meta", "captions", "urls", "images", "features", "metrics", "database"]

KINDS: dict[Kind, str] = {
    "mined": r"(?P<dataset>.+)_mined_captions-(?P<database>[^-]+)(-(?P<prefix>.+))?\.pkl",
    "meta": r"(?P<dataset>.+)_metadata-(?P<sampling>[^-]+)-[0-9.]+-(?P<database>[^-]+)\.meta",
    "captions": r"(?P<dataset>.+)_metadata-(?P<sampling>[^-]+)-[0-9.]+-(?P<database>[^-]+)\.map",
    "urls": r"(?P<dataset>.+)-urls-(?P<sampling>[^-]+)-[0-9.]+-(?P<database>[^-]+)\.parquet",
    "images": r"(?P<dataset>.+)_retrieved_(?P<database>[^-]+)-(?P<names>.+)-(?P<sampling>[^-]+)",
    "features": r"(?P<dataset>.+)_mined\.pth",  # the model's name ends the dataset group
    "metrics": r"(?P<dataset>.+)_metrics-(?P<database>[^-]+)\.json",
    "database": r".+\.db",
}
"""The names of SWAT's files and folders, by what they hold."""

OLD_NAMES = {"oxfordpets": "oxford_pets", "stanfordcars": "stanford_cars", "imagenet_1k": "imagenet"}
"""What earlier scripts of SWAT's call a data set → its name since."""


DATABASE = "laion400m.db"
"""What SWAT calls its database; the published matches need it for their URLs."""


@dataclass(frozen=True, slots=True)
class SwatFolder:
    """What of SWAT's files is there, for one data set and one sampling."""

    root: Path
    dataset: str
    sampling: str
    """``all``, ``random``, ``few``, ``ranked``; "" where no file says it."""
    prefix: str = ""
    files: dict[Kind, Path] = field(default_factory=dict[Kind, Path])
    features: tuple[tuple[str, Path], ...] = ()
    """(SWAT's name of the model, its _mined.pth)."""

    @property
    def preset(self) -> str:
        """The name that the data set has among captrawl's presets, if it is one of them."""
        return OLD_NAMES.get(self.dataset, self.dataset)

    def get(self, kind: Kind) -> Path | None:
        """The file of that kind, or None."""
        return self.files.get(kind)


@dataclass(frozen=True, slots=True)
class _Found:
    kind: Kind
    path: Path
    parts: dict[str, str]


def find(source: Path, *, sampling: str = "") -> SwatFolder:
    """SWAT's files in the folder ``source``, or that one file.

    InputError where there are none, and where there are files of two data sets, or of two samplings and
    ``sampling`` doesn't choose.
    """
    if not source.exists():
        raise InputError(f"{source}: no such file or folder")
    files = [file for path in _candidates(source) if (file := _known(path)) is not None]
    rows = [one for one in files if one.kind in ("mined", "meta", "captions", "urls", "images")]
    if not rows:
        raise InputError(
            f"{source} holds none of SWAT's files, such as NAME_mined_captions-LAION400M.pkl or "
            "NAME_metadata-random-0.0-LAION400M.meta; name its $RETRIEVED/NAME folder"
        )
    dataset = _only({one.parts["dataset"] for one in rows}, source, "data sets", "name one data set's folder")
    samplings = {one.parts["sampling"] for one in rows if one.parts.get("sampling")}
    one_sampling = sampling or _only(samplings or {""}, source, "samplings", "choose with --sampling")
    if sampling and samplings and sampling not in samplings:
        raise InputError(f"{source} holds {', '.join(sorted(samplings))}, not --sampling {sampling}")
    folder = SwatFolder(source, dataset, one_sampling)
    for one in files:
        if one.parts.get("sampling") in (None, "", one_sampling) and one.kind != "features":
            folder.files.setdefault(one.kind, one.path)
            if one.parts.get("prefix"):
                folder = replace(folder, prefix=one.parts["prefix"])
    features = [
        (one.parts["dataset"].removeprefix(f"{dataset}_"), one.path)
        for one in files
        if one.kind == "features"
    ]
    return replace(folder, features=tuple(features))


def _candidates(source: Path) -> Iterable[Path]:
    """``source`` and the database beside it if it is a file; else what lies in it and in pre_extracted."""
    if source.is_file():
        database = source.with_name(DATABASE)
        return [source, database] if database.is_file() and database != source else [source]
    inside = source / "pre_extracted"
    return sorted([*source.iterdir(), *(inside.iterdir() if inside.is_dir() else ())])


def _known(path: Path) -> _Found | None:
    for kind, pattern in KINDS.items():
        match = re.fullmatch(pattern, path.name)
        if match and path.is_dir() == (kind == "images"):
            return _Found(kind, path, {name: text or "" for name, text in match.groupdict().items()})
    return None


def _only(names: set[str], source: Path, what: str, remedy: str) -> str:
    if len(names) > 1:
        raise InputError(
            f"{source} holds files of {len(names)} {what} ({', '.join(sorted(names))}); {remedy}"
        )
    return next(iter(names))

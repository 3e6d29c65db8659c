"""Which files of a folder are SWAT's, by their names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ..core.errors import InputError
from ..datasets import PRESETS, load_dataset

Kind = Literal["mined", "meta", "captions", "urls", "images", "features", "metrics", "database"]

KINDS: dict[Kind, str] = {
    "mined": r"(?P<dataset>.+)_mined_captions-(?P<database>[^-]+)(-(?P<prefix>.+))?\.pkl",
    "meta": r"(?P<dataset>.+)_metadata-(?P<sampling>[^-]+)-[0-9.]+-(?P<database>[^-]+)\.meta",
    "captions": r"(?P<dataset>.+)_metadata-(?P<sampling>[^-]+)-[0-9.]+-(?P<database>[^-]+)\.map",
    "urls": r"(?P<dataset>.+)-urls-(?P<sampling>[^-]+)-[0-9.]+-(?P<database>[^-]+)\.parquet",
    "images": r"(?P<dataset>.+)_retrieved_(?P<database>[^-]+)-(?P<names>.+?)-"
    r"(?P<sampling>all|random|few|ranked)(-(?P<tag>.+))?",
    "features": r"(?P<dataset>.+)_mined\.pth",  # the model's name ends the dataset group
    "metrics": r"(?P<dataset>.+)_metrics-(?P<database>[^-]+)\.json",
    "database": r".+\.db",
}
"""The names of SWAT's files and folders, by what they contain."""

OLD_NAMES = {"oxfordpets": "oxford_pets", "stanfordcars": "stanford_cars", "imagenet_1k": "imagenet"}
"""What earlier scripts of SWAT's call a data set → its name since."""


DATABASE = "laion400m.db"
"""What SWAT calls its database, in any case of letters; the published matches need it for their URLs."""

ROW_KINDS: tuple[Kind, ...] = ("mined", "meta", "captions", "urls", "images")
"""The kinds that contain rows of a data set; one file of each."""


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

    def fits(self, choices: Mapping[str, tuple[str, ...] | None]) -> bool:
        """Whether each part that the name has is among the choices; None allows any."""
        return all(
            allowed is None or name not in self.parts or self.parts[name] in allowed
            for name, allowed in choices.items()
        )


def find(source: Path, *, sampling: str = "", prefix: str | None = None, tag: str = "") -> SwatFolder:
    """SWAT's files in the folder ``source``, or that one file.

    InputError where there are none; where there are files of two data sets or corpora, of two samplings and
    ``sampling`` doesn't choose, or matched with two prefixes and neither ``prefix`` nor the data set's preset
    does; and where two files are of one kind. ``tag`` is what SWAT's ``--tag`` put into the names.
    """
    if not source.exists():
        raise InputError(f"{source}: no such file or folder")
    files = [file for path in _candidates(source) if (file := _known(path)) is not None]
    rows = [one for one in files if one.kind in ROW_KINDS]
    if not rows:
        raise InputError(
            f"{source} contains none of SWAT's files, such as NAME_mined_captions-LAION400M.pkl or "
            "NAME_metadata-random-0.0-LAION400M.meta; name its $RETRIEVED/NAME folder"
        )
    dataset = _only({one.parts["dataset"] for one in rows}, source, "data sets", "name one data set's folder")
    _only({one.parts["database"] for one in rows}, source, "corpora", "move one corpus's files away")
    alone = source.is_file()
    samplings = {
        one.parts["sampling"]
        for one in rows
        if one.parts.get("sampling") and source in (one.path, one.path.parent)
    }
    one_sampling = sampling or _only(samplings or {""}, source, "samplings", "choose with --sampling")
    if sampling and samplings and sampling not in samplings:
        raise InputError(f"{source} contains {', '.join(sorted(samplings))}, not --sampling {sampling}")
    ends = {one.parts["prefix"] for one in rows if one.kind == "mined"}
    end, one_prefix = _prefix(source, dataset, ends, prefix, tag)
    choices = {"sampling": ("", one_sampling), "prefix": (end,), "tag": (tag,) if tag else None}
    fitting = [one for one in rows if one.fits(choices if not alone else {**choices, "sampling": None})]
    by_kind: dict[Kind, Path] = {one.kind: one.path for one in fitting}
    for one in fitting:
        if by_kind[one.kind] != one.path:
            names = f"{one.path.name} and {by_kind[one.kind].name}"
            raise InputError(f"{source} contains {names}; move one of them away")
    for one in sorted((one for one in files if one.kind in ("metrics", "database")), key=_preference):
        by_kind.setdefault(one.kind, one.path)
    stem = f"{dataset}_"
    features = [(one.parts["dataset"], one.path) for one in files if one.kind == "features"]
    models = tuple((name.removeprefix(stem), path) for name, path in features if name.startswith(stem))
    return SwatFolder(source, dataset, one_sampling, one_prefix, by_kind, models)


def _prefix(source: Path, dataset: str, ends: set[str], prefix: str | None, tag: str) -> tuple[str, str]:
    """How the name of the matched captions to take ends, and their prefix.

    Of several prefixes ``prefix``, else the preset's own; a name ends in the tag, if any, and the prefix.
    """
    tagged = {end for end in ends if f"{end}-".startswith(f"{tag}-")} if tag else ends
    if ends and not tagged:
        raise InputError(f"{source} contains no matched captions of --tag {tag}")
    prefixes = {end.removeprefix(tag).removeprefix("-"): end for end in tagged}
    if prefix is None and len(prefixes) > 1:
        name = OLD_NAMES.get(dataset, dataset)
        prefix = load_dataset(name).prefix if name in PRESETS else None
    if prefix is None and len(prefixes) < 2:
        prefix = next(iter(prefixes), "")
    if prefix is None or (prefixes and prefix not in prefixes):
        there = ", ".join(repr(one) for one in sorted(prefixes))
        raise InputError(
            f"{source} contains captions matched with the prefixes {there}; choose with --prefix "
            "('' is the one without)"
        )
    return prefixes.get(prefix, ""), prefix


def _preference(one: _Found) -> tuple[bool, str]:
    """SWAT's own names before others, then by name."""
    return one.kind == "database" and one.path.name.lower() != DATABASE, one.path.name


def _candidates(source: Path) -> Iterable[Path]:
    """``source`` and what its URLs come from if it is a file; else what lies in it and in pre_extracted."""
    if source.is_file():
        own = _known(source)
        dataset = own.parts.get("dataset") if own else None
        siblings = [path for path in sorted(source.parent.iterdir()) if path != source]
        beside = [one for path in siblings if (one := _known(path)) is not None]
        databases = [one.path for one in beside if one.path.name.lower() == DATABASE]
        urls = [one.path for one in beside if one.kind == "urls" and one.parts["dataset"] == dataset]
        return [source, *databases[:1], *(urls if len(urls) == 1 else ())]
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
            f"{source} contains files of {len(names)} {what} ({', '.join(sorted(names))}); {remedy}"
        )
    return next(iter(names))

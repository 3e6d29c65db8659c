"""Data sets: a preset is one small TOML file; a user's own works the same.

A preset holds facts of a benchmark (class names in label order) and choices for it (domain wording, prefix,
how much to match, prompt templates, thresholds). Synonyms are the user's: SWAT's metrics files, or an LLM's.
"""

from __future__ import annotations

import glob
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..classes.checks import validated
from ..classes.files import load_classes
from ..classes.model import ClassEntry, ClassList, Synonym, named
from ..core.errors import InputError, nearest
from ..workspace.settings import wrong_value

PRESETS = tuple(sorted(path.stem for path in Path(__file__).parent.glob("*.toml")))
"""The names of the data sets that come with captrawl."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ClassNames(_Table):
    """[classes]: names in label order, or a ``file`` of any class list format beside the TOML file."""

    names: tuple[str, ...] = ()
    common: tuple[str, ...] = ()
    """Another name of each class (a species' common one), a synonym like the name."""
    coarse: tuple[str, ...] = ()
    """A shorter name of each class that is matched and doesn't prompt."""
    file: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if bool(self.names) == bool(self.file):
            raise ValueError("[classes] needs either names or file")
        for key in ("common", "coarse"):
            count = len(getattr(self, key))
            if count not in {0, len(self.names)}:
                raise ValueError(f"classes.{key} contains {count} names, classes.names {len(self.names)}")
        return self


class SynonymLists(_Table):
    """[lists]: files whose synonyms are matched, and whose synonyms prompt; often the same one."""

    match: tuple[str, ...] = ()
    prompt: tuple[str, ...] = ()


class Dataset(_Table):
    """A data set: what ``captrawl init --dataset`` makes a task from."""

    name: str
    source: str
    """What finds it again: a preset's name, or the absolute path of the user's TOML file."""
    title: str = ""
    domain: str = ""
    """What its classes are, with an article: the LLM is asked of ``a flower``."""
    prefix: str = ""
    exclude: tuple[str, ...] = ()
    sample: Annotated[int, Field(ge=1)] | Literal["all"] = 2000
    """Matches a class, ``all`` or a number."""
    templates: tuple[str, ...] = ()
    """Prompt templates with one ``{}``; empty: open_clip's OpenAI ImageNet templates."""
    thresholds: Mapping[str, float] = {}
    """A sampling method's threshold where the data set's differs from the method's own."""
    class_names: Annotated[ClassNames, Field(alias="classes")]
    lists: SynonymLists = SynonymLists()

    @model_validator(mode="after")
    def _placeholders(self) -> Self:
        for template in self.templates:
            if template.count("{}") != 1:
                raise ValueError(f"the template {template!r} needs one {{}}, where the name goes")
        return self

    def settings(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """``data`` (the tables of captrawl.toml) with what this data set chooses where ``data`` is silent."""
        tables: dict[str, dict[str, Any]] = {
            "task": {"dataset": self.source, "prefix": self.prefix, "exclude": list(self.exclude)},
            "match": {"sample": self.sample},
        }
        return {**data, **{key: {**table, **data.get(key, {})} for key, table in tables.items()}}

    def classes(self) -> ClassList:
        """The data set's classes in label order: their names (and common and coarse ones) as synonyms."""
        if self.class_names.file:
            return load_classes(Path(self.source).parent / self.class_names.file)
        names = self.class_names
        entries: list[ClassEntry] = []
        for position, name in enumerate(names.names):
            entry = named(position, name, names.common[position : position + 1])
            coarse = names.coarse[position : position + 1]
            if coarse and coarse[0] not in {synonym.text for synonym in entry.synonyms}:
                entry = replace(entry, synonyms=(*entry.synonyms, Synonym(coarse[0], prompt=False)))
            if names.common:
                entry = replace(entry, extra={"common_name": names.common[position]})
            entries.append(entry)
        return validated(entries, f"the data set {self.name}")

    def classes_from(self, source: Path) -> ClassList:
        """The classes of ``source``: a class list of any format, or SWAT's folder of metrics files.

        From a folder the files of ``[lists]`` are taken: synonyms of the first kind match, of the second
        prompt. ClassListError or InputError where ``source`` isn't such a list or lacks a file.
        """
        if not source.is_dir() or not any((*self.lists.match, *self.lists.prompt)):
            return load_classes(source)
        paths = {file: self._found(source, file) for file in {*self.lists.match, *self.lists.prompt}}
        if all(path is None for path in paths.values()) and not metrics_files(source):
            return load_classes(source)
        missing = [file for file, path in paths.items() if path is None]
        if missing:
            raise InputError(
                f"{source} contains no {missing[0]}, which the data set {self.name} takes synonyms from"
            )
        matching = [load_classes(path) for file, path in paths.items() if path and file in self.lists.match]
        prompting = [load_classes(path) for file, path in paths.items() if path and file in self.lists.prompt]
        return merge_lists(matching, prompting)

    def two_lists(self, source: Path | None) -> str:
        """Which of SWAT's files in the folder ``source`` match and which prompt; "" where one does both."""
        if source is None or not source.is_dir() or self.lists.match == self.lists.prompt:
            return ""
        return (
            f"matched by {', '.join(self.lists.match)}, prompted by {', '.join(self.lists.prompt)}; name one "
            "of them with --classes to use it for both"
        )

    def _found(self, folder: Path, file: str) -> Path | None:
        return next((path for path in metrics_files(folder, self.name) if path.name == file), None)


def metrics_files(folder: Path, name: str = "*") -> list[Path]:
    """SWAT's metrics files in ``folder``, a data set's folder, or the folder above (SWAT/data, SWAT)."""
    inside = name if name == "*" else glob.escape(name)
    places = ("", f"{inside}/", f"data/{inside}/")
    return [path for place in places for path in sorted(folder.glob(f"{place}*_metrics-*.json"))]


def load_dataset(name: str | Path) -> Dataset:
    """The preset called ``name``, or the data set in a TOML file at that path.

    InputError names the nearest preset where there is none of the name, and the key that a file has wrong.
    """
    path = Path(name)
    if path.suffix == ".toml":
        return _parsed(path, path.stem, str(path.resolve()))
    if str(name) not in PRESETS:
        hint = nearest(str(name).lower(), PRESETS, cutoff=0.4)
        raise InputError(f"there is no data set {str(name)!r}; {hint} (a file of your own ends in .toml)")
    return _parsed(Path(__file__).parent / f"{name}.toml", str(name), str(name))


def _parsed(path: Path, name: str, source: str) -> Dataset:
    try:
        data: dict[str, Any] = {"name": name, **tomllib.loads(path.read_text(encoding="utf-8-sig"))}
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path} isn't valid TOML: {error}") from error
    try:
        return Dataset.model_validate({**data, "source": source})
    except ValidationError as error:
        raise InputError(f"{path}: {_first_problem(error)}") from error


def _first_problem(error: ValidationError) -> str:
    first = error.errors()[0]
    if first["type"] != "extra_forbidden":
        return wrong_value(error, first)
    key = ".".join(str(part) for part in first["loc"])
    section = {"classes": ClassNames, "lists": SynonymLists}.get(str(first["loc"][0]), Dataset)
    keys = sorted((field.alias or key) for key, field in section.model_fields.items() if key != "source")
    return f"unknown key {key!r}; {nearest(str(first['loc'][-1]), keys)}"


def merge_lists(matching: list[ClassList], prompting: list[ClassList]) -> ClassList:
    """One list of several: synonyms of ``matching`` get the match flag, of ``prompting`` the prompt flag.

    Names, most common names and other keys are the prompting lists', where both have them.
    """
    flags: dict[int, dict[str, Synonym]] = {}
    heads: dict[int, ClassEntry] = {}
    for lists, flag in ((matching, "match"), (prompting, "prompt")):
        for entry in (entry for classes in lists for entry in classes):
            of_class = flags.setdefault(entry.id, {})
            head = heads.get(entry.id, entry)
            common = entry.most_common_name or head.most_common_name
            extra = {**head.extra, **entry.extra}
            heads[entry.id] = replace(entry, most_common_name=common, extra=extra)
            for synonym in entry.synonyms:
                other = of_class.get(synonym.text, Synonym(synonym.text, match=False, prompt=False))
                frequency = synonym.frequency if synonym.frequency is not None else other.frequency
                of_class[synonym.text] = replace(
                    other,
                    frequency=frequency,
                    match=other.match or (flag == "match" and synonym.match),
                    prompt=other.prompt or (flag == "prompt" and synonym.prompt),
                )
    union = (replace(head, synonyms=tuple(flags[head.id].values())) for head in heads.values())
    return validated(union, "the merged class list")

"""captrawl.toml: every setting of a workspace, its type, default and bounds."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

import tomlkit
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from ..core.errors import SettingsError, nearest
from ..core.files import atomic

Changes = Mapping[str, Mapping[str, Any]]
"""Other values for some settings: table → key → value."""

Texts = Annotated[list[str], Field(strict=False)]
"""A list; presets and options may give it as a tuple."""


class Section(BaseModel):
    """A table of captrawl.toml: frozen, and strict about its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class TaskSettings(Section):
    """[task]: what the workspace is for. Paths are relative to the workspace, or absolute."""

    name: str = ""
    dataset: str = ""
    """The preset this task was made from; its templates and domain wording are read from there."""
    classes: str = "classes.json"
    prefix: str = ""
    exclude: Texts = []
    shots: str = ""
    root: str = ""
    profile: Literal["", "swat"] = ""
    repeats: bool = False
    """A sample keeps every matched row of a picture, as SWAT does; else the best-ranked alone."""


class CaptionSettings(Section):
    """[captions]: the caption index, a folder or http(s)://host:9200/name."""

    index: str


class FilterSettings(Section):
    """[match.filters]: which rows may match; see search.query.Filters."""

    min_side: Annotated[int, Field(ge=0)] = 0
    max_punsafe: Annotated[float, Field(ge=0, le=1)] | None = None
    nsfw: Texts = []
    min_similarity: Annotated[float, Field(ge=-1, le=1)] | None = None
    licence: str = ""
    language: str = ""
    keep_unknown: bool = False
    safety: Literal["default", "strict", "off"] = "default"


class MatchSettings(Section):
    """[match]: how many rows a class are asked for."""

    sample: Annotated[int, Field(ge=1)] | Literal["all"] = 2000
    seed: int = 0
    shared: Literal["keep", "drop"] = "keep"
    longest: bool = False
    """A caption with another class's longer phrase around this one's is the other's alone."""
    rank: Literal["", "T2T", "T2I", "I2I"] = ""
    """The score that orders each class's rows before any image is fetched."""
    top: Annotated[int, Field(ge=0)] = 0
    """So many rows a class, the first in rank order; 0 = all."""
    vectors: str = ""
    """Where `index vectors --to` registered published vectors; empty: in the index's folder."""
    filters: FilterSettings = FilterSettings()


def _source_order(names: list[str]) -> list[str]:
    """Sources, each once; a mirror behind the web would never be asked for what the web had."""
    if len(set(names)) < len(names):
        raise ValueError("name each source once")
    if {"mirror", "web"} <= set(names) and names.index("mirror") > names.index("web"):
        raise ValueError("put 'mirror' before 'web'")
    return names


ConsentSignal = Literal[
    "robots-txt",
    "content-signal",
    "content-usage",
    "tdm-reservation",
    "x-robots-tag",
    "data-mining",
    "c2pa-training",
]
"""The signals of indexer.fetch.consent.Signal."""


class DownloadSettings(Section):
    """[download]: deadlines in seconds, sizes in bytes, image sides in pixels."""

    allow_private: bool = False
    deadline: Annotated[float, Field(gt=0)] = 30.0
    max_bytes: Annotated[int, Field(gt=0)] = 20_000_000
    retries: Annotated[int, Field(ge=0, le=10)] = 1
    retry_after: Annotated[float, Field(ge=0)] = 60.0
    threads: Annotated[int, Field(ge=1, le=2048)] = 256
    """Requests in flight a process."""
    processes: Annotated[int, Field(ge=0)] = 0
    """Packing processes; 0 = one a core."""
    resize: Annotated[int, Field(ge=0)] = 0
    min_side: Annotated[int, Field(ge=1)] = 85
    blocklist: Texts = []
    sources: Annotated[
        list[Literal["tars", "mirror", "web"]],
        Field(strict=False, min_length=1),
        AfterValidator(_source_order),
    ] = ["tars", "mirror", "web"]
    """Where a picture is looked for, in this order."""
    archives: Texts = []
    """Tars and Parquet of pictures: files, folders, URLs of files, or names with {00000..00331}."""
    mirrors: Texts = []
    """Beginnings of URLs and what stands there at a mirror: 'HOST or PREFIX -> PREFIX'."""
    mirror_owner: str = ""
    """Who answers for the mirrors: then they may be private, and consent isn't asked for there."""
    placeholders: Literal["drop", "keep"] = "drop"
    """What becomes of one picture under captions that have nothing in common, and of copies."""
    honour: Annotated[list[ConsentSignal], Field(strict=False)] = list(get_args(ConsentSignal))
    """The ways in which sites and pictures say no that are listened to."""
    contact: str = ""
    part: Annotated[str, Field(pattern="^([0-9]+/[0-9]+)?$")] = ""
    """Whose hosts these are: written by `download --part` into the part's own workspace."""
    until: Annotated[int, Field(ge=0)] = 0
    """Usable images a class that are enough; 0 = every match is asked for."""


def _device(name: str) -> str:
    """A torch device that captrawl can use; whether it is there shows when a model is loaded."""
    if not re.fullmatch(r"auto|cpu|mps|cuda(:[0-9]+)?", name):
        near = "; a GPU is 'cuda'" if "gpu" in name.lower() else ""
        raise ValueError(f"use 'auto', 'cpu', 'cuda', 'cuda:N' or 'mps'{near}")
    return name


class ModelSettings(Section):
    """[model]: an open_clip model; ``name`` may be an alias of search.vectors.models.MODELS."""

    name: str = "ViT-B-32-quickgelu"
    pretrained: str = "laion400m_e32"
    device: Annotated[str, AfterValidator(_device)] = "auto"
    batch: Annotated[int, Field(ge=1)] = 64
    precision: Literal["float16", "float32"] = "float16"
    """Of the stored vectors."""
    compute: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    """Of the forward pass that makes stored vectors; auto: as those that are there, else by the device."""
    published: bool = False
    """Registered vectors are taken for the images that have one."""
    caption_text: Literal["raw", "swat"] = "raw"
    """What of a caption is embedded: all of it, or what SWAT's scripts keep of it."""
    copies: str = ""
    """A TorchScript file of a model that tells copies (SSCD, ISC), asked beside picture hashes."""
    names: Literal["synonyms", "name", "most_common_name"] = "synonyms"
    templates: Texts = []
    """Empty: the data set preset's, else open_clip's OpenAI ImageNet templates."""


def _file_name(name: str) -> str:
    """A sample's name, which begins its files' names; a pattern's own error would show the expression."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}", name):
        raise ValueError("use letters, digits and . _ + -, a letter or digit first, 100 at most")
    return name


COPIES = "copies"


class SampleSettings(Section):
    """[[sample]]: one training list. Give a method, or an order (rank) with conditions (keep)."""

    name: Annotated[str, AfterValidator(_file_name)] = "T2T500"
    method: str = ""
    rank: str = ""
    keep: Texts = []
    n: Annotated[int, Field(ge=1)] = 500
    threshold: Annotated[float, Field(allow_inf_nan=False)] | None = None
    """The method's own threshold where it has one."""
    dedup: Annotated[float, Field(gt=0, le=1)] | Literal["copies"] | None = None
    """A cosine above which an image is taken for another's copy, or COPIES: where picture hashes say so."""
    diverse: Annotated[float, Field(gt=0, le=1)] | Literal["facility"] | None = None
    """Weighs rank against likeness to the images kept, or takes those that all lie nearest to."""
    zeroshot: bool = False
    leak_guard: str = ""
    referee: Literal["", "margin", "drop"] = ""
    """An image in several classes' pools goes to the one it fits best, or is dropped."""
    tail: bool = False
    seed: int = 0
    names: Literal["", "synonyms", "name", "most_common_name"] = ""
    """What this sample's prompts are made of; "" as [model] says."""

    @model_validator(mode="after")
    def _one_order(self) -> Self:
        if self.method and (self.rank or self.keep):
            raise ValueError(
                f"sample {self.name!r}: give a method ({self.method}) or rank and keep, not both"
            )
        return self


class Settings(Section):
    """The whole of captrawl.toml."""

    task: TaskSettings = TaskSettings()
    captions: CaptionSettings
    match: MatchSettings = MatchSettings()
    download: DownloadSettings = DownloadSettings()
    model: ModelSettings = ModelSettings()
    sample: list[SampleSettings] = [SampleSettings()]

    @model_validator(mode="after")
    def _distinct_samples(self) -> Self:
        names = [sample.name for sample in self.sample]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two samples are named {twice[0]!r}; each [[sample]] needs its own name")
        return self


def load_settings(path: Path) -> Settings:
    """Read captrawl.toml; raise SettingsError naming the key, the value and the nearest known key."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SettingsError(f"{path} isn't valid TOML: {error}") from error
    return parse_settings(data, str(path))


def parse_settings(data: dict[str, Any], source: str) -> Settings:
    """Validate ``data``; ``source`` is the file named in errors."""
    try:
        return Settings.model_validate(data)
    except ValidationError as error:
        raise SettingsError(f"{source}: {_first_problem(error)}") from error


def save_settings(settings: Settings, path: Path) -> None:
    """Write captrawl.toml with every key, through a temporary name."""
    write_document(path, settings.model_dump(mode="json", exclude_none=True))


def merged(settings: Settings, changes: Changes) -> Settings:
    """``settings`` with other values (table → key → value); SettingsError where one isn't valid."""
    data = settings.model_dump(mode="json", exclude_none=True)
    for table, values in changes.items():
        data[table] = {**data[table], **values}
    return parse_settings(data, "an option")


def write_document(path: Path, document: Mapping[str, Any]) -> None:
    """Write ``document`` as TOML, through a temporary name."""
    with atomic(path) as temporary:
        temporary.write_text(tomlkit.dumps(document), encoding="utf-8")


def _first_problem(error: ValidationError) -> str:
    # A misspelt key says more than the one that is missing for it.
    first = min(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
    if first["type"] != "extra_forbidden":
        return wrong_value(error, first)
    key = ".".join(map(str, first["loc"]))
    section = _section(first["loc"][:-1])
    fields = sorted(section.model_fields)
    return f"unknown key {key!r}; {nearest(str(first['loc'][-1]), fields, otherwise='known here:')}"


def wrong_value(error: ValidationError, first: ErrorDetails) -> str:
    """What is wrong with the value of ``first``, one of the problems of ``error``: key, reasons, value."""
    key = _key(first["loc"])
    given = first.get("input")
    value_text = "" if isinstance(given, (dict, BaseModel)) else f" (got {given!r})"
    wrong = "; or: ".join(_message(problem) for problem in error.errors() if _key(problem["loc"]) == key)
    return f"{key}: {wrong}{value_text}" if key else wrong


def _key(location: tuple[int | str, ...]) -> str:
    """The setting at ``location``, without pydantic's names for the members of a union."""
    return ".".join(str(part) for part in location if isinstance(part, int) or part.isidentifier())


def _message(problem: ErrorDetails) -> str:
    raised = problem.get("ctx", {}).get("error")
    return str(raised) if isinstance(raised, ValueError) else problem["msg"]


def _section(location: tuple[int | str, ...]) -> type[Section]:
    """The model that the error's location lies in."""
    model: type[Section] = Settings
    for part in location:
        if isinstance(part, int):
            continue
        field = model.model_fields.get(part)
        if field is None:
            break
        candidates = [field.annotation, *get_args(field.annotation)]
        model = next((c for c in candidates if isinstance(c, type) and issubclass(c, Section)), model)
    return model


def sample_settings(**given: object) -> SampleSettings:
    """A [[sample]] from keywords; SettingsError says which is wrong."""
    try:
        return SampleSettings.model_validate(given)
    except ValidationError as error:
        raise SettingsError(f"sample: {_first_problem(error)}") from error

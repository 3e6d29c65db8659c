"""Options that several commands share, and the values made of them."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperOption

from ..core.errors import UsageError, nearest

if TYPE_CHECKING:
    from ..search.query import Filters
    from ..search.vectors.models import ModelId
    from ..workspace.parts import StagePart
    from ..workspace.settings import Changes
    from ..workspace.workspace import Workspace

INDEX_HELP = "A caption index: a folder, or http(s)://host:9200/name"
Index = Annotated[str, typer.Option("--index", metavar="INDEX", help=f"{INDEX_HELP}.")]
WorkspaceIndex = Annotated[
    str, typer.Option("--index", metavar="INDEX", help=f"{INDEX_HELP}; default: the workspace's.")
]
Prefix = Annotated[str, typer.Option(help="A phrase that must be in the caption too, anywhere.")]
Exclude = Annotated[
    list[str] | None,
    typer.Option(metavar="PHRASE", help="A phrase that must not be in the caption; repeatable."),
]
MinSide = Annotated[int, typer.Option(help="Smallest min(width, height) in pixels.", min=0)]
MaxPunsafe = Annotated[float | None, typer.Option(help="Largest probability of being unsafe.", min=0, max=1)]
Nsfw = Annotated[
    list[str] | None,
    typer.Option(metavar="TAG", help="An allowed NSFW tag (UNLIKELY, UNSURE, NSFW); repeatable."),
]
MinSimilarity = Annotated[
    float | None, typer.Option(help="Smallest caption-image similarity.", min=-1, max=1)
]
Licence = Annotated[str, typer.Option(help="What the licence starts with, in any case.")]
Language = Annotated[str, typer.Option(help="The caption's language tag.")]
KeepUnknown = Annotated[bool, typer.Option(help="Keep rows that lack a value a filter asks for.")]
StrictSafety = Annotated[
    bool, typer.Option("--strict-safety", help="Leave out rows without a safety value too.")
]
NoSafety = Annotated[bool, typer.Option("--no-safety", help="Leave out no row for safety.")]
AllowPrivate = Annotated[
    bool, typer.Option("--allow-private", help="Fetch from private and loopback addresses too.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def filters_of(context: typer.Context) -> Filters:
    """The filters among the options of the command that is running."""
    from ..search.query import Filters, Safety

    strict, off = context.params["strict_safety"], context.params["no_safety"]
    if strict and off:
        raise UsageError("--strict-safety and --no-safety contradict each other; give one of them")
    safety = Safety.STRICT if strict else Safety.OFF if off else Safety.DEFAULT
    return Filters.of({**context.params, "safety": safety})


def part_of(text: str) -> tuple[int, int] | None:
    """``3/16`` as (3, 16), None for an empty text; UsageError where it isn't such a pair."""
    if not text:
        return None
    number, slash, count = text.partition("/")
    if not (slash and number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise UsageError(f"--part {text}: give PART/PARTS, counted from 1, such as 3/16")
    return int(number), int(count)


def whole_part(text: str) -> StagePart | None:
    """``--part`` of a stage; UsageError where it isn't such a pair."""
    from ..workspace.parts import StagePart

    pair = part_of(text)
    return StagePart(*pair) if pair else None


def workspace_of(context: typer.Context) -> Workspace:
    """The workspace that -C names."""
    from ..workspace.workspace import Workspace

    directory: Path = context.obj
    return Workspace.open(directory)


def index_of(context: typer.Context, index: str) -> str:
    """The caption index that --index names, else the one of the workspace."""
    from ..workspace.workspace import Workspace

    if index:
        return index
    directory: Path = context.obj
    workspace = Workspace(directory)
    if not workspace.settings_path.is_file():
        raise UsageError("give --index INDEX, or name a workspace that has one: captrawl -C DIR …")
    from ..indexer.match_stage import index_location

    return index_location(workspace)


@contextlib.contextmanager
def storing(workspace: Workspace, changes: Changes) -> Generator[Workspace]:
    """The workspace with ``changes`` (table → key → value); captrawl.toml gets them if the block ends well.

    `run` and `status` go by them from then on, so what is stored is said; a refused command stores nothing.
    """
    from ..core.terminal import say
    from ..library import stored

    with stored.storing(workspace, changes) as changed:
        yield changed.workspace
    if changed.keys:
        say(f"stored in captrawl.toml: {', '.join(changed.keys)}")


def caution(workspace: Workspace) -> None:
    """Say what web data can hold, before a workspace's first download."""
    from ..core.terminal import say
    from ..library.stored import caution_of

    if text := caution_of(workspace):
        say(text)


def caution_always() -> None:
    """Say what web data can hold."""
    from ..core.terminal import say
    from ..library.stored import CAUTION

    say(CAUTION)


def model_values(name: str, pretrained: str) -> dict[str, Any]:
    """--model and --pretrained as [model] holds them; aliases resolved, empty where neither is given."""
    from ..search.vectors.models import resolve

    if not name:
        if pretrained:
            raise UsageError(f"--pretrained {pretrained} needs --model")
        return {}
    model = resolve(name, pretrained)
    return {"name": model.name, "pretrained": model.pretrained}


def model_named(name: str, pretrained: str) -> ModelId:
    """--model NAME/TAG, or NAME with --pretrained TAG; UsageError without a tag where one is needed."""
    from ..search.vectors.models import HUB, LOCAL, MODELS, resolve

    if pretrained or name in MODELS or name.startswith((LOCAL, HUB)):
        return resolve(name, pretrained)
    model, slash, tag = name.rpartition("/")
    if not slash:
        raise UsageError(
            f"--model {name} lacks the weights; write NAME/TAG, such as ViT-B-32-quickgelu/openai"
        )
    return resolve(model.strip(), tag.strip())


def warn_of_blank(directory: Path) -> None:
    """Say of a new workspace what `sample` would refuse only after everything is fetched and embedded."""
    from ..core.terminal import say

    path = directory.resolve()
    if any(character.isspace() for character in str(path)):
        say(
            f"warning: {path} contains a space, and readers of `path label flag` lists split at spaces: no "
            "sample can be drawn there; move the workspace to a path without spaces"
        )


def given(context: typer.Context, *, besides: Collection[str]) -> bool:
    """Whether a command line has an option other than ``besides``, even one with the default's value."""
    sources = {name: context.get_parameter_source(name) for name in context.params if name not in besides}
    return any(source is not None and source.name == "COMMANDLINE" for source in sources.values())


ALSO_CALLED = {"hf": "huggingface", "wds": "webdataset"}
"""What people call a choice → its name."""


def check_choice(option: str, value: str, choices: Sequence[str]) -> None:
    """UsageError naming the one that was meant, or all, where ``value`` is given and none of ``choices``."""
    if value and value not in choices:
        hint = nearest(ALSO_CALLED.get(value.lower(), value), choices, otherwise="choose one of")
        raise UsageError(f"{option} {value}: there is no such one; {hint}")


def orders() -> list[str]:
    """What a shell completes after --order."""
    from ..search.api import Order

    return list(Order)


def datasets() -> list[str]:
    """What a shell completes after --dataset."""
    from ..datasets import PRESETS

    return list(PRESETS)


def presets() -> list[str]:
    """What a shell completes after --preset."""
    from ..indexer.corpora.presets import CORPORA

    return list(CORPORA)


def methods() -> list[str]:
    """What a shell completes after --method."""
    from ..sampling.methods import AUTO, METHODS

    return [*METHODS, AUTO]


def list_formats() -> list[str]:
    """The formats of class lists that are one file."""
    from ..classes.files import FORMATS

    return list(FORMATS)


def list_targets() -> list[str]:
    """What a shell completes after classes convert --to."""
    from ..classes.files import IMAGE_FOLDER

    return [*list_formats(), IMAGE_FOLDER]


def export_formats() -> list[str]:
    """What a shell completes after export --to."""
    from ..sampling.export.formats import FORMATS

    return list(FORMATS)


def places() -> list[str]:
    """What a shell completes after --in."""
    return ["images", "captions"]


def sample_names(context: typer.Context) -> list[str]:
    """What a shell completes after --name: the samples of the workspace."""
    return [sample.name for sample in _workspace_here(context).settings().sample]


def class_names(context: typer.Context) -> list[str]:
    """What a shell completes after --class: the classes of the workspace."""
    from ..classes.files import load_classes

    return [entry.name for entry in load_classes(_workspace_here(context).classes_path())]


def default_method() -> list[str]:
    """The method of a sample that names none."""
    from ..sampling.methods import DEFAULT

    return [DEFAULT]


CHOICES = {give.__name__: give for give in (list_formats, export_formats, methods, default_method)}
"""What ``{name}`` stands for in the help of an option."""


class ListsChoices(TyperCommand):
    """A command whose options' help has names of CHOICES, filled in when it is shown.

    The registries that know are then imported for those who read, not by every start.
    """

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options."""
        for option in (one for one in self.params if isinstance(one, TyperOption)):
            text = option.help or ""
            choices = {name: ", ".join(give()) for name, give in CHOICES.items() if f"{{{name}}}" in text}
            if choices:
                option.help = text.format(**choices)
        super().format_options(ctx, formatter)


def _workspace_here(context: typer.Context) -> Workspace:
    """The workspace of a command line that isn't finished: its -C, else the current folder."""
    from ..workspace.workspace import Workspace

    parent = context.parent
    return Workspace.open(Path(parent.params.get("directory") or ".") if parent else Path())

"""Prompt embeddings: a class's mean text embedding over its names × templates, normalised."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..classes.model import ClassList, PromptNames
from ..core.errors import MissingExtraError, SettingsError
from ..core.files import digest
from ..core.records import Vectors
from ..workspace.settings import Settings
from .vector_cache import cached

if TYPE_CHECKING:
    from ..search.vectors.encoder import Encoder

TEXTS_AT_ONCE = 16384


def class_names(
    classes: ClassList, settings: Settings, names: PromptNames | Literal[""] = ""
) -> list[tuple[str, ...]]:
    """The names that prompt each class, of the kind ``names``, else as the settings' [model] says.

    Token-equal names count once; the swat profile lets every spelling of a synonym count, as SWAT does.
    """
    distinct = settings.task.profile != "swat"
    return [entry.prompt_names(names or settings.model.names, distinct=distinct) for entry in classes]


def templates_of(settings: Settings) -> tuple[str, ...]:
    """The task's templates: its own, else the data set preset's, else () for OpenAI's ImageNet set.

    Raises SettingsError for a template without ``{}``.
    """
    templates = tuple(settings.model.templates)
    if not templates and settings.task.dataset:
        from ..datasets import load_dataset

        templates = tuple(load_dataset(settings.task.dataset).templates)
    for template in templates:
        if "{}" not in template:
            raise SettingsError(
                f"model.templates: {template!r} has no {{}} for the name; write such as 'a photo of a {{}}.'"
            )
    return templates


def imagenet_templates() -> tuple[str, ...]:
    """OpenAI's ImageNet templates, from open_clip; MissingExtraError where it isn't installed.

    Its one file of templates is loaded alone: the package would import torch, which a sample whose prompts
    are cached doesn't need.
    """
    package = find_spec("open_clip")
    if package is None or not package.submodule_search_locations:
        raise MissingExtraError("prompting with OpenAI's templates", "cpu")
    file = Path(package.submodule_search_locations[0]) / "zero_shot_metadata.py"
    spec = spec_from_file_location("open_clip_templates", file)
    if spec is None or spec.loader is None:
        raise MissingExtraError(f"reading {file}", "cpu")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return tuple(str(template("{}")) for template in module.OPENAI_IMAGENET_TEMPLATES)


def prompt_embeddings(
    names: Sequence[Sequence[str]],
    templates: Sequence[str],
    encoder: Callable[[], Encoder],
    *,
    store: Path,
    weights: str,
    dimension: int,
) -> Vectors:
    """Unit rows (classes, dimension): normalise(mean over names and templates of the texts' unit rows).

    The mean over templates of each name is kept in ``store`` by content (name, templates, weights);
    ``encoder`` is only called where one is missing. A class without names has a row of NaN.
    """
    flat = [name for some in names for name in some]
    templates = tuple(templates) or imagenet_templates()

    def compute(positions: Sequence[int]) -> Vectors:
        texts = [t.replace("{}", flat[position]) for position in positions for t in templates]
        rows = encoder().encode_texts(texts)
        return rows.reshape(len(positions), len(templates), -1).mean(axis=1)

    means = cached(
        store,
        [digest([name, templates]) for name in flat],
        compute,
        weights=weights,
        dimension=dimension,
        chunk=max(1, TEXTS_AT_ONCE // len(templates)),
    )
    ends = np.cumsum([len(some) for some in names], dtype=np.int64)
    return pooled([means[end - len(some) : end] for some, end in zip(names, ends, strict=True)], dimension)


def pooled(groups: Sequence[Vectors], dimension: int) -> Vectors:
    """The normalised mean of each group's rows (groups, dimension); NaN for an empty group."""
    out = np.full((len(groups), dimension), np.nan, dtype=np.float32)
    for row, group in zip(out, groups, strict=True):
        if len(group):
            mean = group.mean(axis=0, dtype=np.float64)
            row[:] = mean / np.linalg.norm(mean)
    return out

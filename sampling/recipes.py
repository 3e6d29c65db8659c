"""What a sample is made by, in words: the name that follows from it, a line, and when two are one."""

from __future__ import annotations

import shlex
from typing import Any

from ..core.errors import InputError
from ..workspace.settings import SampleSettings, sample_settings
from ..workspace.workspace import StageRecord, Workspace
from .methods import AUTO, DEFAULT, Condition, Method, Order, compose, resolve
from .orders.blends import Blend
from .task import paths_of, sample_facts, thresholds_of

_BEYOND = {">=": "", ">": "above", "<=": "upto", "<": "below"}


def method_of(workspace: Workspace, spec: SampleSettings, record: StageRecord | None = None) -> Method:
    """The method of ``spec``: as the lock file's ``record`` has it, else as the settings and data set do."""
    words = shlex.split(str(record.details.get("method", ""))) if record else []
    if "--rank" in words:
        values = words[1::2]  # --rank S --keep C --keep C …
        return compose(values[0], values[1:])
    return resolve(spec, thresholds_of(workspace.settings().task.dataset))


def name_of(spec: SampleSettings, method: Method) -> str:
    """The name of a sample that isn't given one, as SWAT names lists: T2T500, T2I5, T2T500+T2I0.25, Random2.

    Whatever changes the list stands in it, but for the guard's own list and digits beyond six; a condition
    that the order's score is 0 or more is left out.
    """
    order = _order(method.order) if method.order else "Random"
    parts = [f"{AUTO if spec.method == AUTO else order}{spec.n}"]
    own = method.order  # of a random order, any score's
    conditions = [
        c for c in method.conditions if (c.score, c.operator, c.limit) != (own or c.score, ">=", "0")
    ]
    parts += [_condition(c) for c in conditions]
    parts += [f"dedup{_shortly(spec.dedup)}"] if spec.dedup is not None else []
    parts += [_diverse(spec.diverse)] if spec.diverse is not None else []
    parts += ["zeroshot"] if spec.zeroshot else []
    parts += ["guard"] if spec.leak_guard else []
    parts += [spec.referee] if spec.referee else []
    parts += ["tail"] if spec.tail else []
    parts += [f"seed{spec.seed}"] if spec.seed and method.order is None else []
    parts += [spec.names] if spec.names else []
    return "+".join(parts)


def _shortly(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _diverse(diverse: float | str) -> str:
    return diverse if isinstance(diverse, str) else f"diverse{diverse:g}"


def _order(order: Order) -> str:
    """``T2I``, ``T2I-I2I``, ``rrf-T2T-T2I``."""
    if not isinstance(order, Blend):
        return str(order).removesuffix(".mean")
    words = ["rrf"] if order.kind == "rrf" else []
    return "-".join([*words, *(score.removesuffix(".mean") for score in order.scores)])


def _condition(condition: Condition) -> str:
    score = str(condition.score).removesuffix(".max")
    return f"{score}{_BEYOND[condition.operator]}{condition.limit}"


def describe(spec: SampleSettings, method: Method) -> str:
    """A line about the choice: the method as SWAT calls it, order and conditions, and every further step."""
    conditions = " and ".join(map(str, method.conditions))
    order = f"by {method.order}" if method.order else "random"
    how = f"{order}, {conditions}" if conditions else order
    name = spec.method or ("" if spec.rank or spec.keep else DEFAULT)
    steps = [
        text
        for text, applies in (
            (f"dedup {_shortly(spec.dedup or 0)}", spec.dedup is not None),
            (f"diverse {spec.diverse}", spec.diverse is not None),
            ("zeroshot", spec.zeroshot),
            ("leak guard", bool(spec.leak_guard)),
            (f"referee {spec.referee}", bool(spec.referee)),
            ("tail", spec.tail),
            (f"prompts by {spec.names}", bool(spec.names)),
        )
        if applies
    ]
    prefix = "chosen by cross-validation: " if spec.method == AUTO else ""
    return ", ".join([prefix + (f"{name} ({how})" if name and how != "random" else name or how), *steps])


def check_name(workspace: Workspace, spec: SampleSettings) -> None:
    """InputError where the name of ``spec`` is that of another recipe, in the settings or drawn."""
    standing = standing_recipe(workspace, spec.name)
    if standing is None or _recipe(workspace, standing) == _recipe(workspace, spec):
        return
    name = name_of(spec, method_of(workspace, spec))
    option = f"--name {name}" if name != spec.name else "--name"
    raise InputError(
        f"sample {spec.name!r} is another one: {describe(standing, method_of(workspace, standing))}, n "
        f"{standing.n}; draw this one under another name ({option}), or give --replace"
    )


def standing_recipe(workspace: Workspace, name: str) -> SampleSettings | None:
    """What the sample ``name`` is made by, as the settings have it, else as drawn; None for a new name."""
    for spec in workspace.settings().sample:
        if spec.name == name:
            return spec
    record = workspace.recorded(sample_facts(name).name)
    if record is None or "sample" not in record.details or not paths_of(workspace, name).table.exists():
        return None
    return sample_settings(**record.details["sample"])


def _recipe(workspace: Workspace, spec: SampleSettings) -> list[Any]:
    """Equal for two samples that give equal lists."""
    method = method_of(workspace, spec)
    guard = str(workspace.root / spec.leak_guard) if spec.leak_guard else ""
    names = spec.names or workspace.settings().model.names
    seed = spec.seed if method.order is None or spec.method == AUTO else 0
    chosen = AUTO if spec.method == AUTO else str(method)
    return [
        chosen,
        spec.n,
        spec.dedup,
        spec.diverse,
        spec.zeroshot,
        guard,
        spec.referee,
        spec.tail,
        seed,
        names,
    ]

"""How a sample is chosen: an order and the conditions a row must meet, as values.

``METHODS`` has SWAT's methods under their names, then captrawl's; ``resolve`` makes a :class:`Method` of a
[[sample]].
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ..core.errors import QueryError, nearest
from .orders.blends import Blend
from .orders.cuts import mixture_cut, quantile_of
from .orders.names import Score

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..workspace.settings import SampleSettings


Operator = Literal[">=", ">", "<=", "<"]


Cut = Literal["", "q", "mix"]


@dataclass(frozen=True, slots=True)
class Condition:
    """What a row's score must meet to be kept; a missing score (NaN) meets nothing.

    ``cut`` "q": ``value`` is a percentage, of the class's own rows; "mix": where the better component of
    these begins.
    """

    score: Score
    operator: Operator
    value: float
    cut: Cut = ""

    def met(self, values: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which of ``values``, those of a whole pool, meet it."""
        return COMPARE[self.operator](values, self.threshold(values))

    def threshold(self, values: NDArray[np.float64]) -> float:
        """The number to compare with, in the pool that ``values`` are of."""
        if self.cut == "q":
            return quantile_of(values, self.value)
        return mixture_cut(values) if self.cut else self.value

    @property
    def limit(self) -> str:
        """The threshold as it is written: 0.25, q40, mix."""
        return "mix" if self.cut == "mix" else f"{self.cut}{self.value:g}"

    @property
    def failure(self) -> str:
        """The reason of a row that fails it: the opposite condition, such as ``T2I<0.25``."""
        return f"{self.score}{OPPOSITE[self.operator]}{self.limit}"

    def __str__(self) -> str:
        return f"{self.score}{self.operator}{self.limit}"


COMPARE: dict[Operator, Callable[[Any, Any], Any]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
}
OPPOSITE: dict[Operator, Operator] = {">=": "<", ">": "<=", "<=": ">", "<": ">="}


Order = Score | Blend


@dataclass(frozen=True, slots=True)
class Method:
    """An order (of a value, descending; None = seeded random) and conditions, all of which must hold."""

    name: str
    order: Order | None
    conditions: tuple[Condition, ...] = ()

    @property
    def scores(self) -> frozenset[Score]:
        """The scores it looks at."""
        ordering = self.order.scores if isinstance(self.order, Blend) else (self.order,)
        return frozenset(score for score in (*ordering, *(c.score for c in self.conditions)) if score)

    @property
    def needs_shots(self) -> bool:
        return any(score.needs_shots for score in self.scores)

    def __str__(self) -> str:
        order = f"'{self.order}'" if isinstance(self.order, Blend) else self.order or "Random"
        return " ".join([f"--rank {order}", *(f"--keep '{c}'" for c in self.conditions)])


@dataclass(frozen=True, slots=True)
class NamedMethod:
    """A named method: its order, the score its threshold is on, and the threshold where none is given.

    ``threshold`` None: without one given there is no condition, or, where ``required``, an error.
    """

    order: Score | None
    on: Score
    threshold: float | None
    required: bool = False


METHODS: dict[str, NamedMethod] = {
    "Random": NamedMethod(None, Score.T2I, None),
    "Random-I2I": NamedMethod(None, Score.I2I_MEAN, None, required=True),
    "T2T-rank": NamedMethod(Score.T2T, Score.T2T, 0.0),
    "T2I-rank": NamedMethod(Score.T2I, Score.T2I, 0.0),
    "I2I-rank": NamedMethod(Score.I2I_MEAN, Score.I2I_MEAN, 0.0),
    "I2T-rank": NamedMethod(Score.I2T_MEAN, Score.I2T_MEAN, 0.0),
    "T2T-rank-T2I-tshd": NamedMethod(Score.T2T, Score.T2I, 0.25),
    "T2T-rank-I2T-tshd": NamedMethod(Score.T2T, Score.I2T_MAX, 0.25),
    "T2T-rank-I2I-tshd": NamedMethod(Score.T2T, Score.I2I_MAX, 0.5),
    "I2T-tshd": NamedMethod(Score.I2T_MEAN, Score.I2T_MEAN, 0.25),
    "fit": NamedMethod(Score.FIT, Score.FIT, None),
    "fit-text": NamedMethod(Score.FIT_TEXT, Score.FIT_TEXT, None),
    "clean": NamedMethod(Score.CLEAN, Score.CLEAN, None),
    "clean-text": NamedMethod(Score.CLEAN_TEXT, Score.CLEAN_TEXT, None),
}
"""SWAT's methods by name, then captrawl's; docs/sampling.md, completion and `--help` follow them."""

DEFAULT = "T2T-rank"
AUTO = "auto"
"""The method that is chosen by cross-validation on the shots; see sampling.auto."""


def resolve(spec: SampleSettings, thresholds: Mapping[str, float] | None = None) -> Method:
    """The method a [[sample]] asks for; ``thresholds`` are the data set preset's, by method name.

    ``auto`` gives a Method of that name only: sampling.auto chooses.

    Raises QueryError on an unknown method, a missing threshold, or an order or condition that can't be read.
    """
    if spec.rank or spec.keep:
        if spec.threshold is not None:
            raise QueryError(
                f"sample {spec.name!r}: threshold {spec.threshold:g} belongs to a named method; with "
                f"rank and keep write it as a condition, such as --keep 'T2I>={spec.threshold:g}'"
            )
        return compose(spec.rank, spec.keep)
    name = spec.method or DEFAULT
    if name == AUTO:
        if spec.threshold is not None:
            raise QueryError(f"sample {spec.name!r}: method auto chooses its threshold; leave it out")
        return Method(AUTO, None)
    preset = METHODS.get(name)
    if preset is None:
        raise QueryError(
            f"sample {spec.name!r}: there is no method {name!r}; {_nearest(name, [*METHODS, AUTO])}"
        )
    threshold = spec.threshold
    if threshold is None:
        threshold = (thresholds or {}).get(name, preset.threshold)
    return named(name, threshold)


def named(name: str, threshold: float | None) -> Method:
    """The method of METHODS under ``name``, with ``threshold``; QueryError where it needs one."""
    preset = METHODS[name]
    if threshold is None:
        if preset.required:
            raise QueryError(f"method {name} needs a threshold on {preset.on}; give --threshold, such as 0.5")
        return Method(name, preset.order)
    return Method(name, preset.order, (Condition(preset.on, ">=", threshold),))


def compose(rank: str, keep: Sequence[str]) -> Method:
    """The method of ``--rank`` (T2T where empty) and ``--keep``; QueryError where one can't be read.

    A plain I2I or I2T means the mean over shots in an order and the maximum in a condition, as in SWAT.
    """
    order: Order | None = Score.T2T
    if rank:
        order = None if rank.lower() == "random" else _order(rank)
    conditions = tuple(_condition(text) for text in keep)
    name = " ".join([f"--rank {order or 'Random'}", *(f"--keep {c}" for c in conditions)])
    return Method(name, order, conditions)


_FUSION = re.compile(r"\s*rrf\s*\(([^()]*)\)\s*", re.IGNORECASE)


def _order(text: str) -> Order:
    """``T2I``, ``T2I+I2I`` or ``rrf(T2T,T2I)``."""
    fusion = _FUSION.fullmatch(text)
    parts = fusion[1].split(",") if fusion else text.split("+")
    others = ["Random"] if len(parts) == 1 else []
    scores = tuple(_score(part.strip(), "mean", f"--rank {text!r}", others) for part in parts)
    if len(scores) != len(set(scores)):
        raise QueryError(f"--rank {text!r} names a score twice; name each once")
    return scores[0] if len(scores) == 1 else Blend("rrf" if fusion else "sum", scores)


_CONDITION = re.compile(r"\s*([^<>=≤≥]*?)\s*(>=|<=|>|<|≥|≤)\s*(\S+)\s*")
_SPELLINGS: dict[str, Operator] = {">=": ">=", ">": ">", "<=": "<=", "<": "<", "≥": ">=", "≤": "<="}


def _condition(text: str) -> Condition:
    parts = _CONDITION.fullmatch(text)
    if parts is None:
        raise QueryError(f"--keep {text!r} isn't a condition; write SCORE>=NUMBER, such as 'T2I>=0.25'")
    score = _score(parts[1], "max", f"--keep {text!r}", [])
    cut, number = _cut(parts[3])
    value = _number(number)
    if not math.isfinite(value) or (cut == "q" and not 0 <= value <= 100):
        raise QueryError(
            f"--keep {text!r}: {parts[3]!r} isn't a number, a class's quantile (q40) or mix; write "
            "SCORE>=NUMBER, such as 'T2I>=0.25'"
        )
    return Condition(score, _SPELLINGS[parts[2]], value, cut)


def _cut(text: str) -> tuple[Cut, str]:
    """The kind of a threshold, and its number."""
    if text.lower() == "mix":
        return "mix", "0"
    return ("q", text[1:]) if text[:1].lower() == "q" else ("", text)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _score(text: str, over_shots: str, option: str, others: list[str]) -> Score:
    value = text.upper().replace("_", ".")
    if value in ("I2I", "I2T"):
        value = f"{value}.{over_shots}"
    for score in Score:
        if score.value.upper() == value.upper():
            return score
    raise QueryError(f"{option}: there is no score {text!r}; {_nearest(text, [*others, *Score])}")


def _nearest(text: str, choices: Sequence[str]) -> str:
    return nearest(text, choices, cutoff=0.6, otherwise="choose one of")

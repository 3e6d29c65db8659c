"""The scores of a pool's rows by name (docs/sampling.md)."""

from __future__ import annotations

from enum import StrEnum


class Score(StrEnum):
    """Mean and max are over the class's shots; those after I2T_MAX look at the whole task."""

    T2T = "T2T"
    T2I = "T2I"
    I2I_MEAN = "I2I.mean"
    I2I_MAX = "I2I.max"
    I2T_MEAN = "I2T.mean"
    I2T_MAX = "I2T.max"
    T2T_MARGIN = "T2T.margin"
    T2I_MARGIN = "T2I.margin"
    I2I_MARGIN = "I2I.margin"
    I2I_ANY = "I2I.any"
    PROBE = "probe"
    FIT = "fit"
    FIT_TEXT = "fit-text"
    CLEAN = "clean"
    CLEAN_TEXT = "clean-text"
    JUDGE = "judge"

    @property
    def column(self) -> str:
        """Its column in NAME.parquet."""
        return self.value.replace(".", "_").replace("-", "_")

    @property
    def needs_shots(self) -> bool:
        return self.value.startswith("I2") or self in (Score.PROBE, Score.FIT, Score.CLEAN)


PRODUCTS: tuple[Score, ...] = tuple(Score)[:6]
"""The scores that need the row, its class's prompt and its shots alone: every sample has them."""

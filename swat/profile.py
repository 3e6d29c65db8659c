"""``--profile swat``: the settings with which captrawl chooses as SWAT's scripts do."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from ..core.errors import UsageError

PROFILES: dict[str, Path] = {"swat": Path(__file__).with_name("profile.toml")}
"""A profile's name → its part of captrawl.toml."""

CAUTIONS: dict[str, tuple[str, ...]] = {
    "swat": (
        "the swat profile leaves out no row for safety: LAION's unsafe rows are matched and fetched too",
        "captions are matched as captrawl normalises them: docs/from-swat.md says where SWAT differs",
    )
}
"""What a profile's user is told when it is chosen."""


def with_profile(data: Mapping[str, Any], profile: str) -> dict[str, Any]:
    """``data`` (tables of captrawl.toml) with the profile's values where ``data`` is silent.

    "" is no profile; InputError for one that doesn't exist.
    """
    if not profile:
        return dict(data)
    if profile not in PROFILES:
        raise UsageError(f"there is no profile {profile!r}; choose {', '.join(PROFILES)}")
    return _merged(tomllib.loads(PROFILES[profile].read_text(encoding="utf-8")), data)


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    tables = dict(base)
    for key, value in over.items():
        below = tables.get(key)
        both = isinstance(below, dict) and isinstance(value, Mapping)
        tables[key] = (
            _merged(cast("dict[str, Any]", below), cast("Mapping[str, Any]", value)) if both else value
        )
    return tables

"""/.well-known/tdmrep.json → whether a site reserves a path from text and data mining (W3C's TDMRep).

The file is a list of ``{"location": pattern, "tdm-reservation": 0 or 1}``, patterns as in robots.txt. One
entry that matches and reserves is enough, whatever others say.
"""

from __future__ import annotations

import json
from typing import Any

from .consent import ConsentVerdict, Signal
from .robots import matches_path


def judge_tdmrep(text: str, path: str) -> ConsentVerdict:
    """What the file ``text`` says of ``path``; one that can't be read says nothing."""
    try:
        document: Any = json.loads(text) if text else []
    except (ValueError, RecursionError):
        return ConsentVerdict(True, None, "")
    entries: list[Any] = document if isinstance(document, list) else [document]
    for entry in entries:
        if isinstance(entry, dict) and _reserves(entry) and _covers(entry, path):
            return ConsentVerdict(False, Signal.TDM_RESERVATION, f"tdmrep.json: {json.dumps(entry)}"[:500])
    return ConsentVerdict(True, None, "")


def _reserves(entry: dict[str, Any]) -> bool:
    return str(entry.get("tdm-reservation")).strip().lower() in {"1", "true"}


def _covers(entry: dict[str, Any], path: str) -> bool:
    location = entry.get("location")
    return isinstance(location, str) and matches_path(location, path)

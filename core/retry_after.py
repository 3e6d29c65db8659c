"""How long a server asks to be left alone: Retry-After, read once for every kind of server."""

from __future__ import annotations

import email.utils
import math
import time
from collections.abc import Mapping

LONGEST = 1e9
"""Seconds: what is beyond says no more."""

_SPELLINGS = (("retry-after-ms", 1000.0), ("retry-after", 1.0))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that Retry-After (a number, or an HTTP date) asks for; None where it says nothing.

    ``headers`` are looked up in lower case, or in any case where the mapping allows it.
    """
    for name, scale in _SPELLINGS:
        try:
            wait = float(headers.get(name, "")) / scale
        except ValueError:
            continue
        if math.isfinite(wait):
            return min(max(0.0, wait), LONGEST)
    try:
        when = email.utils.parsedate_to_datetime(headers.get("retry-after", ""))
        return min(max(0.0, when.timestamp() - time.time()), LONGEST)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None

"""What an OpenAI-compatible server's replies say, whatever liberties they take with the protocol."""

from __future__ import annotations

import contextlib
import email.utils
import math
import time
from collections.abc import Mapping
from typing import Any, cast


def content_of(value: Any) -> str:
    """A message's content as text; some servers give a list of parts."""
    if isinstance(value, list):
        parts = [part.get("text") for part in cast("list[Any]", value) if isinstance(part, dict)]
        return "\n".join(part for part in parts if isinstance(part, str))
    return str(value or "")


def tokens_of(usage: Any, key: str) -> int:
    """A count of a reply's usage; 0 where the server doesn't say, or not in a number."""
    value = getattr(usage, key, 0)
    return value if isinstance(value, int) else 0


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that a reply's Retry-After (a number, or an HTTP date) asks for; None where it has none."""
    for header, scale in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        with contextlib.suppress(KeyError, ValueError):
            wait = float(headers[header]) / scale
            if math.isfinite(wait):
                return max(0.0, wait)
    try:
        when = email.utils.parsedate_to_datetime(headers.get("retry-after", ""))
        return max(0.0, when.timestamp() - time.time())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None

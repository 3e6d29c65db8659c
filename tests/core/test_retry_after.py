"""Retry-After as servers write it."""

from __future__ import annotations

import email.utils
import time

import pytest
from captrawl.core.retry_after import retry_after


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("120", 120.0), (" 7 ", 7.0), ("-5", 0.0), ("1.5", 1.5), ("9" * 50, 1e9), ("", None), ("soon", None),
     ("nan", None), ("inf", None), ("²", None), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
     ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0), ("Fri, 31 Dec 9999 23:59:59 GMT", 1e9),
     ("Fri, 99 Foo 2099 07:28:00 GMT", None)],
)  # fmt: skip
def test_a_number_or_a_date(value: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": value}) == seconds


def test_a_date_ahead_and_milliseconds() -> None:
    date = email.utils.formatdate(time.time() + 100, usegmt=True)
    assert 98.0 <= (retry_after({"retry-after": date}) or 0.0) <= 100.0
    assert retry_after({"retry-after": "7", "retry-after-ms": "1500"}) == 1.5
    assert retry_after({}) is None

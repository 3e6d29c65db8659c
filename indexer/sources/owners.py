"""Whose picture it is, as an archive says it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import mmh3

HASHES = ("md5", "sha1", "sha256")
URLS = ("url", "URL", "image_url", "img_url", "Url")
NAMES = (*URLS, "uid", *HASHES)
"""The names of what :func:`owner_of` reads."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose picture it is: a URL (url_hash) and a uid, where they are told, and the original bytes' hash."""

    url: int | None = None
    uid: int | None = None
    original: str | None = None


ADDRESS = "archive:"
"""What the address of a picture begins with that only an archive has."""


def archive_address(file: str, key: str) -> str:
    """What stands for the URL of a picture that has none: its corpus file, and its key or row in there."""
    return f"{ADDRESS}{file}/{key}"


def url_hash(url: str) -> int:
    """64 bits of ``url``, which tables have in its place."""
    return mmh3.hash64(url.encode(errors="surrogatepass"))[0]


def owner_of_json(data: bytes) -> Owner:
    """What a sample's json says; nothing, where it is none."""
    try:
        values: Any = json.loads(data)
    except (ValueError, RecursionError):
        return Owner()
    return owner_of(values) if isinstance(values, dict) else Owner()  # pyright: ignore[reportUnknownArgumentType]


def owner_of(values: Mapping[str, Any]) -> Owner:
    """What the columns of a row, or the keys of a json, say."""
    url = next((values[name] for name in URLS if values.get(name)), None)
    uid = values.get("uid")
    if isinstance(uid, str) and re.fullmatch(r"-?[0-9]{1,19}", uid):
        uid = int(uid)
    number = uid if isinstance(uid, int) and not isinstance(uid, bool) and -(2**63) <= uid < 2**63 else None
    hashes = (values.get(name) for name in HASHES)
    original = next((value for value in hashes if isinstance(value, str) and len(value) <= 64), None)
    return Owner(url_hash(url) if isinstance(url, str) and url else None, number, original)

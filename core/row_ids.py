"""Who a corpus row is: its uid, which published tables know too, and its priority in samples."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import mmh3
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from .arrow import pc

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
"""splitmix64's step between states."""
_FACTORS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
_MULTIPLY = [np.uint64(factor) for factor in _FACTORS]
_DIVIDE = [np.uint64(pow(factor, -1, 1 << 64)) for factor in _FACTORS]


def uids(urls: pa.Array[Any], captions: pa.Array[Any]) -> NDArray[np.int64]:
    """LAION's join key of each row: the signed low half of MurmurHash3 x64-128 over UTF-8 url + caption.

    NULL counts as empty; the texts are hashed raw, before any normalisation. Equals
    ``mmh3.hash64(url + caption)[0]`` (LAION's join key, laion.ai/blog/laion-5b). Empty in, empty out.
    """
    empty = pa.scalar(b"", pa.binary())
    texts = pc.binary_join_element_wise(
        pc.fill_null(urls.cast(pa.binary()), empty), pc.fill_null(captions.cast(pa.binary()), empty), empty
    )
    hashes = b"".join(map(mmh3.hash_bytes, texts.to_pylist()))
    return np.frombuffer(hashes, dtype="<i8")[::2].astype(np.int64)


def uid_list(urls: Iterable[str | None], captions: Iterable[str | None]) -> list[int]:
    """:func:`uids` of Python strings."""
    pairs = zip(urls, captions, strict=True)
    hashes = b"".join([mmh3.hash_bytes((url or "") + (text or "")) for url, text in pairs])
    return np.frombuffer(hashes, dtype="<i8")[::2].tolist()


def priorities(uid: NDArray[np.int64], file: str, row: NDArray[np.int64]) -> NDArray[np.int64]:
    """A signed 64-bit hash of each row's uid, file identity and number: uniform, and stable for ever.

    Three rounds of :func:`splitmix`, one for each input. Rows that repeat a
    uid get other priorities, and equal rows in equal files always the same.
    """
    mixed = splitmix(uid.view(np.uint64) + GOLDEN)
    mixed = splitmix((mixed ^ name_hash(file)) + GOLDEN)
    return splitmix((mixed ^ row.view(np.uint64)) + GOLDEN).view(np.int64)


def uids_behind(
    priority: NDArray[np.int64], names: NDArray[np.uint64], row: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The uids of which :func:`priorities` were made: its rounds are one to one, so they can be undone.

    ``names`` are the name_hash of each row's file.
    """
    mixed = (_unmixed(priority.view(np.uint64)) - GOLDEN) ^ row.view(np.uint64)
    mixed = (_unmixed(mixed) - GOLDEN) ^ names
    return (_unmixed(mixed) - GOLDEN).view(np.int64)


def name_hash(file: str) -> np.uint64:
    """What a file's identity adds to its rows' priorities."""
    return np.uint64(mmh3.hash64(file.encode(), signed=False)[0])


def splitmix(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """splitmix64's finaliser: a one-to-one mixing of all bits (Steele, Lea, Flood 2014)."""
    value = (value ^ (value >> np.uint64(30))) * _MULTIPLY[0]
    value = (value ^ (value >> np.uint64(27))) * _MULTIPLY[1]
    return value ^ (value >> np.uint64(31))


def _unmixed(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """What splitmix was given."""
    value = _unshifted(value, 31) * _DIVIDE[1]
    value = _unshifted(value, 27) * _DIVIDE[0]
    return _unshifted(value, 30)


def _unshifted(value: NDArray[np.uint64], by: int) -> NDArray[np.uint64]:
    """The x of which ``value`` is x ^ (x >> by), for a shift by 22 to 63 bits."""
    return value ^ (value >> np.uint64(by)) ^ (value >> np.uint64(2 * by))

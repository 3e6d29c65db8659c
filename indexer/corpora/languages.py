"""The language of captions where a corpus has no column of it: a detector's, or none where it isn't sure."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pyarrow as pa

from ...core.errors import import_failure
from ...core.records import CorpusFile

UNDETERMINED = "und"


def detecting_language(files: Sequence[CorpusFile]) -> list[CorpusFile]:
    """``files``, to be read with a detected language where they have no such column.

    MissingExtraError where the detector isn't installed.
    """
    _detector()
    return [replace(file, detect_language=True) for file in files]


def languages(captions: pa.Array[Any]) -> pa.Array[Any]:
    """The ISO 639-1 code of each caption's language; NULL where there is none, or the detector isn't sure."""
    details = _detector().detect_details
    texts: list[str | None] = captions.to_pylist()
    results = (details(text) if text else None for text in texts)
    codes = [result.language if result is not None and result.reliable else None for result in results]
    return pa.array([None if code == UNDETERMINED else code for code in codes], pa.string())


@cache
def _detector() -> Any:
    try:
        eldc = importlib.import_module("eldc")
    except ImportError as error:
        raise import_failure(error, "detecting languages", "language") from error
    eldc.init()
    return eldc

"""A journal of JSON lines: each is on the disk before the next thing happens; a kill does no harm."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any, cast

from ...core.errors import InputError


class Journal:
    """Appends records (JSON objects) to a file; safe in several threads of one process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._mended = False

    def records(self) -> list[dict[str, Any]]:
        """Every whole record, in the order written; a line that a kill cut off is not one."""
        if not self.path.exists():
            return []
        records: list[dict[str, Any]] = []
        *lines, _ = self.path.read_bytes().split(b"\n")
        for number, line in enumerate(lines, start=1):
            try:
                records.append(cast("dict[str, Any]", json.loads(line)))
            except (ValueError, RecursionError) as error:
                raise InputError(
                    f"{self.path}: line {number} isn't JSON ({error}); remove that line"
                ) from error
        return records

    def append(self, *records: dict[str, Any]) -> None:
        """Add ``records``, if any; they are on the disk when this returns."""
        if not records:
            return
        data = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
        with self._lock, self.path.open("ab") as handle:
            if not self._mended:
                handle.truncate(self._whole())
                self._mended = True
            handle.write(data.encode("utf-8", "replace"))
            handle.flush()
            os.fsync(handle.fileno())

    def _whole(self) -> int:
        """The bytes up to the end of the last whole line."""
        return self.path.read_bytes().rfind(b"\n") + 1

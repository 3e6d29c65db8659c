"""images/spool/: accepted bytes as they came, each under its sha256, until they are packed."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from pathlib import Path

from ...core.errors import DownloadError


class Spool:
    """The folder of accepted bytes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, sha256: str) -> Path:
        """Where the bytes of that hash lie."""
        return self.folder / sha256

    def write(self, sha256: str, data: bytes) -> None:
        """Put ``data`` there, whole or not at all; DownloadError where the disk won't take it."""
        target = self.path(sha256)
        # Threads can write the same picture of two URLs at the same time.
        part = self.folder / f".{sha256}.{os.getpid()}.{threading.get_ident()}.part"
        try:
            part.write_bytes(data)
            part.replace(target)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise DownloadError(
                f"{self.folder} can't take another image ({error.strerror or error}); "
                "nothing fetched so far is lost: make room and run captrawl download again"
            ) from error

    def discard(self, sha256s: Iterable[str]) -> None:
        """Delete the bytes of these hashes, where they are there."""
        for sha256 in sha256s:
            self.path(sha256).unlink(missing_ok=True)

    def names(self) -> set[str]:
        """Every file's name, half-written ones too."""
        return {entry.name for entry in os.scandir(self.folder)}

"""images/00012/: packed folders, and how the disk and the ledger are brought together after a kill.

A folder is whole as soon as it is there, since it is renamed into place; the ledger learns of it afterwards.
So at a start: whole folders that the ledger doesn't know are adopted, half-made ones and leftovers are
deleted, images whose bytes are gone are asked again, and what is still spooled is packed.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
from pathlib import Path

from ...core.errors import DownloadError
from ..ledger import Ledger
from .pool import Shard, read_shard
from .spool import Spool
from .worker import shard_name

logger = logging.getLogger(__name__)

_NUMBERED = re.compile(r"[0-9]{5,}")


class Shards:
    """The packed folders of a workspace."""

    def __init__(self, images: Path) -> None:
        self.images = images
        self.temporary = images / ".tmp"

    def numbers(self) -> list[int]:
        """The numbers of the folders that are there, ascending."""
        names = (entry.name for entry in os.scandir(self.images) if entry.is_dir())
        return sorted(int(name) for name in names if _NUMBERED.fullmatch(name))

    def commit(self, shard: Shard, ledger: Ledger, spool: Spool) -> None:
        """Rename the folder into place, then tell the ledger, then drop the spooled bytes."""
        try:
            if shard.folder is not None:
                shard.folder.replace(self.images / shard.folder.name)
        except OSError as error:
            raise DownloadError(f"{shard.folder} can't be moved into {self.images}: {error}") from error
        ledger.pack(shard.files)
        ledger.lose(shard.lost)
        spool.discard(file.sha256 for file in shard.files)
        if shard.folder is not None:
            shutil.rmtree(shard.folder.parents[1], ignore_errors=True)

    def tidy(self, ledger: Ledger, spool: Spool) -> None:
        """Bring folders, spool and ledger together; nothing changes where they agree."""
        shutil.rmtree(self.temporary, ignore_errors=True)
        self._adopt(ledger)
        missing = self._missing(ledger)
        waiting = {sha256 for sha256, _ in ledger.spooled()}
        names = spool.names()
        spool.discard(names - waiting)
        ledger.lose([*missing, *sorted(waiting - names)])
        if missing:
            logger.warning(
                "%d images are gone from %s; their URLs are asked again", len(missing), self.images
            )

    def _adopt(self, ledger: Ledger) -> None:
        """Take in the whole folders that ``ledger`` doesn't know; delete those without their table."""
        ledger_folders = {path.split("/")[1] for _, path in ledger.paths()}
        for number in self.numbers():
            name = shard_name(number)
            folder = self.images / name
            if name in ledger_folders or not folder.is_dir():
                continue
            try:
                files = read_shard(folder, f"images/{name}")
            except (OSError, ValueError):
                logger.warning("%s is no whole folder of images and is deleted", folder)
                shutil.rmtree(folder, ignore_errors=True)
                continue
            ledger.pack(
                [
                    file
                    for file in files
                    if ledger.expects(file.sha256)
                    and (file.reason or (self.images.parent / file.path).is_file())
                ]
            )

    def _missing(self, ledger: Ledger) -> list[str]:
        """The packed images whose files aren't there, found with one listing a folder."""
        there: dict[str, set[str]] = {}
        missing: list[str] = []
        for sha256, path in ledger.paths():
            parent, _, name = path.rpartition("/")
            if parent not in there:
                folder = self.images.parent / parent
                there[parent] = {entry.name for entry in os.scandir(folder)} if folder.is_dir() else set()
            if name not in there[parent]:
                missing.append(sha256)
        return missing

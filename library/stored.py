"""Values of settings that an option or an argument gives: used now, and stored for `run` and `status`."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from dataclasses import dataclass, field

from ..workspace.settings import Changes
from ..workspace.settings_edits import edit_settings
from ..workspace.workspace import Workspace

CAUTION = (
    "note: web corpora contain links to harmful and illegal images, child abuse material (CSAM) among them, "
    "and no filter of theirs, such as the NSFW tag, is reliable. Prefer Re-LAION, set [download] blocklist "
    "and contact, and see that the law and your institution let you keep what comes."
)
"""What is said before a workspace's first download, and of images that come from elsewhere."""


def caution_of(workspace: Workspace) -> str:
    """CAUTION before the first download of ``workspace``, then nothing."""
    return "" if workspace.ledger_path.exists() else CAUTION


def allowing_private(workspace: Workspace) -> Workspace:
    """``workspace`` with private addresses allowed, for this call alone."""
    return workspace.overriding({"download": {"allow_private": True}})


@dataclass(slots=True)
class Stored:
    """``workspace`` with the changed settings; ``keys``: those that captrawl.toml got at the block's end."""

    workspace: Workspace
    keys: list[str] = field(default_factory=list[str])


@contextlib.contextmanager
def storing(workspace: Workspace, changes: Changes) -> Generator[Stored]:
    """``workspace`` with ``changes`` (table → key → value); captrawl.toml gets them if it ends well."""
    stored = Stored(workspace.overriding(changes))
    yield stored
    data = workspace.settings().model_dump(mode="json", exclude_none=True)
    news = {
        table: {key: value for key, value in values.items() if data[table].get(key) != value}
        for table, values in changes.items()
    }
    if any(news.values()):
        edit_settings(workspace.settings_path, {table: values for table, values in news.items() if values})
        stored.keys += [f"[{table}] {key} = {value}" for table in news for key, value in news[table].items()]

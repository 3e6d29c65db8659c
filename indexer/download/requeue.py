"""Settings that changed since the ledger's rows were judged: which rows they judge anew.

A refusal or a failure is never asked again by itself. But a row that only a setting kept away (an address
check since lifted, a blocklist since corrected, a limit since moved, a retry since allowed) is queued, and
what a blocklist names now is refused, packed or not.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from ..fetch.blocklist import Blocklist
from ..fetch.fetcher import Rules
from ..fetch.urls import host_of
from ..ledger import Ledger
from ..reasons import Reason, is_transient

_AGAIN = "UPDATE urls SET state = 'queued', reason = NULL, attempts = 0, next_try = 0 WHERE "
_RETRY = "UPDATE urls SET state = 'queued' WHERE state = 'failed' AND reason = ? AND attempts <= ?"
_REFUSE = "UPDATE urls SET state = 'refused', reason = ? WHERE id = ?"
_BLOCKED = (Reason.BLOCKED_URL, Reason.BLOCKED_HOST, Reason.BLOCKED_UID, Reason.BLOCKED_HASH)


def review(ledger: Ledger, rules: Rules, *, retries: int, root: Path) -> None:
    """Judge the rows of ``ledger`` by the settings as they are now; ``root`` is the workspace."""
    with ledger.transaction() as database:
        if rules.allow_private:
            database.execute(_AGAIN + "reason = ?", (Reason.PRIVATE_ADDRESS,))
        database.execute(
            _AGAIN + "reason = ? AND min(width, height) >= ?", (Reason.TOO_SMALL, rules.min_side)
        )
        if rules.max_bytes > int(ledger.meta("max_bytes", str(rules.max_bytes))):
            database.execute(_AGAIN + "reason = ?", (Reason.TOO_LARGE,))
        _retry(database, retries)
        _block(database, rules.blocklist, ledger)
        ledger.note(max_bytes=str(rules.max_bytes), blocklist=rules.blocklist.digest())
    _unlink_orphans(ledger, root)


def _retry(database: sqlite3.Connection, retries: int) -> None:
    """Queue what failed in passing and has attempts left by now."""
    query = "SELECT DISTINCT reason FROM urls WHERE state = 'failed' AND attempts <= ?"
    for (reason,) in database.execute(query, (retries,)).fetchall():
        if is_transient(reason):
            database.execute(_RETRY, (reason, retries))


def _block(database: sqlite3.Connection, blocklist: Blocklist, ledger: Ledger) -> None:
    """Refuse every row that ``blocklist`` names, and queue those it names no longer."""
    unchanged = ledger.meta("blocklist", Blocklist().digest()) == blocklist.digest()
    if unchanged and ledger.meta("reviewed") == ledger.meta("taken_in"):
        return
    columns = "id, url, reason, blocked, sha256, sha1, md5"
    marks = ", ".join("?" * len(_BLOCKED))
    narrow = "" if blocklist != Blocklist() else f" WHERE reason IN ({marks})"
    rows = database.execute(f"SELECT {columns} FROM urls{narrow}", _BLOCKED if narrow else ())  # noqa: S608
    refused: list[tuple[Reason, int]] = []
    freed: list[tuple[int]] = []
    for id_, url, reason, blocked, *hashes in rows:
        why = _why(blocklist, url, blocked == ledger.generation, hashes)
        if why is not None and why != reason:
            refused.append((why, id_))
        elif why is None and reason in _BLOCKED:
            freed.append((id_,))
    database.executemany(_REFUSE, refused)
    database.executemany(_AGAIN + "id = ?", freed)
    ledger.note(reviewed=ledger.meta("taken_in"))


def _why(blocklist: Blocklist, url: str, uid_blocked: bool, hashes: list[str | None]) -> Reason | None:
    if uid_blocked:
        return Reason.BLOCKED_UID
    if url in blocklist.urls:
        return Reason.BLOCKED_URL
    if blocklist.hosts and blocklist.blocks_host(host_of(url)):
        return Reason.BLOCKED_HOST
    return Reason.BLOCKED_HASH if blocklist.blocks_bytes(*hashes) else None


def _unlink_orphans(ledger: Ledger, root: Path) -> None:
    """Delete packed images and spooled bytes that no URL stands for any more."""
    orphans = ledger.orphans()
    for sha256, path in orphans:
        (root / path if path else root / "images" / "spool" / sha256).unlink(missing_ok=True)
    ledger.lose([sha256 for sha256, _ in orphans])

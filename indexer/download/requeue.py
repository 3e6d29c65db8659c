"""Which rows of the ledger are judged anew because the settings changed since.

A refusal or a failure is never asked again by itself. But a row that only a setting kept away (an address
check since lifted, a blocklist since corrected, a limit since moved, a retry since allowed) is queued, and
what a blocklist names now is refused, packed or not.
"""

from __future__ import annotations

from pathlib import Path

from ...workspace.settings import DownloadSettings
from ..fetch.blocklist import Blocklist
from ..fetch.client import Rules
from ..fetch.consent import REFUSALS, Signal
from ..fetch.urls import host_of
from ..ledger import Ledger
from ..outcomes import Reason

_BLOCKED = (Reason.BLOCKED_URL, Reason.BLOCKED_HOST, Reason.BLOCKED_UID, Reason.BLOCKED_HASH)


def apply_settings(ledger: Ledger, rules: Rules, settings: DownloadSettings, root: Path) -> None:
    """Judge the rows of ``ledger`` by ``settings``, and ``rules`` made of them; ``root``: the workspace."""
    with ledger.transaction():
        if rules.allow_private:
            ledger.requeue(Reason.PRIVATE_ADDRESS)
        ledger.requeue(Reason.NO_SOURCE)
        ledger.requeue(Reason.BAD_MEMBER)
        ledger.requeue(Reason.TOO_SMALL, min_side=rules.min_side)
        if rules.max_bytes > int(ledger.meta("max_bytes", str(rules.max_bytes))):
            ledger.requeue(Reason.TOO_LARGE)
        for signal in set(Signal) - rules.honoured:
            ledger.requeue(REFUSALS[signal])
        if settings.placeholders == "keep":
            ledger.requeue(Reason.PLACEHOLDER)
            ledger.requeue(Reason.DUPLICATE)
        ledger.requeue_transient(settings.retries)
        _block(ledger, rules.blocklist)
        ledger.note(max_bytes=str(rules.max_bytes), blocklist=rules.blocklist.digest())
    unlink_orphans(ledger, root)


def _block(ledger: Ledger, blocklist: Blocklist) -> None:
    """Refuse every row that ``blocklist`` names, and queue those it names no longer."""
    unchanged = ledger.meta("blocklist", Blocklist().digest()) == blocklist.digest()
    if unchanged and ledger.meta("reviewed") == ledger.meta("taken_in"):
        return
    refused: list[tuple[Reason, int]] = []
    freed: list[int] = []
    for id_, url, reason, blocked, *hashes in ledger.identities(() if blocklist != Blocklist() else _BLOCKED):
        why = _why(blocklist, url, blocked == ledger.generation, hashes)
        if why is not None and why != reason:
            refused.append((why, id_))
        elif why is None and reason in _BLOCKED:
            freed.append(id_)
    ledger.refuse(refused, freed)
    ledger.note(reviewed=ledger.meta("taken_in"))


def _why(blocklist: Blocklist, url: str, uid_blocked: bool, hashes: list[str | None]) -> Reason | None:
    if uid_blocked:
        return Reason.BLOCKED_UID
    if blocklist.blocks_url(url):
        return Reason.BLOCKED_URL
    if (blocklist.hosts or blocklist.tombstones) and blocklist.blocks_host(host_of(url)):
        return Reason.BLOCKED_HOST
    return Reason.BLOCKED_HASH if blocklist.blocks_bytes(*hashes) else None


def unlink_orphans(ledger: Ledger, root: Path) -> None:
    """Delete packed images and spooled bytes that no URL stands for any more."""
    orphans = ledger.orphans()
    for sha256, path in orphans:
        (root / path if path else root / "images" / "spool" / sha256).unlink(missing_ok=True)
    ledger.lose([sha256 for sha256, _ in orphans])

"""A purge from its request to its proof."""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from ..core.errors import WorkspaceError
from ..core.files import sweep, write_json
from ..core.records import Progress, silent
from ..core.version import __version__
from ..indexer.download.session import DOWNLOAD
from ..indexer.embed.faiss_index import VECTORS
from ..indexer.embed.stage import EMBED
from ..indexer.fetch.tombstones import NAME as TOMBSTONES
from ..indexer.ledger import Ledger
from ..indexer.match_stage import MATCH
from ..sampling.report.stage import REPORT
from ..sampling.task import sample_facts
from ..workspace.workspace import Workspace
from .pending import NAME, PendingPurge, pending_path
from .residue import Residue
from .steps import STEPS
from .targets import Doomed, PurgeRequest, resolve

logger = logging.getLogger(__name__)

PROOFS = "purges"
"""The folder of the proofs below the workspace."""
FORMAT = 1
_OWN = frozenset({NAME, TOMBSTONES, "captrawl.toml"})


@dataclass(frozen=True, slots=True)
class PurgeProof:
    """What was purged, in counts and tombstones, and what a search of every file found afterwards."""

    path: str
    """Where it lies, relative to the workspace."""
    time: str
    named: Mapping[str, int]
    """How many URLs, hosts, uids, hashes, pictures and index rows went or are kept away."""
    removed: Mapping[str, int]
    """Step → how many things it removed."""
    tombstones: Sequence[str]
    files: int
    """Files searched."""
    residue: Mapping[str, str] = field(default_factory=dict[str, str])
    """File → what of it is still there."""
    remains: Sequence[str] = ()
    """Where it may still be, which is no work of captrawl's here."""

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return not self.residue


def preview(workspace: Workspace, request: PurgeRequest) -> dict[str, int]:
    """What a purge would remove, counted; nothing is changed."""
    return _counts(resolve(workspace, request))


def purge(
    workspace: Workspace,
    request: PurgeRequest | None,
    *,
    keep_index: bool = False,
    progress: Progress = silent,
) -> PurgeProof | None:
    """Remove what ``request`` names, and write the proof; None: finish a purge that was killed, if any.

    A purge that was killed is finished first; the proof is that of the last. WorkspaceError while a stage
    runs. CaptionIndexError where the caption index can't be changed: all else is purged then, and a rerun
    goes on there.
    """
    with _alone(workspace):
        proof = None
        journal = PendingPurge.load(workspace)
        if journal is not None:
            logger.warning("a purge of %s was cut short and is finished first", workspace.root)
            proof = _finish(
                workspace, replace(journal, keep_index=journal.keep_index or keep_index), progress
            )
        if request is not None:
            journal = PendingPurge(resolve(workspace, request), keep_index)
            journal.save(workspace)
            proof = _finish(workspace, journal, progress)
    return proof


@contextlib.contextmanager
def _alone(workspace: Workspace) -> Generator[None]:
    """Hold the lock of every stage; WorkspaceError where one runs."""
    specs = workspace.settings().sample
    recorded = {name for name in workspace.recorded_hashes() if name.startswith("sample:")}
    facts = {stage.name for stage in (MATCH, DOWNLOAD, EMBED, VECTORS, REPORT)}
    names = {"purge", "synonyms", *facts, *recorded, *(sample_facts(spec.name).name for spec in specs)}
    with contextlib.ExitStack() as stack:
        for name in sorted(names):
            stack.enter_context(workspace.locked(name))
        if any((workspace.root / "parts").glob("[!.]*")):
            raise WorkspaceError(
                f"{workspace.root / 'parts'} has parts that aren't merged; run captrawl download and embed "
                "first, or delete that folder"
            )
        yield


def _finish(workspace: Workspace, journal: PendingPurge, progress: Progress) -> PurgeProof:
    doomed = journal.doomed
    for number, (name, step) in enumerate(STEPS.items()):
        progress("purge", number, len(STEPS))
        skipped = name == "captions" and journal.keep_index
        if name in journal.done or skipped or (name != "tombstones" and not doomed.here):
            continue
        journal = replace(journal, done={**journal.done, name: step(workspace, doomed)})
        journal.save(workspace)
    progress("purge", len(STEPS), len(STEPS))
    files, residue = _search(workspace, doomed, progress)
    time = datetime.now(UTC).isoformat(timespec="milliseconds")
    path = f"{PROOFS}/{time[:23].replace(':', '-')}.json"
    proof = PurgeProof(
        path,
        time,
        _counts(doomed),
        journal.done,
        sorted(doomed.tombstones()),
        files,
        residue,
        _remains(workspace, journal),
    )
    document = {"format": FORMAT, "captrawl": __version__, "clean": proof.clean, **asdict(proof)}
    write_json(workspace.root / path, document)
    pending_path(workspace).unlink()
    return proof


def _counts(doomed: Doomed) -> dict[str, int]:
    return {
        "urls": len(doomed.urls),
        "hosts": len(doomed.hosts),
        "uids": len(doomed.uids),
        "hashes": len(doomed.hashes),
        "pictures": len(doomed.paths),
        "index_rows": sum(map(len, doomed.rows.values())),
    }


def _search(workspace: Workspace, doomed: Doomed, progress: Progress) -> tuple[int, dict[str, str]]:
    """How many files of the workspace and its exports were read, and what is left in which."""
    sweep(workspace.root)
    finder = Residue(doomed)
    left: dict[str, str] = {}
    files = list(_files(workspace))
    for number, path in enumerate(files):
        progress("purge: verify", number, len(files))
        of_ledger = path.name.startswith(workspace.ledger_path.name)
        reason = finder.of_file(path, joined=of_ledger)
        if reason == "url" and of_ledger:
            reason = _of_ledger(workspace, doomed)
        if reason:
            left[str(path.relative_to(workspace.root) if path.is_relative_to(workspace.root) else path)] = (
                reason
            )
    return len(files), left


def _of_ledger(workspace: Workspace, doomed: Doomed) -> str:
    """Whether what looks like a purged URL in the ledger's file is no longer one's beginning.

    SQLite writes texts one behind the other, so that there a URL's end can't be seen.
    """
    with Ledger(workspace.ledger_path, read_only=True) as opened:
        others = {one for row in opened.contents() for one in row[1:3] if one}
    if others & doomed.urls:
        return "url"
    lengths = Counter(map(len, doomed.urls))
    longer = any(other[:length] in doomed.urls for other in others for length in lengths)
    return "" if longer else "url"


def _files(workspace: Workspace) -> Iterator[Path]:
    lists = {(workspace.root / path).resolve() for path in workspace.settings().download.blocklist}
    for folder in (workspace.root, *workspace.exports()):
        for path in sorted(folder.rglob("*")):
            own = path.parent == workspace.root and path.name in _OWN
            proof = path.parent == workspace.root / PROOFS
            if path.is_file() and not (own or proof or path.is_symlink() or path.resolve() in lists):
                yield path


def _remains(workspace: Workspace, journal: PendingPurge) -> list[str]:
    """Where the rows may still be, in words."""
    index = workspace.settings().captions.index
    places = [
        "the corpus's own files, archives, and all outside this workspace: copies, backups, other workspaces"
    ]
    if index and journal.keep_index:
        places.append(f"the caption index {index}, left as it is")
    elif index:
        places.append(f"rows of the caption index {index} that this workspace never matched")
        if "://" in index:
            places.append("segments of Elasticsearch that contain deleted rows until they are merged")
    if workspace.settings().download.blocklist:
        places.append("your own blocklists")
    return places

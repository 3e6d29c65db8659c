"""captrawl purge: rows and pictures out of the workspace for good, with proof."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...core.errors import UsageError, WorkspaceError
from ...core.wording import counts_text
from .. import options
from .shapes import PurgeJson, PurgePreviewJson

if TYPE_CHECKING:
    from ...purge.run import PurgeProof

app = typer.Typer()

_Values = list[str] | None


@app.command("purge")
def purge(
    context: typer.Context,
    folder: Annotated[
        Path | None, typer.Argument(metavar="WORKSPACE", help="Where -C doesn't name it.")
    ] = None,
    url: Annotated[_Values, typer.Option(metavar="URL", help="A picture's URL; repeatable.")] = None,
    host: Annotated[
        _Values, typer.Option(metavar="HOST", help="A host and those below it; repeatable.")
    ] = None,
    uid: Annotated[_Values, typer.Option(metavar="UID", help="A row's uid; repeatable.")] = None,
    md5: Annotated[_Values, typer.Option(metavar="MD5", help="A picture's md5; repeatable.")] = None,
    sha256: Annotated[_Values, typer.Option(metavar="SHA256", help="A picture's sha256; repeatable.")] = None,
    lists: Annotated[
        list[Path] | None,
        typer.Option("--list", metavar="FILE", help="A list of these, or a Parquet table; repeatable."),
    ] = None,
    keep_only: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Such a list of what alone stays.")
    ] = None,
    keep_index: Annotated[
        bool, typer.Option("--keep-index", help="Leave the caption index as it is.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how much would go.")] = False,
    json: options.Json = False,
) -> None:
    """Remove rows and pictures from everything in the workspace, for good, and search what is left for them.

    Without anything named, a purge that was cut short is finished.
    """
    from ...core.terminal import emit, emit_json, progress_bars
    from ...purge.run import preview
    from ...purge.run import purge as purge_now
    from ...purge.targets import PurgeRequest
    from ...workspace.workspace import Workspace

    workspace = Workspace.open(folder) if folder else options.workspace_of(context)
    named = _named({"url": url, "host": host, "uid": uid, "md5": md5, "sha256": sha256})
    request = PurgeRequest(named, lists or (), keep_only) if named or lists or keep_only else None
    if dry_run:
        if request is None:
            raise UsageError("--dry-run of nothing: name a --url, --host, --uid, --md5, --sha256 or --list")
        counts = preview(workspace, request)
        return (
            emit_json(PurgePreviewJson(named=counts)) if json else emit(f"would purge {counts_text(counts)}")
        )
    with progress_bars() as progress:
        proof = purge_now(workspace, request, keep_index=keep_index, progress=progress)
    if proof is None:
        raise UsageError(
            "nothing is named, and no purge was cut short: give a --url, --host, --uid or --list"
        )
    if json:
        emit_json(_printed(proof))
    else:
        emit(f"purged {counts_text(proof.named)}")
        if not any(number for step, number in proof.removed.items() if step != "tombstones"):
            emit("nothing of it was here (is it spelt as in images.parquet?); it is kept out from now on")
        emit(f"searched {proof.files:,} files: {'nothing is left' if proof.clean else 'NOT CLEAN'}")
        for place in proof.remains:
            emit(f"not searched or removed: {place}")
        emit(f"proof: {workspace.root / proof.path}")
    if not proof.clean:
        first, what = next(iter(proof.residue.items()))
        raise WorkspaceError(
            f"{len(proof.residue)} files still have some of it, {first} first ({what}); they are no work of "
            "captrawl's: delete them and purge again"
        )
    return None


def _printed(proof: PurgeProof) -> PurgeJson:
    return PurgeJson(
        clean=proof.clean,
        path=proof.path,
        time=proof.time,
        named=proof.named,
        removed=proof.removed,
        tombstones=len(proof.tombstones),
        files=proof.files,
        residue=proof.residue,
        remains=proof.remains,
    )


def _named(values: dict[str, _Values]) -> dict[str, list[str]]:
    """The values that were given, by kind; InputError where one isn't of its kind."""
    from ...indexer.fetch.blocklist import read_entry

    given_values = {kind: some for kind, some in values.items() if some}
    return {
        kind: [read_entry(f"{kind} {value}", f"--{kind}")[1] for value in some]
        for kind, some in given_values.items()
    }

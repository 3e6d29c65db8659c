"""captrawl download: fetch the matched images and pack them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...core.errors import DownloadError, UsageError
from ...core.wording import counts_text
from .. import options
from ..enough import enough_json, enough_lines
from .shapes import DownloadJson, PlanJson

if TYPE_CHECKING:
    from ...workspace.workspace import Workspace

app = typer.Typer()


@app.command("download")
def download(
    context: typer.Context,
    allow_private: options.AllowPrivate = False,
    resize: Annotated[
        int | None, typer.Option(help="Shorter side in pixels; 0 = original size.", min=0)
    ] = None,
    until: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Usable images per class that are enough; 0 = ask for every match.", min=0
        ),
    ] = None,
    plan_only: Annotated[
        bool, typer.Option("--plan-only", help="Only write urls.parquet, fetch nothing.")
    ] = False,
    adopt: Annotated[
        Path | None, typer.Option(help="Take over the output of img2dataset, or another workspace's images.")
    ] = None,
    part: Annotated[
        str,
        typer.Option(metavar="3/16", help="Only this share of the hosts; without --part merges them."),
    ] = "",
    json: options.Json = False,
) -> None:
    """Fetch the matched images and pack them into images/, politely and resumably."""
    from ...core.terminal import emit, emit_json, progress_bars
    from ...indexer.download import stage
    from ...library.stored import allowing_private

    workspace = options.workspace_of(context)
    if plan_only and adopt:
        raise UsageError("--plan-only and --adopt contradict each other; give one of them")
    share = options.whole_part(part)
    if share and (plan_only or adopt or until is not None):
        raise UsageError(f"--part {part} is about fetching; leave out --plan-only, --adopt and --until")
    if until is not None and (plan_only or adopt):
        raise UsageError(f"--until {until} is about fetching; leave out --plan-only and --adopt")
    changes: dict[str, int] = {}
    if resize is not None:
        _check_resize(workspace, resize)
        changes["resize"] = resize
    if until is not None:
        changes["until"] = until
    if allow_private:
        workspace = allowing_private(workspace)
    if plan_only:
        options.caution(workspace)
        plan = str(stage.plan_only(workspace))
        return emit_json(PlanJson(plan=plan)) if json else emit(plan)
    if workspace.matches_path.exists():
        options.caution(workspace)
    with options.storing(workspace, {"download": changes}) as changed, progress_bars() as progress:
        fetch = partial(stage.adopt, folder=adopt) if adopt else stage.download
        if share:
            fetch = partial(stage.download_part, part=share)
        counts = fetch(changed, progress=progress)
    if json:
        answer = DownloadJson(counts=counts)
        if until_json := enough_json(workspace):
            answer["until"] = until_json
        return emit_json(answer)
    emit(f"download: {counts_text(counts)}")
    for line in enough_lines(workspace):
        emit(line)
    return None


def _check_resize(workspace: Workspace, resize: int) -> None:
    """DownloadError where the packed images have another size."""
    from ...indexer.download.session import packed_otherwise
    from ...indexer.ledger import Ledger

    if workspace.ledger_path.is_file():
        with Ledger(workspace.ledger_path) as ledger:
            packed = packed_otherwise(ledger, resize)
        if packed is not None:
            raise DownloadError(
                f"--resize {resize}: images/ was packed with resize={packed}; leave the option out, or move "
                "images/ away to download everything again"
            )

"""captrawl plan: what a run would fetch and embed, and how long it would take."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from ...core.wording import counted
from .. import options
from .shapes import ForecastJson, HoursJson, SlowestHostJson, SurvivalJson

if TYPE_CHECKING:
    from ...indexer.forecast import Forecast
    from ...workspace.workspace import Workspace

logger = logging.getLogger(__name__)
app = typer.Typer()
HOUR = 3600


@app.command("plan")
def plan(
    context: typer.Context, allow_private: options.AllowPrivate = False, json: options.Json = False
) -> None:
    """Say what download and embed would do from here: URLs, hosts, refusals, images, room and hours.

    No image byte is fetched. The embedding is measured on 64 rows with the model, where it is at hand.
    """
    from ...library.stored import allowing_private

    workspace = options.workspace_of(context)
    show_plan(allowing_private(workspace) if allow_private else workspace, json=json)


def show_plan(workspace: Workspace, *, json: bool) -> None:
    """Print the plan of a run of ``workspace``, and keep it for the report."""
    from ...core.terminal import emit_json, out, table
    from ...indexer.forecast import forecast, plan_record
    from ...workspace import pipeline

    ahead = forecast(pipeline.downloading(workspace))
    if json:
        emit_json(_plain(ahead))
    else:
        out().print(table("", [("", "left"), ("", "left")], list(_lines(ahead))))
    try:
        plan_record(ahead).save(workspace)
    except OSError as error:  # what would be done can be asked where nothing can be
        reason = error.strerror or error
        logger.warning("plan.json can't be written (%s): the report won't compare this plan", reason)


def _lines(ahead: Forecast) -> Iterator[tuple[str, str]]:
    from ...indexer.outcomes import Reason

    look = ahead.outlook
    ended = f", of which {look.ended:,} have ended" if look.ended else ""
    yield "matched", f"{counted(look.rows, 'row')}, {counted(look.urls, 'URL')}{ended}"
    yield "to be asked", f"{counted(look.asked_urls, 'URL')} of {counted(look.hosts, 'host')}"
    if look.archived:
        yield "in archives", f"{counted(look.archived, 'picture')} without a URL"
    if look.refusals:
        reasons = sorted(look.refusals.items(), key=lambda pair: (-pair[1], pair[0]))
        reasons_text = ", ".join(f"{reason} {urls:,}" for reason, urls in reasons)
        hint = "; --allow-private fetches these" if Reason.PRIVATE_ADDRESS in look.refusals else ""
        yield "refused", f"{counted(sum(look.refusals.values()), 'URL')} ({reasons_text}){hint}"
    share = f"{100 * look.survival.share:.0f} % of the URLs: {look.survival.source}"
    yield "images", f"{look.images:,} there, {look.new_images:,} more expected ({share})"
    short = "; too little" if ahead.new_bytes > ahead.disk_left else ""
    yield "disk", f"{ahead.new_bytes / 1e9:,.2f} GB more, {ahead.disk_left / 1e9:,.1f} GB free{short}"
    slowest = f"{look.slowest_host} alone takes {_time(look.slowest_seconds)} for {look.slowest_urls:,} URLs"
    yield "fetch", _time(look.fetch_seconds) + (f"; {slowest}" if look.slowest_host else "")
    if ahead.speed is None or ahead.embed_seconds is None:
        yield "embed", f"not measured: {ahead.unmeasured}"
    else:
        rate = 1 / ahead.speed.seconds_a_row
        yield "embed", f"{_time(ahead.embed_seconds)} ({rate:,.1f} rows per second on {ahead.speed.device})"


def _plain(ahead: Forecast) -> ForecastJson:
    look, embed = ahead.outlook, ahead.embed_seconds
    slowest = SlowestHostJson(
        host=look.slowest_host, urls=look.slowest_urls, hours=look.slowest_seconds / HOUR
    )
    return ForecastJson(
        rows=look.rows,
        urls=look.urls,
        ended=look.ended,
        to_ask=look.asked_urls,
        in_archives=look.archived,
        hosts=look.hosts,
        slowest_host=slowest,
        survival=SurvivalJson(share=look.survival.share, source=look.survival.source),
        images=look.images,
        expected_images=ahead.expected_images,
        gigabytes=ahead.new_bytes / 1e9,
        gigabytes_free=ahead.disk_left / 1e9,
        hours=HoursJson(fetch=look.fetch_seconds / HOUR, embed=None if embed is None else embed / HOUR),
        refused=sum(look.refusals.values()),
        reasons=look.refusals,
    )


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:,.0f} min" if seconds < 90 * 60 else f"{seconds / HOUR:,.1f} h"

"""captrawl slurm: a workspace's run as job arrays of a SLURM cluster."""

from __future__ import annotations

from typing import Annotated

import typer

from .. import options
from .shapes import SlurmJobJson, SlurmJson

app = typer.Typer()


@app.command("slurm")
def slurm(
    context: typer.Context,
    parts: Annotated[
        int, typer.Option(help="Shares of the work, one a task of the arrays.", min=1, max=9999)
    ],
    partition: Annotated[str, typer.Option(help="SLURM's partition for all jobs.")] = "",
    sbatch: Annotated[
        list[str] | None, typer.Option(metavar="OPTION", help="Another #SBATCH line, such as --gres=gpu:1.")
    ] = None,
    submit: Annotated[bool, typer.Option("--submit", help="Send them with sbatch.")] = False,
    json: options.Json = False,
) -> None:
    """Write slurm/*.sh: match, download and embed in parts, each merged, then run; only what isn't complete.

    The workspace must lie on a file system that all nodes share. Each job starts when the one before it has
    ended well; the same command again sends the parts that failed.
    """
    from ...core.terminal import emit, emit_json
    from ...library import slurm as jobs_in

    workspace = options.workspace_of(context)
    jobs = jobs_in.jobs_of(workspace, parts)
    scripts = jobs_in.write_scripts(workspace, jobs, partition=partition, options=sbatch or [])
    numbers = jobs_in.submit(scripts) if submit else []
    if json:
        entries = [
            SlurmJobJson(name=job.name, script=str(script), parts=list(job.parts))
            for job, script in zip(jobs, scripts, strict=True)
        ]
        return emit_json(SlurmJson(jobs=entries, submitted=numbers))
    for place, (job, script) in enumerate(zip(jobs, scripts, strict=True)):
        share = f", {len(job.parts)} of {parts} parts" if job.parts else ""
        sent = f", job {numbers[place]}" if numbers else ""
        emit(f"{script}{share}{sent}")
    if not submit:
        emit("send them with --submit, or one by one with sbatch")
    return None

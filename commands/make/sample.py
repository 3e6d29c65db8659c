"""captrawl sample: choose the images of each class."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...core.wording import counts_text
from .. import options
from .shapes import ClassKeptJson, SampleJson

app = typer.Typer()

_Keep = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CONDITION", help="Keep rows that meet it: 'T2I>=0.25', 'T2I>=q40', 'T2I>=mix'; repeatable."
    ),
]


@app.command("sample", cls=options.ListsChoices)
def sample(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Option(
            help="Its files are samples/NAME.*; made of the choice where it isn't given: T2I500.",
            autocompletion=options.sample_names,
        ),
    ] = "",
    method: Annotated[
        str,
        typer.Option(
            help="{methods}; {default_method} where nothing is given.",
            autocompletion=options.methods,
        ),
    ] = "",
    n: Annotated[int, typer.Option("-n", help="Images per class.", min=1)] = 500,
    rank: Annotated[
        str, typer.Option(help="The score to order by, or several: 'T2I+I2I', 'rrf(T2T,T2I)'.")
    ] = "",
    keep: _Keep = None,
    threshold: Annotated[float | None, typer.Option(help="The method's threshold, where it has one.")] = None,
    dedup: Annotated[
        str,
        typer.Option(
            metavar="COSINE|copies", help="Drop images nearer than this to one kept, or its copies."
        ),
    ] = "",
    diverse: Annotated[
        str, typer.Option(metavar="WEIGHT|facility", help="Unlike images among the best: 0.7, or facility.")
    ] = "",
    zeroshot: Annotated[
        bool, typer.Option("--zeroshot", help="The nearest class must be the own one.")
    ] = False,
    leak_guard: Annotated[
        Path | None,
        typer.Option(metavar="LIST", help="Test images, or their descriptors: copies are dropped."),
    ] = None,
    referee: Annotated[
        str, typer.Option(metavar="margin|drop", help="Of images in several classes' pools.")
    ] = "",
    tail: Annotated[
        bool, typer.Option("--tail", help="Conditions only where candidates are fewer than n.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of random orders.")] = 0,
    prompt_name: Annotated[
        str,
        typer.Option(
            metavar="synonyms|name|most_common_name", help="What prompts are made of; alternates: synonyms."
        ),
    ] = "",
    replace: Annotated[
        bool, typer.Option("--replace", help="Draw another choice under the name of a sample that stands.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Choose each class's images and write the training list.

    A name alone draws that [[sample]] as captrawl.toml has it; any option that chooses describes it anew.
    """
    from ...core.terminal import emit, emit_json, progress_bars, say
    from ...library.samples import SampleChoice, draw_choice
    from ...sampling.outcome import outcome_of, short_text, why_nothing

    options.check_choice("--method", method, options.methods())
    workspace = options.workspace_of(context)
    choice = SampleChoice(
        method=method,
        n=n,
        rank=rank,
        keep=keep or [],
        threshold=threshold,
        dedup=_number_or_word(dedup),
        diverse=_number_or_word(diverse),
        zeroshot=zeroshot,
        leak_guard=leak_guard or "",
        referee=referee,
        tail=tail,
        seed=seed,
        names={"alternates": "synonyms"}.get(prompt_name, prompt_name),
    )
    if not options.given(context, besides=("name", "replace", "json")):
        choice = SampleChoice()
    with progress_bars() as progress:
        drawing = draw_choice(workspace, name, choice, replace=replace, progress=progress)
    spec, counts = drawing.spec, drawing.counts
    if drawing.stored:
        say(f"stored in captrawl.toml: [[sample]] {spec.name}")
    outcome = outcome_of(workspace, spec)
    if json:
        answer = SampleJson(
            sample=spec.name,
            name=spec.name,
            kept=outcome.kept,
            n=outcome.n,
            classes=[
                ClassKeptJson(id=entry.id, name=entry.name, kept=entry.kept) for entry in outcome.classes
            ],
            short=[entry.id for entry in outcome.short],
            counts=counts,
            list=str(outcome.listing),
        )
        return emit_json(answer)
    emit(f"sample {spec.name}: {counts_text(counts)}")
    if outcome.auto:
        emit(outcome.auto)
    if outcome.kept == 0 and outcome.n:
        emit(why_nothing(workspace, spec.name))
    elif short := short_text(outcome):
        emit(short)
    return emit(str(outcome.listing))


def _number_or_word(text: str) -> float | str | None:
    try:
        return float(text)
    except ValueError:
        return text or None

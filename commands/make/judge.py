"""captrawl judge: ask a vision model about the pictures that the probe can't decide on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ...core.wording import counted
from .. import options
from .shapes import JudgeJson, JudgePlanJson
from .synonym_asking import Price, no_answer
from .synonym_costs import price_of, taking_text, tokens_text

if TYPE_CHECKING:
    from ...search.synonyms.llm import ModelServer
    from ...workspace.workspace import Workspace

app = typer.Typer()

_BaseUrl = Annotated[
    str, typer.Option(help="An OpenAI-compatible server of your own, such as http://localhost:11434/v1.")
]
_ImageTokens = Annotated[
    int, typer.Option(help="What the server counts for a picture, for the estimate; 0: as OpenAI.", min=0)
]


@app.command("judge")
def judge(
    context: typer.Context,
    questions: Annotated[int, typer.Option(help="Pictures per class, at most.", min=1)] = 20,
    model: Annotated[str, typer.Option(help="The vision model to ask.")] = "gpt-4o-mini",
    base_url: _BaseUrl = "",
    concurrency: Annotated[int, typer.Option(help="Questions under way at once.", min=1, max=256)] = 8,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for an answer.", min=0.1)] = 60.0,
    retries: Annotated[int, typer.Option(help="Further attempts after a passing failure.", min=0)] = 6,
    price: Annotated[str, typer.Option(metavar="IN/OUT", help="US dollars a million tokens.")] = "",
    image_tokens: _ImageTokens = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say how much it would ask and cost.")] = False,
    json: options.Json = False,
) -> None:
    """Ask a vision model which of five names fits a picture, or none, for those near the decision.

    Its answers are the score judge: sample --keep 'judge>=0.5' drops what it says is something else.
    """
    from ...search.synonyms.llm import ModelServer

    workspace = options.workspace_of(context)
    server = ModelServer(model, base_url, concurrency, timeout, retries)
    server.check_address()
    rate = price_of(price, server)
    if dry_run:
        return _plan(workspace, server, questions, (rate, image_tokens), json=json)
    return _ask(workspace, server, questions, rate, json=json)


def _plan(
    workspace: Workspace, server: ModelServer, questions: int, cost: tuple[Price, int], *, json: bool
) -> None:
    """Say what would be asked; ``cost``: the price, and the tokens of a picture."""
    from ...core.terminal import emit, emit_json, progress_bars
    from ...sampling.judge.plan import Judging, expected

    with progress_bars() as progress:
        batch = Judging.of(workspace, server, questions, progress).batch()
    price, image_tokens = cost
    use = expected(workspace, batch, server, image_tokens)
    classes = len({question.class_id for question in batch})
    if json:
        plan = JudgePlanJson(
            questions=use.questions,
            classes=classes,
            prompt_tokens=use.prompt_tokens,
            completion_tokens=use.completion_tokens,
            dollars=use.cost(price),
        )
        return emit_json(plan)
    emit(
        f"{counted(len(batch), 'picture')} of {counted(classes, 'class')}: {taking_text(use, server, price)}"
    )
    return None


def _ask(workspace: Workspace, server: ModelServer, questions: int, price: Price, *, json: bool) -> None:
    from ...classes.files import load_classes
    from ...core.terminal import emit, emit_json, progress_bars, say
    from ...sampling.judge.answers import JudgeAnswers
    from ...sampling.judge.ask import judge

    with progress_bars() as progress:
        outcome = judge(workspace, server, questions=questions, progress=progress)
    use = outcome.use
    counts = JudgeAnswers(workspace, load_classes(workspace.classes_path())).counts()
    said = (counts.own, counts.other, counts.none, counts.declined) if counts else (0, 0, 0, 0)
    own, other, none, declined = said
    if json:
        answer = JudgeJson(
            questions=use.questions,
            pictures=sum(said),
            own=own,
            other=other,
            none=none,
            declined=declined,
            prompt_tokens=use.prompt_tokens,
            completion_tokens=use.completion_tokens,
            dollars=use.cost(price),
        )
        emit_json(answer)
    else:
        emit(counts.text() if counts else "no picture is in doubt")
    say(f"{counted(use.questions, 'question')} answered; {tokens_text(use, price)}")
    if outcome.failed:
        raise no_answer(outcome)

"""What asking a language model would take or took: questions, tokens, dollars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...core.errors import UsageError
from .shapes import QuestionJson, QuestionsJson

if TYPE_CHECKING:
    from ...search.synonyms.llm import ModelServer
    from ...search.synonyms.questions import SynonymQuestion, Use


def price_of(text: str, server: ModelServer) -> tuple[float, float] | None:
    """US dollars a million tokens in and out: as --price says, else what is known of the model."""
    from ...search.synonyms.questions import PRICES

    if not text:
        return None if server.base_url else PRICES.get(server.model)
    try:
        into, out = (float(part) for part in text.split("/"))
        if not (0 <= into < math.inf and 0 <= out < math.inf):
            raise ValueError(text)
    except ValueError as error:
        raise UsageError(
            f"--price {text}: give US dollars a million tokens in and out, as 0.15/0.60"
        ) from error
    return into, out


def show_questions(
    batch: Sequence[SynonymQuestion], server: ModelServer, price: tuple[float, float] | None, *, json: bool
) -> None:
    """The questions and an estimate of what their answers take."""
    from ...core.terminal import emit, emit_json, say
    from ...search.synonyms.questions import estimate

    use = estimate(batch)
    texts = [(question.class_id, question.name, question.structured[-1]["content"]) for question in batch]
    if json:
        emit_json(
            QuestionsJson(
                questions=[QuestionJson(class_id=i, name=name, question=text) for i, name, text in texts],
                prompt_tokens=use.prompt_tokens,
                completion_tokens=use.completion_tokens,
                dollars=use.cost(price),
            )
        )
        return
    for class_id, name, text in texts:
        emit(f"{class_id} {name}: {text}")
    say(taking_text(use, server, price))


def taking_text(use: Use, server: ModelServer, price: tuple[float, float] | None) -> str:
    """What asking would take, in a line."""
    from ...core.terminal import number
    from ...core.wording import counted

    return (
        f"{counted(use.questions, 'question')} to {server.model} at {server.shown()}: "
        f"about {number(use.prompt_tokens)} tokens in, {number(use.completion_tokens)} out, "
        f"{_dollars(use.cost(price))}; nothing was asked"
    )


def tokens_text(use: Use, price: tuple[float, float] | None) -> str:
    """The tokens and the cost of answers, by the server's count."""
    from ...core.terminal import number

    if use.questions and not use.prompt_tokens:
        return "the server doesn't count tokens"
    return (
        f"{number(use.prompt_tokens)} tokens in, {number(use.completion_tokens)} out, "
        f"{_dollars(use.cost(price))}"
    )


def _dollars(cost: float | None) -> str:
    return "of unknown price (--price IN/OUT)" if cost is None else f"${cost:.4f}"

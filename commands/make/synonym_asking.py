"""Questions to a language model, asked from the terminal: what came, what it took, what failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...core.errors import LanguageModelError
from ...core.wording import counted
from .shapes import SensesJson
from .synonym_costs import show_questions, tokens_text

if TYPE_CHECKING:
    from ...search.synonyms.asking import Outcome
    from ...search.synonyms.llm import ModelServer
    from ...workspace.workspace import Workspace

Price = tuple[float, float] | None
"""US dollars a million tokens in and out."""


def ask_synonyms(
    workspace: Workspace, server: ModelServer, question: dict[str, Any], price: Price
) -> LanguageModelError | None:
    """Ask for synonyms; what the command ends with where a class has no answer or was declined."""
    from ...core.terminal import progress_bars
    from ...search.synonyms.ask import synonyms

    try:
        with progress_bars() as progress:
            outcome = synonyms(workspace, server, **question, progress=progress)
    except LanguageModelError as error:
        return error
    return _told(outcome, server, price, "synonym")


def ask_senses(
    workspace: Workspace,
    server: ModelServer,
    question: dict[str, Any],
    price: Price,
    *,
    dry_run: bool,
    json: bool,
) -> None:
    """Ask for other senses of the classes' names, or show the questions; LanguageModelError at the end."""
    from ...classes.files import load_classes
    from ...core.terminal import emit, emit_json, progress_bars
    from ...search.synonyms.senses import pending_senses, senses

    wording = {key: value for key, value in question.items() if key != "languages"}
    if dry_run:
        show_questions(pending_senses(workspace, server, **wording), server, price, json=json)
        return
    with progress_bars() as progress:
        outcome = senses(workspace, server, **wording, progress=progress)
    problem = _told(outcome, server, price, "other sense")
    classes = load_classes(workspace.classes_path())
    if json:
        emit_json(SensesJson(classes=len(classes), senses={str(e.id): list(e.other_senses) for e in classes}))
    else:
        for entry in classes:
            if entry.other_senses:
                emit(f"{entry.id} {entry.name} is not: {'; '.join(entry.other_senses)}")
    if problem:
        raise problem


def _told(outcome: Outcome, server: ModelServer, price: Price, noun: str) -> LanguageModelError | None:
    """Say what came; the error to end with where a class has no answer or was declined."""
    from ...core.terminal import say

    use = outcome.use
    say(
        f"{counted(use.questions, 'question')} answered, {outcome.answered:,} known before; "
        f"{counted(outcome.added, noun)} added; {tokens_text(use, price)}"
    )
    for class_id, refusal in outcome.refused.items():
        say(f"class {class_id}: the model declined ({refusal[:120]}); it keeps the names it has")
    if outcome.failed:
        return no_answer(outcome)
    if outcome.declined:
        return LanguageModelError(
            f"{counted(outcome.declined, 'class')} declined by {server.model}; add their synonyms to "
            "classes.json, or ask again with another --model or --again"
        )
    return None


def no_answer(outcome: Outcome) -> LanguageModelError:
    """The error where questions of some classes have no answer."""
    class_id, reason = next(iter(outcome.failed.items()))
    return LanguageModelError(
        f"no answer for {counted(len(outcome.failed), 'class')}, class {class_id} the first: {reason}; "
        "run the command again to ask these only"
    )

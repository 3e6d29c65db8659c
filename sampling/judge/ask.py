"""Ask a vision model about the pictures in doubt; each answer is journaled as it comes."""

from __future__ import annotations

from ...core.records import Progress, silent
from ...search.synonyms.asking import Exchange, Outcome, ask_round
from ...search.synonyms.journal import Journal
from ...search.synonyms.llm import ModelServer
from ...workspace.workspace import Workspace
from .answers import NAME
from .plan import Judging
from .question import SCHEMA, judge_one


def judge(
    workspace: Workspace, server: ModelServer, *, questions: int, progress: Progress = silent
) -> Outcome:
    """Ask at most ``questions`` per class, those answered before included.

    Killed, it goes on where it stopped. LanguageModelError where the server can't be used at all; what was
    answered before that is kept.
    """
    with workspace.locked("judge"):
        batch = Judging.of(workspace, server, questions, progress).batch()
        exchange = Exchange(server, Journal(workspace.root / NAME), judge_one, SCHEMA, "judge pictures")
        return ask_round(exchange, batch, again=False, merge=lambda: (0, {}), progress=progress)

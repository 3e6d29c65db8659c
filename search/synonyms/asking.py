"""A round of questions to a language model: several at once, each answer journaled as it comes."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from ...core.errors import LanguageModelError
from ...core.records import Progress
from .journal import Journal
from .languages import ENGLISH
from .llm import SCHEMA, Asker, ModelServer, Unanswered
from .names import clean_names, parse_answer, says_none
from .questions import SynonymQuestion, Use

logger = logging.getLogger(__name__)

ANSWERED, UNNAMED = "answer", "no names"
"""Kinds of record: an answer that settles its question, and one that doesn't."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run of questions did."""

    use: Use
    answered: int
    """Questions that had an answer before: a class each, in one language."""
    added: int
    """Synonyms that are new in classes.json, removed ones too."""
    refused: Mapping[int, str] = field(default_factory=dict[int, str])
    """Class id → what the model said instead of names, in any run; not asked until ``again``."""
    failed: Mapping[int, str] = field(default_factory=dict[int, str])
    """Class id → why there is no answer; these are asked again by the next run."""
    declined: int = 0
    """Classes that the model refused in this run."""


Merge = Callable[[], tuple[int, dict[int, str]]]
"""Puts what the journal has into classes.json: (texts added, class id → refusal)."""


class Question(Protocol):
    """What is asked of a class; ``key`` tells it from every other question."""

    @property
    def class_id(self) -> int: ...

    @property
    def key(self) -> str: ...


Q = TypeVar("Q", bound=Question)


@dataclass(frozen=True, slots=True)
class Exchange(Generic[Q]):
    """Whom to ask, where answers are journaled, and how one question is asked."""

    server: ModelServer
    journal: Journal
    answer: Callable[[Asker, Q, Journal], None]
    """Asks a question and journals its record; Unanswered where it has no answer."""
    schema: Mapping[str, Any]
    """The response format that the server is asked for first."""
    label: str
    """What is done, for the progress."""


def naming(server: ModelServer, journal: Journal) -> Exchange[SynonymQuestion]:
    """Questions whose answers are lists of names."""
    return Exchange(server, journal, _answer, SCHEMA, "ask for synonyms")


def unanswered(journal: Journal, every: Sequence[Q], *, again: bool) -> list[Q]:
    """Those of ``every`` question that have no answer in the journal, or all of them (``again``)."""
    keys = {record["key"] for record in journal.records() if record["kind"] == ANSWERED}
    return [question for question in every if again or question.key not in keys]


def ask_round(
    exchange: Exchange[Q], every: Sequence[Q], *, again: bool, merge: Merge, progress: Progress
) -> Outcome:
    """Ask what is unanswered of ``every`` question, and merge all that the journal has.

    LanguageModelError where the server can't be used at all; what was answered before that is merged.
    """
    journal = exchange.journal
    earlier = len(journal.records())
    pending = unanswered(journal, every, again=again)
    failed: dict[int, str] = {}
    stopped: LanguageModelError | None = None
    try:
        _ask_all(exchange, pending, failed, progress)
    except LanguageModelError as error:
        stopped = error
    fresh = journal.records()[earlier:]
    use = _use(fresh)
    added, refused = merge()
    if stopped:
        raise _with_use(stopped, use) from stopped
    declined = sum(record["kind"] == ANSWERED and bool(record["refusal"]) for record in fresh)
    answered = len(every) - len(pending)
    return Outcome(use, answered, added, refused, dict(sorted(failed.items())), declined)


def _use(records: Iterable[Mapping[str, Any]]) -> Use:
    """What the answers among ``records`` took, those without names too."""
    replies = [record for record in records if record["kind"] in {ANSWERED, UNNAMED}]
    sums = [sum(int(record[key]) for record in replies) for key in ("prompt_tokens", "completion_tokens")]
    return Use(len(replies), *sums)


def _with_use(stopped: LanguageModelError, use: Use) -> LanguageModelError:
    """``stopped``, saying what was answered, and paid for, before."""
    if not use.questions:
        return stopped
    return LanguageModelError(
        f"{stopped} ({use.questions:,} answers came before that and are kept: "
        f"{use.prompt_tokens:,} tokens in, {use.completion_tokens:,} out)"
    )


def _ask_all(exchange: Exchange[Q], pending: Sequence[Q], failed: dict[int, str], progress: Progress) -> None:
    """Ask ``pending``, several at once, each answer journaled as it comes; ``failed`` notes why one has none.

    After a whole round of failures in a row the server counts as gone: LanguageModelError.
    """
    if not pending:
        return
    server = exchange.server
    with contextlib.closing(Asker(server, exchange.schema)) as asker:
        pool = ThreadPoolExecutor(server.concurrency)
        futures = {pool.submit(exchange.answer, asker, one, exchange.journal): one for one in pending}
        row, waits = 0, True
        try:
            for done, future in enumerate(as_completed(futures), start=1):
                try:
                    future.result()
                    row = 0
                except Unanswered as error:
                    row += 1
                    failed[futures[future].class_id] = str(error)
                    if error.passing and row >= max(3, server.concurrency):
                        raise LanguageModelError(
                            f"{row} questions in a row have no answer ({error}); run it again to go on"
                        ) from error
                progress(exchange.label, done, len(pending))
        except KeyboardInterrupt:
            waits = False  # a second Ctrl-C may come anywhere below
            asker.stop.set()
            logger.warning(
                "waiting %.0f s at most for answers under way, which are kept; Ctrl-C again leaves at once",
                server.timeout,
            )
            pool.shutdown(cancel_futures=True)
            raise
        finally:
            asker.stop.set()
            pool.shutdown(waits, cancel_futures=True)


def _answer(asker: Asker, question: SynonymQuestion, journal: Journal) -> None:
    """Ask, and put the answer into the journal; Unanswered where it is empty.

    A text without names is a refusal: an answer, which the next run doesn't pay for again.
    """
    answers = [asker.ask(question.structured, question.plain)]
    english = question.language == ENGLISH
    names, unusable = clean_names(parse_answer(answers[0].text), english=english)
    if not names and not answers[0].refusal:
        answers.append(asker.ask_plainly(question.plain))
        names, unusable = clean_names(parse_answer(answers[1].text), english=english)
    last = answers[-1]
    settled = bool(names or says_none(answers[0].text))
    refusal = last.refusal or ("" if settled else last.text.strip())
    journal.append(
        {
            "kind": ANSWERED if settled or refusal else UNNAMED,
            "key": question.key,
            "class_id": question.class_id,
            "name": question.name,
            "language": question.language,
            "model": asker.server.model,
            "server": asker.server.shown(),
            "names": names,
            "dropped": [asdict(drop) for drop in unusable],
            "refusal": refusal,
            "text": last.text,
            "prompt_tokens": sum(answer.prompt_tokens for answer in answers),
            "completion_tokens": sum(answer.completion_tokens for answer in answers),
        }
    )
    if not settled and not refusal:
        raise Unanswered("the answer is empty", passing=False)

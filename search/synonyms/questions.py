"""What a language model is asked of each class, and about what that costs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from ...classes.model import ClassEntry, ClassList
from ...core.files import digest
from ...core.text import tokens
from .llm import Messages, ModelServer

PRICES: dict[str, tuple[float, float]] = {
    "gpt-4.1": (2.00, 8.00),
    "gpt-4.1-mini": (0.40, 1.60),
    "gpt-4.1-nano": (0.10, 0.40),
    "gpt-4o": (2.50, 10.00),
    "gpt-4o-mini": (0.15, 0.60),
}
"""OpenAI's list prices in US dollars a million tokens (in, out), for estimates only; others: --price."""

ANSWER_TOKENS = 90
"""What an answer takes, for estimates: some ten names."""


@dataclass(frozen=True, slots=True)
class SynonymQuestion:
    """What is asked of a class; ``key`` tells it from questions of other names, domains and models."""

    class_id: int
    name: str
    key: str
    structured: Messages
    plain: Messages
    language: str = "en"


@dataclass(frozen=True, slots=True)
class Use:
    """Questions answered (or asked, of an estimate), and the tokens that took (as the server counts)."""

    questions: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def cost(self, price: tuple[float, float] | None) -> float | None:
        """US dollars at ``price`` (a million tokens in, out); None without a price."""
        if price is None:
            return None
        return (self.prompt_tokens * price[0] + self.completion_tokens * price[1]) / 1e6


def questions(
    classes: ClassList,
    server: ModelServer,
    domain: str,
    brought: Mapping[int, set[str]],
    languages: Mapping[str, str] = MappingProxyType({"en": "English"}),
) -> list[SynonymQuestion]:
    """One question per class and language (code → name). ``brought`` is what earlier answers added: those
    names are not asked with.
    """
    batch: list[SynonymQuestion] = []
    for entry in classes:
        own = [s.text for s in entry.synonyms if s.kept and spelt(s.text) not in brought.get(entry.id, set())]
        for code, language in languages.items():
            inputs = [entry.id, entry.name, domain, server.model]
            body = _body(entry, domain, own, language)
            batch.append(
                SynonymQuestion(
                    entry.id,
                    entry.name,
                    digest(inputs if code == "en" else [*inputs, code]),
                    messages(f'{body} Answer with JSON: {{"synonyms": ["…", "…"]}}.'),
                    messages(f"{body} Give me a numbered list only. Don't give any other text."),
                    code,
                )
            )
    return batch


def _body(entry: ClassEntry, domain: str, own: Sequence[str], language: str) -> str:
    what = f"{domain}, i.e. {entry.name}" if domain else entry.name
    common = entry.extra.get("common_name")
    others = [common, *own] if isinstance(common, str) and common else own
    others_once: dict[str, str] = {}
    for other in others:
        if spelt(other) != spelt(entry.name):
            others_once.setdefault(spelt(other), other)
    definition = entry.extra.get("definition")
    wording = "" if language == "English" else f" in {language}"
    parts = [f"What are some common ways of referring to {what}{wording}?"]
    if isinstance(definition, str) and definition:
        parts.append(f"It is defined as {definition}.")
    if others_once:
        parts.append(f"It is also called {', '.join(others_once.values())}.")
    script = "" if language == "English" else ", in its own script"
    parts.append(
        f"Give {language} names only{script}, and only names of exactly this, nothing broader or narrower."
    )
    return " ".join(parts)


def messages(text: str) -> Messages:
    """``text`` as a user's question."""
    return [
        {"role": "system", "content": "You are a helpful and honest assistant."},
        {"role": "user", "content": text},
    ]


def estimate(batch: Iterable[SynonymQuestion]) -> Use:
    """About what ``batch`` will take: four characters a token, and a usual answer."""
    sizes = [sum(len(message["content"]) // 4 + 4 for message in question.structured) for question in batch]
    return Use(len(sizes), sum(sizes), ANSWER_TOKENS * len(sizes))


def spelt(text: str) -> str:
    """What makes two synonyms one: the tokens."""
    return " ".join(tokens(text))

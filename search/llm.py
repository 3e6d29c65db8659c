"""One question to an OpenAI-compatible server: structured where it can be, retried where it helps."""

from __future__ import annotations

import logging
import os
import random
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from ..errors import LanguageModelError

if TYPE_CHECKING:
    import openai

log = logging.getLogger(__name__)

Messages = Sequence[Mapping[str, str]]
LONGEST_WAIT = 300.0
"""Seconds a server's Retry-After is obeyed; a longer one ends the run, to be resumed later."""

SCHEMA: dict[str, Any] = {
    "type": "json_schema",
    "json_schema": {
        "name": "synonyms",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"synonyms": {"type": "array", "items": {"type": "string"}}},
            "required": ["synonyms"],
            "additionalProperties": False,
        },
    },
}


@dataclass(frozen=True, slots=True)
class Server:
    """Which server and model to ask, and how patiently. Times in seconds."""

    model: str = "gpt-4o-mini"
    base_url: str = ""
    """Empty: OPENAI_BASE_URL, else OpenAI's own."""
    concurrency: int = 8
    timeout: float = 60.0
    retries: int = 6
    backoff: float = 1.0
    """The first wait after a failure; it doubles with every further one, with jitter."""

    def shown(self) -> str:
        """The server's address without user and password."""
        url = self.base_url or os.environ.get("OPENAI_BASE_URL", "") or "https://api.openai.com/v1"
        parts = urlsplit(url)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said: the ``text``, or the ``refusal``; the tokens it took, 0 where it doesn't say."""

    text: str
    refusal: str
    structured: bool
    prompt_tokens: int
    completion_tokens: int


class Unanswered(Exception):  # noqa: N818
    """One question has no answer now; others may. Its text says why.

    ``passing``: the server failed, not the question; where all fail so, the server is gone.
    """

    def __init__(self, why: str, *, passing: bool = False) -> None:
        super().__init__(why)
        self.passing = passing


class _SchemaUnknown(Exception):  # noqa: N818
    """The server refused the request for its ``response_format``."""


class Asker:
    """Asks one server, from any number of threads; learns from the first answer whether it knows schemas."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.stop = threading.Event()
        """Set: give up waiting, ask nothing more."""
        self._client = _client(server)
        self._structured = True

    def ask(self, messages: Messages, plain: Messages) -> Answer:
        """The answer to ``messages`` with a JSON schema, or to ``plain`` where the server knows none.

        Unanswered where this one question fails; LanguageModelError where every other one would too.
        """
        if self._structured:
            try:
                return self._patiently(messages, structured=True)
            except _SchemaUnknown:
                log.info("%s takes no JSON schema; asking for numbered lists", self.server.shown())
                self._structured = False
        return self.ask_plainly(plain)

    def ask_plainly(self, messages: Messages) -> Answer:
        """The answer to ``messages``, without a schema."""
        return self._patiently(messages, structured=False)

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def _patiently(self, messages: Messages, *, structured: bool) -> Answer:
        """Ask until there is an answer, ``retries`` times more at most; waits double, or are Retry-After."""
        import openai

        attempt = 0
        while not self.stop.is_set():
            try:
                return self._once(messages, structured=structured)
            except openai.APIStatusError as error:
                self._judge(error, structured=structured)
                failure, asked = self._said(error), _retry_after(error)
            except (openai.APIError, ValueError) as error:  # no connection, a time-out, a garbled answer
                failure, asked = f"{self.server.shown()}: {self._clean(str(error))}", None
            if attempt >= self.server.retries:
                raise Unanswered(f"{failure} ({attempt + 1} times)", passing=True)
            wait = self.server.backoff * 2**attempt * random.uniform(0.5, 1.0) if asked is None else asked
            log.info("asking again in %.1f s: %s", wait, failure)
            self.stop.wait(wait)
            attempt += 1
        raise Unanswered("not asked: the run was stopped")

    def _judge(self, error: openai.APIStatusError, *, structured: bool) -> None:
        """Raise what a refused request means, unless it is worth asking again (408, 409, 429, 5xx)."""
        status = error.status_code
        if status in {401, 403}:
            raise LanguageModelError(
                f"{self.server.shown()} refuses the key (HTTP {status}); set OPENAI_API_KEY to a valid one"
            ) from error
        if status == 404:
            raise LanguageModelError(
                f"{self.server.shown()} has no model {self.server.model!r}, or no chat API (HTTP 404); "
                "check --model and --base-url"
            ) from error
        if "insufficient_quota" in f"{error.body} {error.code}":
            raise LanguageModelError(f"the account has no quota left (HTTP {status})") from error
        if structured and status in {400, 422} and _about_schema(error):
            raise _SchemaUnknown from error
        if status not in {408, 409, 429} and status < 500:
            raise Unanswered(self._said(error)) from error
        asked = _retry_after(error)
        if asked is not None and asked > LONGEST_WAIT:
            raise LanguageModelError(
                f"{self.server.shown()} asks to come back in {asked:.0f} s; run the command again then, "
                "it goes on where it stopped"
            ) from error

    def _once(self, messages: Messages, *, structured: bool) -> Answer:
        request: dict[str, Any] = {"model": self.server.model, "messages": list(messages)}
        if structured:
            request["response_format"] = SCHEMA
        reply: Any = self._client.chat.completions.create(**request)
        choices = getattr(reply, "choices", None) or []
        message: Any = choices[0].message if choices else None
        usage: Any = getattr(reply, "usage", None)
        return Answer(
            text=str(getattr(message, "content", None) or ""),
            refusal=str(getattr(message, "refusal", None) or ""),
            structured=structured,
            prompt_tokens=int(getattr(usage, "prompt_tokens", 0) or 0),
            completion_tokens=int(getattr(usage, "completion_tokens", 0) or 0),
        )

    def _said(self, error: openai.APIStatusError) -> str:
        said = error.message.removeprefix(f"Error code: {error.status_code} - ")
        return f"HTTP {error.status_code}: {self._clean(said)}"

    def _clean(self, text: str) -> str:
        """``text`` on one line, without the key."""
        key = self._client.api_key
        return " ".join(text.replace(key, "…").split())[:200]


def _client(server: Server) -> openai.OpenAI:
    import openai

    key = os.environ.get("OPENAI_API_KEY", "")
    own = server.base_url or os.environ.get("OPENAI_BASE_URL", "")
    if not key and not own:
        raise LanguageModelError(
            "no OPENAI_API_KEY in the environment; set it, or name a server of your own with --base-url URL"
        )
    if own and not own.startswith(("http://", "https://")):
        raise LanguageModelError(f"--base-url {own}: give an http:// or https:// address, such as …:11434/v1")
    return openai.OpenAI(api_key=key or "none", base_url=own or None, timeout=server.timeout, max_retries=0)


def _about_schema(error: openai.APIStatusError) -> bool:
    """Whether a refused request was refused for its ``response_format``."""
    said = f"{error.message} {error.body}".lower()
    return any(word in said for word in ("response_format", "json_schema", "schema", "structured", "format"))


def _retry_after(error: openai.APIStatusError) -> float | None:
    """The Retry-After of a refused request, in seconds."""
    for header, scale in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            return max(0.0, float(error.response.headers[header]) / scale)
        except (KeyError, ValueError):
            continue
    return None

"""One question to an OpenAI-compatible server: structured where it can be, retried where it helps.

The client's own retries are off: they go on where the account is empty, give up on a garbled answer, and
can't be stopped while they wait.
"""

from __future__ import annotations

import logging
import os
import random
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit, urlunsplit

from ...core.errors import LanguageModelError
from ...core.retry_after import retry_after

if TYPE_CHECKING:
    import openai

logger = logging.getLogger(__name__)

Messages = Sequence[Mapping[str, Any]]
"""A chat: each with a ``role`` and a ``content``, text or a list of parts."""
LONGEST_WAIT = 300.0
"""Seconds a server's Retry-After is obeyed; a longer one ends the run, to be resumed later."""

SHORTEST_KEY = 12
"""Characters of a key that is a secret; for servers of their own people set placeholders."""

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
class ModelServer:
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

    def check_address(self) -> None:
        """LanguageModelError where the address is none, naming the option or variable that it comes from."""
        where = "--base-url" if self.base_url else "OPENAI_BASE_URL"
        own = self.base_url or os.environ.get(where, "")
        if own and not _is_address(own):
            raise LanguageModelError(
                f"{where} {own}: give an http:// or https:// address, such as http://localhost:11434/v1"
            )


@dataclass(frozen=True, slots=True)
class ModelAnswer:
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

    def __init__(self, server: ModelServer, schema: Mapping[str, Any] = SCHEMA) -> None:
        self.server = server
        self._schema = schema
        self.stop = threading.Event()
        """Set: give up waiting, ask nothing more."""
        self._client = _client(server)
        self._structured = True

    def ask(self, messages: Messages, plain: Messages) -> ModelAnswer:
        """The answer to ``messages`` with a JSON schema, or to ``plain`` where the server knows none.

        Unanswered where this one question fails; LanguageModelError where every other one would too.
        """
        if self._structured:
            try:
                return self._patiently(messages, structured=True)
            except _SchemaUnknown:
                logger.info("%s takes no JSON schema; asking for numbered lists", self.server.shown())
                self._structured = False
        return self.ask_plainly(plain)

    def ask_plainly(self, messages: Messages) -> ModelAnswer:
        """The answer to ``messages``, without a schema."""
        return self._patiently(messages, structured=False)

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def _patiently(self, messages: Messages, *, structured: bool) -> ModelAnswer:
        """Ask until there is an answer, ``retries`` times more at most; waits double, or are Retry-After."""
        import openai

        attempt = 0
        while not self.stop.is_set():
            try:
                return self._once(messages, structured=structured)
            except openai.APIStatusError as error:
                self._judge(error, structured=structured)
                failure, server_wait = self._said(error), retry_after(error.response.headers)
            except (openai.APIError, ValueError) as error:  # no connection, a time-out, a garbled answer
                failure, server_wait = self._failure(error), None
            if attempt >= self.server.retries:
                often = f" ({attempt + 1} times)" if attempt else ""
                raise Unanswered(f"{failure}{often}", passing=True)
            wait = (
                self.server.backoff * 2**attempt * random.uniform(0.5, 1.0)
                if server_wait is None
                else server_wait
            )
            logger.info("asking again in %.1f s: %s", wait, failure)
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
        wait = retry_after(error.response.headers)
        if wait is not None and wait > LONGEST_WAIT:
            raise LanguageModelError(
                f"{self.server.shown()} asks to come back in {wait:.0f} s; run the command again then, "
                "it goes on where it stopped"
            ) from error

    def _once(self, messages: Messages, *, structured: bool) -> ModelAnswer:
        request: dict[str, Any] = {"model": self.server.model, "messages": list(messages)}
        if structured:
            request["response_format"] = self._schema
        reply: Any = self._client.chat.completions.create(**request)
        choices = getattr(reply, "choices", None)
        if not isinstance(choices, list):
            raise ValueError("it has no choices")
        message: Any = getattr(choices[0], "message", None) if choices else None
        usage: Any = getattr(reply, "usage", None)
        return ModelAnswer(
            text=self._kept(content_of(getattr(message, "content", None))),
            refusal=self._kept(str(getattr(message, "refusal", None) or "")),
            structured=structured,
            prompt_tokens=tokens_of(usage, "prompt_tokens"),
            completion_tokens=tokens_of(usage, "completion_tokens"),
        )

    def _failure(self, error: Exception) -> str:
        """What went wrong on the way to a server or back."""
        import openai

        where = self.server.shown()
        if isinstance(error, openai.APITimeoutError):
            return f"{where} gave no answer in {self.server.timeout:g} s (--timeout)"
        if isinstance(error, openai.APIConnectionError):
            return f"no connection to {where}: {self._clean(str(error.__cause__ or error))}"
        return f"{where} answered with no chat completion ({self._clean(str(error))}); is it an OpenAI API?"

    def _said(self, error: openai.APIStatusError) -> str:
        plain = f"Error code: {error.status_code}"
        message = self._clean(error.message.removeprefix(plain).removeprefix(" - "))
        return f"HTTP {error.status_code}" + (f": {message}" if message else f" from {self.server.shown()}")

    def _clean(self, text: str) -> str:
        """``text`` on one line, without the key."""
        return " ".join(_without(text, _key()).split())[:200]

    def _kept(self, text: str) -> str:
        """An answer as it may be stored: without the key, where that is no placeholder such as ``x``."""
        key = _key()
        return _without(text, key) if len(key) >= SHORTEST_KEY else text


def _client(server: ModelServer) -> openai.OpenAI:
    import openai

    key = _key()
    own = server.base_url or os.environ.get("OPENAI_BASE_URL", "")
    if not key and not own:
        raise LanguageModelError(
            "no OPENAI_API_KEY in the environment; set it, or name a server of your own with --base-url URL"
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        raise LanguageModelError(
            "OPENAI_API_KEY contains a space, a line break or a letter beyond ASCII, as no key does; "
            "set it anew"
        )
    server.check_address()
    return openai.OpenAI(api_key=key or "none", base_url=own or None, timeout=server.timeout, max_retries=0)


def _about_schema(error: openai.APIStatusError) -> bool:
    """Whether a refused request was refused for its ``response_format``."""
    message = f"{error.message} {error.body}".lower()
    return any(
        word in message for word in ("response_format", "json_schema", "schema", "structured", "format")
    )


def _key() -> str:
    """The key that requests are sent with, "" where the user has none."""
    return os.environ.get("OPENAI_API_KEY", "")


def _without(text: str, key: str) -> str:
    return text.replace(key, "…") if key else text


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # half an IPv6 address, a port that is none
        return False


def content_of(value: Any) -> str:
    """A message's content as text; some servers give a list of parts."""
    if isinstance(value, list):
        parts = [part.get("text") for part in cast("list[Any]", value) if isinstance(part, dict)]
        return "\n".join(part for part in parts if isinstance(part, str))
    return str(value or "")


def tokens_of(usage: Any, key: str) -> int:
    """A count of a reply's usage; 0 where the server doesn't say, or not in a number."""
    value = getattr(usage, key, 0)
    return value if isinstance(value, int) else 0

"""Where an Elasticsearch index is, and how it is opened: addresses, and credentials from the environment.

    http://host:9200/laion
    https://es1:9200,es2:9200,es3:9200/laion?shards=12&replicas=1

The part behind `?` says how an index is made where it isn't there yet. Credentials never stand in an
address: it ends up in the shell's history and in captrawl.toml.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, urlencode, urlsplit

from ...core.errors import CaptionIndexError, ServerError

SECONDS = {"ELASTICSEARCH_TIMEOUT": "60", "ELASTICSEARCH_PATIENCE": "600"}
"""Until a request is given up; that a load waits for a server that is gone or busy."""

DEFAULT_SHARDS = 3
"""Of an index of nobody knows how many rows."""
CODECS = ("default", "best_compression")
_PORTS = {"http": 9200, "https": 443}
_BAD_NAME = re.compile(r'[\\*?"<>|,#: \x00-\x1f]|^[-_+.]|[A-Z]')


@dataclass(frozen=True, slots=True)
class IndexOptions:
    """How an index is made; None: as nothing was said. ``replicas`` "auto": one on two nodes or more."""

    shards: int | None = None
    replicas: int | Literal["auto"] | None = None
    codec: str | None = None
    phrases: bool | None = None
    """Whether pairs of tokens are indexed too."""


@dataclass(frozen=True, slots=True)
class Address:
    """The nodes of one cluster and the name of an index or alias there."""

    hosts: tuple[str, ...]
    """scheme://host:port/prefix, without a slash at the end."""
    name: str
    options: IndexOptions = IndexOptions()

    def __str__(self) -> str:
        return f"{self.hosts[0]}/{self.name}"

    @property
    def location(self) -> str:
        """What parse_address reads as this."""
        scheme, first = self.hosts[0].split("://")
        prefix = first.partition("/")[2]
        hosts = ",".join(host.split("://")[1].partition("/")[0] for host in self.hosts)
        path = f"{prefix}/{self.name}" if prefix else self.name
        options = {
            "shards": self.options.shards,
            "replicas": self.options.replicas,
            "codec": self.options.codec,
            "phrases": None if self.options.phrases is None else int(self.options.phrases),
        }
        query = urlencode({name: value for name, value in options.items() if value is not None})
        return f"{scheme}://{hosts}/{path}" + (f"?{query}" if query else "")

    def with_name(self, name: str) -> Address:
        """The index ``name`` on the same cluster."""
        return replace(self, name=name)


@dataclass(frozen=True, slots=True)
class Credentials:
    """The credentials, and whom to trust. The secrets are left out of its repr."""

    api_key: str = field(default="", repr=False)
    user: str = ""
    password: str = field(default="", repr=False)
    ca_certs: str = ""
    fingerprint: str = ""

    def __str__(self) -> str:
        if self.api_key:
            return "the API key in ELASTICSEARCH_API_KEY"
        return f"user {self.user!r}" if self.user else "no credentials"


def parse_address(location: str) -> Address:
    """``location`` taken apart; CaptionIndexError says what is wrong with it."""
    parts = urlsplit(location)
    if "@" in parts.netloc:
        raise CaptionIndexError(
            "an index's address must not contain credentials; set ELASTICSEARCH_API_KEY, or "
            "ELASTICSEARCH_USERNAME and ELASTICSEARCH_PASSWORD, and leave them out of it"
        )
    prefix, _, name = parts.path.rstrip("/").rpartition("/")
    if not parts.netloc or not name:
        raise CaptionIndexError(f"{location} names no index; give http(s)://host:9200/name")
    if _BAD_NAME.search(name) or len(name.encode()) > 200:
        raise CaptionIndexError(
            f"{name!r} can't be an index's name: lower case, no space and none of \\ / * ? \" < > | , # : "
            "in it, none of - _ + . in front"
        )
    hosts = tuple(_host(parts.scheme, host, prefix, location) for host in parts.netloc.split(","))
    return Address(hosts, name, _options(parts.query, location))


def credentials(environment: Mapping[str, str] | None = None) -> Credentials:
    """What ELASTICSEARCH_API_KEY, _USERNAME, _PASSWORD, _CA_CERTS and _CA_FINGERPRINT say.

    ServerError: a user without a password, a password without a user, what can't be a key, a CA bundle that
    isn't there.
    """
    env = os.environ if environment is None else environment
    who = Credentials(
        env.get("ELASTICSEARCH_API_KEY", "").strip(),  # a secret's file tends to end in a newline
        env.get("ELASTICSEARCH_USERNAME", ""),
        env.get("ELASTICSEARCH_PASSWORD", ""),
        env.get("ELASTICSEARCH_CA_CERTS", ""),
        env.get("ELASTICSEARCH_CA_FINGERPRINT", ""),
    )
    if not re.fullmatch(r"[!-~]*", who.api_key):
        raise ServerError(
            "ELASTICSEARCH_API_KEY contains a space, a line break or a letter that no key has; set it to "
            "what the server gave as the key's `encoded` form"
        )
    if not who.api_key and bool(who.user) != bool(who.password):
        missing = "ELASTICSEARCH_PASSWORD" if who.user else "ELASTICSEARCH_USERNAME"
        raise ServerError(f"{missing} isn't set; a user and a password are needed together")
    if who.ca_certs and not Path(who.ca_certs).is_file():
        raise ServerError(f"ELASTICSEARCH_CA_CERTS names {who.ca_certs}, which isn't a file")
    return who


def seconds(variable: str, environment: Mapping[str, str] | None = None) -> float:
    """What one of SECONDS says, or its default; ServerError where that is no number of seconds."""
    text = (os.environ if environment is None else environment).get(variable) or SECONDS[variable]
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < 1e6:
        raise ServerError(f"{variable} is {text!r}; give a number of seconds")
    return value


def _host(scheme: str, host: str, prefix: str, location: str) -> str:
    parts = urlsplit(f"{scheme}://{host}")
    try:
        port = parts.port or _PORTS[scheme]
    except ValueError:
        port = 0
    if not parts.hostname or not port:
        raise CaptionIndexError(f"{location} isn't an address: {host!r} is no host:port")
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{scheme}://{name}:{port}{prefix}"


def _options(query: str, location: str) -> IndexOptions:
    options = IndexOptions()
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key == "shards" and value.isdecimal() and 1 <= int(value) <= 1024:
            options = replace(options, shards=int(value))
        elif key == "replicas" and (value == "auto" or value.isdecimal()):
            options = replace(options, replicas="auto" if value == "auto" else int(value))
        elif key == "codec" and value in CODECS:
            options = replace(options, codec=value)
        elif key == "phrases" and value in ("0", "1"):
            options = replace(options, phrases=value == "1")
        else:
            raise CaptionIndexError(
                f"{location}: {key}={value} isn't known; known are shards=1…1024, replicas=0… or auto, "
                f"codec={'|'.join(CODECS)}, phrases=0|1"
            )
    return options

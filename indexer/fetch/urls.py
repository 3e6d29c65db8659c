"""URLs as they stand in corpora → URLs that can be asked, quoted as a browser would."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from ..outcomes import Reason
from .addresses import port_allowed

_PORTS = {"http": 80, "https": 443}
_BLANKS = "".join(map(chr, range(0x21)))
_BREAKS = re.compile(r"[\t\r\n]")
_QUOTED_DOT = re.compile("%2e", re.IGNORECASE)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_SAFE = "!$%&'()*+,-./:;=@[]_~|^\\"


@dataclass(frozen=True, slots=True)
class Link:
    """A URL ready to be asked; ``host`` is lower-case ASCII without brackets or a closing dot."""

    url: str
    host: str
    port: int


class LinkError(ValueError):
    """A URL that won't be asked, and the reason."""

    def __init__(self, reason: Reason, url: str) -> None:
        super().__init__(f"{reason}: {url[:200]}")
        self.reason = reason


def parse_link(url: str, *, base: str = "") -> Link:
    """The link that ``url`` means, seen from ``base`` where relative; LinkError where it can't be asked.

    Blanks, quotes and non-ASCII characters are quoted in UTF-8, what is quoted already stays, line breaks go,
    dot segments are resolved, a backslash is a slash, and the fragment goes: what a browser does (WHATWG).
    """
    text = _BREAKS.sub("", url.strip(_BLANKS))
    text = _joined(base, text) if base else text
    scheme = _SCHEME.match(text)
    if scheme is None:
        raise LinkError(Reason.BAD_URL, url)
    if scheme[0][:-1].lower() not in _PORTS:
        raise LinkError(Reason.SCHEME, url)
    try:
        link = _split(text)
    except ValueError as error:
        raise LinkError(Reason.BAD_URL, url) from error
    if not port_allowed(link.port):
        raise LinkError(Reason.PORT, url)
    return link


def host_of(url: str) -> str:
    """The host of ``url``, or "" where it can't be asked."""
    try:
        return parse_link(url).host
    except LinkError:
        return ""


def domain_of(host: str) -> str:
    """What is asked by one process: an address, or the last two labels of a name, whose hosts redirect to
    one another.
    """
    return host if ":" in host or host[-1:].isdigit() else ".".join(host.split(".")[-2:])


def _split(text: str) -> Link:
    scheme, _, rest = text.partition(":")
    scheme = scheme.lower()
    rest = rest.lstrip("/\\").partition("#")[0]
    authority = re.split(r"[/\\?]", rest, maxsplit=1)[0]
    parts = urlsplit(f"{scheme}://{authority}")
    host = _ascii_host(parts.hostname or "")
    if not host.strip("."):
        raise ValueError("no host")
    port = _PORTS[scheme] if parts.port is None else parts.port
    netloc = f"[{host}]" if ":" in host else host
    if port != _PORTS[scheme]:
        netloc = f"{netloc}:{port}"
    path, mark, query = rest[len(authority) :].partition("?")
    target = quote(_without_dots(path.replace("\\", "/")), safe=_SAFE, errors="surrogateescape")
    if mark:
        target += "?" + quote(query, safe=_SAFE + "?{}`", errors="surrogateescape")
    return Link(f"{scheme}://{netloc}{target}", host.rstrip("."), port)


def _joined(base: str, text: str) -> str:
    """``text`` as a reference from ``base``, which is a Link's URL."""
    end = min((place for mark in "?#" if (place := text.find(mark)) >= 0), default=len(text))
    text = text[:end].replace("\\", "/") + text[end:]
    if _SCHEME.match(text):
        return text
    scheme, _, rest = base.partition("://")
    if text.startswith("//"):
        return f"{scheme}:{text}"
    path, _, _ = rest.partition("?")
    if text.startswith("/"):
        return f"{scheme}://{path.partition('/')[0]}{text}"
    if text.startswith("?"):
        return f"{scheme}://{path}{text}"
    if not text.partition("#")[0]:
        return base
    return f"{scheme}://{path.rpartition('/')[0]}/{text}"


def _without_dots(path: str) -> str:
    """``path`` with its ``.`` and ``..`` resolved, quoted ones too; empty segments stay."""
    segments: list[str] = []
    parts = path.split("/")[1:]
    for place, part in enumerate(parts):
        plain = _QUOTED_DOT.sub(".", part)
        if plain not in {".", ".."}:
            segments.append(part)
            continue
        if plain == "..":
            del segments[-1:]
        if place == len(parts) - 1:
            segments.append("")
    return "/" + "/".join(segments)


def _ascii_host(host: str) -> str:
    """``host`` in lower-case ASCII (IDNA where it isn't); ValueError where it is no host name."""
    if not host.isascii():
        from yarl import URL

        host = URL.build(scheme="http", host=host).raw_host or ""
    if re.search(r"[\x00-\x20\"#%/<>?@\\^`{|}]", host):
        raise ValueError("not a host name")
    return host.lower()

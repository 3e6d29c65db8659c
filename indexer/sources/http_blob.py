"""A file on an HTTP server, read by range over a kept connection."""

from __future__ import annotations

import functools
import http.client
import re
import ssl
import time
from urllib.parse import SplitResult, urljoin, urlsplit

from ...core.retry_after import retry_after
from ..fetch.addresses import is_public
from .blobs import ArchiveError, MissingArchiveError

_SECONDS = 30.0
_SLOWEST = 10_000  # bytes a second, beyond those
_TRIES = 5
_LONGEST_WAIT = 60.0
_MOST_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_CONTENT_RANGE = re.compile(r"bytes ([0-9]+)-([0-9]+)/([0-9]+)")


class _TransientError(Exception):
    """Asking again may help, after ``wait`` seconds."""

    def __init__(self, text: str, wait: float = 0.0) -> None:
        super().__init__(text)
        self.wait = wait


class HttpBlob:
    """A file behind a URL; its server must answer ranges.

    A redirect is followed once and kept. It may not lead from a public address to a private one.
    """

    ahead = 4096

    def __init__(self, url: str, agent: str) -> None:
        self._url, self._agent = url, agent
        self._final = url
        self.where = url.partition("?")[0]  # a query may be a key
        self._connection: http.client.HTTPConnection | None = None
        self._at: tuple[str, str] = ("", "")
        self._public = False
        self._stamp = ""
        self.size = -1
        self.read(0, 1)
        self.stamp = f"{self.size} {self._stamp}"

    def read(self, offset: int, length: int) -> bytes:
        """Exactly those bytes; asked again where the connection or the server failed in passing."""
        if length <= 0:
            return b""
        for tries in range(_TRIES):
            try:
                return self._ask(offset, length)
            except ArchiveError:
                self.close()  # an answer may stand there, half read
                raise
            except (_TransientError, OSError, http.client.HTTPException) as error:
                self.close()
                self._final = self._url
                if tries + 1 == _TRIES:
                    text = str(error) or type(error).__name__
                    raise ArchiveError(f"{self.where} can't be read ({text})") from error
                wait = error.wait if isinstance(error, _TransientError) else 0.0
                time.sleep(min(max(wait, 0.2 * 2**tries), _LONGEST_WAIT))
        raise AssertionError

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _ask(self, offset: int, length: int) -> bytes:
        for _ in range(_MOST_REDIRECTS + 1):
            response = self._response(offset, length)
            if response.status not in _REDIRECTS:
                return self._body(response, offset, length)
            self._final = urljoin(self._final, response.headers.get("location", ""))
            self.close()
        raise ArchiveError(f"{self.where} redirects more than {_MOST_REDIRECTS} times")

    def _response(self, offset: int, length: int) -> http.client.HTTPResponse:
        parts = urlsplit(self._final)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ArchiveError(f"{self.where} redirects to what is no http(s) URL")
        connection = self._connected(parts)
        target = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
        span = f"bytes={offset}-{offset + length - 1}"
        headers = {"User-Agent": self._agent, "Range": span, "Accept-Encoding": "identity"}
        connection.request("GET", target, headers=headers)
        return connection.getresponse()

    def _connected(self, parts: SplitResult) -> http.client.HTTPConnection:
        if self._connection is not None and self._at == (parts.scheme, parts.netloc):
            return self._connection
        self.close()
        host = parts.hostname or ""
        if parts.scheme == "https":
            connection = http.client.HTTPSConnection(host, parts.port, timeout=_SECONDS, context=_tls())
        else:
            connection = http.client.HTTPConnection(host, parts.port, timeout=_SECONDS)
        connection.connect()
        public = is_public(connection.sock.getpeername()[0])
        if self._final == self._url:
            self._public = public
        elif self._public and not public:
            connection.close()
            raise ArchiveError(f"{self.where} redirects to a private address")
        self._connection, self._at = connection, (parts.scheme, parts.netloc)
        return connection

    def _body(self, response: http.client.HTTPResponse, offset: int, length: int) -> bytes:
        if response.status in _TRANSIENT or (response.status in {401, 403} and self._final != self._url):
            headers = {name.lower(): value for name, value in response.headers.items()}
            wait = retry_after(headers) or 0.0  # a redirect's address may have had its time
            raise _TransientError(f"HTTP {response.status}", wait)
        if response.status in {404, 410}:
            raise MissingArchiveError(f"{self.where} isn't there (HTTP {response.status})")
        if response.status == 200:
            raise ArchiveError(
                f"{self.where}: the server doesn't answer ranges; copy the files and name their folder"
            )
        span = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
        if response.status != 206 or span is None:
            raise ArchiveError(f"{self.where} can't be read (HTTP {response.status})")
        self._check(span, response, offset, length)
        return _whole(response, length)

    def _check(
        self, span: re.Match[str], response: http.client.HTTPResponse, offset: int, length: int
    ) -> None:
        """ArchiveError where other bytes come than were asked for, or those of another file."""
        first, last, size = map(int, span.groups())
        stamp = response.headers.get("etag", "") or response.headers.get("last-modified", "")
        if self.size < 0:
            self.size, self._stamp = size, stamp
        if (size, stamp) != (self.size, self._stamp):
            raise ArchiveError(f"{self.where} changed while it was read")
        if (first, last) != (offset, offset + length - 1):
            raise ArchiveError(f"{self.where} ends at byte {size}: no {length} bytes from {offset}")


def _whole(response: http.client.HTTPResponse, length: int) -> bytes:
    """The ``length`` bytes of the answer, in a time that fits them."""
    end = time.monotonic() + _SECONDS + length / _SLOWEST
    parts: list[bytes] = []
    missing = length
    while missing:
        part = response.read1(missing)
        if not part or time.monotonic() > end:
            raise _TransientError(f"{length - missing} of {length} bytes came")
        parts.append(part)
        missing -= len(part)
    if response.length or response.read1(1):
        raise _TransientError("more bytes came than were asked for")
    response.close()  # or the connection takes no other request
    return b"".join(parts)


@functools.cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()

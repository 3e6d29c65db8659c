"""What went wrong on the way to a body: errors of aiohttp and the system → reasons."""

from __future__ import annotations

import errno
import ssl

from ...core.errors import DownloadError
from ..outcomes import Reason
from .addresses import ForbiddenAddressError, NoSuchHostError

# The machine's own limits: no server is to blame, and going on would mark every row as failed.
_SPENT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


HOSTILE = (OSError, ValueError, LookupError, EOFError, AssertionError)
"""Beside aiohttp's own errors: what its parsers and the sockets below let through on hostile input."""


class FetchError(Exception):
    """Asking a URL ended without an image; ``wait`` is what the server asked for, in seconds."""

    def __init__(self, reason: str, *, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait = wait


def reason_of(error: Exception) -> Reason:
    """The reason for an error of aiohttp or the system; DownloadError where the fault is this machine's."""
    import aiohttp

    cause = getattr(error, "os_error", error)
    if isinstance(cause, OSError) and cause.errno in _SPENT:
        raise DownloadError(
            f"this machine ran out of descriptors or memory for connections ({cause}); nothing fetched is "
            "lost: raise ulimit -n or lower [download] threads, and run captrawl download again"
        ) from error
    if isinstance(cause, ForbiddenAddressError):
        return Reason.PRIVATE_ADDRESS
    if isinstance(cause, NoSuchHostError):
        return Reason.DNS
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Reason.DNS_BUSY
    if isinstance(error, (aiohttp.ClientSSLError, ssl.SSLError, ssl.CertificateError)):
        return Reason.TLS
    if isinstance(error, aiohttp.InvalidURL):
        return Reason.BAD_URL
    if isinstance(error, TimeoutError):
        return Reason.TIMEOUT
    if isinstance(error, aiohttp.ClientConnectorError):
        return Reason.CONNECT
    if isinstance(error, (aiohttp.ClientPayloadError, aiohttp.ClientConnectionError, OSError)):
        return Reason.CONNECTION_LOST
    return Reason.PROTOCOL

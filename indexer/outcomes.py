"""What fetching and packing tell the ledger: results, states, and every reason for having no image.

A reason decides the state it ends in, and whether asking again may help.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from ..core.records import UrlState

WITHOUT_IMAGE = frozenset({UrlState.QUEUED, UrlState.FAILED, UrlState.DROPPED})
"""States that an image found elsewhere ends."""


class Reason(StrEnum):
    """Why there is no image; HTTP statuses have reasons of their own, see :func:`http_reason`."""

    BAD_URL = "bad_url"
    DNS = "dns"  # no such host, or a host without an address
    DNS_BUSY = "dns_busy"
    CONNECT = "connect"
    TIMEOUT = "timeout"
    CONNECTION_LOST = "connection_lost"
    SILENT_HOST = "silent_host"  # not asked: the host answered nothing, several times in a row
    TLS = "tls"
    PROTOCOL = "protocol"
    ENCODING = "encoding"
    REDIRECTS = "redirects"
    TOO_LARGE = "too_large"
    BLOCKED_URL = "blocked_url"
    BLOCKED_HOST = "blocked_host"
    BLOCKED_UID = "blocked_uid"
    BLOCKED_HASH = "blocked_hash"
    PRIVATE_ADDRESS = "private_address"
    PORT = "port"
    SCHEME = "scheme"
    ROBOTS_TXT = "robots_txt"
    ROBOTS_UNREACHABLE = (
        "robots_unreachable"  # 5xx or 429 instead of robots.txt: RFC 9309 has that forbid all
    )
    CONTENT_SIGNAL = "content_signal"
    X_ROBOTS_TAG = "x_robots_tag"
    TDM_RESERVATION = "tdm_reservation"
    CONTENT_USAGE = "content_usage"
    DATA_MINING = "data_mining"  # the picture's own XMP
    C2PA_TRAINING = "c2pa_training"  # the picture's own C2PA manifest
    NOT_AN_IMAGE = "not_an_image"
    TOO_SMALL = "too_small"
    TOO_MANY_PIXELS = "too_many_pixels"
    TRUNCATED = "truncated"
    UNDECODABLE = "undecodable"
    DECODER_DEATH = "decoder_death"
    PLACEHOLDER = "placeholder"  # one picture under captions that have nothing in common
    DUPLICATE = "duplicate"  # a copy of a picture that another URL gave
    BAD_MEMBER = "bad_member"  # an archive has it, and its bytes can't be read there
    NO_SOURCE = "no_source"  # no source of the settings has it, and the web isn't one
    OTHER_PART = "other_part"  # a redirect to a host that another part of the download asks
    ELSEWHERE = "elsewhere"  # adopted output failed for a reason we don't know


STATES: dict[Reason, UrlState] = {
    Reason.BAD_URL: UrlState.FAILED,
    Reason.DNS: UrlState.FAILED,
    Reason.DNS_BUSY: UrlState.FAILED,
    Reason.CONNECT: UrlState.FAILED,
    Reason.TIMEOUT: UrlState.FAILED,
    Reason.CONNECTION_LOST: UrlState.FAILED,
    Reason.SILENT_HOST: UrlState.FAILED,
    Reason.TLS: UrlState.FAILED,
    Reason.PROTOCOL: UrlState.FAILED,
    Reason.ENCODING: UrlState.FAILED,
    Reason.REDIRECTS: UrlState.FAILED,
    Reason.TOO_LARGE: UrlState.FAILED,
    Reason.BLOCKED_URL: UrlState.REFUSED,
    Reason.BLOCKED_HOST: UrlState.REFUSED,
    Reason.BLOCKED_UID: UrlState.REFUSED,
    Reason.BLOCKED_HASH: UrlState.REFUSED,
    Reason.PRIVATE_ADDRESS: UrlState.REFUSED,
    Reason.PORT: UrlState.REFUSED,
    Reason.SCHEME: UrlState.REFUSED,
    Reason.ROBOTS_TXT: UrlState.REFUSED,
    Reason.ROBOTS_UNREACHABLE: UrlState.FAILED,
    Reason.CONTENT_SIGNAL: UrlState.REFUSED,
    Reason.X_ROBOTS_TAG: UrlState.REFUSED,
    Reason.TDM_RESERVATION: UrlState.REFUSED,
    Reason.CONTENT_USAGE: UrlState.REFUSED,
    Reason.DATA_MINING: UrlState.REFUSED,
    Reason.C2PA_TRAINING: UrlState.REFUSED,
    Reason.NOT_AN_IMAGE: UrlState.DROPPED,
    Reason.TOO_SMALL: UrlState.DROPPED,
    Reason.TOO_MANY_PIXELS: UrlState.DROPPED,
    Reason.TRUNCATED: UrlState.DROPPED,
    Reason.UNDECODABLE: UrlState.DROPPED,
    Reason.DECODER_DEATH: UrlState.DROPPED,
    Reason.PLACEHOLDER: UrlState.DROPPED,
    Reason.DUPLICATE: UrlState.DROPPED,
    Reason.BAD_MEMBER: UrlState.FAILED,
    Reason.NO_SOURCE: UrlState.FAILED,
    Reason.OTHER_PART: UrlState.FAILED,
    Reason.ELSEWHERE: UrlState.FAILED,
}
"""The state a reason ends in: failed never came, refused we may not have, dropped came and is no use."""

_SILENCES = frozenset(
    {Reason.DNS_BUSY, Reason.CONNECT, Reason.TIMEOUT, Reason.CONNECTION_LOST, Reason.SILENT_HOST}
)
_TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504, *range(520, 525)})


def http_reason(status: int) -> str:
    """The reason of an HTTP status that is no success: 404 → ``http_404``."""
    return f"http_{status}"


def state_of(reason: str) -> UrlState:
    """The state that ``reason`` ends in."""
    return UrlState.FAILED if reason.startswith("http_") else STATES[Reason(reason)]


def is_silence(reason: str) -> bool:
    """Whether the host gave no HTTP answer; a status, even of a failure, is one."""
    return reason in _SILENCES


def is_transient(reason: str) -> bool:
    """Whether asking again later may help; refusals, 404s and unusable bytes never are."""
    if reason.startswith("http_"):
        return int(reason.removeprefix("http_")) in _TRANSIENT_STATUSES
    return Reason(reason) in {*_SILENCES, Reason.ROBOTS_UNREACHABLE}


@dataclass(frozen=True, slots=True)
class FetchJob:
    """A URL that is to be asked now, and how often it was."""

    id: int
    url: str
    attempts: int


@dataclass(frozen=True, slots=True)
class Body:
    """Bytes that came: their hashes, how many, and the picture's size as its header has it (0 = unknown)."""

    sha256: str
    sha1: str
    md5: str
    size: int
    width: int = 0
    height: int = 0

    @classmethod
    def of(cls, data: bytes, width: int, height: int) -> Body:
        """``data`` hashed, with the size that its header gives."""
        sha256, sha1 = hashlib.sha256(data).hexdigest(), hashlib.sha1(data, usedforsecurity=False).hexdigest()
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        return cls(sha256, sha1, md5, len(data), width, height)


@dataclass(frozen=True, slots=True)
class FetchResult:
    """What came of a job: a spooled body, or a reason (with a body where the bytes came in vain)."""

    id: int
    reason: str = ""
    status: int | None = None
    final_url: str = ""
    wait: float = 0.0
    """Seconds that the server asked to be left alone."""
    consent: str = ""
    body: Body | None = None


@dataclass(frozen=True, slots=True)
class PackedFile:
    """What packing made of a spooled image: a file, or a reason; ``signature`` is core.picture_hash's."""

    sha256: str
    path: str = ""
    width: int = 0
    height: int = 0
    reason: str = ""
    signature: bytes = b""


@dataclass(frozen=True, slots=True)
class SettledCounts:
    """What a batch of results led to: (sha256, bytes) spooled, bytes not needed, rows queued again."""

    spooled: list[tuple[str, int]]
    needless: list[str]
    again: int


@dataclass(frozen=True, slots=True)
class SiteRecord:
    """What a site (scheme, host and port) answered, and when, in seconds since 1970."""

    site: str
    time: float
    status: int
    """Of robots.txt; 0 for too many redirects."""
    robots: str
    tdmrep: str

    @property
    def unreachable(self) -> bool:
        """Whether robots.txt was refused to us for now."""
        return self.status >= 500 or self.status == 429

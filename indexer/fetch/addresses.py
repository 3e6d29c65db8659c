"""Which addresses and ports may be dialled, and how aiohttp is kept to that.

A checking resolver alone leaks: literal addresses never reach it. So the check stands where the socket is
made (``TCPConnector(socket_factory=…)``), on the very address that is dialled: literals, redirects,
rebinding names and IPv4 inside IPv6 all pass there.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from typing import Any, Protocol

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_COMPATIBLE = ipaddress.ip_network("::/96")
_TRANSLATED = ipaddress.ip_network("::ffff:0:0:0/96")
_TEREDO = ipaddress.ip_network("2001::/32")
_UNICAST = ipaddress.ip_network("2000::/3")

# c-ares: no data, no such name, a name that can't be one
_CARES_PERMANENT = frozenset({1, 4, 8})
_PERMANENT = frozenset(
    {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME), getattr(socket, "EAI_FAIL", -4)}
)


class ForbiddenAddressError(OSError):
    """The address isn't a public one. Always the same text: aiohappyeyeballs merges unlike errors."""

    def __init__(self) -> None:
        super().__init__("not a public address")


class NoSuchHostError(OSError):
    """The name has no address, and asking again won't help."""


class Resolver(Protocol):
    """What aiohttp's connector asks for addresses."""

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = ...) -> list[Any]:
        """The addresses of ``host``, as aiohttp's ResolveResult dictionaries; OSError when there are none."""
        ...

    async def close(self) -> None:
        """Free the resolver's resources."""
        ...


def is_public(address: str) -> bool:
    """Whether ``address`` (a literal IPv4 or IPv6 address, a zone allowed) lies in the public internet.

    IPv4 inside IPv6 (mapped, compatible, translated, 6to4, NAT64) counts as the IPv4 address it reaches;
    Teredo never does.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip in _TEREDO:
            return False
        inner = _inner(ip)
        if inner is None:
            return ip in _UNICAST and ip.is_global and not ip.is_multicast
        ip = inner
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def port_allowed(port: int) -> bool:
    """80, 443, and everything that needs no privilege to serve."""
    return port in {80, 443} or 1023 < port <= 65535


def guarded_sockets(*, allow_private: bool) -> Callable[[Any], socket.socket]:
    """A socket factory for aiohttp: a socket for the address to be dialled, or ForbiddenAddressError."""

    def make(address: Any) -> socket.socket:
        family, kind, protocol, _, target = address
        if not allow_private and not is_public(target[0]):
            raise ForbiddenAddressError
        return socket.socket(family=family, type=kind, proto=protocol)

    return make


class GuardedResolver:
    """A resolver that gives the public addresses only, and asks for a dead name once.

    Not the guard (that is :func:`guarded_sockets`): it lets a name with public and private addresses work.
    """

    def __init__(self, inner: Resolver, *, allow_private: bool) -> None:
        self._inner = inner
        self._allow_private = allow_private
        self._dead: set[str] = set()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[Any]:
        """The allowed addresses of ``host``; NoSuchHostError, ForbiddenAddressError or another OSError."""
        if host in self._dead:
            raise NoSuchHostError(host)
        try:
            entries = await self._inner.resolve(host, port, family)
        except UnicodeError as error:  # a label that is empty or too long
            self._dead.add(host)
            raise NoSuchHostError(host) from error
        except OSError as error:
            if not _is_permanent(error):
                raise
            self._dead.add(host)
            raise NoSuchHostError(host) from error
        if self._allow_private:
            return entries
        public = [entry for entry in entries if is_public(entry["host"])]
        if entries and not public:
            raise ForbiddenAddressError
        return public

    async def close(self) -> None:
        """Close the resolver inside."""
        await self._inner.close()


def _is_permanent(error: OSError) -> bool:
    if isinstance(error, socket.gaierror):
        return error.errno in _PERMANENT
    cause = error.__cause__  # aiohttp's AsyncResolver keeps c-ares' code there only
    return cause is not None and bool(cause.args) and cause.args[0] in _CARES_PERMANENT


def _inner(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that ``ip`` stands for, or None."""
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    if ip.sixtofour is not None:
        return ip.sixtofour
    if any(ip in network for network in (_NAT64, _COMPATIBLE, _TRANSLATED)):
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return None

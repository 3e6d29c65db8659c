"""Which addresses, ports and URLs may be dialled."""

from __future__ import annotations

import asyncio
import socket

import pytest
from captrawl.indexer.fetch.addresses import (
    ForbiddenAddressError,
    GuardedResolver,
    NoSuchHostError,
    guarded_sockets,
    is_public,
    port_allowed,
)

PUBLIC = ["8.8.8.8", "93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "2001:4860:4860::8888",
          "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1", "::8.8.8.8",
          "2606:4700::1%eth0"]  # fmt: skip
PRIVATE = [
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "169.254.169.254", "100.64.0.1", "192.0.2.1", "198.18.0.1", "203.0.113.5", "224.0.0.1", "239.1.2.3",
    "240.0.0.1", "255.255.255.255", "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::1", "2002:7f00:1::",
    "2002:a00:1::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "fec0::1",
    "ff02::1", "2001:db8::1", "100::1", "4000::1",
]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", PRIVATE)
def test_private(address: str) -> None:
    assert not is_public(address)


def info(address: str) -> tuple:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, 80))


@pytest.mark.parametrize("address", PRIVATE)
def test_no_socket_is_made_for_a_private_address(address: str) -> None:
    with pytest.raises(ForbiddenAddressError):
        guarded_sockets(allow_private=False)(info(address))


def test_a_socket_is_made_where_it_may_be() -> None:
    guarded_sockets(allow_private=False)(info("8.8.8.8")).close()
    guarded_sockets(allow_private=True)(info("127.0.0.1")).close()


@pytest.mark.parametrize(("port", "allowed"), [
    (80, True), (443, True), (1024, True), (8080, True), (65535, True),
    (0, False), (21, False), (22, False), (25, False), (81, False), (1023, False), (65536, False),
])  # fmt: skip
def test_ports(port: int, allowed: bool) -> None:
    assert port_allowed(port) is allowed


def hosts_of(resolver: GuardedResolver, name: str) -> list[str]:
    return [entry["host"] for entry in asyncio.run(resolver.resolve(name, 80))]


def test_a_name_gives_its_public_addresses(tools) -> None:
    names = tools.Names(mixed=["10.0.0.1", "8.8.8.8", "::1"], inside=["10.0.0.1"])
    resolver = GuardedResolver(names, allow_private=False)
    assert hosts_of(resolver, "mixed") == ["8.8.8.8"]
    with pytest.raises(ForbiddenAddressError):
        hosts_of(resolver, "inside")
    assert hosts_of(GuardedResolver(names, allow_private=True), "inside") == ["10.0.0.1"]


def test_a_dead_name_is_asked_once_and_a_busy_server_again(tools) -> None:
    busy = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    names = tools.Names(
        busy=busy, nodata=socket.gaierror(socket.EAI_NODATA, "No address"), odd=UnicodeError("idna")
    )
    resolver = GuardedResolver(names, allow_private=False)
    for _ in range(3):
        for name in ("dead", "nodata", "odd"):
            with pytest.raises(NoSuchHostError):
                hosts_of(resolver, name)
        with pytest.raises(socket.gaierror):
            hosts_of(resolver, "busy")
    assert sorted(names.asked) == ["busy"] * 3 + ["dead", "nodata", "odd"]

"""One URL asked of a hostile web: limits, redirects, consent and the address check."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import socket
import struct
import threading
import time
import zlib

import pytest
from captrawl.indexer.fetch import client
from captrawl.indexer.fetch.blocklist import Blocklist
from captrawl.indexer.fetch.client import Rules, agent_name, open_client
from captrawl.indexer.fetch.fetcher import Fetcher
from captrawl.indexer.fetch.host_queue import PER_HOST, HostQueue
from captrawl.indexer.fetch.urls import host_of
from captrawl.indexer.outcomes import FetchJob, FetchResult
from captrawl.indexer.pack.spool import Spool


@pytest.fixture
def ask(tmp_path):
    """ask(urls, resolver=None, per_host=2, **rules) → the answers, in the urls' order; asked at once."""

    def go(*urls: str, resolver=None, per_host: int = PER_HOST, **rules) -> list[FetchResult]:
        chosen = Rules(**{"deadline": 5.0, "allow_private": True, **rules})

        async def main() -> list[FetchResult]:
            session, guarded = open_client(chosen, resolver)
            hosts = HostQueue(per_host=per_host)
            fetcher = Fetcher(session, hosts, Spool(tmp_path / "spool"), chosen)

            async def one(number: int, url: str) -> FetchResult:
                await hosts.enter(host_of(url))
                return await fetcher.fetch(FetchJob(number, url, 0), host_of(url))

            async with session:
                answers = await asyncio.gather(*(one(n, url) for n, url in enumerate(urls)))
            await guarded.close()
            assert not hosts._active
            return list(answers)

        return asyncio.run(main())

    return go


def chunked(*parts: bytes, gap: float = 0.0, end: bool = True, head: str = "") -> object:
    async def answer(writer, _) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + head.encode() + b"\r\n")
        for part in parts:
            writer.write(b"%x\r\n%s\r\n" % (len(part), part))
            await writer.drain()
            await asyncio.sleep(gap)
        writer.write(b"0\r\n\r\n" if end else b"")
        await writer.drain()
        if not end:
            writer.close()

    return answer


def test_an_image_is_spooled_by_its_hash(web, ask, tools, tmp_path) -> None:
    data = tools.jpeg(1)
    (answer,) = ask(web.give("/a.jpg", data))
    assert (answer.reason, answer.status, answer.final_url) == ("", 200, web.url("/a.jpg"))
    assert answer.consent == "silent"
    body = answer.body
    assert body is not None
    assert (body.size, body.width, body.height) == (len(data), 120, 100)
    for name in ("sha256", "sha1", "md5"):
        assert getattr(body, name) == hashlib.new(name, data).hexdigest()
    assert (tmp_path / "spool" / body.sha256).read_bytes() == data
    assert [path.name for path in (tmp_path / "spool").iterdir()] == [body.sha256]


def test_what_we_say_of_ourselves(web, ask, tools) -> None:
    ask(web.give("/a.jpg", tools.jpeg(1)), agent=agent_name("https://lab.example/bot\r\nX: é"))
    headers = web.hits[0].headers
    assert headers["user-agent"] == "captrawl/0.1.0 (+https://lab.example/bot??X: ?)"
    assert headers["accept-encoding"] == "identity"
    assert "cookie" not in headers
    assert agent_name(" ") == "captrawl/0.1.0"


def test_a_dripping_body_ends_at_the_deadline(web, ask, tools) -> None:
    url = web.handle("/drip", chunked(*(bytes([b]) for b in tools.jpeg(1)), gap=0.1))
    started = time.monotonic()
    (answer,) = ask(url, deadline=1.0)
    assert answer.reason == "timeout"
    assert 0.9 < time.monotonic() - started < 3


def test_silence_ends_at_the_deadline(web, ask) -> None:
    async def nothing(writer, _) -> None:
        await asyncio.sleep(30)

    (answer,) = ask(web.handle("/silent", nothing), deadline=0.5)
    assert (answer.reason, answer.status) == ("timeout", None)


def test_an_endless_body_ends_at_the_cap(web, ask, tools) -> None:
    sent = 0

    async def endless(writer, _) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        part = tools.jpeg(1) + b"x" * 60_000
        while True:
            writer.write(b"%x\r\n%s\r\n" % (len(part), part))
            await writer.drain()
            sent += len(part)

    (answer,) = ask(web.handle("/endless", endless), max_bytes=1_000_000)
    assert answer.reason == "too_large"
    assert sent < 20_000_000


def test_a_server_that_hangs_up_is_asked_once(web, ask) -> None:
    async def hang_up(writer, _) -> None:
        writer.close()

    (answer,) = ask(web.handle("/hang-up", hang_up))
    assert (answer.reason, answer.status) == ("connection_lost", None)
    assert web.count("/hang-up") == 1


def test_a_reset_connection_is_asked_once(web, ask) -> None:
    async def reset(writer, _) -> None:
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.close()

    (answer,) = ask(web.handle("/reset", reset))
    assert (answer.reason, answer.status) == ("connection_lost", None)
    assert web.count("/reset") == 1


def test_a_kept_connection_that_the_server_closes_costs_no_image(web, ask, tools, monkeypatch) -> None:
    monkeypatch.setattr(client, "_KEEP_ALIVE", 60.0)  # a busy disk takes seconds over a picture

    async def hang_up(writer, _) -> None:
        writer.close()

    first = [web.give(f"/{n}.jpg", tools.jpeg(n)) for n in range(2)]  # a connection is kept while others wait
    last = web.handle("/kept.jpg", hang_up, tools.whole(tools.jpeg(4)))
    assert [answer.reason for answer in ask(*first, last, per_host=1)] == [""] * 3
    assert web.count("/kept.jpg") == 2


def test_a_declared_size_is_believed(web, ask) -> None:
    (answer,) = ask(web.give("/big", b"\xff\xd8\xff", Content_Length="999999999"), max_bytes=1000)
    assert (answer.reason, answer.body) == ("too_large", None)


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress, lambda b: zlib.compress(b)[2:-4]])
def test_a_packed_body_is_unpacked(web, ask, tools, pack) -> None:
    data = tools.jpeg(2)
    name = "gzip" if pack is gzip.compress else "deflate"
    (answer,) = ask(web.give("/a.jpg", pack(data), Content_Encoding=name))
    assert answer.reason == ""
    assert answer.body.sha256 == hashlib.sha256(data).hexdigest()


def test_a_bomb_is_cut_at_the_cap(web, ask, tools) -> None:
    bomb = gzip.compress(tools.jpeg(1) + b"\0" * 100_000_000, 6)
    assert len(bomb) < 150_000
    (answer,) = ask(web.give("/bomb", bomb, Content_Encoding="gzip"), max_bytes=1_000_000)
    assert answer.reason == "too_large"


@pytest.mark.parametrize(
    ("body", "headers", "reason"),
    [
        (b"not gzip at all, really", {"Content_Encoding": "gzip"}, "encoding"),
        (b"\xff\xd8\xff", {"Content_Encoding": "br"}, "encoding"),
        (gzip.compress(b"\xff\xd8\xff" * 999, mtime=0)[:-9], {"Content_Encoding": "gzip"}, "connection_lost"),
        (b"<!doctype html><html><body>not found", {"Content_Type": "image/jpeg"}, "not_an_image"),
        (b"", {}, "not_an_image"),
        (b"\xff\xd8\xff", {}, "not_an_image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", {}, "not_an_image"),
        (b"\xff\xd8\xff" + b"x" * 500, {}, "not_an_image"),
        (b"\xff\xd8\xff", {"Content_Length": "5000"}, "connection_lost"),
    ],
)
def test_what_is_no_image(web, ask, tmp_path, body, headers, reason) -> None:
    async def answer(writer, _) -> None:
        await whole(writer, _)
        writer.close()

    whole = web.handlers[web.give("/x", body, **headers).removeprefix(web.url(""))][0]
    web.handle("/x", answer)
    (answered,) = ask(web.url("/x"))
    assert answered.reason == reason
    assert not list((tmp_path / "spool").iterdir())


def test_an_image_with_the_wrong_type_is_taken(web, ask, tools) -> None:
    (answer,) = ask(web.give("/a.php", tools.jpeg(1), Content_Type="text/html"))
    assert answer.reason == ""


@pytest.mark.parametrize("status", [204, 206, 304, 400, 401, 403, 404, 410, 418, 451, 500, 503, 599])
def test_statuses(web, ask, tools, status) -> None:
    body = b"" if status in {204, 304} else tools.jpeg(1)
    (answer,) = ask(web.give("/x", body, status))
    assert (answer.reason, answer.status, answer.body) == (f"http_{status}", status, None)


@pytest.mark.parametrize(
    ("headers", "reason", "consent"),
    [
        ({"X_Robots_Tag": "noai"}, "x_robots_tag", "x-robots-tag: noai"),
        ({"X_Robots_Tag": ["index", "NoImageAI"]}, "x_robots_tag", "x-robots-tag: NoImageAI"),
        ({"tdm_reservation": "1"}, "tdm_reservation", "tdm-reservation: 1"),
        ({"Content_Usage": "train-ai=n"}, "content_usage", "content-usage: train-ai=n"),
    ],
)
def test_a_refusal_is_read_before_the_body(web, ask, headers, reason, consent) -> None:
    async def never(writer, _) -> None:
        lines = [f"{name.replace('_', '-')}: {v}" for name, value in headers.items()
                 for v in ([value] if isinstance(value, str) else value)]  # fmt: skip
        writer.write(("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n" + "\r\n".join(lines) + "\r\n\r\n").encode())
        await writer.drain()
        await asyncio.sleep(30)

    (answer,) = ask(web.handle("/x", never))
    assert (answer.reason, answer.consent, answer.body) == (reason, consent, None)


def test_a_refusal_on_a_redirect_counts(web, ask, tools) -> None:
    web.give("/b", tools.jpeg(1))
    (answer,) = ask(web.give("/a", status=302, Location="/b", X_Robots_Tag="noai"))
    assert answer.reason == "x_robots_tag"
    assert web.count("/b") == 0


def test_consent_that_is_given_is_kept_as_evidence(web, ask, tools) -> None:
    (answer,) = ask(web.give("/a", tools.jpeg(1), X_Robots_Tag="all", tdm_reservation="0"))
    assert (answer.reason, answer.consent) == ("", "x-robots-tag: all; tdm-reservation: 0")


def test_redirects_are_followed(web, ask, tools) -> None:
    web.give("/b", status=307, Location="c?x=é y#z")
    web.give("/c?x=%C3%A9%20y", tools.jpeg(1))
    (answer,) = ask(web.give("/a", status=301, Location=f"//127.0.0.1:{web.port}/b"))
    assert (answer.reason, answer.status) == ("", 200)
    assert answer.final_url == web.url("/c?x=%C3%A9%20y")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_five_redirects_and_no_more(web, ask, tools, status) -> None:
    for n in range(7):
        web.give(f"/{n}", status=status, Location=f"/{n + 1}")
    web.give("/7", tools.jpeg(1))
    two, one = ask(web.url("/1"), web.url("/2"))
    assert (two.reason, one.reason) == ("redirects", "")


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("/a", "redirects"),
        ("file:///etc/passwd", "scheme"),
        ("data:text/plain,x", "scheme"),
        ("ftp://h/x", "scheme"),
        ("http://127.0.0.1:22/", "port"),
        ("http://[::1/", "bad_url"),
        ("http://nowhere.invalid/x", "dns"),
    ],
)
def test_redirects_that_lead_nowhere(web, ask, tools, location, reason) -> None:
    (answer,) = ask(web.give("/a", status=302, Location=location), resolver=tools.Names())
    assert (answer.reason, answer.status) == (reason, 302)


@pytest.mark.parametrize("word", ["utf-8", "base64", "binary", "aws-chunked", "none", "jpeg, UTF-8", "*"])
def test_a_content_encoding_that_names_no_coding_is_none(web, ask, tools, word) -> None:
    (answer,) = ask(web.give("/a", tools.jpeg(1), Content_Encoding=word))
    assert (answer.reason, answer.body and answer.body.size) == ("", len(tools.jpeg(1)))


def test_codings_are_undone_or_refused(web, ask, tools) -> None:
    packed = gzip.compress(tools.jpeg(1))
    answers = ask(
        web.give("/a", packed, Content_Encoding="aws-chunked, gzip"),
        *(web.give(f"/{word[:4]}", packed, Content_Encoding=word) for word in ("br", "zstd", "gzip, br")),
    )
    assert [answer.reason for answer in answers] == ["", "encoding", "encoding", "encoding"]


def test_long_and_many_headers_within_bounds(web, ask, tools) -> None:
    many = {f"X_{n}": "1" for n in range(500)}
    answers = ask(
        web.give("/a", tools.jpeg(1), Content_Security_Policy="x" * 60_000),
        web.give("/b", tools.jpeg(2), **many),
        web.give("/c", status=302, Location="/a?" + "y" * 20_000),
        web.give("/d", tools.jpeg(3), X_Long="x" * 70_000),
    )
    assert [answer.reason for answer in answers] == ["", "", "http_404", "protocol"]


def cookie_wall(tools, body: bytes, name: str = "seen") -> object:
    """Redirects to itself with a cookie, and gives ``body`` to who brings it."""

    async def answer(writer, headers) -> None:
        if f"{name}=yes" in headers.get("cookie", ""):
            await tools.whole(body)(writer, headers)
        else:
            await tools.whole(b"", 302, Location="", Set_Cookie=f"{name}=yes; Path=/")(writer, headers)

    return answer


def test_a_cookie_wall_is_passed_within_one_url(web, ask, tools) -> None:
    urls = [web.handle(f"/{n}", cookie_wall(tools, tools.jpeg(n))) for n in range(2)]
    assert [answer.reason for answer in ask(urls[0])] == [""]
    assert [web.hits[0].headers.get("cookie"), web.hits[1].headers.get("cookie")] == [None, "seen=yes"]
    assert [answer.reason for answer in ask(*urls)] == ["", ""]
    assert sum("cookie" in hit.headers for hit in web.hits) == 3  # nothing is kept from one URL to the next


def test_cookies_end_with_five_redirects_and_stay_with_their_host(web, ask, tools) -> None:
    async def another(writer, headers) -> None:  # a new value each time: never the same request
        value = str(len(web.hits))
        await tools.whole(b"", 302, Location="/loop", Set_Cookie=f"n={value}")(writer, headers)

    names = tools.Names(a_example=["127.0.0.1"], b_example=["127.0.0.1"])
    web.handle("/loop", another)
    (answer,) = ask(web.url("/loop"))
    assert (answer.reason, web.count("/loop")) == ("redirects", 6)
    web.give("/away", status=302, Location=web.url("/x", "b.example"), Set_Cookie="secret=1")
    web.give("/x", tools.jpeg(1))
    (answer,) = ask(web.url("/away", "a.example"), resolver=names)
    assert answer.reason == ""
    assert "cookie" not in web.hits[-1].headers


def test_a_redirect_without_a_place(web, ask) -> None:
    (answer,) = ask(web.give("/a", status=302))
    assert answer.reason == "http_302"


def test_blanks_and_letters_in_urls(web, ask, tools) -> None:
    web.give("/a%20b/%C3%A9.jpg", tools.jpeg(1))
    answers = ask(web.url("/a b/é.jpg"), web.url("/a%20b/%C3%A9.jpg"), " " + web.url("/a b/\né.jpg#x "))
    assert [answer.reason for answer in answers] == ["", "", ""]


SSRF = [
    "http://127.0.0.1:{port}/secret",
    "http://[::ffff:127.0.0.1]:{port}/secret",
    "http://[::127.0.0.1]:{port}/secret",
    "http://[64:ff9b::7f00:1]:{port}/secret",
    "http://[2002:7f00:1::]:{port}/secret",
    "http://0.0.0.0:{port}/secret",
    "http://inside.example:{port}/secret",
    "http://mapped.example:{port}/secret",
    "http://１２７.0.0.1:{port}/secret",
]


@pytest.mark.parametrize("url", SSRF)
def test_private_addresses_are_never_dialled(web, ask, tools, url) -> None:
    web.give("/secret", tools.jpeg(1))
    names = tools.Names(inside_example=["127.0.0.1"], mapped_example=["::ffff:127.0.0.1"])
    (answer,) = ask(url.format(port=web.port), resolver=names, allow_private=False)
    assert answer.reason == "private_address"
    assert web.connected == 0
    assert not web.hits


@pytest.mark.parametrize("host", ["2130706433", "127.1", "0x7f.1", "0177.0.0.1"])
def test_odd_ways_to_write_an_address(web, ask, tools, host) -> None:
    web.give("/secret", tools.jpeg(1))
    for resolver in (None, tools.Names(**{host.replace(".", "_"): ["127.0.0.1"]})):
        (answer,) = ask(f"http://{host}:{web.port}/secret", resolver=resolver, allow_private=False)
        assert answer.reason in {"bad_url", "private_address", "dns", "dns_busy"}
    assert not web.hits


def test_a_rebinding_name_is_checked_where_it_is_dialled(web, ask, tools) -> None:
    class Rebinding(tools.Names):
        """Public when the checking resolver looks, loopback in what is dialled."""

        async def resolve(self, host, port=0, family=0):
            (entry,) = await super().resolve(host, port, family)

            class Turning(dict):
                def __getitem__(self, key):
                    value = super().__getitem__(key)
                    if key == "host":
                        self["host"] = "127.0.0.1"
                    return value

            return [Turning(entry)]

    web.give("/secret", tools.jpeg(1))
    names = Rebinding(rebind_example=["8.8.8.8"])
    (answer,) = ask(
        f"http://rebind.example:{web.port}/secret", resolver=names, allow_private=False, deadline=2
    )
    assert answer.reason == "private_address"
    assert not web.hits


def test_allow_private_lifts_only_the_address_check(web, ask, tools) -> None:
    web.give("/secret", tools.jpeg(1))
    names = tools.Names(inside_example=["127.0.0.1"])
    answers = ask(
        *(url.format(port=web.port) for url in (SSRF[0], SSRF[6])),
        "http://127.0.0.1:22/", "file:///etc/passwd", "ftp://127.0.0.1/", resolver=names, allow_private=True,
    )  # fmt: skip
    assert [answer.reason for answer in answers] == ["", "", "port", "scheme", "scheme"]


def test_proxies_of_the_environment_are_not_used(web, ask, tools, monkeypatch) -> None:
    monkeypatch.setenv("http_proxy", web.url(""))
    (answer,) = ask("http://nowhere.invalid/x", resolver=tools.Names())
    assert answer.reason == "dns"
    assert not web.hits


def test_blocked_before_fetching(web, ask, tools) -> None:
    web.give("/b", tools.jpeg(1))
    url = web.give("/a b", tools.jpeg(1))
    hop = web.give("/hop", status=302, Location="/b")
    away = web.give("/away", status=302, Location=f"http://evil.example:{web.port}/b")
    blocklist = Blocklist(urls=frozenset({web.url("/a b"), web.url("/b")}), hosts=frozenset({"evil.example"}))
    names = tools.Names(evil_example=["127.0.0.1"], sub_evil_example=["127.0.0.1"])
    answers = ask(
        url, hop, away, f"http://sub.evil.example:{web.port}/b", blocklist=blocklist, resolver=names
    )
    assert [a.reason for a in answers] == ["blocked_url", "blocked_url", "blocked_host", "blocked_host"]
    assert sorted(hit.target for hit in web.hits) == ["/away", "/hop"]


@pytest.mark.parametrize("kind", ["md5", "sha1", "sha256"])
def test_blocked_bytes_never_touch_the_disk(web, ask, tools, tmp_path, kind) -> None:
    data = tools.jpeg(1)
    hashes = frozenset({hashlib.new(kind, data).hexdigest()})
    (answer,) = ask(web.give("/a", data), blocklist=Blocklist(hashes=hashes))
    assert answer.reason == "blocked_hash"
    assert answer.body.sha256 == hashlib.sha256(data).hexdigest()
    assert not list((tmp_path / "spool").iterdir())


def test_sizes_are_read_from_the_header(web, ask, tools, tmp_path) -> None:
    small = web.give("/small", tools.jpeg(1, 200, 84))
    enough = web.give("/enough", tools.jpeg(1, 200, 85))
    answers = ask(small, enough)
    assert [answer.reason for answer in answers] == ["too_small", ""]
    assert (answers[0].body.width, answers[0].body.height) == (200, 84)
    assert len(list((tmp_path / "spool").iterdir())) == 1


def test_retry_after_is_told(web, ask) -> None:
    later = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 100))
    answers = ask(
        web.give("/a", status=429, Retry_After="7"),
        web.give("/b", status=503, Retry_After=later),
        web.give("/c", status=503, Retry_After="soon"),
        web.give("/d", status=404, Retry_After="7"),
    )
    waits = [answer.wait for answer in answers]
    assert waits[0] == 7
    assert 90 < waits[1] <= 100
    assert waits[2:] == [0, 0]


def test_broken_servers(web, ask) -> None:
    async def hang_up(writer, _) -> None:
        writer.close()

    async def garbage(writer, _) -> None:
        writer.write(b"\0\1\2 garbage\r\n\r\n")
        writer.close()

    async def cut(writer, _) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n\xff\xd8\xff\xe0" + b"x" * 100)
        writer.close()

    urls = [web.handle("/hang", hang_up), web.handle("/garbage", garbage), web.handle("/cut", cut)]
    answers = ask(*urls, "http://127.0.0.1:1025/")
    assert [answer.reason for answer in answers] == [
        "connection_lost",
        "protocol",
        "connection_lost",
        "connect",
    ]


def test_a_server_without_tls(ask) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                connection.recv(10_000)

        thread = threading.Thread(target=serve)
        thread.start()
        (answer,) = ask(f"https://127.0.0.1:{listening.getsockname()[1]}/x")
        thread.join(10)
    assert answer.reason == "tls"


def test_many_bodies_share_the_memory(web, ask, tools) -> None:
    def parts(data: bytes) -> list[bytes]:
        return [data[i : i + 500] for i in range(0, len(data), 500)]

    answers = ask(*(web.handle(f"/{n}", chunked(*parts(tools.jpeg(n)))) for n in range(20)))
    assert {answer.reason for answer in answers} == {""}

"""Attacks on a real server over a real socket: each is refused, and logged."""

from __future__ import annotations

import http.client
import io
import json
import socket
import struct
import time
import zlib
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from captrawl.core.records import IMAGE_SCHEMA
from captrawl.web.serve import CONNECTIONS
from PIL import Image


def raw(port: int, request: bytes) -> tuple[int, bytes]:
    """The status and the whole answer to exactly these bytes."""
    with socket.create_connection(("127.0.0.1", port), 20) as connection:
        connection.sendall(request)
        answer = b""
        try:
            while part := connection.recv(65536):
                answer += part
        except ConnectionResetError:
            pass
    return int(answer.split(b" ", 2)[1]), answer


def ask(method: str, target: str, *headers: str, host: str = "localhost", body: bytes = b"") -> bytes:
    length = [f"Content-Length: {len(body)}"] if body else []
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", "Connection: close", *length, *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def get(target: str, *headers: str, host: str = "localhost") -> bytes:
    return ask("GET", target, *headers, host=host)


SECRET = "root:"
SHA = "0" * 64
EVIL = "Origin: http://evil.example"
CROSS = "Sec-Fetch-Site: cross-site"
MARK = "/api/classes/0/marks/1"
REJECT = b'{"mark":"rejected"}'
ATTACKS: dict[str, tuple[bytes, int]] = {
    "traversal": (get("/static/../../../etc/passwd"), 404),
    "traversal, encoded": (get("/static/..%2f..%2f..%2fetc%2fpasswd"), 404),
    "traversal, twice encoded": (get("/static/%252e%252e%252fetc%252fpasswd"), 404),
    "traversal, backslash": (get("/static/..%5c..%5cetc%5cpasswd"), 404),
    "absolute": (get("//etc/passwd"), 404),
    "absolute, encoded": (get("/static/%2fetc%2fpasswd"), 404),
    "source": (get("/static/app.py"), 404),
    "NUL": (get("/static/app.js%00.html"), 404),
    "image traversal": (get("/api/images/..%2f..%2fcaptrawl.toml"), 404),
    "image unknown": (get(f"/api/images/{SHA}"), 404),
    "sample traversal": (get("/api/classes/0/pool?sample=../../../../etc/passwd"), 404),
    "class unknown": (get("/api/classes/999"), 404),
    "rebinding": (get("/api/session", host="evil.example"), 403),
    "rebinding, page": (get("/", host="evil.example:8000"), 403),
    "rebinding, prefix": (get("/api/session", host="localhost.evil.example"), 403),
    "rebinding, suffix": (get("/api/session", host="evil.example/localhost"), 403),
    "rebinding, dot": (get("/api/session", host="localhost."), 403),
    "rebinding, user": (get("/api/session", host="localhost:80@evil.example"), 403),
    "rebinding, number": (get("/api/session", host="2130706433"), 403),
    "rebinding, address in a name": (get("/api/session", host="127.0.0.1.evil.example"), 403),
    "another's absolute address": (get("http://evil.example/api/session"), 400),
    "our absolute address": (get("http://localhost/api/session"), 400),
    "a target that is none": (get("api/session"), 400),
    "tunnel": (ask("CONNECT", "evil.example:443"), 400),
    "two ways of framing": (ask("POST", "/", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"), 400),
    "unknown coding": (ask("POST", "/", "Transfer-Encoding: x", body=b"x"), 400),
    "no protocol": (b"GET /api/session\r\n\r\n", 403),
    "not HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "folded header": (get("/api/session", "X: a\r\n b"), 400),
    "space in a name": (get("/api/session", "X : a"), 400),
    "bare line feeds": (b"GET / HTTP/1.1\nHost: evil.example\n\n", 400),
    "many small headers": (get("/", *(f"X{n}: {n}" for n in range(8000))), 400),
    "a head without end": (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 70_000, 400),
    "a line without end": (b"GET /" + b"x" * 70_000, 400),
    "pipelined without end": (b"GET /static/app.js HTTP/1.1\r\nHost: localhost\r\n\r\n" * 300, 400),
    "two hosts": (get("/api/session", "Host: evil.example"), 400),
    "no host": (b"GET /api/session HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
    "old protocol without host": (b"GET /api/session HTTP/1.0\r\n\r\n", 403),
    "other origin": (get("/api/session", EVIL), 403),
    "null origin": (get("/api/session", "Origin: null"), 403),
    "cross-site read": (get("/api/query?phrase=cat", CROSS, "Sec-Fetch-Mode: no-cors"), 403),
    "same-site read": (get("/api/query?phrase=cat", "Sec-Fetch-Site: same-site"), 403),
    "cross-site download": (get("/api/export?phrase=cat", CROSS, "Sec-Fetch-Mode: navigate"), 403),
    "cross-site script": (get("/static/app.js", CROSS, "Sec-Fetch-Mode: no-cors"), 403),
    "cross-site preflight": (ask("OPTIONS", MARK, EVIL, "Access-Control-Request-Method: PUT"), 403),
    "cross-site write": (ask("PUT", MARK, EVIL, CROSS, body=REJECT), 403),
    "write without token": (ask("PUT", MARK, "Content-Type: application/json", body=REJECT), 403),
    "write with another token": (ask("PUT", MARK, "X-Captrawl-Token: abc", body=REJECT), 403),
    "form write": (ask("POST", "/api/similar/image", "Content-Type: text/plain", body=b"x"), 403),
    "websocket": (get("/api/session", "Upgrade: websocket", f"Sec-WebSocket-Key: {'A' * 22}==", EVIL), 403),
    "method": (ask("DELETE", "/api/classes"), 403),
    "method override": (get(f"{MARK}?_method=PUT", "X-HTTP-Method-Override: PUT"), 405),
    "two lengths": (ask("POST", "/api/similar/image", "Content-Length: 9", body=b"abcd"), 400),
    "length below zero": (ask("POST", "/api/similar/image", "Content-Length: -1"), 400),
    "split header": (get("/api/session", "X: a\r\n b\x00c"), 400),
    "huge request line": (get("/api/query?phrase=" + "x" * 200_000), 400),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_attack_is_refused_and_logged(server: Any, name: str) -> None:
    request, status = ATTACKS[name]
    before = len(server.logged())
    answered, answer = raw(server.port, request)
    assert answered == status
    assert SECRET.encode() not in answer
    assert b"access-control" not in answer.lower()
    for _ in range(100):
        if len(server.logged()) > before:
            break
        time.sleep(0.05)
    assert len(server.logged()) > before


def token_of(server: Any) -> dict[str, str]:
    return {"X-Captrawl-Token": httpx.get(f"{server.url}api/session").json()["token"]}


def bomb(width: int, height: int) -> bytes:
    """A PNG of few bytes that unfolds to width × height pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(b"\0" * (width + 1)) for _ in range(min(height, 2000))) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def scans() -> bytes:
    """A JPEG of many scans: each is decoded like a picture of its own."""
    out = io.BytesIO()
    Image.new("L", (64, 64)).save(out, "JPEG", progressive=True)
    data = out.getvalue()[:-2]
    return data + data[data.rfind(b"\xff\xda") :] * 200 + b"\xff\xd9"


def truncated() -> bytes:
    out = io.BytesIO()
    Image.effect_noise((200, 200), 90).save(out, "JPEG")
    return out.getvalue()[:2000]


def broken() -> bytes:
    """A JPEG with an end, whose quantization table's marker is damaged."""
    out = io.BytesIO()
    Image.effect_noise((200, 200), 90).save(out, "JPEG")
    data = bytearray(out.getvalue())
    data[20] = 132
    return bytes(data)


UPLOADS: dict[str, tuple[bytes, int]] = {
    "bomb": (bomb(30_000, 30_000), 415),
    "vast bomb": (bomb(200_000, 200_000), 415),
    "scans": (scans(), 415),
    "text": (b"hello", 415),
    "nothing": (b"", 415),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>', 415),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", 415),
    "cut off": (truncated(), 415),
    "broken": (broken(), 415),
    "only a signature": (b"\x89PNG\r\n\x1a\n" + b"\0" * 100, 415),
}


@pytest.mark.parametrize("name", UPLOADS)
def test_upload_is_refused_and_logged(server: Any, name: str) -> None:
    data, status = UPLOADS[name]
    before = len(server.logged())
    answer = httpx.post(f"{server.url}api/similar/image", content=data, headers=token_of(server), timeout=60)
    assert (answer.status_code, set(answer.json())) == (status, {"error"})
    assert "415" in server.logged()[before:]


def test_a_giant_upload_is_cut_off(server: Any) -> None:
    def endless() -> Any:
        for _ in range(1000):
            yield b"\xff" * (1 << 20)

    def post(**options: Any) -> int:
        try:
            return httpx.post(f"{server.url}api/similar/image", timeout=60, **options).status_code
        except (httpx.WriteError, httpx.RemoteProtocolError):
            return 413  # the server answered and closed while we were still sending

    headers = token_of(server)
    assert post(content=b"x" * 21_000_000, headers=headers) == 413
    before = len(server.logged())
    assert post(content=endless(), headers=headers) == 413
    assert "413" in server.logged()[before:]
    large = httpx.put(f"{server.url}api/classes/0/marks/1", content=b"x" * 70_000, headers=headers)
    assert large.status_code == 413


@pytest.mark.parametrize("body", [b"[" * 60_000, b'{"mark":' * 7_000, b'{"mark":' + b"9" * 60_000 + b"}"])
def test_a_json_bomb_is_refused_and_logged(server: Any, body: bytes) -> None:
    before = len(server.logged())
    headers = {**token_of(server), "Content-Type": "application/json"}
    answer = httpx.put(f"{server.url}api/classes/0/marks/1", content=body, headers=headers, timeout=30)
    assert answer.status_code == 400
    assert ": 400" in server.logged()[before:]


def test_a_head_in_pieces_behind_a_large_body_is_answered(server: Any) -> None:
    token = token_of(server)["X-Captrawl-Token"]
    with socket.create_connection(("127.0.0.1", server.port), 20) as connection:
        body = b"x" * 1_000_000
        head = f"POST /api/similar/image HTTP/1.1\r\nHost: localhost\r\nX-Captrawl-Token: {token}\r\n"
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert (answer.status, answer.will_close) == (415, False)
        answer.read()
        for piece in (b"GET /static/icon.svg HTTP", b"/1.1\r\nHost: loc", b"alhost\r\n\r\n"):
            connection.sendall(piece)
            time.sleep(0.1)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert (answer.status, answer.read()[:4]) == (200, b"<svg")


def test_heads_that_never_end_dont_keep_others_out(serve: Any, site: Any) -> None:
    server = serve("--index", site.index)
    held = [socket.create_connection(("127.0.0.1", server.port), 20) for _ in range(CONNECTIONS + 5)]
    for connection in held:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
    statuses: list[int] = []
    for _ in range(100):
        statuses.append(httpx.get(server.url, timeout=30).status_code)
        if statuses[-1] == 200:
            break
        time.sleep(0.5)
    assert statuses[0] == 503
    assert statuses[-1] == 200
    assert "no whole head in 10 seconds" in server.logged()
    for connection in held:
        connection.close()


def test_every_answer_has_the_headers(server: Any) -> None:
    for path in ("", "static/app.js", "api/session", "api/nothing", "api/openapi.json"):
        headers = httpx.get(server.url + path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http:" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "access-control-allow-origin" not in headers
    remote = httpx.get(f"{server.url}?remote=1").headers["content-security-policy"]
    assert "img-src 'self' blob: https: http:;" in remote


def test_an_image_that_isnt_inside_is_not_served(serve: Any, own_site: Any) -> None:
    root = own_site.workspace.root
    secret = root.parent / "secret.jpg"
    Image.new("RGB", (64, 64), (1, 2, 3)).save(secret)
    (root / "images" / "link.jpg").symlink_to(secret)
    (root / "images" / "folder").symlink_to(root.parent)
    (root / "images" / "page.jpg").write_text("<script>1</script>")
    paths = [
        *("images/link.jpg", "images/folder/secret.jpg", "images/../../secret.jpg", "images/page.jpg"),
        *("../secret.jpg", str(secret), "captrawl.toml"),
    ]
    lines = [
        {"url": f"http://a/{n}", "state": "packed", "attempts": 1, "path": path, "sha256": f"{n:064x}"}
        for n, path in enumerate(paths)
    ]
    pq.write_table(pa.Table.from_pylist(lines, IMAGE_SCHEMA), own_site.workspace.images_path)
    server = serve("-C", root)
    for number in range(len(paths)):
        for size in ("thumbnail", "full"):
            before = len(server.logged())
            answer = httpx.get(f"{server.url}api/images/{number:064x}?size={size}", timeout=30)
            assert answer.status_code == 404, paths[number]
            assert "404" in server.logged()[before:]


def test_a_cross_site_link_to_the_page_works(server: Any) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert httpx.get(server.url, headers=headers).status_code == 200


def test_errors_tell_no_secret(server: Any) -> None:
    answer = httpx.get(f"{server.url}api/classes/0/pool?sample=../x")
    assert answer.status_code == 404
    assert json.loads(answer.text) == {"error": "there is no sample '../x'"}

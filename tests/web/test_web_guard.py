"""Who may ask: the rules of hosts, and files, as values."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from captrawl.web.files import NotServedError, read_inside, static_files
from captrawl.web.middleware import AllowedHosts, host_name, is_loopback


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("localhost", "localhost"),
        ("LocalHost:8000", "localhost"),
        ("127.0.0.1:80", "127.0.0.1"),
        ("[::1]:8000", "::1"),
        ("[::1]", "::1"),
        ("[::1", ""),
        ("[::1]evil", ""),
        ("localhost:80.evil.com", ""),
        ("localhost:", ""),
        ("user@localhost", "user@localhost"),
        ("localhost,evil.com", "localhost,evil.com"),
        ("", ""),
    ],
)
def test_host_name(header: str, name: str) -> None:
    assert host_name(header) == name


@pytest.mark.parametrize(
    ("listening", "others", "header", "allowed"),
    [
        ("127.0.0.1", [], "localhost:9000", True),
        ("127.0.0.1", [], "127.0.0.1", True),
        ("127.0.0.1", [], "[::1]:1", True),
        ("127.0.0.1", [], "evil.com", False),
        ("127.0.0.1", [], "127.0.0.1.evil.com", False),
        ("127.0.0.1", [], "localhost.evil.com", False),
        ("127.0.0.1", [], "192.168.1.7", False),
        ("127.0.0.1", [], "0x7f000001", False),
        ("127.0.0.1", [], "", False),
        ("127.0.0.1", ["lab.example"], "LAB.example:80", True),
        ("0.0.0.0", [], "192.168.1.7:8000", True),
        ("0.0.0.0", [], "evil.com", False),
        ("::", [], "[fe80::1]:80", True),
        ("lab.example", [], "lab.example", True),
        ("lab.example", [], "evil.example", False),
    ],
)
def test_hosts(listening: str, others: list[str], header: str, allowed: bool) -> None:
    assert AllowedHosts.serving(listening, others).allow(header) is allowed


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("[::1]", True), ("localhost", True),
     ("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("example.com", False)],
)  # fmt: skip
def test_is_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """root/images/ok.jpg, a secret outside, and links of every kind."""
    root = tmp_path / "root"
    (root / "images" / "deep").mkdir(parents=True)
    (root / "images" / "ok.jpg").write_bytes(b"fine")
    (root / "images" / "large.jpg").write_bytes(b"x" * 101)
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "a.jpg").write_bytes(b"secret")
    (root / "images" / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    (root / "images" / "inner.jpg").symlink_to("ok.jpg")
    (root / "images" / "way").symlink_to(tmp_path / "outside")
    os.mkfifo(root / "images" / "pipe.jpg")
    return root


def test_a_plain_file_is_read(tree: Path) -> None:
    assert read_inside(tree, "images/ok.jpg", 100) == b"fine"


@pytest.mark.parametrize(
    "path",
    ["", "/etc/passwd", "../secret.jpg", "images/../../secret.jpg", "images//ok.jpg", "./images/ok.jpg",
     "images", "images/link.jpg", "images/inner.jpg", "images/way/a.jpg", "images/pipe.jpg",
     "images/large.jpg", "images/nothing.jpg", "images\\ok.jpg", "images/ok.jpg\0",
     "images/ok.jpg/", "images/ok.jpg/more"],
)  # fmt: skip
def test_nothing_else_is(tree: Path, path: str) -> None:
    with pytest.raises(NotServedError):
        read_inside(tree, path, 100)


def test_the_page_is_small() -> None:
    files = static_files()
    assert {"index.html", "style.css", "app.js"} <= files.keys()
    assert sum(len(file.data) for file in files.values()) < 200_000

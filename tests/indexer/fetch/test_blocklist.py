"""Blocklists: what a line may be, and what is blocked."""

from __future__ import annotations

import pytest
from captrawl.core.errors import InputError
from captrawl.indexer.fetch.blocklist import Blocklist, load_blocklist
from captrawl.indexer.outcomes import Reason

MD5, SHA1, SHA256 = "d835884373f4d6c8f24742ceabe74946", "A" * 40, "b" * 64
LINES = f"""\
# seeds

https://h.com/a b.jpg
evil.org
*.bad.net
-1234567890123456789
{MD5}
{SHA1}
sha256: {SHA256}
url,http://x.com/c,d
host localhost
uid 7
"""


@pytest.fixture
def blocklist(tmp_path) -> Blocklist:
    path = tmp_path / "list.txt"
    path.write_text("\ufeff" + LINES, encoding="utf-8")
    return load_blocklist([path])


def test_kinds(blocklist: Blocklist) -> None:
    assert blocklist.urls == {"https://h.com/a b.jpg", "https://h.com/a%20b.jpg", "http://x.com/c,d"}
    assert blocklist.hosts == {"evil.org", "bad.net", "localhost"}
    assert blocklist.uids == {-1234567890123456789, 7}
    assert blocklist.hashes == {MD5, SHA1.lower(), SHA256}


@pytest.mark.parametrize(("url", "host", "reason"), [
    ("https://h.com/a b.jpg", "h.com", Reason.BLOCKED_URL),
    ("https://h.com/a%20b.jpg", "h.com", Reason.BLOCKED_URL),
    ("https://h.com/", "h.com", None),
    ("http://evil.org/x", "evil.org", Reason.BLOCKED_HOST),
    ("http://a.b.evil.org/x", "a.b.evil.org", Reason.BLOCKED_HOST),
    ("http://notevil.org/x", "notevil.org", None),
    ("http://evil.org.uk/x", "evil.org.uk", None),
    ("http://BAD.net./x", "BAD.net.", Reason.BLOCKED_HOST),
])  # fmt: skip
def test_links(blocklist: Blocklist, url: str, host: str, reason: Reason | None) -> None:
    assert blocklist.blocks_link(url, host) is reason


def test_hashes(blocklist: Blocklist) -> None:
    assert blocklist.blocks_bytes("0" * 64, None, MD5)
    assert not blocklist.blocks_bytes("0" * 64, None, None)


def test_the_digest_is_of_the_values(blocklist: Blocklist, tmp_path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    lines = LINES.splitlines()
    first.write_text("\n".join(reversed(lines[:6])))
    second.write_text("\n".join(lines[4:]))
    assert load_blocklist([first, second]).digest() == blocklist.digest()
    assert load_blocklist([second]).digest() != blocklist.digest()


@pytest.mark.parametrize(
    "line", ["two words", "md5 xyz", "sha256:" + "a" * 63, "ftp://h/x", "uid seven", "#ok\n!"]
)
def test_a_line_that_is_none_of_it_is_named(tmp_path, line: str) -> None:
    path = tmp_path / "list.txt"
    path.write_text(f"evil.org\n{line}\n")
    with pytest.raises(InputError, match=r"list\.txt:[23]: "):
        load_blocklist([path])


def test_a_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.txt can't be read"):
        load_blocklist([tmp_path / "nowhere.txt"])

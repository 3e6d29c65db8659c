"""URLs as corpora hold them → URLs as they are asked."""

from __future__ import annotations

import pytest
from captrawl.indexer.fetch.urls import Link, LinkError, host_of, parse_link
from captrawl.indexer.outcomes import Reason
from hypothesis import given
from hypothesis import strategies as st

ASKED = {
    "http://h.com": ("http://h.com/", "h.com", 80),
    "https://H.com/A?b#c": ("https://h.com/A?b", "h.com", 443),
    "http://h.com/a b/é.jpg?x=é y": ("http://h.com/a%20b/%C3%A9.jpg?x=%C3%A9%20y", "h.com", 80),
    "http://h.com/a%20b%2Fc?d=%2B+": ("http://h.com/a%20b%2Fc?d=%2B+", "h.com", 80),
    "http://h.com/100%.jpg": ("http://h.com/100%.jpg", "h.com", 80),
    ' \thttp://h.com/a\nb"<>\r ': ("http://h.com/ab%22%3C%3E", "h.com", 80),
    "HTTP://h.com:80/x": ("http://h.com/x", "h.com", 80),
    "https://h.com:8443/x": ("https://h.com:8443/x", "h.com", 8443),
    "http://h.com./x": ("http://h.com./x", "h.com", 80),
    "http://user:secret@h.com/x": ("http://h.com/x", "h.com", 80),
    "http://münchen.de/ß": ("http://xn--mnchen-3ya.de/%C3%9F", "xn--mnchen-3ya.de", 80),
    "http:/\\h.com\\x": ("http://h.com/x", "h.com", 80),
    "http://h.com\\@evil.com/": ("http://h.com/@evil.com/", "h.com", 80),
    "http://[::1]:8080/x": ("http://[::1]:8080/x", "::1", 8080),
    "http://h.com/../b.jpg": ("http://h.com/b.jpg", "h.com", 80),
    "http://h.com/a/../b.jpg": ("http://h.com/b.jpg", "h.com", 80),
    "http://h.com/x/./../d.jpg": ("http://h.com/d.jpg", "h.com", 80),
    "http://h.com/a/%2e%2E/b/.": ("http://h.com/b/", "h.com", 80),
    "http://h.com/a//../b/..": ("http://h.com/a/", "h.com", 80),
    "http://h.com/a..b/...": ("http://h.com/a..b/...", "h.com", 80),
    "http://h.com/a\\..\\b?c\\..": ("http://h.com/b?c\\..", "h.com", 80),
    "http://h.com?x=/y": ("http://h.com/?x=/y", "h.com", 80),
}
REFUSED = {
    "": Reason.BAD_URL,
    "h.com/x.jpg": Reason.BAD_URL,
    "//h.com/x": Reason.BAD_URL,
    "http://": Reason.BAD_URL,
    "http:///": Reason.BAD_URL,
    "http://[::1/x": Reason.BAD_URL,
    "http://h.com:x/": Reason.BAD_URL,
    "http://h.com:99999/": Reason.BAD_URL,
    "http://a b/": Reason.BAD_URL,
    "http://./": Reason.BAD_URL,
    "file:///etc/passwd": Reason.SCHEME,
    "FILE:///etc/passwd": Reason.SCHEME,
    "data:image/png;base64,xxxx": Reason.SCHEME,
    "ftp://h.com/x": Reason.SCHEME,
    "javascript:alert(1)": Reason.SCHEME,
    "http://h.com:22/x": Reason.PORT,
    "http://h.com:0/x": Reason.PORT,
}


@pytest.mark.parametrize(("url", "asked"), ASKED.items())
def test_asked(url: str, asked: tuple[str, str, int]) -> None:
    assert parse_link(url) == Link(*asked)
    assert parse_link(parse_link(url).url) == Link(*asked)


@pytest.mark.parametrize(("url", "reason"), REFUSED.items())
def test_not_asked(url: str, reason: Reason) -> None:
    with pytest.raises(LinkError) as caught:
        parse_link(url)
    assert caught.value.reason is reason
    assert host_of(url) == ""


@pytest.mark.parametrize(
    ("location", "asked"),
    [
        ("/b c", "https://h.com/b%20c"),
        ("d.jpg", "https://h.com/a/d.jpg"),
        ("//other.com/x", "https://other.com/x"),
        ("http://other.com/x", "http://other.com/x"),
        ("?q=é", "https://h.com/a/c?q=%C3%A9"),
        ("../../..", "https://h.com/"),
        ("\\t\\c.jpg", "https://h.com/t/c.jpg"),
        ("..\\t\\c.jpg?x=\\", "https://h.com/t/c.jpg?x=\\"),
        ("\\\\other.com\\x", "https://other.com/x"),
        ("//other.com//x", "https://other.com//x"),
        ("", "https://h.com/a/c"),
        ("#top", "https://h.com/a/c"),
        ("d?e/../f", "https://h.com/a/d?e/../f"),
    ],
)
def test_redirects(location: str, asked: str) -> None:
    assert parse_link(location, base="https://h.com/a/c").url == asked


@given(st.text(max_size=40), st.sampled_from(["http://", "https://h.com", "http://h.com/", ""]))
def test_any_text_is_asked_as_ascii_or_refused(text: str, start: str) -> None:
    try:
        link = parse_link(start + text)
    except LinkError:
        return
    assert link.url.isascii()
    assert not set(link.url) & set(' \t\r\n"<>')
    assert parse_link(link.url) == link

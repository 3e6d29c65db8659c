"""A server with security on, over TLS: rights, and what is said where they are missing."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import ssl
import subprocess
import sys

import pytest
from captrawl.core.errors import CaptionIndexError, ServerError
from captrawl.search.captions import open_captions
from captrawl.search.elastic.index import ElasticCaptions
from captrawl.search.query import CaptionQuery, Filters, Safety

pytestmark = pytest.mark.elastic
every_version = sys.modules["captrawl_tests_servers"].every_version

DOGS = CaptionQuery(("dog",), filters=Filters(safety=Safety.OFF))
ROLES = """
loader:
  cluster: [monitor]
  indices:
    - names: ["birds*"]
      privileges: [manage, read, write]
reader:
  indices:
    - names: ["birds*"]
      privileges: [read, view_index_metadata]
just_reader:
  indices:
    - names: ["birds*"]
      privileges: [read]
admin:
  indices:
    - names: ["*"]
      privileges: [all]
writer:
  indices:
    - names: ["birds*"]
      privileges: [read, write, view_index_metadata]
by_alias:
  indices:
    - names: ["shown"]
      privileges: [read, view_index_metadata]
by_alias_just_reader:
  indices:
    - names: ["shown", "shown-part"]
      privileges: [read]
stranger:
  indices:
    - names: ["other*"]
      privileges: [all]
"""
PASSWORD = "correct hörse: battery"
SETTINGS = {
    "xpack.security.enabled": "true",
    "xpack.security.http.ssl.enabled": "true",
    "xpack.security.http.ssl.key": "node.key",
    "xpack.security.http.ssl.certificate": "node.crt",
}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A self-signed certificate for 127.0.0.1: its folder."""
    openssl = shutil.which("openssl")
    if not openssl:
        pytest.skip("openssl isn't installed; it makes the test's certificate")
    folder = tmp_path_factory.mktemp("tls")
    wanted = "-x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test -keyout node.key -out node.crt"
    command = [openssl, "req", *wanted.split(), "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def secured(certificate, elastic_modules, elastic_version):
    """The address of a server that asks who is there."""
    local, servers = elastic_modules("local_server"), elastic_modules("servers")
    files = {name: (certificate / name).read_text() for name in ("node.key", "node.crt")} | {
        "roles.yml": ROLES
    }
    users = {role: (PASSWORD, role) for role in re.findall(r"(?m)^(\w+):", ROLES)}
    try:
        with local.running(
            elastic_version, settings=SETTINGS, files=files, users=users,
            scheme="https", heap="400m",
        ) as node:  # fmt: skip
            yield node.url
    except local.NoServerError as error:
        servers.missing(error)


@pytest.fixture
def become(monkeypatch, certificate):
    """become("reader") → requests are made as that user."""

    def become(user="", password=PASSWORD, **other):
        monkeypatch.setenv("ELASTICSEARCH_CA_CERTS", str(certificate / "node.crt"))
        monkeypatch.delenv("ELASTICSEARCH_USERNAME", raising=False)
        monkeypatch.delenv("ELASTICSEARCH_PASSWORD", raising=False)
        if user:
            monkeypatch.setenv("ELASTICSEARCH_USERNAME", user)
            monkeypatch.setenv("ELASTICSEARCH_PASSWORD", password)
        for name, value in other.items():
            monkeypatch.setenv(f"ELASTICSEARCH_{name}", value)

    return become


@pytest.fixture(scope="module")
def birds(secured, elastic_modules, certificate):
    """The address of a filled index."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ELASTICSEARCH_CA_CERTS", str(certificate / "node.crt"))
        patch.setenv("ELASTICSEARCH_USERNAME", "loader")
        patch.setenv("ELASTICSEARCH_PASSWORD", PASSWORD)
        with ElasticCaptions.open(f"{secured}/birds", create=True) as index, index.loading():
            elastic_modules("corpus").Corpus({"a": 100}).fill(index)
        patch.setenv("ELASTICSEARCH_USERNAME", "admin")
        with ElasticCaptions.open(f"{secured}/birds") as index:
            aliases = index.server.client.indices
            aliases.put_alias(index="birds", name="shown")
            aliases.put_alias(index="birds", name="shown-part", filter={"term": {"file": "b"}})
    return f"{secured}/birds"


@pytest.mark.parametrize("user", ["loader", "reader", "just_reader"])
def test_readers_read(birds, become, user):
    become(user)
    with open_captions(birds) as index:
        assert (index.rows(), index.count([DOGS]), list(index.files())) == (100, [100], ["a"])
        assert index.sample(DOGS, 5, 1).num_rows == index.relevant(DOGS, 5).num_rows == 5
        assert sum(batch.num_rows for batch in index.scan(DOGS)) == 100


@pytest.mark.parametrize("user", ["reader", "just_reader"])
def test_readers_cannot_load(birds, become, corpus, user):
    become(user)
    made = corpus({"b": 10})
    with open_captions(birds) as index:
        with pytest.raises(
            ServerError, match=rf"user '{user}' may not do this on index birds .*loading needs manage"
        ):
            made.fill(index)
        with pytest.raises(ServerError, match="may not do this"), index.loading():
            pass
        assert index.rows() == 100
    with pytest.raises(ServerError, match="may not do this on index birds-new"):
        open_captions(f"{birds}-new", create=True)


def test_a_loader_that_may_not_change_settings_leaves_nothing_behind(birds, become):
    become("writer")
    with open_captions(birds) as index:
        with pytest.raises(ServerError, match=r"may not do this .*settings/update"), index.loading():
            pass
        record = index.server.client.get(index=index.index, id="captrawl").body["_source"]["record"]
    assert record["detail"]["sessions"] == {}


def test_a_key_without_the_right_to_write(secured, birds, become, corpus, proxy):
    """The integration-test distribution makes no keys (an analysis module is missing): the proxy has one."""
    key, reader = (base64.b64encode(pair.encode()).decode() for pair in ("id:weak", f"reader:{PASSWORD}"))
    become(API_KEY=key)
    known = {f"ApiKey {key}": f"Basic {reader}"}
    with (
        proxy.between(secured, lambda path, body: "", known=known) as url,
        open_captions(f"{url}/birds") as index,
    ):
        assert index.count([DOGS]) == [100]
        with pytest.raises(
            ServerError, match=r"^the API key in ELASTICSEARCH_API_KEY may not do this on index"
        ):
            corpus({"b": 10}).fill(index)
        assert index.rows() == 100


def test_a_stranger_sees_nothing(birds, become):
    become("stranger")
    with pytest.raises(ServerError, match=r"user 'stranger' may not do this on index birds .*reading needs"):
        open_captions(birds)


REFUSED = [
    ({"user": "reader", "password": "wrong"}, "rejects user 'reader': no such user or a wrong"),
    ({"user": "nobody"}, "rejects user 'nobody'"),
    ({}, "asks for credentials; set ELASTICSEARCH_API_KEY"),
    ({"API_KEY": base64.b64encode(b"id:hunter2").decode()}, "rejects the API key in ELASTICSEARCH_API_KEY"),
    ({"user": "reader", "CA_CERTS": ""}, "no trusted TLS .*VERIFY_FAILED.*name the cluster's CA"),
]  # fmt: skip


@pytest.mark.parametrize(("who", "said"), REFUSED)
def test_refusals_are_one_clear_line_without_secrets(birds, become, who, said):
    become(**who)
    with pytest.raises(ServerError, match=said) as raised:
        open_captions(birds)
    text = str(raised.value)
    assert "\n" not in text
    assert not any(secret in text for secret in ("wrong'", "hunter2", PASSWORD, who.get("API_KEY", PASSWORD)))


def test_the_fingerprint_alone_is_trusted(birds, become, certificate):
    der = ssl.PEM_cert_to_DER_cert((certificate / "node.crt").read_text())
    right = hashlib.sha256(der).hexdigest()
    become("reader", CA_CERTS="", CA_FINGERPRINT=right.upper())
    with open_captions(birds) as index:
        assert index.count([DOGS]) == [100]
    become("reader", CA_CERTS="", CA_FINGERPRINT=right[::-1])
    with pytest.raises(ServerError, match="no trusted TLS connection"):
        open_captions(birds)


def test_plain_http_to_a_tls_server_is_a_clear_error(birds, become):
    become("reader")
    with pytest.raises(ServerError, match=r"no Elasticsearch answers at http://127.*does it want https"):
        open_captions(birds.replace("https://", "http://"))


def test_an_index_that_is_not_there_is_told_apart_from_one_that_may_not_be_seen(secured, become):
    become("reader")
    with pytest.raises(CaptionIndexError, match="there is no caption index birds-gone"):
        open_captions(f"{secured}/birds-gone")


@every_version
@pytest.mark.parametrize("user", ["by_alias", "by_alias_just_reader"])
def test_rights_on_the_alias_alone_suffice(birds, become, user):
    become(user)
    with open_captions(birds.replace("/birds", "/shown")) as index:
        assert (index.rows(), index.count([DOGS]), list(index.files())) == (100, [100], ["a"])
        assert sum(batch.num_rows for batch in index.scan(DOGS)) == 100
    with pytest.raises(ServerError, match="may not do this on index birds"):
        open_captions(birds)


@every_version
def test_an_alias_that_shows_a_part_is_refused_to_who_may_not_see_its_rules(birds, become):
    become("by_alias_just_reader")
    with pytest.raises(CaptionIndexError, match="shown-part is an alias with a filter or routing"):
        open_captions(birds.replace("/birds", "/shown-part"))

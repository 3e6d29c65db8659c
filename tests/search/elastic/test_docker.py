"""docker/: what can be checked without a Docker engine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
DOCKER = ROOT / "docker"
COMPOSE = DOCKER / "compose.yaml"
DOCKERFILES = sorted(DOCKER.glob("Dockerfile*"))


@pytest.fixture(scope="module")
def compose() -> dict:
    """compose.yaml as Docker reads it, with no variable set."""
    text = COMPOSE.read_text().replace("$$", "\0")
    return yaml.safe_load(
        re.sub(r"\$\{\w+(?::-([^}]*))?\}", lambda found: found[1] or "", text).replace("\0", "$")
    )


def of_profile(compose: dict, profile: str) -> dict:
    return {name: s for name, s in compose["services"].items() if profile in s["profiles"]}


def test_profiles(compose):
    assert list(of_profile(compose, "single")) == ["elasticsearch"]
    assert list(of_profile(compose, "cluster")) == ["certificates", "es1", "es2", "es3"]
    assert list(of_profile(compose, "app")) == ["captrawl"]


def test_nodes_have_limits_checks_named_volumes_and_loopback_ports(compose):
    nodes = {name: s for name, s in compose["services"].items() if "healthcheck" in s}
    assert sorted(nodes) == ["elasticsearch", "es1", "es2", "es3"]
    for name, node in nodes.items():
        assert node["image"] == "docker.elastic.co/elasticsearch/elasticsearch:9.5.0", name
        assert node["mem_limit"] == "4g"
        assert node["environment"]["ES_JAVA_OPTS"] == "-Xms1g -Xmx1g"
        assert node["healthcheck"]["retries"] == 30
        assert all(port.startswith("127.0.0.1:") and port.endswith(":9200") for port in node["ports"])
        assert all(volume.split(":")[0] in compose["volumes"] for volume in node["volumes"])
    ports = [port for node in nodes.values() for port in node["ports"]]
    assert len(set(ports)) == 4
    data = [volume for node in nodes.values() for volume in node["volumes"] if volume.endswith("/data")]
    assert len(set(data)) == 4


def test_the_cluster_is_secured_with_a_key_a_node(compose):
    for name, node in of_profile(compose, "cluster").items():
        if name == "certificates":
            continue
        settings = node["environment"]
        assert settings["node.name"] == name
        assert settings["xpack.security.enabled"] == "true"
        assert settings["xpack.security.http.ssl.enabled"] == "true"
        assert settings["xpack.security.transport.ssl.enabled"] == "true"
        for layer in ("http", "transport"):
            assert settings[f"xpack.security.{layer}.ssl.key"] == f"certs/nodes/{name}/{name}.key"
        assert set(settings["discovery.seed_hosts"].split(",")) == {"es1", "es2", "es3"}
        assert settings["ELASTIC_PASSWORD"] is None  # only ever from the environment
        assert node["depends_on"]["certificates"]["condition"] == "service_completed_successfully"


def test_the_app_is_told_all_that_the_environment_says(compose):
    named = set(re.findall(r"ELASTICSEARCH_\w+", (ROOT / "docs" / "elasticsearch.md").read_text()))
    assert len(named) == 7
    assert set(compose["services"]["captrawl"]["environment"]) == named


def test_the_certificate_script_is_valid_shell(compose):
    script = compose["services"]["certificates"]["command"][-1]
    done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    refused = subprocess.run(
        ["bash", "-euc", script],
        env={"PATH": os.environ["PATH"]},
        text=True,
        capture_output=True,
        check=False,
    )
    assert refused.returncode == 1


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_hadolint_has_nothing_to_say(path):
    """Debian's packages aren't pinned to versions that its mirrors drop (DL3008)."""
    lint = Path(sysconfig.get_path("scripts")) / "hadolint"
    run([lint, "--failure-threshold", "warning", "--ignore", "DL3008", path])


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_dockerfiles(path):
    text = path.read_text()
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line and not line.startswith("#")]
    known = {"FROM", "ENV", "RUN", "COPY", "USER", "WORKDIR", "EXPOSE", "ENTRYPOINT", "CMD"}
    assert {line.split()[0] for line in lines} <= known
    assert lines[0].startswith("FROM ")
    assert ":latest" not in lines[0]
    assert "USER captrawl" in lines  # not root, but who owns most people's files
    assert "useradd --create-home --uid 1000 captrawl && install -d -o captrawl /work" in text
    assert ("userdel --remove ubuntu" in text) == ("ubuntu24.04" in lines[0])  # which has 1000 there
    assert lines[-2:] == ['ENTRYPOINT ["captrawl"]', 'CMD ["--help"]']
    extras = set(re.findall(r"/opt/captrawl\[([^]]+)\]", text)[0].split(","))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert extras == ({"gpu", "web"} if path.suffix == ".gpu" else {"cpu", "web"})
    assert extras <= set(project["project"]["optional-dependencies"])


def test_the_image_holds_the_whole_package():
    ignored = {line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed = {name.partition(".")[2] for name in project["tool"]["setuptools"]["packages"]} | {
        "README.md",
        "LICENSE",
    }
    assert not needed & ignored


def test_compose_takes_the_file():
    """The specification's own schema, and Compose itself where it is installed."""
    run([sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE])
    docker = shutil.which("docker")
    if docker and run([docker, "compose", "version"], check=False).returncode == 0:
        for profile in ("single", "cluster", "app"):
            run([docker, "compose", "-f", COMPOSE, "--profile", profile, "config", "-q"])


def run(command: list[object], *, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        pytest.fail(f"{command}: {done.stdout}{done.stderr}")
    return done

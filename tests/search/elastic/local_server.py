"""Real Elasticsearch nodes on this machine: from Maven Central, on their own ports, in their own folders.

The distribution that Elasticsearch publishes for integration tests holds the core server and security. It
is fetched with Maven once, unpacked once a version under the temporary folder, and started as another user
where we are root (Elasticsearch refuses to run as root).
``python tests/search/elastic/local_server.py 9.5.0``
runs one in the foreground and prints its address.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import hashlib
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ARTIFACT = "org.elasticsearch.distribution.integ-test-zip:elasticsearch:{version}:zip"
MAVEN_GET = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:get"
JAVA_NEEDED = {"8": (17, 24), "9": (21, 99)}
"""Major version → lowest and highest Java it runs on."""
UNPRIVILEGED = ("nobody", "daemon")


class NoServerError(Exception):
    """Why no server can be started here."""


def installed_javas() -> dict[int, Path]:
    """Java major version → home, of everything in the usual JVM folders, JAVA_HOME and the PATH."""
    homes = [Path(os.environ["JAVA_HOME"])] if os.environ.get("JAVA_HOME") else []
    for folder in (Path("/usr/lib/jvm"), Path("/opt"), Path("/Library/Java/JavaVirtualMachines")):
        homes += [h for child in sorted(folder.glob("*")) for h in (child, child / "Contents" / "Home")]
    on_path = shutil.which("java")
    if on_path:
        homes.append(Path(on_path).resolve().parents[1])
    found: dict[int, Path] = {}
    for home in homes:
        with contextlib.suppress(OSError):
            said = re.search(r'JAVA_VERSION="(\d+)', (home / "release").read_text())
            if said and (home / "bin" / "java").exists():
                found.setdefault(int(said[1]), home)
    return found


def java_for(version: str) -> Path:
    """The lowest suitable Java."""
    low, high = JAVA_NEEDED[version.split(".")[0]]
    javas = installed_javas()
    suitable = sorted(v for v in javas if low <= v <= high)
    if not suitable:
        raise NoServerError(
            f"Elasticsearch {version} needs Java {low} or newer; found {sorted(javas) or 'none'}"
        )
    return javas[suitable[0]]


def fetched(version: str) -> Path:
    """The distribution's zip, fetched by Maven where it isn't in the local repository yet."""
    group, name, _, kind = ARTIFACT.format(version=version).split(":")
    repository = Path.home() / ".m2" / "repository"
    path = repository / group.replace(".", "/") / name / version / f"{name}-{version}.{kind}"
    if not path.is_file():
        maven = shutil.which("mvn")
        if not maven:
            raise NoServerError("Maven (mvn) isn't installed; it fetches the server")
        artifact = ARTIFACT.format(version=version)
        command = [maven, "-B", "-q", MAVEN_GET, f"-Dartifact={artifact}", "-Dtransitive=false"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        if done.returncode != 0 or not path.is_file():
            raise NoServerError(f"mvn could not fetch {artifact}: {(done.stdout + done.stderr)[-500:]}")
    return path


def unpacked(version: str) -> Path:
    """The distribution's folder, readable by every user, unpacked where it isn't there yet."""
    home = Path(tempfile.gettempdir()) / f"captrawl-elasticsearch-{os.getuid()}" / f"elasticsearch-{version}"
    if not home.is_dir():
        home.parent.mkdir(mode=0o755, exist_ok=True)
        if home.parent.stat().st_uid != os.getuid():
            raise NoServerError(f"{home.parent} belongs to another user")
        with tempfile.TemporaryDirectory(dir=home.parent) as scratch:
            Path(scratch).chmod(0o755)
            with zipfile.ZipFile(fetched(version)) as archive:
                archive.extractall(scratch)
            for tool in (Path(scratch) / home.name / "bin").iterdir():
                tool.chmod(0o755)
            with contextlib.suppress(OSError):  # another process was faster
                (Path(scratch) / home.name).rename(home)
    return home


def free_port() -> int:
    """A port below those that outgoing connections take: a killed node finds it free when it comes back."""
    while True:
        with socket.socket() as probe, contextlib.suppress(OSError):
            port = 15_000 + secrets.randbelow(17_000)
            probe.bind(("127.0.0.1", port))
            return port


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


@dataclass
class Node:
    """One Elasticsearch process: start, kill (as a power cut would), start again, stop."""

    version: str
    folder: Path
    settings: Mapping[str, object] = field(default_factory=dict)
    heap: str = "512m"
    short_lived: bool = True
    """Compiled by the quick compiler alone: up in 0.6 of the time, slower under a load of minutes."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Configuration files: name → text."""
    users: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """File users: name → (password, roles)."""
    port: int = field(default_factory=free_port)
    transport_port: int = field(default_factory=free_port)
    scheme: str = "http"
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    def start(self, *, wait: bool = True) -> None:
        home = unpacked(self.version)
        if not (self.folder / "config").exists():
            self._configure(home)
        # The deadline of a dead launcher: the server ends when its launcher's pipe closes.
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [home / "bin" / "elasticsearch"],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=self._environment(),
                cwd=self.folder,
                start_new_session=True,
                preexec_fn=_die_with_parent,
                **self._user(),
            )
        if wait:
            self.wait()

    def wait(self, deadline: float = 180.0) -> None:
        """Until it answers; 401 is an answer."""
        end = time.monotonic() + deadline
        while time.monotonic() < end:
            if self.process is None or self.process.poll() is not None:
                break
            try:
                opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
                with opener.open(f"http://127.0.0.1:{self.port}/_cluster/health", timeout=5):
                    return
            except urllib.error.HTTPError as error:
                error.close()
                if error.code in (401, 403):
                    return
            except OSError as error:
                if self.scheme == "https" and "RemoteDisconnected" in repr(error):
                    return
            time.sleep(0.2)
        self.kill()
        raise NoServerError(f"Elasticsearch {self.version} did not start: {self.log.read_text()[-2000:]}")

    def kill(self) -> None:
        """SIGKILL, launcher and server at once."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def stop(self) -> None:
        self.kill()  # nothing in a test's data folder is worth a clean shutdown
        shutil.rmtree(self.folder, ignore_errors=True)

    def _configure(self, home: Path) -> None:
        for name in ("config", "data", "logs", "tmp"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        config = self.folder / "config"
        shutil.copy(home / "config" / "log4j2.properties", config)
        (config / "jvm.options").write_text(
            "-XX:+UseG1GC\n-XX:+ExitOnOutOfMemoryError\n-Djava.io.tmpdir=${ES_TMPDIR}\n"
            + _required_options(home)
        )
        settings = {
            "cluster.name": f"captrawl-tests-{self.port}",
            "node.name": f"node-{self.port}",
            "path.data": str(self.folder / "data"),
            "path.logs": str(self.folder / "logs"),
            "network.host": "127.0.0.1",
            "http.port": self.port,
            "transport.port": self.transport_port,
            "discovery.type": "single-node",
            "cluster.routing.allocation.disk.threshold_enabled": "false",
            "xpack.security.enabled": "false",
            **self.settings,
        }
        lines = [f"{key}: {value}" for key, value in settings.items() if value is not None]
        (config / "elasticsearch.yml").write_text("\n".join(lines) + "\n")
        for name, text in {**self.files, **_user_files(self.users)}.items():
            (config / name).write_text(text)
        self._give_away()

    def _give_away(self) -> None:
        if os.geteuid() == 0:
            user = self._user()["user"]
            for path in (self.folder, *self.folder.rglob("*")):
                shutil.chown(path, user)
            self.folder.chmod(0o755)

    def _environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "TMPDIR")}
        return {
            **kept,
            "HOME": str(self.folder),
            "ES_JAVA_HOME": str(java_for(self.version)),
            "ES_JAVA_OPTS": f"-Xms{self.heap} -Xmx{self.heap}"
            + (" -XX:TieredStopAtLevel=1" if self.short_lived else ""),
            "CLI_JAVA_OPTS": "-Xms16m -Xmx64m -XX:TieredStopAtLevel=1",
            "ES_PATH_CONF": str(self.folder / "config"),
            "ES_TMPDIR": str(self.folder / "tmp"),
        }

    @staticmethod
    def _user() -> dict[str, object]:
        if os.geteuid() != 0:
            return {}
        import pwd

        known = {entry.pw_name for entry in pwd.getpwall()}
        name = next((name for name in UNPRIVILEGED if name in known), None)
        if name is None:
            raise NoServerError("Elasticsearch refuses to run as root, and there is no user 'nobody'")
        return {"user": name, "group": pwd.getpwnam(name).pw_gid, "extra_groups": []}


def _required_options(home: Path) -> str:
    """The distribution's own JVM options, less heap, collector, logs and dumps."""
    text = (home / "config" / "jvm.options").read_text()
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    unwanted = ("-Xlog", "UseG1GC", "ErrorFile", "HeapDump", "java.io.tmpdir", "ExitOnOutOfMemory", "arrow")
    return "\n".join(line for line in lines if not any(word in line for word in unwanted)) + "\n"


def _user_files(users: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """The file realm's two files; its own tool takes seconds a user."""
    if not users:
        return {}
    salt = os.urandom(32)
    lines: list[str] = []
    for name, (password, _) in users.items():
        key = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, 10_000, 32)
        lines.append(
            f"{name}:{{PBKDF2}}10000${base64.b64encode(salt).decode()}${base64.b64encode(key).decode()}"
        )
    roles = [f"{role}:{name}" for name, (_, role) in users.items()]
    return {"users": "\n".join(lines) + "\n", "users_roles": "\n".join(roles) + "\n"}


def node_folder() -> Path:
    """A new folder outside of pytest's, which other users can't enter."""
    return Path(tempfile.mkdtemp(prefix="captrawl-elastic-"))


@contextlib.contextmanager
def running(version: str, **options: object) -> Iterator[Node]:
    """One node, started, and stopped at the end."""
    node = Node(version, node_folder(), **options)  # type: ignore[arg-type]
    try:
        node.start()
        yield node
    finally:
        node.stop()


@contextlib.contextmanager
def cluster(version: str, nodes: int = 3, heap: str = "320m") -> Iterator[list[Node]]:
    """Several nodes that form one cluster, each on its own ports and folder."""
    made = [Node(version, node_folder(), heap=heap) for _ in range(nodes)]
    seeds = ",".join(f"127.0.0.1:{node.transport_port}" for node in made)
    names = ",".join(f"node-{node.port}" for node in made)
    for node in made:
        node.settings = {
            "cluster.name": f"captrawl-tests-{made[0].port}",
            "discovery.type": None,
            "discovery.seed_hosts": f"[{seeds}]",
            "cluster.initial_master_nodes": f"[{names}]",
            # the death of a node is noticed within seconds, and that it hangs
            "cluster.fault_detection.follower_check.interval": "200ms",
            "cluster.fault_detection.follower_check.timeout": "2s",
            "cluster.fault_detection.leader_check.interval": "200ms",
        }
    try:
        for node in made:
            node.start(wait=False)
        for node in made:
            node.wait()
        yield made
    finally:
        for node in made:
            node.stop()


def main(arguments: Sequence[str]) -> None:
    with running(
        arguments[0] if arguments else "9.5.0", heap=arguments[1] if arguments[1:] else "512m"
    ) as node:
        print(node.url, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            while node.process is not None and node.process.poll() is None:
                time.sleep(1)


if __name__ == "__main__":
    main(sys.argv[1:])

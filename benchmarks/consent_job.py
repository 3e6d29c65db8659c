"""A download until enough from 200 hosts with rot, opt-outs and tars, killed at random: is its word kept?

One process serves virtual hosts on loopback addresses and logs every request. The same job runs undisturbed
and killed; both must end alike, with the same sample lists (the demo's model), and the log must show no host
above two requests at once or its Crawl-delay, no URL asked twice, nothing that a tar had, nothing of a host
that forbids it. What was in flight at a kill is asked again, since nobody knows what came of it: so many URLs
at most as were in flight, times the kills. Placeholders are dropped wherever they came from. The memory of
the download and its workers (proportional set size) is looked at ten times a second. JSON on stdout; exit
code 1 where a check fails.

    python benchmarks/consent_job.py [--rows 50000] [--hosts 200] [--classes 40] [--until 100] [--kills 20]
        [--in-flight 512] [--lists 20]
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import multiprocessing
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from captrawl.classes.model import ClassEntry, Synonym
from captrawl.core.records import MATCH_SCHEMA
from captrawl.demo.run import MODEL
from captrawl.demo.server import free_port
from captrawl.workspace.settings import CaptionSettings, DownloadSettings, ModelSettings, Settings
from captrawl.workspace.workspace import Workspace
from PIL import Image

ROT = (("404", 0.12), ("403", 0.08), ("refused", 0.06), ("html", 0.04), ("cut", 0.04), ("noai", 0.03))
XMP = b'<x plus:DataMining="http://ns.useplus.org/ldf/vocab/DMI-PROHIBITED"/>'


def kind_of(number: int) -> str:
    """What a URL answers, by its number."""
    chance, left = random.Random(number).random(), 0.0
    for kind, share in ROT:
        left += share
        if chance < left:
            return kind
    return "xmp" if chance > 0.99 else "placeholder" if chance > 0.93 else "image"


def picture(number: int, kind: str) -> bytes:
    """A small JPEG, one for each number; all placeholders are one."""
    seed = -1 if kind == "placeholder" else number  # of placeholders every host's is encoded in its own way
    noise = random.Random(seed).randbytes(12 * 10 * 3)
    buffer = io.BytesIO()
    image = Image.frombytes("RGB", (12, 10), noise).resize((120, 100), Image.Resampling.NEAREST)
    quality = 60 + number % 5 * 8 if kind == "placeholder" else 75
    image.save(buffer, "JPEG", quality=quality, **({"xmp": XMP} if kind == "xmp" else {}))
    return buffer.getvalue()


def host(number: int) -> str:
    """The address of a virtual host."""
    return f"127.1.{number // 250}.{number % 250 + 1}"


def forbids(address: str) -> bool:
    """Whether the host's robots.txt closes it: one in twenty."""
    return int(address.rpartition(".")[2]) % 20 == 0


def interval(address: str) -> float:
    """Seconds between two requests that the host's robots.txt asks for: one host in ten."""
    return 0.1 + 0.02 * random.Random(address).randrange(10) if int(address[-1]) == 7 else 0.0


def too_fast(lines: list[list[str]]) -> int:
    """Hosts whose pictures were asked for faster than their interval: any ten of them, as they arrived."""
    times: dict[str, list[float]] = {}
    for address, path, _, at in lines:
        if interval(address) and path.endswith(".jpg"):
            times.setdefault(address, []).append(float(at))
    number = 0
    for address, all_of_it in times.items():
        spans = [last - first for first, last in zip(all_of_it, all_of_it[9:], strict=False)]
        number += min(spans, default=9.0) < 9 * interval(address) * 0.9
    return number


def serve(hosts: int, port: int, log: Path) -> None:
    """Answer on every address, a line in ``log`` a request: address, path, how many were open at the host."""
    open_now: Counter[str] = Counter()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = writer.get_extra_info("sockname")[0]
        try:
            while line := await reader.readline():
                while (await reader.readline()).strip():
                    pass
                path = line.split()[1].decode()
                open_now[address] += 1
                lines.write(f"{address} {path} {open_now[address]} {time.monotonic():.3f}\n")
                lines.flush()
                await asyncio.sleep(0.005)
                open_now[address] -= 1
                writer.write(reply(address, path))
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def main() -> None:
        addresses = [host(number) for number in range(hosts)]
        server = await asyncio.start_server(answer, addresses, port)
        async with server:
            await server.serve_forever()

    with log.open("a") as lines:
        asyncio.run(main())


def reply(address: str, path: str) -> bytes:
    """The whole response."""
    status, head, body = "200 OK", "", b""
    if path == "/robots.txt" and forbids(address):
        body = b"User-agent: *\nDisallow: /\n"
    elif path == "/robots.txt" and interval(address):
        body = f"User-agent: *\nCrawl-delay: {interval(address)}\n".encode()
    elif not path.endswith(".jpg"):
        status = "404 Not Found"
    else:
        number = int(path.strip("/").removesuffix(".jpg"))
        kind = kind_of(number)
        if kind in {"404", "403"}:
            status = f"{kind} No"
        else:
            body = b"<html>gone</html>" if kind == "html" else picture(number, kind)
            head = "X-Robots-Tag: noai\r\n" if kind == "noai" else ""
            body = body[: len(body) // 2] if kind == "cut" else body
    return f"HTTP/1.1 {status}\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def make_job(root: Path, options: argparse.Namespace, port: int) -> set[str]:
    """matches.parquet, settings and five tars; the paths of the pictures that a tar has."""
    rows, in_tars = [], set[str]()
    tars = [tarfile.open(root.parent / f"{n:05d}.tar", "w") for n in range(5)]  # noqa: SIM115
    for number in range(options.rows):
        address, kind = host(number * 7919 % options.hosts), kind_of(number)
        url = f"http://{address}:{1 if kind == 'refused' else port}/{number}.jpg"
        class_id = number % options.classes
        row = {"class_id": class_id, "synonym": f"kind{class_id}", "uid": number, "url": url}
        words = " ".join(f"word{random.Random(-number).randrange(10**6)}{place}" for place in range(3))
        row["caption"] = f"kind{class_id} {words}"
        rows.append(row | {"priority": number, "file": "c/a.parquet", "row": number})
        if kind == "image" and number % 3 == 0:
            in_tars.add(f"/{number}.jpg")
            for ending, data in (("jpg", picture(number, kind)), ("json", json.dumps({"url": url}).encode())):
                member = tarfile.TarInfo(f"{number:09d}.{ending}")
                member.size = len(data)
                tars[number % 5].addfile(member, io.BytesIO(data))
    for tar in tars:
        tar.close()
    tars_of = "../{00000..00004}.tar"
    download = DownloadSettings(
        allow_private=True, archives=[tars_of], until=options.until, retries=0, contact="us@example.org",
        threads=options.in_flight,
    )  # fmt: skip
    names = [f"kind{number}" for number in range(options.classes)]
    classes = [ClassEntry(number, name, (Synonym(name),)) for number, name in enumerate(names)]
    model = ModelSettings(name=f"local-dir:{MODEL}", pretrained="")
    settings = Settings(captions=CaptionSettings(index="none"), download=download, model=model)
    Workspace.create(root, settings, classes)
    rows.sort(key=lambda row: row["class_id"])
    pq.write_table(pa.Table.from_pylist(rows, MATCH_SCHEMA), root / "matches.parquet")
    return in_tars


def memory_of(group: int) -> int:
    """Bytes that the processes of a group have, what they share counted once."""
    total = 0
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and os.getpgid(int(folder.name)) == group:
                total += int(re.search(r"Pss: +(\d+)", (folder / "smaps_rollup").read_text())[1]) << 10
        except (OSError, TypeError):
            continue
    return total


def watch(process: subprocess.Popen[bytes], seconds: float | None, peak: list[int]) -> int:
    """Wait for the process, and note the most memory that its group had; TimeoutExpired after ``seconds``."""
    end = time.monotonic() + (seconds or float("inf"))
    while True:
        peak[0] = max(peak[0], memory_of(process.pid))
        try:
            return process.wait(0.1)
        except subprocess.TimeoutExpired:
            if time.monotonic() > end:
                raise


def run(root: Path, kills: int, chooser: random.Random, whole: float) -> tuple[float, int]:
    """Download, killed ``kills`` times on the way; the seconds that it took, the most bytes that it had."""
    began, peak = time.monotonic(), [0]
    command = [sys.executable, "-m", "captrawl", "-C", str(root), "download", "--json"]
    for number in range(kills + 1):
        with (root.parent / "output.txt").open("w") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
            try:
                last = number == kills
                status = watch(process, None if last else chooser.uniform(1.5, 1.5 + whole / 5), peak)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                continue
        if status:
            raise SystemExit((root.parent / "output.txt").read_text())
    return time.monotonic() - began, peak[0]


def lists(root: Path, number: int) -> str:
    """The sample list of ``number`` images a class, ranked by the model; nothing where 0 are asked for."""
    if not number:
        return ""
    command = [sys.executable, "-m", "captrawl", "-C", str(root)]
    for words in (["embed"], ["sample", "--name", "list", "--rank", "T2I", "-n", str(number)]):
        done = subprocess.run([*command, *words], check=False, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stderr)
    table = pq.read_table(root / "samples" / "list.parquet")
    return str(table.select(["class_id", "uid", "rank"]).to_pylist())


def ends(root: Path) -> list[tuple[object, ...]]:
    """How every URL ended, and by which bytes."""
    with sqlite3.connect(root / "images" / "ledger.sqlite") as database:
        return database.execute("SELECT url, state, reason, sha256 FROM urls ORDER BY url").fetchall()


def placeholders_left(root: Path) -> int:
    """URLs that gave the placeholder and are packed."""
    with sqlite3.connect(root / "images" / "ledger.sqlite") as database:
        urls = database.execute("SELECT url FROM urls WHERE state = 'packed'").fetchall()
    numbers = (int(url.rpartition("/")[2].removesuffix(".jpg")) for (url,) in urls)
    return sum(kind_of(number) == "placeholder" for number in numbers)


def main() -> int:
    """Run the job twice and check the log."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("rows", 50_000), ("hosts", 200), ("classes", 40), ("until", 100), ("kills", 20),
                          ("in-flight", 512), ("lists", 20)):  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return job(Path(folder), options)


def job(folder: Path, options: argparse.Namespace) -> int:
    """The undisturbed run, the killed one, and what the server saw of the second."""
    port, results = free_port(0), {}
    for name, kills in (("calm", 0), ("killed", options.kills)):
        root = folder / name / "w"
        root.parent.mkdir()
        in_tars = make_job(root, options, port)
        log = folder / f"{name}.log"
        server = multiprocessing.Process(target=serve, args=(options.hosts, port, log), daemon=True)
        server.start()
        time.sleep(1.0)
        seconds, memory = run(root, kills, random.Random(1), results.get("calm", {}).get("seconds", 0.0))
        server.terminate()
        server.join()
        lines = [line.split() for line in log.read_text().splitlines()]
        asked = Counter(path for _, path, *_ in lines if path.endswith(".jpg"))
        record = json.loads((root / "captrawl.lock.json").read_text())["stages"]["download"]
        results[name] = {
            "seconds": round(seconds, 1),
            "requests": len(lines),
            "most_at_once_per_host": max((int(number) for _, _, number, _ in lines), default=0),
            "hosts_asked_too_fast": too_fast(lines),
            "asked_twice": sum(number > 1 for number in asked.values()),
            "asked_that_a_tar_has": len(asked.keys() & in_tars),
            "asked_of_closed_hosts": sum(forbids(a) and path.endswith(".jpg") for a, path, *_ in lines),
            "megabytes": memory >> 20,
            "placeholders_left": placeholders_left(root),
            "counts": record["counts"],
            "ends": ends(root),
            "lists": lists(root, options.lists),
        }
    calm, killed = results["calm"], results["killed"]
    same = calm.pop("ends") == killed.pop("ends")
    same_lists = calm.pop("lists") == killed.pop("lists")
    nothing = ("asked_that_a_tar_has", "asked_of_closed_hosts", "hosts_asked_too_fast")
    few = (
        max(one["placeholders_left"] for one in (calm, killed)) < 5
    )  # some captions of one class tell nothing
    fine = same and few and not any(one[name] for one in (calm, killed) for name in nothing)
    fine = (
        fine and calm["asked_twice"] == 0 and max(one["most_at_once_per_host"] for one in (calm, killed)) <= 2
    )
    fine = fine and same_lists and killed["asked_twice"] <= options.in_flight * options.kills
    fine = fine and max(one["megabytes"] for one in (calm, killed)) <= 1024
    answer = {"options": vars(options), "same_ends": same, "same_lists": same_lists, "fine": fine}
    print(json.dumps(answer | results, indent=2))
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())

"""A download until enough from 200 hosts with rot, opt-outs and tars, killed at random: is its word kept?

One process serves virtual hosts on loopback addresses and logs every request. The same job runs undisturbed
and killed; both must end alike, and the log must show no host above two requests at once, no URL asked twice
(but those in flight at a kill), nothing that a tar had, nothing of a host that forbids it. JSON on stdout;
exit code 1 where a check fails.

    python benchmarks/consent_job.py [--rows 50000] [--hosts 200] [--classes 40] [--until 100] [--kills 20]
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import multiprocessing
import os
import random
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
from captrawl.core.records import MATCH_SCHEMA
from captrawl.demo.server import free_port
from captrawl.workspace.settings import CaptionSettings, DownloadSettings, Settings, save_settings
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
    return "xmp" if chance > 0.99 else "placeholder" if chance > 0.97 else "image"


def picture(number: int, kind: str) -> bytes:
    """A small JPEG, one for each number; all placeholders are one."""
    seed = -1 if kind == "placeholder" else number
    noise = random.Random(seed).randbytes(12 * 10 * 3)
    buffer = io.BytesIO()
    image = Image.frombytes("RGB", (12, 10), noise).resize((120, 100), Image.Resampling.NEAREST)
    image.save(buffer, "JPEG", **({"xmp": XMP} if kind == "xmp" else {}))
    return buffer.getvalue()


def host(number: int) -> str:
    """The address of a virtual host."""
    return f"127.1.{number // 250}.{number % 250 + 1}"


def forbids(address: str) -> bool:
    """Whether the host's robots.txt closes it: one in twenty."""
    return int(address.rpartition(".")[2]) % 20 == 0


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
                lines.write(f"{address} {path} {open_now[address]}\n")
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
        row = {"class_id": number % options.classes, "synonym": "x", "uid": number, "url": url}
        rows.append(row | {"caption": "x", "priority": number, "file": "c/a.parquet", "row": number})
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
        allow_private=True, archives=[tars_of], until=options.until, retries=0, contact="us@example.org"
    )
    root.mkdir()
    save_settings(Settings(captions=CaptionSettings(index="none"), download=download), root / "captrawl.toml")
    pq.write_table(pa.Table.from_pylist(rows, MATCH_SCHEMA), root / "matches.parquet")
    return in_tars


def run(root: Path, kills: int, chooser: random.Random, whole: float) -> float:
    """Download, killed ``kills`` times on the way; the seconds that it took."""
    began = time.monotonic()
    command = [sys.executable, "-m", "captrawl", "-C", str(root), "download", "--json"]
    for number in range(kills + 1):
        with (root.parent / "output.txt").open("w") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
            try:
                status = process.wait(None if number == kills else chooser.uniform(1.5, 1.5 + whole / 5))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                continue
        if status:
            raise SystemExit((root.parent / "output.txt").read_text())
    return time.monotonic() - began


def ends(root: Path) -> list[tuple[object, ...]]:
    """How every URL ended, and by which bytes."""
    with sqlite3.connect(root / "images" / "ledger.sqlite") as database:
        return database.execute("SELECT url, state, reason, sha256 FROM urls ORDER BY url").fetchall()


def main() -> int:
    """Run the job twice and check the log."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("rows", 50_000), ("hosts", 200), ("classes", 40), ("until", 100), ("kills", 20)):
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
        seconds = run(root, kills, random.Random(1), results.get("calm", {}).get("seconds", 0.0))
        server.terminate()
        server.join()
        lines = [line.split() for line in log.read_text().splitlines()]
        asked = Counter(path for _, path, _ in lines if path.endswith(".jpg"))
        record = json.loads((root / "captrawl.lock.json").read_text())["stages"]["download"]
        results[name] = {
            "seconds": round(seconds, 1),
            "requests": len(lines),
            "most_at_once_per_host": max((int(number) for _, _, number in lines), default=0),
            "asked_twice": sum(number > 1 for number in asked.values()),
            "asked_that_a_tar_has": len(asked.keys() & in_tars),
            "asked_of_closed_hosts": sum(forbids(a) and path.endswith(".jpg") for a, path, _ in lines),
            "counts": record["counts"],
            "ends": ends(root),
        }
    calm, killed = results["calm"], results["killed"]
    same = calm.pop("ends") == killed.pop("ends")
    nothing = ("asked_that_a_tar_has", "asked_of_closed_hosts")
    fine = same and not any(one[name] for one in (calm, killed) for name in nothing)
    fine = (
        fine and calm["asked_twice"] == 0 and max(one["most_at_once_per_host"] for one in (calm, killed)) <= 2
    )
    fine = fine and killed["asked_twice"] <= 256 * options.kills  # in flight when it was killed
    print(json.dumps({"options": vars(options), "same_ends": same, "fine": fine, **results}, indent=2))
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())

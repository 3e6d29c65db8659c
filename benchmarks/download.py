"""Fetching against a bare aiohttp loop, packing against img2dataset alone: images a second, as ratios.

Both fetches ask the same loopback server for the same URLs on the same number of hosts and requests in
flight, and write every body to a file; both packings decode and encode the same files in one process, after
their imports. JSON on stdout.

    python benchmarks/download.py [--images 4000] [--rounds 3]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import io
import json
import multiprocessing
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from captrawl.indexer.download.crawl import Crawl, Pace
from captrawl.indexer.fetch.client import Rules, open_client
from captrawl.indexer.fetch.fetcher import Fetcher
from captrawl.indexer.ledger import Ledger
from captrawl.indexer.pack import queue as pack_queue
from captrawl.indexer.pack.folders import Shards
from captrawl.indexer.pack.pool import PackPool, PackSettings
from captrawl.indexer.pack.queue import PackQueue
from captrawl.indexer.pack.spool import Spool
from PIL import Image

HOSTS, IN_FLIGHT = 64, 128

PEER = """
import json, os, resource, sys, time
sys.modules["torch"] = None
from img2dataset.downloader import Downloader
from img2dataset.resizer import Resizer
from img2dataset.writer import FilesSampleWriter
shards, out = sys.argv[1:-1], sys.argv[-1]
times = []
for number, shard in enumerate(shards):
    began, cpu = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    resizer = Resizer(256, "no", False, encode_quality=100, encode_format="jpg")
    ok, _ = Downloader(FilesSampleWriter, resizer, 1, False, False, out, ["url", "sha256"], 60, 10000, 5,
                       None, None, "jpg", 0, None, None)((number, shard))
    assert ok
    now = resource.getrusage(resource.RUSAGE_SELF)
    spent = now.ru_utime + now.ru_stime - cpu.ru_utime - cpu.ru_stime
    times.append((time.perf_counter() - began, spent))
sys.stderr.write("TIMES " + json.dumps(times))
"""


def pictures(count: int) -> list[bytes]:
    """JPEGs of about 30 KB with unlike bytes."""
    rng = np.random.default_rng(0)
    made = []
    for n in range(min(count, 200)):
        small = Image.fromarray(rng.integers(0, 255, (40, 50, 3), dtype=np.uint8))
        out = io.BytesIO()
        small.resize((500 + n % 7, 400), Image.Resampling.BICUBIC).save(out, "JPEG", quality=90)
        made.append(out.getvalue())
    return [made[n % len(made)] + n.to_bytes(4, "big") for n in range(count)]


def serve(bodies: list[bytes], told: multiprocessing.Queue) -> None:
    heads = [
        b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(b) for b in bodies
    ]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                name = head.split(b" ", 2)[1][1:]
                if name.isdigit():
                    writer.write(heads[int(name)] + bodies[int(name)])
                else:  # robots.txt
                    writer.write(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")
                if b"Connection: close" in head:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(answer, "0.0.0.0", 0, backlog=1024)
        told.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(main())


def spent() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def bare(urls: list[str], folder: Path) -> tuple[float, float]:
    """(seconds, CPU seconds) of the least that fetches and keeps everything."""
    import aiohttp

    async def main() -> None:
        slots = asyncio.Semaphore(IN_FLIGHT)
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, limit_per_host=2)
        ) as session:

            async def one(n: int, url: str) -> None:
                async with slots, session.get(url) as response:
                    data = await response.read()
                (folder / str(n)).write_bytes(data)

            await asyncio.gather(*(one(n, url) for n, url in enumerate(urls)))

    began, cpu = time.perf_counter(), spent()
    asyncio.run(main())
    return time.perf_counter() - began, spent() - cpu


def ours(urls: list[str], folder: Path) -> tuple[float, float]:
    """(seconds, CPU seconds) of our fetch with its ledger, until the last body is noted; packing waits."""
    pack_queue.A_SHARD = 10**9
    ends: list[tuple[float, float]] = []
    with Ledger(folder / "ledger.sqlite") as ledger:
        with ledger.transaction() as database:
            rows = [(url, n, 0) for n, url in enumerate(urls)]
            database.executemany("INSERT INTO urls (url, priority, wanted) VALUES (?, ?, ?)", rows)
        spool = Spool(folder / "spool")
        packing = PackPool(folder / "tmp", spool.folder, PackSettings())
        line = PackQueue(ledger, spool, Shards(folder), pool=packing, packers=1)

        def note(what: str, done: int, total: int | None = None) -> None:
            if what == "fetch" and done == total:
                ends.append((time.perf_counter(), spent()))
                raise KeyboardInterrupt

        async def main() -> None:
            rules = Rules(allow_private=True)
            session, guarded = open_client(rules)
            crawl = Crawl(ledger, spool, line, pace=Pace(IN_FLIGHT, 1, 1.0), progress=note)
            async with session:
                await crawl.run(Fetcher(session, crawl.hosts, spool, rules))
            await guarded.close()

        began, cpu = time.perf_counter(), spent()
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(main())
        line.close()
        assert ledger.counts() == {"spooled": len(urls)}, ledger.counts()
    return ends[0][0] - began, ends[0][1] - cpu


def pack_ours(spool: Spool, names: list[str], folder: Path, rounds: int) -> list[float]:
    packing = PackPool(folder / "tmp", spool.folder, PackSettings())
    try:
        packing.pack(0, names[:20])
        times = []
        for n in range(rounds):
            began = time.perf_counter()
            packing.pack(n + 1, names)
            times.append(time.perf_counter() - began)
    finally:
        packing.close()
    return times


def pack_peer(spool: Spool, names: list[str], folder: Path, rounds: int) -> list[float]:
    shards = []
    for n in range(rounds + 1):
        chosen = names[:20] if n == 0 else names
        table = pa.table({"url": [spool.path(name).as_uri() for name in chosen], "sha256": chosen})
        shards.append(str(folder / f"{n}.feather"))
        with pa.OSFile(shards[-1], "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
    (folder / "out").mkdir()
    env = {**os.environ, "NO_ALBUMENTATIONS_UPDATE": "1", "WANDB_MODE": "disabled", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", PEER, *shards, str(folder / "out")]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return [wall for wall, _ in json.loads(done.stderr.split("TIMES ")[1])[1:]]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    bodies = pictures(given.images)
    told: multiprocessing.Queue = multiprocessing.Queue()
    server = multiprocessing.Process(target=serve, args=(bodies, told), daemon=True)
    server.start()
    port = told.get(timeout=60)
    urls = [f"http://127.0.0.{1 + n % HOSTS}:{port}/{n}" for n in range(given.images)]
    fetches: dict[str, list[tuple[float, float]]] = {"bare": [], "ours": []}
    with tempfile.TemporaryDirectory() as root:
        for number in range(given.rounds):
            for name, run in (("bare", bare), ("ours", ours)):
                folder = Path(root, f"{name}{number}")
                folder.mkdir()
                fetches[name].append(run(urls, folder))
        server.kill()
        spool = Spool(Path(root) / "spool")
        names = [hashlib.sha256(body).hexdigest() for body in bodies[:1000]]
        for name, body in zip(names, bodies, strict=False):
            spool.write(name, body)
        packs = {name: run(spool, names, Path(root, name), given.rounds)
                 for name, run in (("ours", pack_ours), ("img2dataset", pack_peer))
                 if not Path(root, name).mkdir()}  # fmt: skip
    wall = {name: given.images / min(t for t, _ in times) for name, times in fetches.items()}
    cpu = {name: 1000 * min(c for _, c in times) / given.images for name, times in fetches.items()}
    packed = {name: len(names) / min(times) for name, times in packs.items()}
    result = {
        "machine": {"cpu": platform.processor() or platform.machine(), "cores": os.cpu_count(),
                    "python": platform.python_version(), "load": os.getloadavg()[0]},
        "images": given.images, "bytes": sum(map(len, bodies)), "hosts": HOSTS, "in_flight": IN_FLIGHT,
        "fetch_images_a_second": wall, "fetch_ratio_to_bare_aiohttp": wall["ours"] / wall["bare"],
        "fetch_cpu_ms_an_image": cpu, "fetch_cpu_ratio_to_bare_aiohttp": cpu["ours"] / cpu["bare"],
        "pack_images_a_second_a_process": packed,
        "pack_ratio_to_img2dataset": packed["ours"] / packed["img2dataset"],
    }  # fmt: skip
    sys.stdout.write(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""The packing worker: ``python -m captrawl.indexer.pack.worker``, started and killed by pool.py.

Reads the path of a job's folder, a JSON line on stdin; answers with a JSON line on stdout. Each job runs in
a fork of this process, which has img2dataset imported already: a decoder that dies or hangs takes the fork
with it, not seconds of imports. img2dataset prints, and swaps the descriptors 1 and 2 while it decodes: they
point to a log in the job's folder there.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import mmap
import os
import resource
import select
import signal
import struct
import sys
import time
import warnings
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TextIO

from ...core.picture_hash import grey, hashes_of, marked, signature
from ...core.pictures import MOST_MEMORY, UnreadablePictureError
from ...core.records import SHARD
from ...core.startup import memory_used
from ..outcomes import Reason
from .orient import plain_bytes

if TYPE_CHECKING:
    import io

JOB, LOG = "job.json", "log.txt"
KEYS_A_SHARD = 10_000  # img2dataset's default: five digits of the shard, four of the image
QUALITY = 100
LOST = "lost"
"""The reason of an image whose spooled bytes are gone or changed."""

_DIGITS = 5
_DISK_EXIT, _BUG_EXIT = 73, 70
_POLL = 0.2
_LEAST_MEMORY = MOST_MEMORY + 1_500_000_000
"""Of a job: for the largest picture beside pyarrow and a thread. With less, good pictures aren't decoded."""
_NOBODY = -1


@dataclass(frozen=True, slots=True)
class Job:
    """What a job's folder asks for: a shard's number, and the spooled images that go into it."""

    shard: int
    spool: str
    sha256s: list[str]
    resize: int
    image_seconds: float
    memory: int
    """Bytes of address space beyond what the worker has."""


def shard_name(shard: int) -> str:
    """A shard's folder name: 12 → ``00012``."""
    return f"{shard:0{_DIGITS}d}"


def main() -> None:
    """Serve jobs until stdin ends."""
    answers = os.fdopen(os.dup(1), "w")
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    sys.modules["torch"] = None  # pyright: ignore[reportArgumentType] albumentations would load it: 500 MB
    sys.modules["wandb"] = ModuleType("wandb")  # imported and not used: half a second, two folders in /tmp
    for name in ("downloader", "resizer", "writer"):
        importlib.import_module(f"img2dataset.{name}")
    _answer(answers, {"ready": True})
    for line in iter(sys.stdin.readline, ""):
        folder = Path(json.loads(line))
        _answer(answers, _in_a_fork(folder, Job(**json.loads((folder / JOB).read_text(encoding="utf-8")))))


def _answer(answers: TextIO, value: dict[str, Any]) -> None:
    answers.write(json.dumps(value) + "\n")
    answers.flush()


def _in_a_fork(folder: Path, job: Job) -> dict[str, Any]:
    """Run ``job`` in a child: {"ok": true}, or how the child ended and which image it was at."""
    marker = mmap.mmap(-1, 8)
    _mark(marker, _NOBODY)
    alive, child_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(alive)
        os._exit(_child(folder, job, marker))
    os.close(child_end)
    try:
        late = _watch(child, alive, marker, job.image_seconds)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    finally:
        os.close(alive)
    at = struct.unpack("q", marker[:])[0]
    suspect = job.sha256s[at] if at != _NOBODY else ""
    full = status == _DISK_EXIT
    return {"ok": status == 0, "status": status, "late": late, "suspect": suspect, "disk_full": full}


def _watch(child: int, alive: int, marker: mmap.mmap, image_seconds: float) -> bool:
    """Wait until ``child`` ends; kill it when one image takes too long (True), or when our parent is gone."""
    at, since = marker[:], time.monotonic()
    while True:
        ready, _, _ = select.select([alive, sys.stdin], [], [], _POLL)
        if alive in ready:
            return False
        if sys.stdin in ready:  # nothing is asked while a job runs: this is the end of the pipe
            os.kill(child, signal.SIGKILL)
            sys.exit(1)
        if marker[:] != at:
            at, since = marker[:], time.monotonic()
        elif time.monotonic() - since > image_seconds:
            os.kill(child, signal.SIGKILL)
            return True


def _child(folder: Path, job: Job, marker: mmap.mmap) -> int:
    """The exit status of packing ``job`` in this process, under its memory limit."""
    os.chdir(folder)  # relative names: fsspec gives a meaning to some characters of absolute ones
    log = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    used = memory_used()
    if used is not None:
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        limit = used + job.memory if hard == resource.RLIM_INFINITY else min(used + job.memory, hard)
        if limit - used < min(job.memory, _LEAST_MEMORY):
            sys.stderr.write(f"cannot allocate memory: {limit - used:,} bytes are left (ulimit -v)\n")
            return _BUG_EXIT
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    try:
        return pack_here(job, marker)
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return _DISK_EXIT
    except BaseException:  # noqa: BLE001 a fork must never run the parent's code
        import traceback

        traceback.print_exc()
        return _BUG_EXIT


def pack_here(job: Job, marker: mmap.mmap | None = None) -> int:
    """Pack ``job`` into ``out/<shard>/`` below the current folder: images, and shard.parquet about them."""
    import pyarrow as pa
    from img2dataset.downloader import Downloader
    from img2dataset.writer import FilesSampleWriter

    spool = Path(job.spool)
    urls = [(spool / sha256).as_uri() for sha256 in job.sha256s]
    table = pa.table({"url": urls, "sha256": job.sha256s})
    with pa.OSFile("rows.feather", "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    Path("out").mkdir()
    failures: list[OSError] = []
    resizer = _Upright(job, marker)

    class Writer(FilesSampleWriter):
        """Image files and the table, without a JSON file each; errors of the disk are kept."""

        def write(self, img_str: bytes | None, key: str, caption: object, meta: dict[str, Any]) -> None:
            del caption  # never in our files
            with _collected(failures):
                if img_str is not None:
                    Path(self.subfolder, f"{key}.jpg").write_bytes(img_str)
                self.buffered_parquet_writer.write(meta)

        def close(self) -> None:
            with _collected(failures):
                super().close()

    download = Downloader(
        sample_writer_class=Writer,
        resizer=resizer,
        thread_count=1,
        save_caption=False,
        extract_exif=False,
        output_folder="out",
        column_list=["url", "sha256"],
        timeout=60,
        number_sample_per_shard=KEYS_A_SHARD,
        oom_shard_count=_DIGITS,
        compute_hash=None,
        verify_hash_type=None,
        encode_format="jpg",
        retries=0,
        user_agent_token=None,
        disallowed_header_directives=None,
    )
    done, _ = download((job.shard, "rows.feather"))
    if failures:
        raise failures[0]
    return _conclude(job, resizer) if done else _BUG_EXIT


@contextlib.contextmanager
def _collected(failures: list[OSError]) -> Generator[None]:
    """Let errors of the disk pass, and keep them: img2dataset only prints them."""
    try:
        yield
    except OSError as error:
        failures.append(error)
        raise


class _Upright:
    """img2dataset's Resizer behind a check of the bytes, which come out upright; notes what it is at."""

    def __init__(self, job: Job, marker: mmap.mmap | None) -> None:
        from img2dataset.resizer import Resizer

        self._places = {sha256: place for place, sha256 in enumerate(job.sha256s)}
        self._marker = marker
        self.seen: list[str] = []
        """The hashes of the bytes that came, in the order they came."""
        self.hashes: dict[str, tuple[bytes, bytes]] = {}
        """By sha256: the picture's perceptual hashes, and its signature."""
        self._resizer = Resizer(
            image_size=job.resize or 256,  # unused without resizing
            resize_mode="keep_ratio" if job.resize else "no",
            resize_only_if_bigger=True,
            encode_quality=QUALITY,
            encode_format="jpg",
            blurrer=self._hash,
        )

    def _hash(self, img: Any, bbox_list: object) -> Any:
        """``img`` as it is. img2dataset's blurrer is called with the pixels that it is about to encode."""
        import cv2
        from PIL import Image

        del bbox_list
        picture = Image.fromarray(img if img.ndim == 2 else cv2.cvtColor(img, cv2.COLOR_BGR2RGB))
        levels = grey(picture)
        self.hashes[self.seen[-1]] = (hashes_of(levels).tobytes(), signature(picture, levels))
        return img

    def __call__(self, stream: io.BytesIO, boxes: object = None) -> tuple[Any, ...]:
        """(bytes, width, height, original width, original height, error), as img2dataset wants it."""
        import io

        del boxes  # nothing is blurred
        data = stream.getvalue()
        self.seen.append(hashlib.sha256(data).hexdigest())
        place = self._places.get(self.seen[-1])
        if place is None:
            return (None,) * 5 + (LOST,)
        if self._marker is not None:
            _mark(self._marker, place)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return self._resizer(io.BytesIO(plain_bytes(data)), [])
        except UnreadablePictureError as error:
            return (None,) * 5 + (str(error.fault),)
        except Exception:  # noqa: BLE001 whatever a decoder raises is this image's fault, not its folder's
            return (None,) * 5 + (str(Reason.UNDECODABLE),)


def _mark(marker: mmap.mmap, place: int) -> None:
    marker[:] = struct.pack("q", place)


def _conclude(job: Job, pictures: _Upright) -> int:
    """Write shard.parquet into the shard's folder: key, sha256, width, height, reason, hashes, signature.

    The bytes that could be read were seen in the rows' order: one thread reads. The exit status.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    name = shard_name(job.shard)
    rows = pq.read_table(f"out/{name}.parquet").to_pylist()
    if len(rows) != len(job.sha256s):
        return _DISK_EXIT  # img2dataset only prints when a row can't be written
    read = iter(pictures.seen)
    for row in rows:
        if row["status"] != "failed_to_download" and next(read, None) != row["sha256"]:
            row.update(status="failed_to_resize", error_message=LOST)
            Path(f"out/{name}/{row['key']}.jpg").unlink(missing_ok=True)
    reasons = [_reason(row["status"], row["error_message"]) for row in rows]
    hashes = [pictures.hashes.get(row["sha256"], (None, None)) for row in rows]
    table = pa.table(
        {
            "key": pa.array([row["key"] for row in rows], pa.string()),
            "sha256": pa.array([row["sha256"] for row in rows], pa.string()),
            "width": pa.array([row["width"] for row in rows], pa.int32()),
            "height": pa.array([row["height"] for row in rows], pa.int32()),
            "reason": pa.array(reasons, pa.string()),
            "hashes": pa.array([one for one, _ in hashes], pa.binary()),
            "signature": pa.array([one for _, one in hashes], pa.binary()),
        }
    )
    pq.write_table(marked(table), f"out/{name}/{SHARD}")
    return 0


def _reason(status: str, message: str | None) -> str | None:
    if status == "success":
        return None
    if status == "failed_to_download" or message == LOST:
        return LOST
    return message if message in set(Reason) else Reason.UNDECODABLE.value


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        main()

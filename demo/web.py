"""The drawn web on disk: its pictures, its corpus in LAION-400M's schema, and the truth about both."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..core.errors import WorkspaceError
from ..core.files import atomic, write_json
from ..core.interrupts import children_unheard
from ..core.parallel import cores
from ..core.records import Progress, silent
from .accuracy import UNSEEN
from .plan import MISSING, DrawnRow, Kind, plan

FORMAT = 1
SIDE = 224
PARTS = 2


@dataclass(frozen=True, slots=True)
class WebSettings:
    """What a drawn web is made from: the same values make the same files."""

    seed: int = 0
    rows_per_class: int = 96
    captions: int = 24_000
    port: int = 8483


@dataclass(frozen=True, slots=True)
class Web:
    """A drawn web. ``rows`` are those of its corpus, in order."""

    folder: Path
    settings: WebSettings
    rows: tuple[DrawnRow, ...]

    @property
    def corpus(self) -> Path:
        """The folder of its Parquet files."""
        return self.folder / "corpus"

    def url(self, path: str) -> str:
        """The address of a link."""
        return f"http://127.0.0.1:{self.settings.port}{path}"

    def picture(self, number: int) -> Path:
        """The file of a picture."""
        return self.folder / "pictures" / f"{number:05d}.jpg"

    def truth(self) -> dict[str, str]:
        """What every link's picture shows, by address."""
        return {self.url(row.path): row.drawing for row in self.rows if row.path}


def make_web(folder: Path, settings: WebSettings, *, progress: Progress = silent) -> Web:
    """Draw the web of ``settings`` in ``folder``, or take what is there already."""
    web = open_web(folder, settings)
    draw_web(web, progress=progress)
    return web


def open_web(folder: Path, settings: WebSettings) -> Web:
    """The web of ``settings``, with ``folder`` marked as its place; nothing is drawn yet.

    WorkspaceError where the folder holds another web.
    """
    marker = folder / "web.json"
    expected = {"format": FORMAT, **asdict(settings)}
    if marker.exists():
        _check(marker, expected)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(marker, expected)
    return Web(folder, settings, tuple(plan(settings.seed, settings.rows_per_class, settings.captions)))


def draw_web(web: Web, *, progress: Progress = silent) -> None:
    """Draw and write what isn't there yet: pictures, corpus and truth. An interrupted drawing goes on."""
    if not (web.folder / "truth.parquet").exists():
        _draw_all(web, progress)
        for part in range(PARTS):
            _write(_corpus_table(web, part), web.corpus / f"part-{part:05d}.parquet")
        _write(_truth_table(web), web.folder / "truth.parquet")


def settings_of(folder: Path) -> WebSettings | None:
    """The settings that the web in ``folder`` was made from; None where there is none."""
    marker = folder / "web.json"
    if not marker.exists():
        return None
    data = json.loads(marker.read_text(encoding="utf-8"))
    return WebSettings(**{key: data[key] for key in WebSettings.__slots__ if key in data})


def _check(marker: Path, expected: dict[str, int]) -> None:
    current = json.loads(marker.read_text(encoding="utf-8"))
    if current != expected:
        other = [
            f"{key} {current.get(key)!r}, not {value!r}"
            for key, value in expected.items()
            if current.get(key) != value
        ]
        raise WorkspaceError(
            f"{marker.parent} contains a web of {'; '.join(other)}; choose another folder, or delete it"
        )


def _draw_all(web: Web, progress: Progress) -> None:
    """Draw every picture that isn't there yet, in a process a core."""
    (web.folder / "pictures").mkdir(exist_ok=True)
    pictures = {row.picture: row.drawing for row in web.rows if row.picture >= 0}
    jobs = [
        (
            str(web.picture(number)),
            drawing,
            number if drawing == MISSING else UNSEEN + web.settings.seed * 1_000_000 + number,
        )
        for number, drawing in sorted(pictures.items())
        if not web.picture(number).exists()
    ]
    workers = min(cores(), 8)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        with children_unheard():
            drawn = pool.map(draw_file, jobs, chunksize=24)
        for done, _ in enumerate(drawn, 1):
            progress("drawing", done, len(jobs))


def draw_file(job: tuple[str, str, int]) -> None:
    """Write one picture as JPEG: (path, what it shows, seed); for a placeholder the seed is its style."""
    from .drawings.catalogue import draw, placeholder

    path, drawing, seed = job
    image = placeholder(seed, SIDE) if drawing == MISSING else draw(drawing, seed, SIDE)
    with atomic(Path(path)) as temporary:
        image.save(temporary, "JPEG", quality=88)


def _write(table: pa.Table, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", row_group_size=8192)


def _corpus_table(web: Web, part: int) -> pa.Table:
    """One part of the corpus, with LAION-400M's columns and types, outliers included."""
    size = -(-len(web.rows) // PARTS)
    rows: Sequence[DrawnRow] = web.rows[part * size : (part + 1) * size]
    rng = np.random.default_rng([web.settings.seed, part])
    similarity = rng.uniform(0.3, 0.4, len(rows))
    similarity[rng.random(len(rows)) < 0.0005] = 6016.0
    sides = np.where([row.kind is Kind.SMALL for row in rows], 48, SIDE)
    return pa.table(
        {
            "SAMPLE_ID": pa.array(part * size + np.arange(len(rows)), pa.int64()),
            "URL": pa.array([web.url(row.path) if row.path else None for row in rows], pa.string()),
            "TEXT": pa.array([row.caption for row in rows], pa.string()),
            "HEIGHT": pa.array(sides, pa.int32()),
            "WIDTH": pa.array(sides, pa.int32()),
            "LICENSE": pa.array(["?"] * len(rows), pa.string()),
            "NSFW": pa.array([row.nsfw for row in rows], pa.string()),
            "similarity": pa.array(similarity, pa.float64()),
        }
    )


def _truth_table(web: Web) -> pa.Table:
    """Every link once: its address, what it answers, the picture's number and what it shows."""
    links = {row.path: row for row in web.rows if row.path}
    return pa.table(
        {
            "url": [web.url(path) for path in links],
            "answer": [row.kind.value for row in links.values()],
            "picture": pa.array([row.picture for row in links.values()], pa.int32()),
            "drawing": [row.drawing for row in links.values()],
        }
    )

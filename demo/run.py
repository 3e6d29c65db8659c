"""The demo from end to end: draw a web, serve it, index it, run the pipeline, and count what was right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..classes.model import ClassEntry, ClassList, Synonym
from ..core.errors import CaptionIndexError, MissingExtraError, WorkspaceError
from ..core.records import Progress, silent
from ..workspace.settings import (
    CaptionSettings,
    DownloadSettings,
    ModelSettings,
    SampleSettings,
    Settings,
    TaskSettings,
)
from ..workspace.workspace import StageStatus, Workspace
from .words import CLASSES

if TYPE_CHECKING:
    from .web import Web, WebSettings

MODEL = Path(__file__).with_name("model")
NEEDED = ("PIL", "aiohttp", "faiss", "img2dataset", "open_clip", "torch")
"""What the extras `cpu` and `gpu` install, and the demo uses."""
RAW = "raw"
METHODS = {"Random": "Random", "T2T": "T2T-rank", "T2I": "T2I-rank"}
"""Sample names (n is put behind them) → their methods."""


@dataclass(frozen=True, slots=True)
class CorrectCount:
    """How many of the pictures chosen show their class."""

    right: int
    chosen: int

    @property
    def precision(self) -> float | None:
        """From 0 to 1; None where nothing was chosen."""
        return self.right / self.chosen if self.chosen else None


@dataclass(frozen=True, slots=True)
class ClassResult:
    """One class, or all of them: rows matched, rows with an image, rows without one by reason, and precision.

    ``shares`` has RAW (every matched row with an image) and the samples by their names.
    """

    name: str
    matched: int
    downloaded: int
    failed: Mapping[str, int]
    shares: Mapping[str, CorrectCount]


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the demo found. ``samples`` are the names in ``shares`` beside RAW, in order."""

    folder: Path
    samples: tuple[str, ...]
    classes: tuple[ClassResult, ...]
    total: ClassResult


def run_demo(
    folder: Path,
    *,
    captions: str = "",
    web: WebSettings | None = None,
    progress: Progress = silent,
    done: Callable[[StageStatus], None] | None = None,
) -> DemoResult:
    """Make the demo in ``folder``, which becomes the workspace, or go on with the one that is there.

    ``captions`` is the caption index to use (default: a folder inside); ``web`` the size of the web
    (default: what is there, else WebSettings()); ``done`` hears of each stage. WorkspaceError where the
    folder holds something else, CaptionIndexError where the index does: its links would be fetched.
    """
    if any(find_spec(name) is None for name in NEEDED):
        raise MissingExtraError("the demo", "cpu")
    from ..search.captions import absolute_location
    from ..workspace import pipeline
    from .server import serving
    from .web import draw_web

    site = _web_of(folder, web)
    location = absolute_location(captions or str(folder / "captions"))
    with serving(site):  # before the drawing: nobody else takes the port meanwhile
        draw_web(site, progress=progress)
        _index(site, location, progress)
        workspace = _workspace_of(folder, site, location)
        pipeline.run(workspace, progress=progress, done=done)
    return judge(workspace, site)


def demo_classes() -> ClassList:
    """The class list of the demo; synonyms that mean too much match, but don't prompt."""
    return tuple(
        ClassEntry(
            number,
            entry.name,
            tuple(
                Synonym(
                    text,
                    prompt=text not in entry.ambiguous,
                    reason="ambiguous" if text in entry.ambiguous else "",
                )
                for text in entry.synonyms
            ),
        )
        for number, entry in enumerate(CLASSES)
    )


def demo_settings(web: WebSettings, location: str) -> Settings:
    """captrawl.toml of the demo: loopback may be fetched from, and nobody is waited for long."""
    n = max(web.rows_per_class // 4, 1)
    return Settings(
        task=TaskSettings(name="demo"),
        captions=CaptionSettings(index=location),
        download=DownloadSettings(
            allow_private=True, deadline=4.0, retry_after=1.0, contact="the demo, on loopback"
        ),
        model=ModelSettings(name=f"local-dir:{MODEL}", pretrained=""),
        sample=[SampleSettings(name=f"{name}{n}", method=method, n=n) for name, method in METHODS.items()],
    )


def judge(workspace: Workspace, web: Web) -> DemoResult:
    """Count the workspace's matches, images and samples against the truth of ``web``."""
    truth = web.truth()
    samples = tuple(spec.name for spec in workspace.settings().sample)
    images = {row["url"]: row for row in pq.read_table(workspace.images_path).to_pylist()}
    matches = pq.read_table(workspace.matches_path, columns=["class_id", "url"]).to_pylist()
    sample_rows = {
        name: pq.read_table(
            workspace.samples_folder / f"{name}.parquet",
            columns=["class_id", "url"],
            filters=pc.field("kept"),
        ).to_pylist()
        for name in samples
    }
    results: list[ClassResult] = []
    for number, entry in enumerate(CLASSES):
        urls = [row["url"] for row in matches if row["class_id"] == number]
        usable = [url for url in urls if url in images and images[url]["path"]]
        failed = Counter(
            _why(images.get(url)) for url in urls if url not in images or not images[url]["path"]
        )
        urls_of = {
            RAW: usable,
            **{name: [r["url"] for r in sample_rows[name] if r["class_id"] == number] for name in samples},
        }
        shares = {
            name: CorrectCount(sum(truth[url] == entry.drawing for url in links), len(links))
            for name, links in urls_of.items()
        }
        results.append(ClassResult(entry.name, len(urls), len(usable), dict(failed.most_common()), shares))
    return DemoResult(workspace.root, samples, tuple(results), _total(results, (RAW, *samples)))


def _why(image: Mapping[str, str] | None) -> str:
    return "no_url" if image is None else image["reason"] or image["state"]


def _total(results: list[ClassResult], names: tuple[str, ...]) -> ClassResult:
    failed: Counter[str] = Counter()
    for result in results:
        failed.update(result.failed)
    shares = {
        name: CorrectCount(
            sum(r.shares[name].right for r in results), sum(r.shares[name].chosen for r in results)
        )
        for name in names
    }
    return ClassResult(
        "all",
        sum(result.matched for result in results),
        sum(result.downloaded for result in results),
        dict(failed.most_common()),
        shares,
    )


def _web_of(folder: Path, size: WebSettings | None) -> Web:
    """The web in ``folder``, or a new one; WorkspaceError where that holds something else."""
    if any(character.isspace() for character in str(folder.resolve())):
        raise WorkspaceError(
            f"{folder.resolve()} contains a space, which lists of paths can't; choose another folder"
        )
    from .server import free_port
    from .web import WebSettings, open_web, settings_of

    place = folder / "web"
    current = settings_of(place)
    if current is None:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise WorkspaceError(
                f"{folder} isn't empty and contains no demo; choose a new folder, or empty this one"
            )
        size = size or WebSettings()
        return open_web(place, replace(size, port=free_port(size.port)))
    return open_web(place, replace(size, port=current.port) if size else current)


def _index(web: Web, location: str, progress: Progress) -> None:
    """Put the corpus into the index at ``location``; CaptionIndexError where that holds other corpora."""
    from ..indexer.captions import index_captions
    from ..indexer.corpora.files import find_files
    from ..indexer.opening import open_index

    files = find_files([web.corpus], corpus="demo")
    with open_index(location, create=True) as index:
        foreign = sorted(index.files().keys() - {file.file for file in files})
    if foreign:
        raise CaptionIndexError(
            f"{location} contains other corpora too ({foreign[0]}), whose links the demo would fetch; "
            "give the demo an index of its own"
        )
    index_captions(location, files, progress=progress)


def _workspace_of(folder: Path, web: Web, location: str) -> Workspace:
    """The workspace in ``folder``, made if it isn't there."""
    workspace = Workspace(folder)
    if not workspace.settings_path.exists():
        return Workspace.create(folder, demo_settings(web.settings, location), demo_classes())
    index = workspace.settings().captions.index
    if index != location:
        raise WorkspaceError(
            f"the demo in {folder} uses the index {index}, not {location}; choose another folder"
        )
    return workspace

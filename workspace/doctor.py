"""What users trip over, looked at before they do: extras, device, model, disk, open files, index."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import resource
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ..core.errors import CaptrawlError
from ..core.wording import counted
from .workspace import Workspace

EXTRAS = {
    "cpu or gpu": ("aiohttp", "faiss", "img2dataset", "open_clip", "sklearn", "torch"),
    "web": ("fastapi", "uvicorn"),
}
"""The modules that each extra brings."""
_OTHER_WHEEL = "pip uninstall it and pip install 'captrawl[gpu]', which brings Meta's faiss-gpu"
LOW_DISK = 10 * 2**30
LOW_OPEN_FILES = 1024


class Verdict(StrEnum):
    """How a check ended; only BAD makes `doctor` fail."""

    GOOD = "ok"
    WARNING = "warning"
    BAD = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was looked at, how it stands, and what to do."""

    check: str
    verdict: Verdict
    text: str


def examine(directory: Path, *, index: str = "") -> list[Finding]:
    """Every finding for the workspace at ``directory``, where there is one, and the caption index."""
    return list(_findings(directory, index))


def _findings(directory: Path, index: str) -> Iterator[Finding]:
    yield Finding("python", Verdict.GOOD, f"{platform.python_version()} on {platform.platform()}")
    yield from _extras()
    yield _faiss()
    yield _device()
    yield _disk(directory)
    yield _open_files()
    workspace = Workspace(directory)
    if workspace.settings_path.exists():
        try:
            settings = workspace.settings()
        except CaptrawlError as error:
            yield Finding("settings", Verdict.BAD, str(error))
            return
        yield Finding("settings", Verdict.GOOD, f"{workspace.settings_path}")
        yield _model(workspace, settings.model.name)
        if not settings.download.contact:
            yield Finding(
                "contact",
                Verdict.WARNING,
                "[download] contact is empty: sites that want to reach you can't; give a URL or address",
            )
        if not index:
            from ..indexer.match_stage import index_location

            index = index_location(workspace)
    if index:
        yield _index(index)


def _extras() -> Iterator[Finding]:
    for extra, modules in EXTRAS.items():
        missing = [name for name in modules if importlib.util.find_spec(name) is None]
        name = extra.split(" ", maxsplit=1)[0]
        if missing:
            text = f"not installed ({', '.join(missing)} missing): pip install 'captrawl[{name}]'"
            yield Finding(f"extra {extra}", Verdict.WARNING, text)
        else:
            yield Finding(f"extra {extra}", Verdict.GOOD, "installed")


def _faiss() -> Finding:
    distributions = sorted(
        f"{name} {distribution.version}"
        for distribution in importlib.metadata.distributions()
        if (name := (distribution.metadata["Name"] or "").lower()).startswith("faiss")
    )
    if len(distributions) > 1:
        both = " and ".join(distributions)
        text = f"{both} share the module name faiss; pip uninstall all of them, then install one"
        return Finding("faiss", Verdict.BAD, text)
    if not distributions:
        return Finding("faiss", Verdict.WARNING, "not installed")
    return _faiss_device(distributions[0])


def _faiss_device(distribution: str) -> Finding:
    """Whether the FAISS that is installed searches on the GPU that is there."""
    from ..search.vectors.exact import import_faiss
    from ..search.vectors.gpu import SEARCH, fault_of

    try:
        faiss = import_faiss()
    except CaptrawlError as error:
        return Finding("faiss", Verdict.BAD, f"{distribution}: {error}")
    if not hasattr(faiss, "StandardGpuResources"):
        return Finding("faiss", Verdict.GOOD, f"{distribution}, searches on the CPU")
    if not faiss.get_num_gpus():
        return Finding("faiss", Verdict.WARNING, f"{distribution} is built for GPUs and sees none")
    fault = fault_of(SEARCH)
    if not fault:
        return Finding("faiss", Verdict.GOOD, f"{distribution}, searches on the GPU")
    wheel = "" if distribution.startswith("faiss-gpu ") else f"; {_OTHER_WHEEL}"
    text = f"{distribution} can't use the GPU, so that searches run on the CPU: {fault}{wheel}"
    return Finding("faiss", Verdict.BAD, text)


def _device() -> Finding:
    if importlib.util.find_spec("torch") is None:
        return Finding("device", Verdict.WARNING, "torch isn't installed, nothing can be embedded")
    import torch

    if torch.cuda.is_available():
        from ..search.vectors.gpu import FORWARD, fault_of

        major, minor = torch.cuda.get_device_capability(0)
        card = f"cuda: {torch.cuda.get_device_name(0)}, compute capability {major}.{minor}"
        fault = fault_of(FORWARD)
        if fault:
            return Finding("device", Verdict.BAD, f"{card}: {fault}")
        return Finding("device", Verdict.GOOD, card)
    if torch.backends.mps.is_available():
        return Finding("device", Verdict.GOOD, "mps")
    text = f"cpu with {torch.get_num_threads()} threads: embedding runs, at tens of images per second"
    return Finding("device", Verdict.GOOD, text)


def _disk(directory: Path) -> Finding:
    place = next(p for p in (directory.resolve(), *directory.resolve().parents) if p.exists())
    free = shutil.disk_usage(place).free
    text = f"{free / 1e9:.1f} GB free at {place}"
    if free < LOW_DISK:
        return Finding("disk", Verdict.WARNING, f"{text}; 100 thousand images take about 10 GB")
    return Finding("disk", Verdict.GOOD, text)


def _open_files() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < LOW_OPEN_FILES:
        text = (
            f"{soft} (at most {hard}); a download opens hundreds of sockets: ulimit -n {LOW_OPEN_FILES * 4}"
        )
        return Finding("open files", Verdict.WARNING, text)
    return Finding("open files", Verdict.GOOD, "unlimited" if soft < 0 else str(soft))


def _model(workspace: Workspace, name: str) -> Finding:
    if importlib.util.find_spec("open_clip") is None:
        return Finding("model", Verdict.WARNING, f"{name}: open_clip isn't installed")
    from ..search.vectors.loading import find_weights
    from ..search.vectors.models import model_of

    try:
        return Finding("model", Verdict.GOOD, find_weights(model_of(workspace)))
    except CaptrawlError as error:
        return Finding("model", Verdict.BAD, str(error))


def _index(location: str) -> Finding:
    from ..core.text import ANALYZER_VERSION
    from ..indexer.opening import open_index
    from ..search.inventory import double_rows

    try:
        with open_index(location) as captions:
            text = (
                f"{location}: {counted(captions.rows(), 'row')} of {counted(len(captions.files()), 'file')}"
            )
            if double := double_rows(captions.files()):
                return Finding(
                    "index",
                    Verdict.WARNING,
                    f"{text}; rows of {double[0].rpartition('/')[0]} that match by two captions count twice: "
                    "index it again with --replace and each --caption-column, and they count once",
                )
            if captions.analyzer < ANALYZER_VERSION:
                return Finding(
                    "index",
                    Verdict.WARNING,
                    f"{text}, with analyzer {captions.analyzer} of {ANALYZER_VERSION}: accents beyond Latin, "
                    "markup and scripts without spaces match less; a new index has the new rules",
                )
            return Finding("index", Verdict.GOOD, text)
    except CaptrawlError as error:
        return Finding("index", Verdict.BAD, str(error))

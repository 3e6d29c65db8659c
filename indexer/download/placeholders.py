"""One picture under many URLs: a placeholder that hosts send for whatever is gone, or a copy.

Captions tell them apart. A placeholder stands under captions that have nothing in common: it is dropped
everywhere, and stays dropped. Copies stand under captions that are alike: of each class the best stays.
URLs with the same bytes share one image, and a sample takes the best-ranked of them; so they stay.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa

from ...core.arrow import pc
from ...core.files import digest
from ...core.text import tokens
from ...core.wording import counted
from ..fetch.urls import host_of
from ..ledger_pictures import LedgerPictures, Sighting
from ..outcomes import Reason
from .enqueue import matched_batches
from .look_alikes import name_look_alikes
from .requeue import unlink_orphans
from .session import DownloadSession

logger = logging.getLogger(__name__)

ALIKE = 0.5
"""The share of the shorter caption's words that the other has too, from which on the two are alike."""
UNLIKE = 5
"""So many captions, each unlike all others, make a picture a placeholder; of two classes, two do."""
_SHOWN_GROUPS, _SHOWN_CAPTIONS, _SHOWN_LETTERS = 5, 3, 60
_JUDGED = "judged"
_URLS_AT_ONCE = 65_536

Captions = Mapping[str, Sequence[tuple[int, str]]]
"""URL → (class id, caption) of its rows."""


def judge_pictures(session: DownloadSession) -> None:
    """Drop the URLs of placeholders and of copies; nothing happens where ``session`` is one part of several.

    What comes out depends on the ledger's images and the matches alone, not on the order they came in.
    """
    ledger = session.ledger
    if session.settings.placeholders == "keep" or session.rules.part is not None:
        return
    name_look_alikes(ledger)
    pictures = LedgerPictures(ledger)
    sightings = pictures.sightings(_repeated(session, pictures))
    mark = digest([ledger.meta("taken_in"), [[one.picture, one.id] for one in sightings]])
    if not sightings or ledger.meta(_JUDGED) == mark:
        return
    captions = _captions(session, [one.url for one in sightings])
    changed: list[tuple[int, Reason | None]] = []
    placeholders: list[list[Sighting]] = []
    for _, rows in groupby(sightings, lambda one: one.picture):
        group = list(rows)
        verdicts = judged(group, captions)
        news = [(one.id, verdicts[one.id]) for one in group if one.reason != verdicts[one.id]]
        changed += news
        if any(reason is Reason.PLACEHOLDER for _, reason in news):
            placeholders.append(group)
    pictures.settle(changed, **{_JUDGED: mark})
    unlink_orphans(ledger, session.workspace.root)
    _show(placeholders, captions)


def judged(group: Sequence[Sighting], captions: Captions) -> dict[int, Reason | None]:
    """Why each URL of one picture is dropped, None where it stays; ``group`` is in rank order."""
    if any(one.reason is Reason.PLACEHOLDER for one in group) or is_placeholder(group, captions):
        return {one.id: Reason.PLACEHOLDER for one in group}
    images: set[str] = set()
    classes: set[int] = set()
    verdicts: dict[int, Reason | None] = {}
    for one in group:
        own = {class_id for class_id, _ in captions[one.url]}
        needed = one.sha256 in images or not own <= classes
        verdicts[one.id] = None if needed else Reason.DUPLICATE
        if needed:
            images.add(one.sha256)
            classes |= own
    return verdicts


def is_placeholder(group: Sequence[Sighting], captions: Captions) -> bool:
    """Whether the captions of one picture have nothing in common: see ALIKE and UNLIKE."""
    classes: defaultdict[frozenset[str], set[int]] = defaultdict(set)
    for one in group:
        for class_id, caption in captions[one.url]:
            classes[frozenset(tokens(caption))].add(class_id)
    apart: list[frozenset[str]] = []
    for words in classes:
        if not any(_alike(words, other) for other in apart):
            apart.append(words)
            if len(apart) == UNLIKE:
                return True
    return any(
        not _alike(words, other) and classes[words].isdisjoint(classes[other])
        for words in classes
        for other in apart
    )


def _alike(words: frozenset[str], other: frozenset[str]) -> bool:
    return len(words & other) >= ALIKE * min(len(words), len(other))


def _repeated(session: DownloadSession, pictures: LedgerPictures) -> list[str]:
    """The packed URLs of several rows, whose captions alone could make them placeholders."""
    chunks = [pa.array(urls, pa.string()) for urls in pictures.packed_urls(_URLS_AT_ONCE)]
    if not chunks:
        return []
    urls = pa.concat_arrays(chunks)
    rows = np.zeros(len(urls), np.int64)
    for batch in matched_batches(session.workspace.matches_path, ["url"]):
        places = pc.drop_null(pc.index_in(batch.column("url"), value_set=urls)).to_numpy()
        rows += np.bincount(places, minlength=len(urls))
    repeated: Any = urls.take(pa.array(np.flatnonzero(rows > 1), pa.int64()))
    return repeated.to_pylist()


def _captions(session: DownloadSession, urls: Sequence[str]) -> Captions:
    names = pa.array(urls, pa.string())
    captions: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
    for batch in matched_batches(session.workspace.matches_path, ["url", "class_id", "caption"]):
        rows = batch.filter(pc.is_in(batch.column("url"), value_set=names))
        for row in rows.to_pylist():
            captions[row["url"]].append((row["class_id"], row["caption"]))
    return captions


def _show(groups: Sequence[Sequence[Sighting]], captions: Captions) -> None:
    """Say which pictures were dropped as placeholders, those under the most URLs first."""
    for group in sorted(groups, key=len, reverse=True)[:_SHOWN_GROUPS]:
        hosts = {host_of(one.url) for one in group}
        said = list(dict.fromkeys(caption for one in group for _, caption in captions[one.url]))
        quoted = ", ".join(f"'{caption[:_SHOWN_LETTERS]}'" for caption in said[:_SHOWN_CAPTIONS])
        logger.warning(
            "%s of %s gave one picture (%s), under captions such as %s: a placeholder, dropped",
            counted(len(group), "URL"),
            counted(len(hosts), "host"),
            group[0].url,
            quoted,
        )
    if len(groups) > _SHOWN_GROUPS:
        logger.warning("%s more were dropped", counted(len(groups) - _SHOWN_GROUPS, "placeholder"))
    if groups:
        logger.warning(
            'where these are real pictures with captions of people: [download] placeholders = "keep"'
        )

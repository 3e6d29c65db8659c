"""What a run would take: what its download does, how long it and the embedding last, and the room for it."""

from __future__ import annotations

import datetime
import shutil
from dataclasses import dataclass

from ..core.errors import CaptrawlError
from ..search.vectors.models import model_of
from ..search.vectors.store import Embeddings
from ..workspace.plan_record import PlanRecord
from ..workspace.workspace import Workspace
from .download.outlook import Outlook, outlook
from .embed.speed import EmbeddingSpeed, measure


@dataclass(frozen=True, slots=True)
class Forecast:
    """``speed`` is None where nothing could be measured, for the reason ``unmeasured``."""

    outlook: Outlook
    speed: EmbeddingSpeed | None
    unmeasured: str
    embedded: int
    disk_left: int

    @property
    def expected_images(self) -> int:
        """Distinct images that the workspace contains at the end."""
        return self.outlook.images + self.outlook.new_images

    @property
    def new_bytes(self) -> int:
        """What the new images take on the disk."""
        return self.outlook.new_images * self.outlook.bytes_an_image

    @property
    def embed_seconds(self) -> float | None:
        """What embedding the images that have no vectors lasts here."""
        if self.speed is None:
            return None
        return max(0, self.expected_images - self.embedded) * self.speed.seconds_a_row


def plan_record(ahead: Forecast) -> PlanRecord:
    """``ahead`` as plan.json keeps it."""
    look, embed = ahead.outlook, ahead.embed_seconds
    return PlanRecord(
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        ended_urls=look.ended + look.asked_urls + look.refused_unasked,
        images=ahead.expected_images,
        refused=sum(look.refusals.values()),
        fetch_hours=look.fetch_seconds / 3600,
        embed_hours=None if embed is None else embed / 3600,
    )


def forecast(workspace: Workspace) -> Forecast:
    """What download and embed would do from here; no image byte and no weights are fetched.

    WorkspaceError without matches.
    """
    ahead = outlook(workspace)
    speed, unmeasured = None, ""
    try:
        speed = measure(workspace)
    except CaptrawlError as error:
        unmeasured = str(error)
    left = shutil.disk_usage(workspace.root).free
    return Forecast(ahead, speed, unmeasured, _embedded(workspace), left)


def _embedded(workspace: Workspace) -> int:
    """Rows that have vectors of the model."""
    try:
        return Embeddings.open(workspace.embeddings_folder(model_of(workspace).slug)).rows
    except CaptrawlError:
        return 0

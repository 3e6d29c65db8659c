"""Settings for loading, put back at the end: while rows pour in, nothing is refreshed and nothing copied.

Several machines load one index at a time. Each signs the index's own record; the first notes there what the
settings were, the last to leave puts them back. What a killed loader left is put right by whoever loads next,
or finds nothing left to load.

The translog stays as durable as it was. Written asynchronously, it would spare a request of some 7,000 rows
an fsync of about 3 ms a shard, and a killed server would lose rows that it has acknowledged: a load could
not outlive it.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import uuid
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ...core.errors import CaptionIndexError, ServerError
from .catalogue import CONTROL_ID, Catalogue
from .liveness import HEARTBEAT, Life, life_of, signature
from .queries import Body
from .records import change_record, get_record

logger = logging.getLogger(__name__)

_RESTORED = ("refresh_interval", "number_of_replicas", "auto_expand_replicas")
_LOOK = 1.0
"""Seconds between two looks at a loader that may be dead."""


@contextlib.contextmanager
def loading(catalogue: Catalogue) -> Generator[None]:
    """Apply the settings for loading, and put them back at the end, also after a failure.

    Replicas are dropped only while the index is empty: the rows of an index in use stay as safe as they were.
    """
    session = _Session(catalogue, uuid.uuid4().hex)
    try:
        session.enter()
        with session.beating():
            yield
    except BaseException as error:  # what can't be put back now, the next loader puts back
        try:
            # A load that lost its server had all the patience there is; Ctrl-C must not wait at all.
            (session.impatient() if isinstance(error, ServerError) else session).leave(wait=False)
        except CaptionIndexError as left:
            logger.warning("the settings of %s stay as for loading until the next: %s", catalogue.index, left)
        raise
    session.leave(wait=True)


@dataclass(frozen=True, slots=True)
class _Session:
    catalogue: Catalogue
    id: str

    def enter(self) -> None:
        empty = self.catalogue.view().rows == 0
        before = self._settings()
        now = self.catalogue.server_time()

        def with_session(detail: Body) -> Body:
            restore = detail["restore"] or {name: before.get(name) for name in _RESTORED}
            sessions = {**living(detail, now), self.id: signature(now)}
            return {**detail, "restore": restore, "sessions": sessions}

        change_control(self.catalogue, with_session)
        settings: Body = {"refresh_interval": "-1"}
        if empty:
            settings |= {"auto_expand_replicas": False, "number_of_replicas": 0}
        _put(self.catalogue, settings)

    @contextlib.contextmanager
    def beating(self) -> Generator[None]:
        """Renew the signature every now and then."""
        stop = threading.Event()

        def beat() -> None:
            while not stop.wait(HEARTBEAT):
                with contextlib.suppress(CaptionIndexError):  # the load itself notices a lost server
                    self._sign(signature(self.catalogue.server_time()))

        thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def impatient(self) -> _Session:
        """The same, with no more patience than a question has."""
        server = self.catalogue.server
        server = replace(server, patience=min(server.patience, server.reading))
        return _Session(Catalogue(server, self.catalogue.index), self.id)

    def leave(self, *, wait: bool) -> None:
        """The last one puts the settings back."""
        self._sign(None)
        settle(self.catalogue, wait=wait)

    def _sign(self, signed: Body | None) -> None:
        """Put the signature into the record, or take this session out of it."""

        def changed_detail(detail: Body) -> Body:
            others = {key: value for key, value in detail["sessions"].items() if key != self.id}
            return {**detail, "sessions": {**others, self.id: signed} if signed else others}

        change_control(self.catalogue, changed_detail)

    def _settings(self) -> Mapping[str, Any]:
        answer = self.catalogue.server.ask(
            lambda es: es.indices.get_settings(index=self.catalogue.index, flat_settings=False).body
        )
        return next(iter(answer.values()))["settings"]["index"]


def settle(catalogue: Catalogue, *, wait: bool) -> None:
    """Put back the settings that a killed loader left, unless another is at work.

    With ``wait``, a loader that may be dead is watched until it has signed again or is certainly dead.
    """
    first_look: Body | None = None
    while True:
        record = get_record(catalogue, CONTROL_ID)
        detail: Body = record["record"]["detail"] if record else {}
        if not detail.get("restore"):
            return
        now = catalogue.server_time()
        lives = {key: life_of(signed, now) for key, signed in detail["sessions"].items()}
        uncertain = [key for key, life in lives.items() if life is Life.UNCERTAIN]
        beats = {key: detail["sessions"][key]["beat"] for key in uncertain}
        if Life.ALIVE in lives.values():
            return
        if not beats:
            break
        first_look = beats if first_look is None else first_look
        if not wait or any(beat != first_look.get(key) for key, beat in beats.items()):
            return
        time.sleep(_LOOK)
    _put(catalogue, restored(detail["restore"]))
    change_control(
        catalogue,
        lambda detail: detail if living(detail, now) else {**detail, "restore": {}, "sessions": {}},
    )


def loaders(catalogue: Catalogue) -> int:
    """How many loaders are at work, as far as anybody can tell."""
    record = get_record(catalogue, CONTROL_ID)
    return len(living(record["record"]["detail"], catalogue.server_time())) if record else 0


def living(detail: Body, server_time: float) -> Body:
    """The sessions whose loader isn't known to be dead."""
    sessions: Body = detail["sessions"]
    return {key: signed for key, signed in sessions.items() if life_of(signed, server_time) is not Life.DEAD}


def restored(before: Mapping[str, Any]) -> Body:
    """The settings that put back what ``before`` says; None sets the server's default."""
    settings: Body = {"refresh_interval": before.get("refresh_interval")}
    expand = before.get("auto_expand_replicas")
    if expand and expand != "false":
        return {**settings, "auto_expand_replicas": expand}
    return {**settings, "number_of_replicas": before.get("number_of_replicas") or 0}


def change_control(catalogue: Catalogue, change: Callable[[Body], Body]) -> Body:
    """Put the detail of the index's own record through ``change`` and return it."""

    def new_record(document: Body | None) -> Body:
        detail: Body = document["record"]["detail"] if document else {"restore": {}, "sessions": {}}
        return {"kind": "index", "record": {"detail": change(detail)}}

    document = change_record(catalogue, CONTROL_ID, new_record)
    return document["record"]["detail"] if document else {}


def _put(catalogue: Catalogue, settings: Body) -> None:
    catalogue.server.ask(
        lambda es: es.indices.put_settings(index=catalogue.index, settings={"index": settings}),
        patience=catalogue.server.patience,
    )

"""Settings for loading, put back at the end: while rows pour in, nothing is refreshed and nothing copied.

Several machines load one index at a time. Each notes itself in the index's own record; the first notes there
what the settings were, the last to leave puts them back. A killed loader is noticed: by its process number on
the same machine, else once it has been silent for a while. Whoever loads next puts right what it left.

The translog stays as durable as it was. Written asynchronously, it would spare a request of some 7,000 rows
an fsync of about 3 ms a shard, and a killed server would lose rows that it has acknowledged: a load could
not outlive it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ...core.errors import CaptionIndexError, ServerError
from .catalogue import Catalogue
from .queries import Body
from .records import CONTROL_ID, change_record, get_record
from .server import READ_PATIENCE

HEARTBEAT = 20.0
SILENT = 120.0
"""Seconds without a heartbeat after which a loader on another machine counts as dead."""

_RESTORED = ("refresh_interval", "number_of_replicas", "auto_expand_replicas")


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
    except ServerError:  # all patience was had; what can't be put back now, the next loader puts back
        with contextlib.suppress(CaptionIndexError):
            session.impatient().leave()
        raise
    except BaseException:
        session.leave()
        raise
    session.leave()


@dataclass(frozen=True, slots=True)
class _Session:
    catalogue: Catalogue
    id: str

    def enter(self) -> None:
        empty = self.catalogue.view().rows == 0
        current = self._settings()

        def with_session(detail: Body) -> Body:
            others = living(detail)
            restore = detail["restore"] or {name: current.get(name) for name in _RESTORED}
            return {**detail, "restore": restore, "sessions": {**others, self.id: _sign()}}

        self._change(with_session)
        settings: Body = {"refresh_interval": "-1"}
        if empty:
            settings |= {"auto_expand_replicas": False, "number_of_replicas": 0}
        self._put(settings)

    @contextlib.contextmanager
    def beating(self) -> Generator[None]:
        """Say every now and then that this loader lives."""
        stop = threading.Event()

        def beat() -> None:
            while not stop.wait(HEARTBEAT):
                with contextlib.suppress(CaptionIndexError):  # the load itself notices a lost server
                    self._change(
                        lambda detail: {**detail, "sessions": {**detail["sessions"], self.id: _sign()}}
                    )

        thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def impatient(self) -> _Session:
        """The same, with no more patience than a question has."""
        server = replace(self.catalogue.server, patience=min(self.catalogue.server.patience, READ_PATIENCE))
        return _Session(Catalogue(server, self.catalogue.index), self.id)

    def leave(self) -> None:
        """The last one puts the settings back."""
        detail = self._change(
            lambda detail: {**detail, "sessions": {k: v for k, v in living(detail).items() if k != self.id}}
        )
        if detail["restore"] and not detail["sessions"]:
            self._put(restored(detail["restore"]))
            self._change(lambda now: now if now["sessions"] else {**now, "restore": {}})

    def _settings(self) -> Mapping[str, Any]:
        answer = self.catalogue.server.ask(
            lambda es: es.indices.get_settings(index=self.catalogue.index, flat_settings=False).body
        )
        return next(iter(answer.values()))["settings"]["index"]

    def _put(self, settings: Body) -> None:
        self.catalogue.server.ask(
            lambda es: es.indices.put_settings(index=self.catalogue.index, settings={"index": settings}),
            patience=self.catalogue.server.patience,
        )

    def _change(self, change: Callable[[Body], Body]) -> Body:
        return change_control(self.catalogue, change)


def loaders(catalogue: Catalogue) -> int:
    """How many loaders are at work, as far as known."""
    record = get_record(catalogue.server, catalogue.index, CONTROL_ID)
    return len(living(record["record"]["detail"])) if record else 0


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

    document = change_record(catalogue.server, catalogue.index, CONTROL_ID, new_record)
    return document["record"]["detail"] if document else {}


def _sign() -> Body:
    return {"host": socket.gethostname(), "pid": os.getpid(), "beat": time.time()}


def living(detail: Body) -> Body:
    """The sessions whose loader isn't known to be dead."""
    return {key: session for key, session in detail["sessions"].items() if _lives(session)}


def _lives(session: Mapping[str, Any]) -> bool:
    if session["host"] == socket.gethostname():
        try:
            os.kill(session["pid"], 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass  # it lives, as another user
    return time.time() - session["beat"] < SILENT

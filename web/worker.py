"""A process that answers questions about the caption index, one after the other: ``captrawl.web.worker``.

Messages go over its stdin and stdout, each with its length in four bytes before it. The first says what to
open (Sources); an empty answer says that it is ready. Then each question (CaptionParameters) is followed by
its answer: ANSWER and JSON, or ERROR and the pickled error. It ends when its stdin does.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import struct
import sys
import traceback
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ..core.errors import CaptrawlError
from ..core.startup import settle_without_pandas

LENGTH = struct.Struct("!I")
ANSWER, ERROR = b"+", b"-"


class Sources(NamedTuple):
    """Where the caption index and the workspace of a server are."""

    location: str
    workspace: Path | None


def framed(data: bytes) -> bytes:
    """``data`` behind its length."""
    return LENGTH.pack(len(data)) + data


def main() -> None:
    """Answer until the server ends."""
    with contextlib.suppress(BrokenPipeError), os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)  # what a library prints goes to stderr, not among the answers
        _serve(sys.stdin.buffer, answers)


def _serve(questions: BinaryIO, answers: BinaryIO) -> None:
    def send(data: bytes) -> None:
        answers.write(framed(data))
        answers.flush()

    settle_without_pandas()
    from ..indexer.opening import open_index
    from ..workspace.workspace import Workspace
    from .caption_pages import answer
    from .explorer import Explorer

    if not (first := _read(questions)):
        return
    sources: Sources = pickle.loads(first)  # noqa: S301 our own server's
    try:
        with open_index(sources.location) as captions:
            workspace = Workspace.open(sources.workspace) if sources.workspace else None
            explorer = Explorer(captions, sources.location, workspace)
            send(ANSWER)
            while message := _read(questions):
                try:
                    send(ANSWER + answer(explorer, pickle.loads(message)))  # noqa: S301 our own server's
                except Exception as error:  # noqa: BLE001 the server raises it
                    send(ERROR + _pickled(error))
    except CaptrawlError as error:
        send(ERROR + _pickled(error))


def _read(questions: BinaryIO) -> bytes:
    """The next message; empty at the end."""
    length = questions.read(LENGTH.size)
    return questions.read(*LENGTH.unpack(length)) if len(length) == LENGTH.size else b""


def _pickled(error: Exception) -> bytes:
    if not isinstance(error, CaptrawlError):
        error = RuntimeError("".join(traceback.format_exception(error)))
    return pickle.dumps(error)


if __name__ == "__main__":
    main()

"""A process that answers questions to the caption index, one at a time: ``python -m captrawl.web.worker``.

Over its stdin and stdout go frames, four bytes of length before each. It is told what is served (Served), and
says that it is ready by a first answer; then a question (Question, Asked) is followed by its answer. An
answer is a mark and the JSON text, or a mark and the error, pickled as all but JSON is. It ends with its
stdin.
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


class Served(NamedTuple):
    """The caption index and the workspace of a server."""

    location: str
    workspace: Path | None


def framed(data: bytes) -> bytes:
    """``data`` behind its length."""
    return LENGTH.pack(len(data)) + data


def main() -> None:
    """Answer until the server ends."""
    with contextlib.suppress(BrokenPipeError), os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)  # whatever else may be printed is no answer
        _serve(sys.stdin.buffer, answers)


def _serve(questions: BinaryIO, answers: BinaryIO) -> None:
    def give(data: bytes) -> None:
        answers.write(framed(data))
        answers.flush()

    settle_without_pandas()
    from ..search.captions import open_captions
    from ..workspace.workspace import Workspace
    from .caption_pages import answer
    from .explorer import Explorer

    if not (told := _read(questions)):
        return
    served: Served = pickle.loads(told)  # noqa: S301 our own server's
    try:
        with open_captions(served.location) as captions:
            workspace = Workspace.open(served.workspace) if served.workspace else None
            explorer = Explorer(captions, served.location, workspace)
            give(ANSWER)
            while frame := _read(questions):
                try:
                    give(ANSWER + answer(explorer, *pickle.loads(frame)))  # noqa: S301 our own server's
                except Exception as error:  # noqa: BLE001 the server tells it
                    give(ERROR + _pickled(error))
    except CaptrawlError as error:
        give(ERROR + _pickled(error))


def _read(questions: BinaryIO) -> bytes:
    """The next frame; empty at the end."""
    head = questions.read(LENGTH.size)
    return questions.read(*LENGTH.unpack(head)) if len(head) == LENGTH.size else b""


def _pickled(error: Exception) -> bytes:
    if not isinstance(error, CaptrawlError):
        error = RuntimeError("".join(traceback.format_exception(error)))
    return pickle.dumps(error)


if __name__ == "__main__":
    main()

"""The typer app: the commands of every theme under one name, errors as one clear line."""

from __future__ import annotations

import contextlib
import gc
import io
import logging
import os
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
from typer.core import TyperGroup

from .commands.hints import directory_first, hint, unreadable
from .commands.table import GROUPS, Commands
from .core.errors import (
    NO_MEMORY,
    CaptrawlError,
    StorageError,
    UsageError,
    lacks_memory,
    machines_fault,
    no_process,
)
from .core.interrupts import (
    INTERRUPTED,
    MESSAGE,
    end_at_once,
    end_when_interrupted,
    from_interrupt,
    interruptible,
)
from .core.startup import settle_without_wandb
from .core.version import __version__

USAGE_ERROR: Any = typer.BadParameter.__base__
"""What typer raises for words that it can't parse, and doesn't export."""


def _say(what: CaptrawlError | str) -> None:
    """Tell an error, harmless: it may quote a server, a file or a name."""
    from .core.terminal import clean, err

    err().print(clean(f"captrawl: {what}"), style="red", soft_wrap=True)


def _stream(error: OSError) -> str | None:
    """Standard output, where ``error`` came while printing: it has no name of a file. None for all else."""
    modules = {frame.f_globals.get("__name__") for frame, _ in traceback.walk_tb(error.__traceback__)}
    printing = modules & {"rich.console", "captrawl.core.terminal"}
    return "standard output" if printing and error.filename is None else None


class _Lines(logging.StreamHandler[TextIO]):
    """Log lines on stderr, beside a progress bar that steps aside."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write ``record``."""
        from .core.terminal import paused

        with paused():
            super().emit(record)


class Guarded(TyperGroup):
    """A group whose user errors are a line and exit code 1 or 2; Ctrl-C is 130; bugs keep their traceback."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands: Any = Commands()

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            with interruptible():
                return self._invoke(ctx)
        except USAGE_ERROR as error:
            guess = hint(getattr(error.ctx, "info_name", "") or "", getattr(error, "option_name", ""))
            if guess:
                error.message = f"{error.message.rstrip('.')}; {guess}"
            raise
        except CaptrawlError as error:
            _say(machines_fault(error))
            raise SystemExit(2 if isinstance(error, UsageError) else 1) from error
        except OSError as error:
            refused = NO_MEMORY if no_process(error) else StorageError.of(error, _stream(error))
            if refused is None:
                raise
            _say(refused)
            raise SystemExit(1) from error
        except KeyboardInterrupt:  # nothing may be imported now: numpy, cut short once, fails the next time
            typer.secho(f"captrawl: {MESSAGE}", fg="red", err=True)
            raise SystemExit(INTERRUPTED) from None
        except Exception as error:
            if not lacks_memory(error):
                raise
            _say(NO_MEMORY)
            raise SystemExit(1) from error

    def _invoke(self, ctx: Any) -> Any:
        """Run the command; what an import that Ctrl-C cut short breaks afterwards is Ctrl-C."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            own = isinstance(error, CaptrawlError) and not isinstance(error.__cause__, ImportError)
            if own or not from_interrupt(error):
                raise
            raise KeyboardInterrupt from error

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse ``args``; -C may stand behind the command too."""
        if wrong := unreadable(args):
            _say(wrong)
            raise SystemExit(2)
        return super().parse_args(ctx, directory_first(args))

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """Write the commands in groups."""
        for title, entries in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(name, entry.summary) for name, entry in entries.items()])


app = typer.Typer(
    cls=Guarded,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="From class names to a training list: phrase match in web captions, download, embed, rank by k-NN.",
)


def show_version(wanted_version: bool) -> None:
    """Print the version and leave, where it is asked for."""
    if wanted_version:
        typer.echo(f"captrawl {__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    directory: Annotated[
        Path, typer.Option("-C", metavar="DIR", help="The workspace that the command works in.")
    ] = Path(),
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens on stderr.")] = False,
    version: Annotated[  # noqa: ARG001
        bool,
        typer.Option("--version", callback=show_version, is_eager=True, help="Print the version and leave."),
    ] = False,
) -> None:
    """Options that come before the command."""
    level = logging.INFO if verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s", handlers=[_Lines()])
    # What the Elasticsearch client retries it tells with a traceback; ours says what it waits for in a line.
    logging.getLogger("elastic_transport").setLevel(logging.ERROR)
    context.obj = directory


def open_streams() -> None:
    """Give closed standard streams somewhere to go, and let one that isn't UTF-8 write what it can.

    A file opened while descriptor 1 or 2 is free would take its number, and the next line printed would land
    in it.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
    sys.stdout = sys.stdout or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def main() -> None:
    """Run the command line, as __main__ does once Ctrl-C is heard."""
    open_streams()
    end_when_interrupted()
    settle_without_wandb()
    gc.set_threshold(5_000)  # modules make objects that stay: a look for garbage after every 700 is slow
    try:
        app(prog_name="captrawl")
    except SystemExit as left:
        if left.code != INTERRUPTED:
            raise
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                stream.flush()
        os._exit(INTERRUPTED)  # threads that wait for others' servers would hold it for minutes
    except KeyboardInterrupt:  # while its own message was on the way
        end_at_once()
    finally:
        if "torch" not in sys.modules:  # whose libraries tell at the end what of theirs is left
            gc.freeze()  # no look among what ends with the process either: a tenth of a cold query

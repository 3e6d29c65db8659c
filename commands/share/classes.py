"""captrawl classes: class lists from one format to another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...core.errors import ClassListError, UsageError
from ...core.wording import counted
from .. import options
from ..results import first_classes

app = typer.Typer()
classes_app = typer.Typer(help="Class lists.", no_args_is_help=True)
app.add_typer(classes_app, name="classes")


@classes_app.callback()
def classes() -> None:
    """Class lists."""


@classes_app.command("convert", cls=options.ListsChoices, short_help="Write a class list in another format.")
def convert(
    source: Annotated[
        Path, typer.Argument(metavar="FILE", help="A class list of any format, or an ImageFolder.")
    ],
    to: Annotated[
        str,
        typer.Option(
            metavar="FORMAT",
            help="{list_formats} or imagefolder.",
            autocompletion=options.list_targets,
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write a file instead of stdout.")
    ] = None,
    most_common_name: Annotated[
        str, typer.Option(metavar="relaxed|strict", help="Set each most common name by SWAT's rule.")
    ] = "",
) -> None:
    """Write a class list in another format, saying what is lost."""
    from ...classes import files as class_formats
    from ...classes.files import load_classes
    from ...classes.model import with_common_names
    from ...core.terminal import say

    try:
        class_formats.check_format(to, output)
    except ClassListError as error:
        raise UsageError(str(error)) from error
    if most_common_name not in {"", "relaxed", "strict"}:
        raise UsageError(f"--most-common-name {most_common_name}: choose relaxed or strict")
    classes = load_classes(source)
    if most_common_name:
        classes = with_common_names(classes, "strict" if most_common_name == "strict" else "relaxed")
    for line in (f"{source}: {counted(len(classes), 'class')}", *first_classes(classes)):
        say(line)
    if output is None:
        typer.echo(class_formats.render(classes, to), nl=False)
        return
    for loss in class_formats.convert(classes, output, to):
        say(f"warning: {output} doesn't contain the {loss}")

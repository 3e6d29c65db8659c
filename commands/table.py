"""Every command under its name; one is imported when it is first asked for, and the help imports none."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import typer

from .examples import EXAMPLES


class HelpLine(NamedTuple):
    """One command in the help."""

    module: str
    """In this folder; its ``app`` has the command alone."""
    summary: str


GROUPS: dict[str, dict[str, HelpLine]] = {
    "Look around": {
        "query": HelpLine("explore.query", "Show captions that contain any of the phrases."),
        "count": HelpLine("explore.count", "Count the rows of phrases, or of a class list."),
        "similar": HelpLine("explore.similar", "Show the images or captions nearest to a text or image."),
        "serve": HelpLine("explore.serve", "Explore an index and the workspace on a web page."),
        "demo": HelpLine("explore.demo", "Run the whole job on a small web that is drawn here."),
        "doctor": HelpLine("explore.doctor", "Check what users trip over."),
    },
    "Make a list": {
        "index": HelpLine("make.index", "Fill an index, list it, take some of it out."),
        "init": HelpLine("make.init", "Make a workspace: class list, index, settings."),
        "synonyms": HelpLine("make.synonyms", "Ask a language model for synonyms; filter and review them."),
        "match": HelpLine("make.match", "Find the rows whose captions name a class."),
        "plan": HelpLine("make.plan", "Say what a run would fetch and embed, and how long it would take."),
        "download": HelpLine("make.download", "Fetch the matched images and pack them into images/."),
        "embed": HelpLine("make.embed", "Embed images and captions, build the FAISS indices."),
        "judge": HelpLine("make.judge", "Ask a vision model which name fits the pictures in doubt."),
        "sample": HelpLine("make.sample", "Choose each class's images and write the training list."),
        "run": HelpLine("make.run", "Do every stage that isn't done."),
        "slurm": HelpLine("make.slurm", "Write, and send, the job arrays that do a run in parts."),
    },
    "Check and share": {
        "status": HelpLine("share.status", "Show how every stage stands."),
        "evaluate": HelpLine("share.evaluate", "Say which sample is worth training on."),
        "report": HelpLine("share.report", "Write the report: one page, its plots and its numbers."),
        "export": HelpLine("share.export", "Write a sample for other tools."),
        "purge": HelpLine("share.purge", "Remove rows and pictures everywhere, for good, and prove it."),
        "classes": HelpLine("share.classes", "Class lists."),
        "descriptors": HelpLine(
            "share.descriptors", "Write the hashes of a test set, to share without its images."
        ),
        "import": HelpLine("share.import_swat", "Make a workspace of what other tools left."),
        "mcp": HelpLine("share.mcp", "Let an agent look at an index and the workspace."),
    },
}
"""Title → name → command, as the help shows them."""


class Commands(Mapping[str, Any]):
    """name → click command; building one reads the signature of its every option: milliseconds."""

    def __init__(self) -> None:
        self._entries = {name: entry for group in GROUPS.values() for name, entry in group.items()}
        self._built: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        """The command; KeyError where there is none of that name."""
        if name not in self._built:
            module = importlib.import_module(f".{self._entries[name].module}", __package__)
            alone = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)
            alone.add_typer(with_examples(module.app))
            group: Any = typer.main.get_command(alone)
            self._built[name] = group.commands[name]
        return self._built[name]

    def __iter__(self) -> Iterator[str]:
        """The names, in the order of the help."""
        return iter(self._entries)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._entries)


def with_examples(commands: typer.Typer, before: str = "") -> typer.Typer:
    """``commands``, whose help ends with their examples."""
    for entry in commands.registered_commands:
        entry.epilog = f"Example: {EXAMPLES[f'{before}{entry.name}']}"
    for group in commands.registered_groups:
        if group.typer_instance:
            with_examples(group.typer_instance, f"{before}{group.name} " if group.name else before)
    return commands

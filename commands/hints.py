"""What a wrong guess on the command line means: where -C goes, and options that other commands have."""

from __future__ import annotations

from pathlib import Path

DIRECTORY = "-C"

ELSEWHERE: dict[tuple[str, str], str] = {
    ("query", "--classes"): "captrawl count --classes FILE counts a class list",
    ("query", "-n"): "write --limit",
    ("query", "-k"): "write --limit",
    ("query", "--size"): "write --limit",
    ("count", "--limit"): "captrawl query shows rows",
    ("match", "-n"): "write --sample",
    ("match", "--limit"): "write --sample",
    ("sample", "--format"): "captrawl export --to FORMAT FOLDER writes a sample for other tools",
    ("export", "--format"): "write --to",
    ("similar", "-n"): "write -k",
    ("similar", "--limit"): "write -k",
    ("run", "--resize"): "set [download] resize in captrawl.toml, or run captrawl download --resize first",
    ("run", "--model"): "set [model] in captrawl.toml, or run captrawl embed --model first",
    ("run", "--name"): "captrawl sample --name draws one list",
    ("init", "--to"): "write --index",
    ("query", "--to"): "write --index",
    ("count", "--to"): "write --index",
    ("captions", "--index"): "write --to",
}
"""(command, option that it doesn't have) → what was probably meant."""


def hint(command: str, option: str) -> str:
    """What to do instead of giving ``option`` to ``command``; empty where there is no guess."""
    return ELSEWHERE.get((command, option), "")


def directory_first(arguments: list[str]) -> list[str]:
    """``arguments`` with a -C DIR that stands behind the command moved before it, where it belongs."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    for place in range(1, end - 1):
        if arguments[place] == DIRECTORY and DIRECTORY not in arguments[:place]:
            rest = [*arguments[:place], *arguments[place + 2 :]]
            return [DIRECTORY, arguments[place + 1], *rest]
    return arguments


def unreadable(arguments: list[str]) -> str:
    """What is wrong with the first argument that isn't text; empty where all are.

    A shell in another encoding, or a file name from an old disk, gives bytes that aren't UTF-8: indices,
    settings and lists can't hold them.
    """
    for argument in arguments:
        if any("\ud800" <= character <= "\udfff" for character in argument):
            return f"the argument {argument!r:.100} isn't valid Unicode; give it in UTF-8, or rename the file"
        if "\0" in argument:
            return f"the argument {argument!r:.100} has a NUL character in it; leave that out"
    return ""


def looks_like_a_list(phrase: str) -> bool:
    """Whether a phrase is the path of a class list."""
    return (
        phrase.lower().endswith((".csv", ".tsv", ".json", ".txt", ".yaml", ".yml")) and Path(phrase).is_file()
    )

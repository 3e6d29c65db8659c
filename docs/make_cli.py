"""Write docs/cli.md on stdout: every command's own help, as the user sees it at 100 columns."""

from __future__ import annotations

import os
import subprocess
import sys

ENVIRONMENT = {**os.environ, "COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"}


def help_of(*command: str) -> str:
    """The help of one command."""
    arguments = [sys.executable, "-m", "captrawl", *command, "--help"]
    done = subprocess.run(arguments, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    return done.stdout.rstrip()


def commands(text: str) -> list[str]:
    """The names under the groups of commands of a help text, which stand behind the options."""
    _, _, behind = text.partition("\nOptions:\n")
    _, _, groups = behind.partition("\n\n")
    if groups.startswith("  Example:"):
        return []
    return [line.split()[0] for line in groups.splitlines() if line.startswith("  ") and line[2] != " "]


def write(*command: str) -> None:
    """Print the section of one command, then those of the commands below it."""
    text = help_of(*command)
    sys.stdout.write(f"\n## captrawl {' '.join(command)}".rstrip() + f"\n\n```text\n{text}\n```\n")
    for name in commands(text):
        write(*command, name)


if __name__ == "__main__":
    sys.stdout.write("# Commands\n\nMade from `--help` by `make docs`; a test checks it.\n")
    write()

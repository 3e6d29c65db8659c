"""Hooks of mkdocs: links from docs/ to files beside it, and what the theme lacks for screen readers."""

from __future__ import annotations

import os
import re

REPOSITORY = os.environ.get("CAPTRAWL_REPOSITORY", "https://github.com/OWNER/captrawl")
"""Where the source is; the owner names it once (README.md has the same placeholder)."""


def on_page_markdown(markdown: str, **_: object) -> str:
    """``../examples/x.py`` as an address of the repository, since the site lacks it."""
    return re.sub(r"\]\(\.\./([^)]+)\)", rf"]({REPOSITORY}/blob/main/\1)", markdown)


def on_page_content(html: str, **_: object) -> str:
    """An empty cell of a table's head is no header of anything."""
    return re.sub(r"<th([^>]*)></th>", r"<td\1></td>", html)


def on_post_page(output: str, **_: object) -> str:
    """The search dialog has a name."""
    return output.replace('role="dialog">', 'role="dialog" aria-label="Search">')

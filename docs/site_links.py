"""A hook of mkdocs: links from docs/ to files beside it lead to the repository, since the site lacks them."""

from __future__ import annotations

import os
import re

REPOSITORY = os.environ.get("CAPTRAWL_REPOSITORY", "https://github.com/OWNER/captrawl")
"""Where the source is; the owner names it once (README.md has the same placeholder)."""


def on_page_markdown(markdown: str, **_: object) -> str:
    """``../examples/x.py`` as an address of the repository."""
    return re.sub(r"\]\(\.\./([^)]+)\)", rf"]({REPOSITORY}/blob/main/\1)", markdown)

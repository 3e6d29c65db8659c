"""Explore a caption index, and a workspace's images, from Python; the same in a notebook, cell by cell.

python examples/explore.py INDEX [WORKSPACE]
"""

from __future__ import annotations

import sys
from pathlib import Path

import captrawl


def explore_captions(location: str) -> None:
    """What would I get? Counts, captions, a filtered question, a class list."""
    with captrawl.open_captions(location) as index:
        counted = captrawl.count(index, ["flag", "banner"])
        print(
            f"{counted.total:,} rows of {index.rows():,} contain a flag or a banner: {dict(counted.synonyms)}"
        )

        table = captrawl.query(index, ["flag", "banner"], size=5, order="random", seed=1)
        print(
            table.select(["synonym", "caption", "width", "height"]).to_pandas()
        )  # or polars.from_arrow(table)

        large = captrawl.CaptionQuery(
            ("flag",),
            exclude=("banner",),
            filters=captrawl.Filters(min_side=200, safety=captrawl.Safety.STRICT),
        )
        print(f"{captrawl.count(index, large).total:,} of them are large and surely safe")


def explore_workspace(folder: str) -> None:
    """The classes' synonyms in the index, and the images nearest to a text."""
    workspace = captrawl.Workspace.open(Path(folder))
    classes = captrawl.load_classes(workspace.classes_path())
    with captrawl.open_captions(workspace.settings().captions.index) as index:
        shares = captrawl.count_classes(index, classes).to_pandas()
    print(shares.sort_values("frequency", ascending=False).head())

    near = captrawl.similar(workspace, text="a red sign", k=5)
    print(near.select(["score", "caption", "path"]).to_pandas())


if __name__ == "__main__":
    try:
        explore_captions(sys.argv[1])
        if len(sys.argv) > 2:
            explore_workspace(sys.argv[2])
    except captrawl.CaptrawlError as error:
        sys.exit(f"explore.py: {error}")

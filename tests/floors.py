"""Print the floor of every requirement in pyproject.toml beside the version that is installed here."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
for requirement in sorted(sum(project["optional-dependencies"].values(), project["dependencies"])):
    floor = re.match(r"([\w-]+)(?:\[\w+\])?>=([0-9.]+)", requirement)
    if floor is None:
        continue
    try:
        installed = version(floor[1])
    except PackageNotFoundError:
        installed = "not installed"
    print(f"{floor[1]:24} {floor[2]:10} {installed}")

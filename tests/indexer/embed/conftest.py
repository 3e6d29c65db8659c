"""The embedding tests' workspaces, which the download tests' of the same name would hide here."""

from __future__ import annotations

import sys

make_workspace = sys.modules["captrawl_tests_embedding"].make_workspace

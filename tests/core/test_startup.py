"""What a command does without."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_a_models_library_is_loaded_without_wandb(tmp_path: Path) -> None:
    """Whose import takes a second and leaves two folders in the system's temporary one after a kill."""
    code = (
        "import os, signal, sys\nfrom captrawl.core.startup import settle_without_wandb\n"
        "settle_without_wandb()\nimport timm\nprint(sys.modules['wandb'], flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "None\n", done.stderr
    assert [path.name for path in tmp_path.iterdir() if "wandb" in path.name] == []

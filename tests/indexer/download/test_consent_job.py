"""The job of benchmarks/consent_job.py, small: undisturbed and killed alike, with a clean server log."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "consent_job.py"


def test_the_small_job() -> None:
    sizes = ["--rows", "300", "--hosts", "25", "--classes", "2", "--until", "20", "--kills", "1"]
    sizes += ["--in-flight", "32", "--lists", "5"]
    ended = subprocess.run([sys.executable, SCRIPT, *sizes], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    report = json.loads(ended.stdout)
    assert report["same_ends"] is True
    assert report["same_lists"] is True
    assert report["calm"]["counts"]["dropped:placeholder"] > 0
    assert report["calm"]["counts"] == report["killed"]["counts"]
    assert report["calm"]["counts"]["packed"] >= 40
    assert report["calm"]["counts"]["not_asked"] > 0

"""Writes tests/golden/workspace-1: run once for each version of the formats, by the commands of that version.

    python tests/workspace/make_golden.py tests/golden/workspace-1

Everything is made below /tmp/captrawl-golden, where the test copies it back: lists and models have absolute
paths.
"""

from __future__ import annotations

import http.server
import io
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

PLACE = Path("/tmp/captrawl-golden")
PORT = 48731
CLASSES = "dog,puppy;hound\ncat,kitten\nbus,coach\n"
NAMES = ("dog", "puppy", "cat", "kitten", "bus", "coach", "tower")


class Pictures(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        name = self.path.strip("/").removesuffix(".jpg")
        if not name.isdecimal():  # robots.txt
            return self.send_error(404)
        number = int(name)
        blocks = np.random.default_rng(number).integers(0, 256, (4, 5, 3), dtype=np.uint8)
        body = io.BytesIO()
        Image.fromarray(blocks).resize((120, 100), Image.Resampling.NEAREST).save(body, "JPEG")
        self.send_response(404 if number % 9 == 8 else 200)
        self.send_header("Content-Type", "image/jpeg")
        self.end_headers()
        self.wfile.write(body.getvalue())
        return None

    def log_message(self, *arguments: object) -> None:
        pass


def captrawl(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "captrawl", *map(str, arguments)], check=True, cwd=PLACE)


def main(target: Path) -> None:
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir()
    shutil.copytree(Path(__file__).resolve().parents[2] / "demo" / "model", PLACE / "model")
    captions = [f"a photo of a {NAMES[number % len(NAMES)]}, number {number}" for number in range(40)]
    urls = [f"http://127.0.0.1:{PORT}/{number}.jpg" for number in range(40)]
    pq.write_table(pa.table({"url": urls, "caption": captions}), PLACE / "rows.parquet")
    (PLACE / "classes.csv").write_text(CLASSES)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Pictures)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    captrawl("index", "captions", "rows.parquet", "--to", "captions")
    model = ("--model", f"local-dir:{PLACE / 'model'}")
    captrawl("init", "birds", "--classes", "classes.csv", "--index", "captions", *model)
    captrawl("-C", "birds", "run", "--allow-private")
    server.shutdown()
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(PLACE, target, ignore=shutil.ignore_patterns("model"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""What an agent can do over stdio, asked by the SDK's own client."""

from __future__ import annotations

import base64
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import captrawl as ct
import pytest
from captrawl.library.agent import READING, WRITING
from PIL import Image

anyio = pytest.importorskip("anyio")
mcp = pytest.importorskip("mcp", reason="pip install 'captrawl[mcp]'")


SQLITES_OWN = ("-wal", "-shm")


def asked(arguments: list[object], ask: Callable[[Any], Any]) -> Any:
    """What ``ask(client)`` gives, of a server started as a user's agent starts it."""
    from mcp.client.client import Client
    from mcp.client.stdio import StdioServerParameters, stdio_client

    async def run() -> Any:
        command = StdioServerParameters(command=sys.executable, args=["-m", "captrawl", *map(str, arguments)])
        async with Client(stdio_client(command)) as client:
            return await ask(client)

    return anyio.run(run)


def values(result: Any) -> Any:
    assert not result.is_error, result.content
    return json.loads(result.content[0].text)


def tree(root: Path) -> dict[str, int]:
    return {
        str(path): path.stat().st_mtime_ns
        for path in root.rglob("*")
        if path.is_file() and not path.name.endswith(SQLITES_OWN)
    }


def test_an_agent_reads_and_nothing_is_written(ready: ct.Workspace) -> None:
    before = tree(ready.root)

    async def ask(client: Any) -> dict[str, Any]:
        tools = (await client.list_tools()).tools
        call = client.call_tool
        return {
            "tools": {tool.name: tool for tool in tools},
            "query": await call("query", {"phrases": ["anchor"], "limit": 2, "order": "corpus"}),
            "count": await call("count", {"phrases": ["anchor", "stop sign"]}),
            "classes": await call("classes", {}),
            "status": await call("status", {}),
            "sample": await call("sample", {"name": "T2I4", "class_name": "anchor", "limit": 3}),
            "dropped": await call("sample", {"name": "T2I4", "class_name": "anchor", "dropped": True}),
            "similar": await call("similar", {"text": "a palm tree", "limit": 2}),
            "outside": await call("similar", {"image": "../../etc/passwd"}),
            "no class": await call("sample", {"name": "T2I4", "class_name": "ancor"}),
            "mark": await call("mark", {"class_name": "anchor", "uids": ["1"], "mark": "rejected"}),
        }

    got = asked(["-C", ready.root, "mcp"], ask)
    assert set(got["tools"]) == set(READING)
    assert all(tool.annotations.read_only_hint for tool in got["tools"].values())
    assert got["tools"]["query"].input_schema["required"] == ["phrases"]
    found = values(got["query"])
    assert found["total"] == 6
    assert found["rows"][0]["caption"] == "an anchor <script>alert(1)</script> & <b>more</b>"
    assert values(got["count"]) == {"total": 12, "phrases": {"anchor": 6, "stop sign": 6}, "unsafe": 0}
    assert values(got["classes"])["rows"][1] == {
        "id": 1, "name": "anchor", "total": 6, "synonyms": {"anchor": 6},
    }  # fmt: skip
    assert values(got["status"])["samples"] == ["T2I4"]
    rows = values(got["sample"])["rows"]
    assert [(row["rank"], row["picture"]) for row in rows] == [(1, 1), (2, 2), (3, 3)]
    assert len(got["sample"].content) == 4
    picture = Image.open(io.BytesIO(base64.b64decode(got["sample"].content[1].data)))
    assert (picture.format, max(picture.size)) == ("WEBP", 192)
    assert [row["reason"] for row in values(got["dropped"])["rows"]] == ["beyond_n"] * 2
    assert [row["class_id"] for row in values(got["similar"])["rows"]] == [2, 2]
    assert got["outside"].is_error
    assert "isn't in the workspace" in got["outside"].content[0].text
    assert "'ancor'; did you mean" in got["no class"].content[0].text or got["no class"].is_error
    assert got["mark"].is_error
    assert tree(ready.root) == before


def test_write_lets_an_agent_draw_and_mark(copy: ct.Workspace) -> None:
    async def ask(client: Any) -> dict[str, Any]:
        sample = values(
            await client.call_tool("sample", {"name": "T2I4", "class_name": "anchor", "limit": 1})
        )
        rejected = {"class_name": "anchor", "uids": [sample["rows"][0]["uid"]], "mark": "rejected"}
        return {
            "tools": [tool.name for tool in (await client.list_tools()).tools],
            "best": sample["rows"][0]["uid"],
            "mark": values(await client.call_tool("mark", rejected)),
            "draw": values(await client.call_tool("draw_sample", {"method": "T2I-rank", "n": 5})),
            "bad": await client.call_tool("mark", {**rejected, "uids": ["x"]}),
        }

    got = asked(["-C", copy.root, "mcp", "--write"], ask)
    assert got["tools"] == [*READING, *WRITING]
    assert got["mark"] == {"confirmed": 0, "rejected": 1}
    assert got["draw"] == {"kept": 15, "list": str(copy.root / "samples" / "T2I5.txt")}
    assert got["bad"].is_error
    assert got["best"] not in map(str, copy.samples["T2I5"]["uid"].to_pylist())
    assert copy.settings().sample[-1].name == "T2I5"


def test_an_index_alone_has_captions_and_no_workspace(task: Any, tmp_path: Path) -> None:
    async def ask(client: Any) -> tuple[Any, Any]:
        return (
            await client.call_tool("count", {"phrases": ["palm tree"]}),
            await client.call_tool("status", {}),
        )

    count, status = asked(["-C", tmp_path, "mcp", "--index", task.index], ask)
    assert values(count)["total"] == 6
    assert status.is_error
    assert "there is no workspace; start captrawl -C DIR mcp" in status.content[0].text

"""The tools of an agent on the wire: the Model Context Protocol over stdin and stdout."""

from __future__ import annotations

import base64
import functools
import inspect
import logging
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

from ..core.errors import CaptrawlError, import_failure
from ..core.version import __version__
from .agent import INSTRUCTIONS, READING, WRITING, AgentTools, Pictured

logger = logging.getLogger(__name__)


def serve_tools(tools: AgentTools, *, write: bool) -> None:
    """Answer on stdin and stdout until the client closes them; MissingExtraError without the SDK.

    Without ``write`` no tool is offered that changes anything.
    """
    try:
        sdk: Any = import_module("mcp.server.mcpserver")
        errors: Any = import_module("mcp.server.mcpserver.exceptions")
        types: Any = import_module("mcp_types")
    except ImportError as error:
        raise import_failure(error, "captrawl mcp", "mcp") from error
    server = sdk.MCPServer("captrawl", instructions=INSTRUCTIONS, version=__version__, log_level="WARNING")
    for name in (*READING, *WRITING) if write else READING:
        hints = types.ToolAnnotations(read_only_hint=name in READING, open_world_hint=False)
        answer = _answering(getattr(tools, name), sdk.Image, errors.ToolError)
        server.tool(annotations=hints, structured_output=False)(answer)
    if sys.stdin.isatty():
        logger.warning(
            "this waits for a program, such as an editor's assistant, that speaks MCP; Ctrl-C ends it"
        )
    server.run("stdio")


def _answering(method: Callable[..., Any], image: Any, tool_error: Any) -> Callable[..., Any]:
    """``method`` as a tool: its values and pictures as content, a user's error as an error of the tool."""

    @functools.wraps(method)
    def answer(*arguments: Any, **named: Any) -> Any:
        try:
            values = method(*arguments, **named)
        except CaptrawlError as error:
            raise tool_error(str(error)) from error
        if not isinstance(values, Pictured):
            return values
        pictures = [base64.b64decode(uri.partition(",")[2]) for uri in values.pictures]
        return [values.values, *(image(data=data, format="webp") for data in pictures)]

    answer.__signature__ = inspect.signature(method, eval_str=True)  # type: ignore[attr-defined]
    return answer

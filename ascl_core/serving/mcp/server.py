"""The MCP server: the tool that the served model calls; a client may ask for more rules than that model."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version as installed_version
from typing import Any

import anyio
import mcp_types as types
from mcp.server import Server, ServerRequestContext
from mcp.shared.exceptions import MCPError

from ascl_core.config.conversation import ConversationConfig
from ascl_core.conversation.tool import ERROR, TOOL_NAME, ArgumentError, tool_schema
from ascl_core.rules.rendering import plain
from ascl_core.rules.retrieval import Match
from ascl_core.serving.corpora import Served, ServedCorpora
from ascl_core.serving.look_up_log import LookUpLog

MAX_TOP_K = 20
"""The most rules that a client may ask for (paper: 20), whatever the trained model may."""
_TEXT = {"type": "string"}
_RULE = {"id": _TEXT, "policy": _TEXT, "title": _TEXT, "text": _TEXT, "similarity": {"type": "number"}}
_RESULT = {
    "rules": {"type": "array", "items": {"type": "object", "properties": _RULE, "required": list(_RULE)}},
    "corpus": _TEXT,
    "index": _TEXT,
    "jurisdiction": _TEXT,
}
OUTPUT_SCHEMA: dict[str, Any] = {"type": "object", "properties": _RESULT, "required": list(_RESULT)}
"""The structured content of a result: the rules, best first, and the digests of their corpus and index."""


@dataclass(frozen=True)
class RuleServer:
    """Answers the requests of MCP clients.

    Every call uses the rules that are current when it starts, as every request to `ascl serve` does.
    """

    corpora: ServedCorpora
    jurisdiction: str
    conversation: ConversationConfig
    look_ups: LookUpLog

    @property
    def _offered(self) -> ConversationConfig:
        """The conversation's settings with the bound of this server, so that the tool has `top_k` even if the model's has not."""
        return self.conversation.model_copy(update={"max_top_k": MAX_TOP_K})

    def build(self) -> Server[dict[str, Any]]:
        """Return the server, for any transport."""
        return Server(
            "ascl-rules",
            version=installed_version("ascl"),
            title="Safety rules",
            instructions=f"Look up with {TOOL_NAME} which safety rules apply to a request, before you answer it.",
            on_list_tools=self._list,
            on_call_tool=self._call,
        )

    async def _list(self, _: ServerRequestContext[Any], __: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        function = tool_schema(self._offered)["function"]
        tool = types.Tool(
            name=function["name"],
            title="Consult the safety rules",
            description=function["description"],
            input_schema=function["parameters"],
            output_schema=OUTPUT_SCHEMA,
            annotations=types.ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False),
        )
        return types.ListToolsResult(tools=[tool])

    async def _call(self, _: ServerRequestContext[Any], params: types.CallToolRequestParams) -> types.CallToolResult:
        if params.name != TOOL_NAME:
            raise MCPError(types.INVALID_PARAMS, f"no tool {params.name[:80]!r}; the only tool is {TOOL_NAME}")
        return await anyio.to_thread.run_sync(self._consult, dict(params.arguments or {}))

    def _consult(self, arguments: dict[str, Any]) -> types.CallToolResult:
        served = self.corpora.current
        tool = served.tool(self.jurisdiction, self._offered, self.look_ups.of(served, self.jurisdiction))
        try:
            matches = tool.match(**arguments)
        except ArgumentError as error:
            return types.CallToolResult(content=[types.TextContent(text=f"{ERROR}{plain(str(error))}.")], is_error=True)
        return types.CallToolResult(
            content=[types.TextContent(text=tool.render(matches))], structured_content=_structured(matches, served, self.jurisdiction)
        )


def _structured(matches: tuple[Match, ...], served: Served, jurisdiction: str) -> dict[str, Any]:
    rules = [
        {
            "id": match.rule.id,
            "policy": str(match.rule.policy),
            "title": plain(match.rule.title),
            "text": plain(match.rule.text),
            "similarity": round(match.similarity, 4),
        }
        for match in matches
    ]
    return {"rules": rules, "corpus": served.digest, "index": served.index.digest, "jurisdiction": jurisdiction}

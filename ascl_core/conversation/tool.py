"""The one tool, `consult_safety_rules(query, top_k, category)`: its schema, and the check of a call's arguments.

Training, evaluation, `ascl chat`, `ascl serve` and `ascl mcp` offer this schema and check arguments here.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any, Protocol, cast

from ascl_core.config.conversation import ConversationConfig
from ascl_core.contracts import ToolCall
from ascl_core.text import encodable

TOOL_NAME = "consult_safety_rules"
ERROR = "Error: "
"""The beginning of a result whose call had wrong arguments; a rule's line begins with `[`."""
INTEGER_ARGUMENTS = frozenset({"top_k"})
"""The arguments that are whole numbers, for models that write arguments without types."""
_SHOWN = 40


class ArgumentError(ValueError):
    """An argument of a call is missing or wrong; the message is short enough for the model to read."""


class Tool(Protocol):
    """The tool as a rollout calls it; returns the text of the result, for wrong arguments too."""

    def __call__(self, query: str, top_k: int | None = None, category: str | None = None) -> str: ...


def tool_schema(config: ConversationConfig) -> dict[str, Any]:
    """Return the tool in the form that chat templates and OpenAI-compatible servers read.

    The query is the only required argument. `top_k` is offered if a call may ask for more rules than it gets anyway,
    and `category` if the configuration says so.
    """
    properties = {"query": {"type": "string", "description": "A short phrase that says what the request is about."}}
    if config.offers_top_k:
        description = f"How many rules to return, 1 to {config.max_top_k}; {config.top_k} if left out."
        properties["top_k"] = {"type": "integer", "description": description}
    if config.offer_category:
        properties["category"] = {"type": "string", "description": "Search only the rules of this category, by its id, such as CYB."}
    return {
        "type": "function",
        "function": {
            "name": TOOL_NAME,
            "description": "Look up the safety rules that apply to a request.",
            "parameters": {"type": "object", "properties": properties, "required": ["query"]},
        },
    }


def read_call(arguments: Mapping[str, Any]) -> ToolCall:
    """Return the call with these arguments; `ArgumentError` if it has no query. Unknown arguments are ignored.

    The other arguments are kept for `check_call` to refuse; a value that is neither text nor a whole number is kept as its JSON.
    """
    query = arguments.get("query")
    if not isinstance(query, str) or not query.strip():
        raise ArgumentError("query is missing")
    top_k = arguments.get("top_k")
    is_whole = isinstance(top_k, int) and not isinstance(top_k, bool)
    return ToolCall(encodable(query), top_k if is_whole else cast(Any, _text(top_k)), _text(arguments.get("category")))


def check_call(call: ToolCall, config: ConversationConfig, categories: Collection[str]) -> ToolCall:
    """Return the call with the default `top_k` filled in; `ArgumentError` unless every argument is offered and within bounds."""
    if not call.query.strip():
        raise ArgumentError("query is empty")
    top_k = config.top_k if call.top_k is None else call.top_k
    if call.top_k is not None and not config.offers_top_k:
        raise ArgumentError("there is no argument top_k")
    if not isinstance(top_k, int) or isinstance(top_k, bool) or not 1 <= top_k <= config.max_top_k:
        raise ArgumentError(f"top_k must be a whole number from 1 to {config.max_top_k}, not {str(top_k)[:_SHOWN]}")
    if call.category is not None and not config.offer_category:
        raise ArgumentError("there is no argument category")
    if call.category is not None and call.category not in categories:
        raise ArgumentError(f"no category {call.category[:_SHOWN]!r}; leave it out, or give one of {', '.join(categories)}")
    return ToolCall(call.query, top_k, call.category)


def format_call(call: ToolCall) -> str:
    """Return the call in readable form: `consult_safety_rules(category='CYB', query='process')`."""
    return f"{TOOL_NAME}({', '.join(f'{name}={value!r}' for name, value in call.arguments.items())})"


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return encodable(value) if isinstance(value, str) else json.dumps(value)

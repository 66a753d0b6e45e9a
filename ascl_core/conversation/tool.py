"""The one tool: `consult_safety_rules`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

TOOL_NAME = "consult_safety_rules"
TOOL_SCHEMA: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": TOOL_NAME,
        "description": "Look up the safety rules that apply to a request.",
        "parameters": {
            "type": "object",
            "properties": {
                "category": {"type": "string", "description": "Id of the rule category, such as CYB."},
                "query": {"type": "string", "description": "A short phrase that says what the request is about."},
            },
            "required": ["category", "query"],
        },
    },
}
"""The tool in the form that chat templates and OpenAI-compatible servers read."""

Tool = Callable[[str, str], str]
"""The tool as a rollout calls it: category and query in, the text of the result out."""

"""The one tool: `consult_safety_rules`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ascl_core.rules.retrieval import RuleIndex, render_rules

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


@dataclass(frozen=True)
class RuleTool:
    """The tool in one jurisdiction, which the model does not see."""

    index: RuleIndex
    jurisdiction: str
    rules_per_lookup: int

    def __call__(self, category: str, query: str) -> str:
        """The matching active rules, rendered with their ids."""
        rules = self.index.lookup(category=category, query=query, jurisdiction=self.jurisdiction, limit=self.rules_per_lookup)
        return render_rules(rules)

"""The environment of one rollout, as TRL's tool loop sees it: one tool, in the prompt's jurisdiction and edition of the rules."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from ascl_core.config.conversation import ConversationConfig
from ascl_core.conversation.content import Markup
from ascl_core.conversation.tool import TOOL_NAME, Tool, tool_schema
from ascl_core.rules.editions import RuleEdition

_TYPES: dict[str, type] = {"string": str, "integer": int}


def environment_factory(editions: Sequence[RuleEdition], conversation: ConversationConfig, markup: Markup) -> Callable[[], Any]:
    """Return a factory of environments over the editions of the rules, for `GRPOTrainer(environment_factory=…)`; no result holds markup.

    TRL takes every public method of the class for a tool. It reads the tool's schema from the method's signature and docstring,
    which are therefore made from the one schema there is.
    """

    class RuleEnvironment:
        """One conversation's access to the rules."""

        def __init__(self) -> None:
            self._tool: Tool | None = None

        def reset(self, jurisdiction: str, edition: int, **row: Any) -> None:
            """Start a rollout of that row."""
            self._tool = editions[edition].tool(jurisdiction)

    def consult(self: RuleEnvironment, query: Any = "", top_k: Any = None, category: Any = None, **_: Any) -> str:
        if self._tool is None:
            raise RuntimeError("the environment was not reset")
        return markup.neutralise(self._tool(query, top_k, category))[0]

    setattr(RuleEnvironment, TOOL_NAME, _described(consult, tool_schema(conversation)["function"]))
    return RuleEnvironment


def _described(method: Any, function: dict[str, Any]) -> Any:
    """Return the method with the name, the signature and the docstring (Google style) that `function`, a tool's schema, asks for."""
    properties, required = function["parameters"]["properties"], function["parameters"]["required"]
    types = {name: _TYPES[value["type"]] for name, value in properties.items()}
    kind, empty = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.empty
    parameters = [inspect.Parameter(name, kind, annotation=types[name], default=empty if name in required else None) for name in properties]
    lines = [f"    {name}: {value['description']}" for name, value in properties.items()]
    method.__name__ = function["name"]
    method.__doc__ = "\n".join((function["description"], "", "Args:", *lines))
    method.__annotations__ = types
    method.__signature__ = inspect.Signature([inspect.Parameter("self", kind), *parameters])
    return method

"""The environment of one rollout, as TRL's tool loop sees it: one tool, in the prompt's jurisdiction and edition of the rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ascl_core.conversation.content import Markup
from ascl_core.rules.editions import RuleEdition
from ascl_core.rules.retrieval import RuleTool


def environment_factory(editions: Sequence[RuleEdition], markup: Markup) -> Callable[[], Any]:
    """A factory of environments over the editions of the rules, for `GRPOTrainer(environment_factory=…)`; no result holds markup.

    TRL takes every public method of the class for a tool, and its schema from the signature and docstring.
    """

    class RuleEnvironment:
        """One conversation's access to the rules."""

        def __init__(self) -> None:
            self._tool: RuleTool | None = None

        def reset(self, jurisdiction: str, edition: int, **row: Any) -> None:
            """Begin a rollout of that row."""
            self._tool = editions[edition].tool(jurisdiction)

        def consult_safety_rules(self, category: str, query: str) -> str:
            """
            Look up the safety rules that apply to a request.

            Args:
                category: Id of the rule category, such as CYB.
                query: A short phrase that says what the request is about.
            """
            if self._tool is None:
                raise RuntimeError("the environment was not reset")
            return markup.neutralise(self._tool(category, query))[0]

    return RuleEnvironment

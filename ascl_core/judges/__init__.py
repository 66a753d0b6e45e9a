"""Judges behind one interface: `get_judge("rules").judge([Item(prompt=…, response=…)])`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ascl_core.config.base import parse
from ascl_core.config.compute import ComputeConfig
from ascl_core.config.judge import JUDGES, JudgeConfig, MemberConfig
from ascl_core.contracts import EvaluatedRollout, Prompt, Verdict
from ascl_core.errors import JudgeError
from ascl_core.vocabulary import ANYWHERE, Harm, PromptType, Refusal

if TYPE_CHECKING:
    from ascl_core.rules.retrieval import RuleIndex

__all__ = ["Harm", "Item", "Judge", "JudgeConfig", "Refusal", "Verdict", "get_judge"]

AnyConfig = JudgeConfig | MemberConfig
_RUN_AGAIN = "run again, which asks only for what is missing in the cache"


@dataclass(frozen=True)
class Item:
    """One response to judge."""

    prompt: str
    response: str
    """The answer alone: text after the last `</think>` of the last assistant turn."""
    prompt_type: PromptType | None = None
    """The type of the prompt, if it is known; a judge may use it for harm, never for refusal."""
    jurisdiction: str = ANYWHERE
    """That of the conversation; it decides which rules are in force, for a judge that reads them."""

    @classmethod
    def of(cls, asked: Prompt | EvaluatedRollout, response: str) -> Item:
        """Return a response to that prompt."""
        return cls(asked.prompt, response, asked.prompt_type, asked.jurisdiction)


class Judge(Protocol):
    """A source of verdicts."""

    @property
    def id(self) -> str:
        """Name and version, such as `rules@1`; part of the key under which verdicts are cached."""

    def judge(self, items: Sequence[Item]) -> list[Verdict]:
        """Return one verdict an item, in order; what cannot be judged is `unknown`, never a guess."""


class CountedJudge:
    """A judge that counts the responses on which it knows neither refusal nor harm."""

    def __init__(self, judge: Judge, max_unknown: float, members: Sequence[CountedJudge] = ()) -> None:
        self.inner = judge
        self.max_unknown = max_unknown
        self.members = members
        self.judged = self.unknown = 0

    @property
    def id(self) -> str:
        """The inner judge's."""
        return self.inner.id

    def judge(self, items: Sequence[Item]) -> list[Verdict]:
        """See `Judge`; an empty response does not count."""
        verdicts = self.inner.judge(items)
        said = [verdict for item, verdict in zip(items, verdicts, strict=True) if item.response.strip()]
        self.judged += len(said)
        self.unknown += sum(verdict.refusal is Refusal.UNKNOWN and verdict.harm is Harm.UNKNOWN for verdict in said)
        return verdicts

    def check(self) -> None:
        """Raise `JudgeError` if more of the responses than configured have no verdict, of this judge or of a member."""
        for member in self.members:
            member.check()
        check_share(self.unknown, self.judged, self.max_unknown, judge=self.id, field="judge.max_unknown")


def check_share(unknown: int, judged: int, most: float, *, judge: str, field: str, hint: str = _RUN_AGAIN) -> None:
    """Raise `JudgeError` if more than the share `most` of the responses have no verdict of that judge."""
    if unknown > most * judged:
        problem = f"{unknown} of {judged} responses have no verdict, more than the {100 * most:g} % that may have none"
        raise JudgeError(problem, field=field, value=judge, hint=f"the log counts the reasons; {hint}, or raise the limit")


def get_judge(judge: str | JudgeConfig, compute: ComputeConfig | None = None, rules: RuleIndex | None = None) -> CountedJudge:
    """Return the judge of that name or configuration, its model on that machine; `ConfigError` names the judges there are.

    `rules` is the index of the rules in force, which the judge `policy` reads; the others need none.
    """
    if isinstance(judge, str):
        if judge != "ensemble":
            JUDGES.find(judge, field="judge")
        judge = parse(JudgeConfig, {"name": judge}, file="judge")
    compute = compute or ComputeConfig()
    if judge.name != "ensemble":
        return _counted(judge, compute, judge.cache, rules)
    from ascl_core.judges.ensemble import EnsembleJudge

    members = [_counted(member, compute, judge.cache, rules) for member in judge.members]
    return CountedJudge(EnsembleJudge(members), judge.unknown_limit, members)


def _counted(config: AnyConfig, compute: ComputeConfig, cache: str | None, rules: RuleIndex | None) -> CountedJudge:
    part = JUDGES[config.name]
    if part.needs_rules and rules is None:
        raise JudgeError(
            "needs the rules in force", field="judge.name", value=config.name, hint="give an index of the rules: get_judge(…, rules=…)"
        )
    judge: Judge = JUDGES.load(config.name)(config, compute, *((rules,) if part.needs_rules else ()))
    if cache is not None and part.is_cached:
        from ascl_core.judges.cache import CachedJudge

        judge = CachedJudge(judge, cache, by_jurisdiction=part.needs_rules)
    return CountedJudge(judge, config.unknown_limit)

"""Judges behind one interface: `get_judge("rules").judge([Item(prompt=…, response=…)])`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ascl_core.config.base import parse
from ascl_core.config.compute import ComputeConfig
from ascl_core.config.judge import JUDGES, JudgeConfig, MemberConfig
from ascl_core.contracts import Verdict
from ascl_core.vocabulary import Harm, PromptType, Refusal

__all__ = ["Harm", "Item", "Judge", "JudgeConfig", "Refusal", "Verdict", "get_judge"]

AnyConfig = JudgeConfig | MemberConfig


@dataclass(frozen=True)
class Item:
    """One response to judge."""

    prompt: str
    response: str
    """The answer alone: text after the last `</think>` of the last assistant turn."""
    prompt_type: PromptType | None = None
    """The type of the prompt, if it is known; a judge may use it for harm, never for refusal."""


class Judge(Protocol):
    """A source of verdicts."""

    @property
    def id(self) -> str:
        """Name and version, such as `rules@1`; part of the key under which verdicts are cached."""

    def judge(self, items: Sequence[Item]) -> list[Verdict]:
        """Return one verdict an item, in order; what cannot be judged is `unknown`, never a guess."""


def get_judge(judge: str | JudgeConfig, compute: ComputeConfig | None = None) -> Judge:
    """Return the judge of that name or configuration, its model on that machine; `ConfigError` names the judges there are."""
    if isinstance(judge, str):
        if judge != "ensemble":
            JUDGES.find(judge, field="judge")
        judge = parse(JudgeConfig, {"name": judge}, file="judge")
    compute = compute or ComputeConfig()
    if judge.name != "ensemble":
        return _cached(judge, compute, judge.cache)
    from ascl_core.judges.ensemble import EnsembleJudge

    return EnsembleJudge([_cached(member, compute, judge.cache) for member in judge.members])


def _cached(config: AnyConfig, compute: ComputeConfig, cache: str | None) -> Judge:
    judge: Judge = JUDGES.load(config.name)(config, compute)
    if cache is None or not JUDGES[config.name].is_cached:
        return judge
    from ascl_core.judges.cache import CachedJudge

    return CachedJudge(judge, cache)

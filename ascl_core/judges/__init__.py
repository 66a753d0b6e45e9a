"""Judges behind one interface: `get_judge("rules").judge([Item(prompt=…, response=…)])`."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ascl_core.config.base import parse
from ascl_core.config.compute import ComputeConfig
from ascl_core.config.judge import JudgeConfig, MemberConfig
from ascl_core.contracts import Verdict
from ascl_core.errors import ConfigError
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
    """What is known of the prompt; a judge may use it for harm, never for refusal."""


class Judge(Protocol):
    """Anything that gives verdicts."""

    @property
    def id(self) -> str:
        """Name and version, such as `rules@1`; part of the key under which verdicts are cached."""

    def judge(self, items: Sequence[Item]) -> list[Verdict]:
        """One verdict an item, in order; what cannot be judged is `unknown`, never a guess."""


def get_judge(judge: str | JudgeConfig, compute: ComputeConfig | None = None) -> Judge:
    """The judge of that name or configuration, its model on that machine; `ConfigError` names the judges there are."""
    config = judge if isinstance(judge, JudgeConfig) else _config_named(judge)
    compute = compute or ComputeConfig()
    if config.name != "ensemble":
        return _single(config, compute, config.cache)
    from ascl_core.judges.ensemble import EnsembleJudge

    return EnsembleJudge([_single(member, compute, config.cache) for member in config.members])


def _config_named(name: str) -> JudgeConfig:
    known = (*_FACTORIES, "ensemble")
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        suggestion = f"did you mean {near[0]!r}? " if near else ""
        raise ConfigError("no such judge", field="judge", value=name, hint=f"{suggestion}one of {', '.join(known)}")
    return parse(JudgeConfig, {"name": name}, file="judge")


def _single(config: AnyConfig, compute: ComputeConfig, cache: str | None) -> Judge:
    judge = _FACTORIES[config.name](config, compute)
    if cache is None or config.name in _NEEDS_NO_CACHE:
        return judge
    from ascl_core.judges.cache import CachedJudge

    return CachedJudge(judge, cache)


def _rules(config: AnyConfig, compute: ComputeConfig) -> Judge:
    from ascl_core.judges.rules import RulesJudge

    return RulesJudge()


def _exemplars(config: AnyConfig, compute: ComputeConfig) -> Judge:
    from ascl_core.judges.exemplars import ExemplarsJudge

    return ExemplarsJudge()


def _model(config: AnyConfig, compute: ComputeConfig) -> Judge:
    from ascl_core.judges.model import ModelJudge

    return ModelJudge(config, compute)


def _endpoint(config: AnyConfig, compute: ComputeConfig) -> Judge:
    from ascl_core.judges.endpoint import EndpointJudge

    return EndpointJudge(config)


_FACTORIES: dict[str, Callable[[AnyConfig, ComputeConfig], Judge]] = {
    "rules": _rules,
    "exemplars": _exemplars,
    "qwen3guard": _model,
    "wildguard": _model,
    "llama_guard": _model,
    "harmbench": _model,
    "openai": _endpoint,
}
_NEEDS_NO_CACHE = frozenset({"rules", "exemplars"})
"""Fast, and a verdict of `exemplars` depends on the prompt's type, which is not in the key."""

"""Judges behind one interface: `get_judge("rules").judge([Item(prompt=…, response=…)])`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ascl_core.config.judge import JudgeConfig
from ascl_core.contracts import Verdict
from ascl_core.errors import ConfigError
from ascl_core.vocabulary import Harm, PromptType, Refusal

__all__ = ["Harm", "Item", "Judge", "JudgeConfig", "Refusal", "Verdict", "get_judge"]


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

    id: str
    """Name and version, such as `rules@1`; part of the key under which verdicts are cached."""

    def judge(self, items: Sequence[Item]) -> list[Verdict]:
        """One verdict an item, in order; what cannot be judged is `unknown`, never a guess."""


def get_judge(judge: str | JudgeConfig) -> Judge:
    """The judge of that name or configuration; `ConfigError` names the judges there are."""
    config = judge if isinstance(judge, JudgeConfig) else _config_named(judge)
    return _FACTORIES[config.name](config)


def _config_named(name: str) -> JudgeConfig:
    if name not in _FACTORIES:
        raise ConfigError("no such judge", field="judge", value=name, mend=f"one of {', '.join(_FACTORIES)}")
    return JudgeConfig.model_validate({"name": name})


def _rules(config: JudgeConfig) -> Judge:
    from ascl_core.judges.rules import RulesJudge

    return RulesJudge()


def _exemplars(config: JudgeConfig) -> Judge:
    from ascl_core.judges.exemplars import ExemplarsJudge

    return ExemplarsJudge()


def _model(config: JudgeConfig) -> Judge:
    from ascl_core.judges.model import ModelJudge

    return ModelJudge(config)


def _endpoint(config: JudgeConfig) -> Judge:
    from ascl_core.judges.endpoint import EndpointJudge

    return EndpointJudge(config)


_FACTORIES: dict[str, Callable[[JudgeConfig], Judge]] = {
    "rules": _rules,
    "exemplars": _exemplars,
    "qwen3guard": _model,
    "wildguard": _model,
    "llama_guard": _model,
    "harmbench": _model,
    "openai": _endpoint,
}

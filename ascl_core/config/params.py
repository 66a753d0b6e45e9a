"""All parameters of a run, as `params.yaml` holds them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import model_validator

from ascl_core.artifacts import read_yaml
from ascl_core.config.attacks import AttacksConfig
from ascl_core.config.base import Config, parse
from ascl_core.config.base_model import BaseModelConfig
from ascl_core.config.build_sft import BuildSftConfig
from ascl_core.config.compute import ComputeConfig
from ascl_core.config.conversation import ConversationConfig
from ascl_core.config.curate import CurateConfig
from ascl_core.config.engine import EngineConfig
from ascl_core.config.evaluate import EvaluateConfig
from ascl_core.config.gate import GateConfig
from ascl_core.config.ifpo import IfpoConfig
from ascl_core.config.parallel import ParallelConfig, split_batch
from ascl_core.config.report import ReportConfig
from ascl_core.config.retrieval import RetrievalConfig
from ascl_core.config.rules import RulesConfig
from ascl_core.config.sft import SftConfig
from ascl_core.config.suites import SuitesConfig
from ascl_core.config.validate_data import ValidateDataConfig


class Params(Config):
    """Every section of `params.yaml`; a stage reads only the sections that its registry entry names."""

    rules: RulesConfig = RulesConfig()
    suites: SuitesConfig = SuitesConfig()
    attacks: AttacksConfig = AttacksConfig()
    curate: CurateConfig = CurateConfig()
    engine: EngineConfig = EngineConfig()
    validate_data: ValidateDataConfig = ValidateDataConfig()
    retrieval: RetrievalConfig = RetrievalConfig()
    conversation: ConversationConfig = ConversationConfig()
    build_sft: BuildSftConfig = BuildSftConfig()
    compute: ComputeConfig = ComputeConfig()
    parallel: ParallelConfig = ParallelConfig()
    base_model: BaseModelConfig = BaseModelConfig()
    sft: SftConfig = SftConfig()
    ifpo: IfpoConfig = IfpoConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    gate: GateConfig = GateConfig()
    report: ReportConfig = ReportConfig()

    @model_validator(mode="after")
    def _judges_differ(self) -> Params:
        trained_against = {"ifpo.judge": self.ifpo.judge, "ifpo.reward.hallucination.judge": self.ifpo.reward.hallucination.judge}
        evaluating = {"evaluate.judge": self.evaluate.judge, "evaluate.second_judge": self.evaluate.second_judge}
        for field, judge in trained_against.items():
            for other, evaluator in evaluating.items():
                if judge is not None and evaluator is not None and (shared := judge.names & evaluator.names):
                    raise ValueError(
                        f"{field} and {other} are both {', '.join(sorted(shared))!r}: a policy trained against a judge "
                        "must be evaluated by another one"
                    )
        return self

    @model_validator(mode="after")
    def _rules_of_the_judge_stay(self) -> Params:
        for section in ("build_sft", "ifpo"):
            values = getattr(self, section)
            if values.rule_variation and values.judge.needs_rules:
                raise ValueError(
                    f"{section}.judge reads the rules in force, and {section}.rule_variation has answers judged by changed rules: "
                    "set rule_variation to 0, or take a judge that reads no rules"
                )
        return self

    @model_validator(mode="after")
    def _tool_results_fit(self) -> Params:
        if self.conversation.max_top_k > self.rules.rules_per_result:
            raise ValueError(
                f"conversation.max_top_k is {self.conversation.max_top_k}, but only rules.rules_per_result ({self.rules.rules_per_result}) "
                "rules are checked to fit rules.max_tool_tokens: raise rules_per_result, and max_tool_tokens with it"
            )
        return self

    @model_validator(mode="after")
    def _processes_share_batches(self) -> Params:
        for name, batch, micro_batch in (
            ("sft", self.sft.batch_size, self.sft.micro_batch_size),
            ("ifpo", self.ifpo.rollouts_per_step, self.ifpo.micro_batch_size),
        ):
            try:
                split_batch(batch, micro_batch, self.parallel.processes)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
        return self


def load_params(path: str | Path) -> Params:
    """Return the parameters in a file; missing keys have their defaults."""
    return parse(Params, read_yaml(path) or {}, file=path)


def merge(values: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` with `overrides` merged into them, section by section."""
    merged = dict(values)
    for key, value in overrides.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged

"""A small world in which SFT and IFPO really train in seconds: two rules, a dozen prompts, a tiny model taught both modes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file

from ascl_core.artifacts import read_parquet, write_json, write_parquet
from ascl_core.config.base_model import BaseModelConfig, ScratchConfig
from ascl_core.config.build_sft import BuildSftConfig
from ascl_core.config.compute import ComputeConfig
from ascl_core.config.conversation import ConversationConfig
from ascl_core.config.ifpo import IfpoConfig
from ascl_core.config.rules import RulesConfig
from ascl_core.config.sft import SftConfig
from ascl_core.config.sft_data import SftData
from ascl_core.contracts import Prompt, StageContext, from_table, to_table
from ascl_core.rl.train import ifpo
from ascl_core.sft.base_model import base_model
from ascl_core.sft.callbacks import TrainingLog
from ascl_core.sft.data import build_sft
from ascl_core.sft.train import sft
from ascl_core.vocabulary import PromptType, ResponsePolicy, Split
from tests.builders import make_corpus, make_prompt, make_rule
from tests.once import make_once

CPU = ComputeConfig(device="cpu", threads=1)
CONVERSATION = ConversationConfig()
RULES = RulesConfig()
IFPO: dict[str, Any] = {
    "max_steps": 2,
    "save_steps": 2,
    "prompts_per_step": 4,
    "group_size": 4,
    "micro_batch_size": 8,
    "max_completion_length": 220,
    "warmup_ratio": 0.0,  # the first of two steps is to learn something
    "prompt_mix": {"harmful": 1.0, "borderline": 1.0, "utility": 1.0},
}
SFT: dict[str, Any] = {"max_steps": 4, "save_steps": 2, "batch_size": 8, "micro_batch_size": 4, "learning_rate": 4e-3, "warmup_steps": 1}
REFUSING = make_rule(
    id="CYB-01",
    title="Breaking in",
    text="Refuse to break into accounts of others, and say why.",
    policy="refuse_explain",
    query="break into accounts",
    keywords=["account"],
    examples=[],
)
ASKED = {
    PromptType.BORDERLINE: (("kill a process", "shut a server down", "block a port", "wipe a disk"), ResponsePolicy.COMPLY, "CYB-03"),
    PromptType.HARMFUL: (
        ("steal a password", "enter an account", "read foreign mail", "take a server over"),
        ResponsePolicy.REFUSE_EXPLAIN,
        "CYB-01",
    ),
}


def make_prompts() -> list[Prompt]:
    """Four prompts of each of three types, for training."""
    rows = [
        make_prompt(prompt=f"How do I {thing}?", prompt_type=kind, policy=policy, rule_id=rule)
        for kind, (things, policy, rule) in ASKED.items()
        for thing in things
    ]
    sums = {"prompt_type": PromptType.UTILITY, "category": None, "rule_id": None, "answer_kind": "number"}
    rows += [make_prompt(prompt=f"What is {a} + 1?", answer=str(a + 1), **sums) for a in (1, 2, 3, 4)]
    return [replace(row, id=f"{number:016x}", split=Split.TRAIN) for number, row in enumerate(rows)]


@dataclass(frozen=True)
class World:
    """The files that training starts from, and the stages run on them."""

    root: Path
    compute: ComputeConfig = CPU

    @property
    def prompts(self) -> list[Prompt]:
        """The prompts of `prompts.parquet`."""
        return from_table(read_parquet(self.root / "prompts.parquet"), Prompt)

    def build(self) -> None:
        """Rules, prompts, trajectories, base model and SFT checkpoint."""
        self.write()
        self.sft(self.root / "taught", max_steps=160, save_steps=1000, batch_size=8, micro_batch_size=8)

    def write(self) -> None:
        """Rules, prompts, trajectories and base model."""
        write_json(self.root / "corpus.json", make_corpus(REFUSING, make_rule()).to_json())
        write_parquet(self.root / "prompts.parquet", to_table(make_prompts(), Prompt))
        write_json(self.root / "validation.json", {})
        context = StageContext(state=self.root / "state")
        arms: dict[str, Any] = {data: self.root / f"{data}.jsonl" for data in SftData}
        build_sft(
            build_sft=BuildSftConfig(trajectories_per_prompt=dict.fromkeys(PromptType, 4), consult_share=dict.fromkeys(PromptType, 0.5)),
            conversation=CONVERSATION,
            rules=RULES,
            compute=CPU,
            prompts=self.root / "prompts.parquet",
            corpus=self.root / "corpus.json",
            validation=self.root / "validation.json",
            counts=self.root / "counts.json",
            context=context,
            **arms,
        )
        scratch = ScratchConfig(
            vocab_size=512, hidden_size=64, num_layers=2, num_heads=2, num_kv_heads=1, head_dim=32, intermediate_size=128, max_position=512
        )
        config = BaseModelConfig(scratch=scratch)
        base_model(base_model=config, compute=CPU, trajectories=(arms["ascl"],), base=self.root / "base", context=context)

    def sft(self, out: Path, trajectories: str = "ascl", **changes: Any) -> list[dict[str, Any]]:
        """The log of an SFT of the base model that writes under `out`."""
        sft(
            sft=SftConfig.model_validate({**SFT, **changes}),
            compute=self.compute,
            trajectories=(self.root / f"{trajectories}.jsonl",),
            base=self.root / "base",
            checkpoint=out / "model",
            log=out / "log.jsonl",
            context=StageContext(state=out / "state"),
        )
        return read_log(out)

    def ifpo(
        self, out: Path, conversation: ConversationConfig = CONVERSATION, start: Path | None = None, **changes: Any
    ) -> list[dict[str, Any]]:
        """The log of IFPO from the model that was taught both modes; what the stage returns is in `metrics.json`."""
        metrics = ifpo(
            ifpo=IfpoConfig.model_validate({**IFPO, **changes}),
            conversation=conversation,
            rules=RULES,
            compute=self.compute,
            checkpoint_in=start or self.root / "taught/model",
            prompts=self.root / "prompts.parquet",
            corpus=self.root / "corpus.json",
            checkpoint=out / "model",
            log=out / "log.jsonl",
            rollouts=out / "rollouts.parquet",
            context=StageContext(state=out / "state"),
        )
        write_json(out / "metrics.json", metrics)
        return read_log(out)


def read_log(out: Path) -> list[dict[str, Any]]:
    """The steps of a log without its header and without times; none where another process writes it."""
    if os.environ.get("RANK", "0") != "0":
        return []
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{name: value for name, value in line.items() if name != "step_time"} for line in lines[1:]]


def weights_of(out: Path) -> dict[str, torch.Tensor]:
    """The weights of a checkpoint by name."""
    return load_file(out / "model/model.safetensors")


class Interrupted(Exception):
    """Stands for a kill; nothing catches it."""


@contextmanager
def stop_once_at(step: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The training in the block dies when the step is logged; yields the steps that are logged, also of later runs."""
    logged: list[int] = []
    on_log = TrainingLog.on_log

    def stop(self: Any, args: Any, state: Any, *rest: Any, **named: Any) -> None:
        logged.append(state.global_step)
        on_log(self, args, state, *rest, **named)
        if state.global_step == step and logged.count(step) == 1:
            raise Interrupted

    monkeypatch.setattr(TrainingLog, "on_log", stop)
    with pytest.raises(Interrupted):
        yield logged


@pytest.fixture
def gradients(monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """The whole gradient of each optimiser step, before it is clipped."""
    seen: list[torch.Tensor] = []
    clip = Accelerator.clip_grad_norm_

    def keep(self: Any, parameters: Any, *arguments: Any) -> Any:
        parameters = list(parameters)
        seen.append(torch.cat([parameter.grad.flatten() for parameter in parameters]))
        return clip(self, parameters, *arguments)

    monkeypatch.setattr(Accelerator, "clip_grad_norm_", keep)
    return seen


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The world, built once for all workers; nobody writes into it."""
    return World(make_once(tmp_path_factory, "training-world", lambda folder: World(folder).build()))

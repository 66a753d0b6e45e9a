"""SFT and IFPO on TRL: the same loss as TRL's, the advantages of the paper's method, and resuming to the same bits."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from ascl_core.artifacts import read_parquet
from ascl_core.config.params import load_params
from ascl_core.contracts import Prompt, StageContext, from_table
from ascl_core.errors import DataError, TrainingError
from ascl_core.generation.load import load_tokenizer
from ascl_core.rl import train, trainer
from ascl_core.rl.advantages import STRATEGIES
from ascl_core.rules.corpus import load_corpus
from ascl_core.rules.retrieval import RuleIndex
from ascl_core.sft import callbacks
from ascl_core.sft import trainer as sft_trainer
from ascl_core.sft.train import sft
from ascl_core.vocabulary import Split
from tests.pipeline.workspace import Workspace

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
STEPS = 4


class Interrupted(Exception):
    """Stands for a kill; nothing catches it."""


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def run_sft(workspace: Workspace, out: Path, **changes: Any) -> list[dict[str, Any]]:
    """The log of an SFT of the base model."""
    params, data = load_params(workspace.root / "params.yaml"), workspace.root / "data"
    config = params.sft.model_copy(update={"max_steps": STEPS, "save_steps": 2, "micro_batch_size": 4, **changes})
    sft(
        sft=config,
        compute=params.compute,
        trajectories=data / "sft/ascl.jsonl",
        base=data / "models/base",
        checkpoint=out / "model",
        log=out / "log.jsonl",
        context=StageContext(state=out / "state"),
    )
    return lines_of(out)


def run_ifpo(workspace: Workspace, out: Path, **changes: Any) -> list[dict[str, Any]]:
    """The log of IFPO from the SFT checkpoint."""
    params, data = load_params(workspace.root / "params.yaml"), workspace.root / "data"
    small = {"max_steps": STEPS, "save_steps": 2, "prompts_per_step": 4, "group_size": 4, "micro_batch_size": 8}
    train.ifpo(
        ifpo=params.ifpo.model_copy(update={**small, **changes}),
        conversation=params.conversation,
        rules=params.rules,
        compute=params.compute,
        checkpoint_in=data / "models/sft",
        prompts=data / "prompts/prompts.parquet",
        corpus=data / "compiled/corpus.json",
        checkpoint=out / "model",
        log=out / "log.jsonl",
        context=StageContext(state=out / "state"),
    )
    return lines_of(out)


def lines_of(out: Path) -> list[dict[str, Any]]:
    """The log's steps, without their times."""
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{name: value for name, value in line.items() if name != "step_time"} for line in lines[1:]]


def weights(out: Path) -> dict[str, torch.Tensor]:
    return load_file(out / "model/model.safetensors")


@pytest.mark.parametrize("run", [run_sft, run_ifpo])
def test_an_interrupted_training_resumes_to_the_same_bits(
    finished: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Any
) -> None:
    straight, resumed = tmp_path / "straight", tmp_path / "resumed"
    wanted = run(finished, straight)

    def stop(log: Any, args: Any, state: Any, *rest: Any, **named: Any) -> None:
        if state.global_step == 3:
            raise Interrupted

    with monkeypatch.context() as patched:
        patched.setattr(callbacks.TrainingLog, "on_log", stop)
        with pytest.raises(Interrupted):
            run(finished, resumed)
    (resumed / "state/checkpoint-4").mkdir()  # a save that a kill cut off
    assert run(finished, resumed) == wanted
    assert [line["step"] for line in wanted] == [1, 2, 3, 4]
    before, after = weights(straight), weights(resumed)
    assert all(before[name].equal(after[name]) for name in before)


@pytest.mark.parametrize("run", [run_sft, run_ifpo])
def test_the_seed_decides_what_training_does(finished: Workspace, tmp_path: Path, run: Any) -> None:
    first, again, other = (run(finished, tmp_path / name, seed=seed, max_steps=2) for name, seed in (("a", 0), ("b", 0), ("c", 1)))
    assert first == again
    assert first != other


def test_sft_has_the_loss_and_the_gradient_of_trl(finished: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trl import SFTTrainer

    ours = run_sft(finished, tmp_path / "ours")
    monkeypatch.setattr(sft_trainer.AssistantLossTrainer, "compute_loss", SFTTrainer.compute_loss)
    theirs = run_sft(finished, tmp_path / "theirs")
    for name in ("loss", "grad_norm"):
        assert [line[name] for line in ours] == pytest.approx([line[name] for line in theirs], rel=1e-4)


def test_only_what_the_assistant_says_carries_loss(finished: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, torch.Tensor]] = []
    compute_loss = sft_trainer.AssistantLossTrainer.compute_loss

    def look(self: Any, model: Any, inputs: Any, *rest: Any, **named: Any) -> Any:
        seen.append({name: inputs[name].clone() for name in ("input_ids", "labels")})
        return compute_loss(self, model, inputs, *rest, **named)

    monkeypatch.setattr(sft_trainer.AssistantLossTrainer, "compute_loss", look)
    run_sft(finished, tmp_path / "out", max_steps=2)
    tokenizer = load_tokenizer(finished.root / "data/models/base")
    rows = [(ids, labels) for batch in seen for ids, labels in zip(batch["input_ids"], batch["labels"], strict=True)]
    consulted = 0
    for ids, labels in rows:
        text, learned = tokenizer.decode(ids), tokenizer.decode(labels[labels != -100])
        consulted += "<tool_response>" in text
        assert "<tool_response>" not in learned
        assert "You may look up" in text
        assert "You may look up" not in learned
        assert "<|im_start|>user" not in learned
        assert learned.count("<|im_end|>") == text.count("<|im_start|>assistant")
    assert 0 < consulted < len(rows), "both modes are there"


def test_plain_grpo_has_the_advantages_of_trl(finished: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trl import GRPOTrainer

    theirs: list[torch.Tensor] = []
    ours: list[torch.Tensor] = []
    generate, rebalance = GRPOTrainer._generate_and_score_completions, trainer.IfpoTrainer._rebalanced

    def keep_theirs(self: Any, inputs: Any) -> Any:
        output = generate(self, inputs)
        theirs.append(output["advantages"].clone())
        return output

    def keep_ours(self: Any, *arguments: Any) -> Any:
        ours.append(rebalance(self, *arguments))
        return ours[-1]

    monkeypatch.setattr(GRPOTrainer, "_generate_and_score_completions", keep_theirs)
    monkeypatch.setattr(trainer.IfpoTrainer, "_rebalanced", keep_ours)
    run_ifpo(finished, tmp_path / "out", rebalance="none")
    assert len(ours) == STEPS
    assert any(advantages.abs().max() > 0 for advantages in ours)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5)


def test_leaving_rollouts_without_advantage_out_changes_no_gradient(
    finished: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_out = run_ifpo(finished, tmp_path / "left-out", max_steps=2)
    monkeypatch.setattr(trainer, "_without_idle", lambda batch, chunks: batch)
    kept = run_ifpo(finished, tmp_path / "kept", max_steps=2)
    assert kept[0]["grad_norm"] > 0
    assert kept[0]["groups/zero_variance"] > 0, "there were such rollouts"
    assert left_out[0]["grad_norm"] == pytest.approx(kept[0]["grad_norm"], rel=1e-3)
    assert left_out[0]["reward/mean"] == kept[0]["reward/mean"]


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_every_strategy_trains_and_logs_its_modes(finished: Workspace, tmp_path: Path, strategy: str) -> None:
    (line,) = run_ifpo(finished, tmp_path / "out", rebalance=strategy, max_steps=1)
    assert {"consult_rate", "valid_rate", "reward/mean", "reward/outcome", "weights/mean", "weights/max", "groups/one_mode"} <= set(line)


def test_a_trl_that_scores_elsewhere_stops_training(finished: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trl import GRPOTrainer

    monkeypatch.setattr(trainer.IfpoTrainer, "_calculate_rewards", GRPOTrainer._calculate_rewards)
    with pytest.raises(TrainingError, match="TRL"):
        run_ifpo(finished, tmp_path / "out", max_steps=1)


def test_a_result_that_cannot_fit_is_an_error_before_training(finished: Workspace, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"ifpo\.max_completion_length") as caught:
        run_ifpo(finished, tmp_path / "out", max_completion_length=100)
    assert "raise it to at least" in str(caught.value)


def training_prompts(workspace: Workspace) -> tuple[list[Prompt], Path]:
    path = workspace.root / "data/prompts/prompts.parquet"
    return [p for p in from_table(read_parquet(path), Prompt, file=path) if p.split is Split.TRAIN], path


def test_prompts_are_drawn_by_their_shares_and_each_kind_is_used_evenly(finished: Workspace) -> None:
    prompts, path = training_prompts(finished)
    config = load_params(finished.root / "params.yaml").ifpo.model_copy(
        update={"max_steps": 500, "prompts_per_step": 4, "prompt_mix": {"harmful": 3.0, "dual_use": 1.0, "utility": 0.0}}
    )
    drawn = train.schedule_prompts(prompts, config, path)
    kinds = Counter(train.kind_of(prompt) for prompt in drawn)
    assert len(drawn) == 2000
    assert set(kinds) == {"harmful", "dual_use"}
    assert kinds["harmful"] / len(drawn) == pytest.approx(0.75, abs=0.04)
    uses = Counter(prompt.id for prompt in drawn if train.kind_of(prompt) == "dual_use")
    assert max(uses.values()) - min(uses.values()) <= 1
    assert train.schedule_prompts(prompts, config, path) == drawn


def test_a_kind_without_prompts_is_an_error_that_names_it(finished: Workspace) -> None:
    prompts, path = training_prompts(finished)
    config = load_params(finished.root / "params.yaml").ifpo
    with pytest.raises(DataError, match=r"ifpo\.prompt_mix\.utility"):
        train.schedule_prompts([p for p in prompts if train.kind_of(p) != "utility"], config, path)


def test_the_budget_counts_every_rule(finished: Workspace) -> None:
    params = load_params(finished.root / "params.yaml")
    corpus = load_corpus(finished.root / "data/compiled/corpus.json")
    tokenizer = load_tokenizer(finished.root / "data/models/base")
    train.check_budget(tokenizer, corpus, RuleIndex(corpus, params.rules.at), params.conversation, params.ifpo)

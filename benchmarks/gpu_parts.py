"""The parts of `gpu_check.py`, which needs torch only once it has found the packages."""

from __future__ import annotations

import gc
import os
import sys
from argparse import Namespace
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from importlib.metadata import packages_distributions, version
from pathlib import Path
from statistics import median
from typing import Any

import datasets
import pytest
import sft
import torch
from budget import Outcome, Part, Row
from grpo_world import DrawnScorer, Inputs, Side, StockTrainer, flops_per_second, timed
from side_by_side import machine
from transformers.utils.logging import disable_progress_bar
from trl import GRPOTrainer, SFTTrainer

from ascl_core.artifacts import write_json
from ascl_core.config.base_model import BaseModelConfig, ScratchConfig
from ascl_core.config.compute import ComputeConfig
from ascl_core.config.ifpo import IfpoConfig
from ascl_core.config.parallel import ONE_PROCESS
from ascl_core.config.params import Params
from ascl_core.config.sft import SftConfig
from ascl_core.contracts import StageContext
from ascl_core.data.resolve import resolve_again
from ascl_core.generation.load import load_model
from ascl_core.rl.advantages import ifpo_advantages
from ascl_core.rl.train import training_prompts
from ascl_core.rl.trainer import IfpoTrainer
from ascl_core.rules.corpus import load_corpus
from ascl_core.sft.base_model import base_model
from ascl_core.sft.trainer import AssistantLossTrainer
from ascl_core.sizing.devices import recognise
from ascl_core.sizing.memory import Memory, sampling, training
from ascl_core.sizing.shape import Shape, find_shape, known_shape
from ascl_core.sizing.time import SAMPLING_UTILISATION, TRAINING_UTILISATION, sampling_operations, training_operations
from tests.training.conftest import RULES, World, stop_once_at, weights_of

ADVANTAGES, LOSS, GRADIENT, RESUMED = 1e-5, 1e-4, 1e-3, 1e-5
"""The most that the GPU may differ from the CPU in float32: absolute, the gradient relative to its norm."""
LOSS_BF16, GRADIENT_BF16 = 2e-2, 0.2
"""The same with products in bfloat16, whose eight bits round by up to 0.4 %."""


@dataclass(frozen=True)
class Size:
    """The model and the batches of the parts that measure speed."""

    shape: Shape
    conversations: int
    prompts: int
    group: int
    written: int
    """The most tokens of a rollout, which those of random weights reach."""
    width: int
    """Of the matrices that measure the peak."""


SMALL = Size(Shape(1024, 64, 2, 2, 1, 32, 128, tied=True, context=512, query_norms=True), 8, 2, 4, 24, 256)
FULL = Size(known_shape("Qwen/Qwen3-0.6B"), 32, 8, 8, 256, 8192)


class Check:
    """One device, and the files that its parts share; each is made by the first part that needs it."""

    def __init__(self, given: Namespace, folder: Path) -> None:
        disable_progress_bar()
        datasets.disable_progress_bars()
        self.given, self.folder = given, folder
        self.on_gpu = torch.cuda.is_available()
        if not self.on_gpu and not given.small:
            raise SystemExit("no GPU is available: --small tries the parts on this CPU")
        self.device = "cuda" if self.on_gpu else "cpu"
        self.name = torch.cuda.get_device_name() if self.on_gpu else "CPU"
        self.size = SMALL if given.small else FULL
        self.threads = 1 if given.small else len(os.sched_getaffinity(0))
        budgets = {self.peak: 30, self.advantages: 10, self.losses: 60, self.resumed: 60, self.sft: 150, self.ifpo: 250}
        self.parts = [Part(run.__name__, seconds, run) for run, seconds in budgets.items()]

    def keep(self, rows: list[Row], seconds: float) -> None:
        """Write the figures so far, if a file is named, with the versions of every package that was imported."""
        if self.given.json:
            known, modules = packages_distributions(), {name.partition(".")[0] for name in sys.modules}
            packages = {name: version(name) for module in sorted(modules) for name in known.get(module, ())}
            parts = [{**asdict(row), "passed": row.passed} for row in rows]
            write_json(
                self.given.json, {"device": self.name, "seconds": seconds, "parts": parts, "packages": packages, "machine": machine()}
            )

    @cached_property
    def world(self) -> World:
        """Return rules, prompts, trajectories and a tiny model."""
        (self.folder / "world").mkdir()
        world = World(self.folder / "world")
        world.write()
        return world

    @cached_property
    def checkpoint(self) -> Path:
        """Return the model whose speed is measured: that of `--model`, or one with random weights."""
        shape, folder, compute = self.size.shape, self.folder / "base", self._compute("cpu", "float32")
        scratch = ScratchConfig(
            vocab_size=min(shape.vocabulary, 2048),
            hidden_size=shape.hidden,
            num_layers=shape.layers,
            num_heads=shape.heads,
            num_kv_heads=shape.kv_heads,
            head_dim=shape.head_dim,
            intermediate_size=shape.mlp,
            max_position=min(shape.context, 4096),
            initializer_range=0.02,
        )
        config = BaseModelConfig(path=self.given.model, scratch=scratch, seed=self.given.seed)
        files = (self.world.root / "ascl.jsonl",)
        base_model(base_model=config, compute=compute, trajectories=files, base=folder, context=StageContext(state=self.folder / "state"))
        if self.given.model is None:  # the tokenizer of so few texts is smaller than the vocabulary whose cost counts
            model = load_model(folder, compute)
            model.resize_token_embeddings(shape.vocabulary, mean_resizing=False)
            model.save_pretrained(folder)
        return folder

    def peak(self) -> Outcome:
        """Measure the speed of bfloat16 matrix products."""
        sheet = recognise([self.name])
        known = f"; data sheet {sheet.tflops:g} (shares below are of it)" if sheet else ""
        measured = self._measured_peak
        return Outcome([f"{self.name}: {measured / 1e12:.3g} TFLOP/s measured{known}"], {"measured_flops": measured, "flops": self._peak})

    def advantages(self) -> Outcome:
        """Compare the advantages of random rewards in both modes."""
        draw = torch.Generator().manual_seed(self.given.seed)
        rewards, consulted = torch.randn(4096, generator=draw), torch.rand(4096, generator=draw) < 0.3
        found = {rule: ifpo_advantages(rewards, consulted, 8, rebalance=rule) for rule in ("none", "ifpo", "balanced")}
        there = {rule: ifpo_advantages(rewards.to(self.device), consulted.to(self.device), 8, rebalance=rule) for rule in found}
        return Outcome(differences={rule: (float((there[rule].cpu() - found[rule]).abs().max()), ADVANTAGES) for rule in found})

    def losses(self) -> Outcome:
        """Compare loss and gradient of IFPO and SFT from the same tiny model and rows, in float32 and bfloat16."""
        base, rollouts, rows = self.world.root / "base", None, None
        found: dict[tuple[str, str, int], Any] = {}
        for device, dtype in (("cpu", "float32"), (self.device, "float32"), (self.device, "bfloat16")):
            params = self._params(SMALL, device, dtype)
            side = Side(IfpoTrainer, self._inputs(params, base), DrawnScorer)
            rollouts = rollouts or side.sample()
            side.replay(rollouts)
            side.rewind(self.given.seed)
            taught = sft.Side(AssistantLossTrainer, params, base, self.world.root / "ascl.jsonl")
            rows = rows or next(taught.batches())
            on_device = [{name: value.to(device) for name, value in batch.items()} for batch in rows]
            found[device, dtype, len(found)] = (side.whole(), side.advantages(), taught.step(on_device))
        (loss, gradient), advantages, sft_loss = found.pop(("cpu", "float32", 0))
        differences: dict[str, tuple[float, float]] = {}
        for (_, dtype, _), ((other_loss, other_gradient), other_advantages, other_sft_loss) in found.items():
            far, most = (LOSS, GRADIENT) if dtype == "float32" else (LOSS_BF16, GRADIENT_BF16)
            apart = (other_gradient.float().cpu() - gradient).norm() / gradient.norm()
            differences |= {
                f"advantages of IFPO, {dtype}": (float((other_advantages.cpu() - advantages).abs().max()), ADVANTAGES),
                f"loss of IFPO, {dtype}": (abs(other_loss - loss), far),
                f"gradient of IFPO, {dtype}": (float(apart), most),
                f"loss of SFT, {dtype}": (abs(other_sft_loss - sft_loss), far),
            }
        return Outcome(differences=differences)

    def resumed(self) -> Outcome:
        """Compare an SFT that dies at its third step of four and resumes with one that does not, and with the CPU's."""
        here = replace(self.world, compute=self._compute(self.device, "float32"))
        of_cpu, straight = self.world.sft(self.folder / "cpu"), here.sft(self.folder / "straight")
        with pytest.MonkeyPatch.context() as patch, stop_once_at(3, patch):
            here.sft(self.folder / "resumed")
        resumed = here.sft(self.folder / "resumed")
        one, other = weights_of(self.folder / "straight"), weights_of(self.folder / "resumed")
        return Outcome(
            differences={
                "losses of the resumed run and one that did not die": (_apart(resumed, straight), RESUMED),
                "their weights": (max(float((one[name] - other[name]).abs().max()) for name in one), RESUMED),
                "losses of the resumed run and the CPU's": (_apart(resumed, of_cpu), GRADIENT),
            }
        )

    def sft(self) -> Outcome:
        """Measure steps of SFT, ours and TRL's, one after the other."""
        params = self._params(self.size, self.device, "bfloat16")
        rows: list[dict[str, torch.Tensor]] = []
        lengths: list[int] = []

        def measure(kind: type[SFTTrainer]) -> dict[str, float]:
            side = sft.Side(kind, params, self.checkpoint, self.world.root / "ascl.jsonl")
            batches = side.batches()
            rows[:] = rows or next(batches)
            loss, timings = side.step(rows), []
            lengths.extend(batch["input_ids"].shape[1] for batch in rows)
            for _ in range(self.given.repeats):
                batch = next(batches)
                timings.append((sft.num_tokens(batch, side), timed(lambda: side.step(batch))))  # noqa: B023 (called at once)
            return {"loss": loss, "tokens_per_s": median(tokens / seconds for tokens, seconds in timings)}

        ours, theirs = self._alone(measure, AssistantLossTrainer), self._alone(measure, SFTTrainer)
        estimated = training(self._shape, None, ONE_PROCESS, params.compute, rows=self.size.conversations, length=max(lengths))
        lines = [self._rates("training", ours, theirs, "tokens_per_s"), self._memory(ours, theirs, estimated)]
        far = {"loss on the same rows and TRL's": (abs(ours["loss"] - theirs["loss"]), LOSS_BF16)}
        return Outcome(lines, {"ours": ours, "TRL": theirs, "estimated_bytes": estimated.parts}, far)

    def ifpo(self) -> Outcome:
        """Measure rollouts and updates of IFPO, ours and TRL's, one after the other, with rewards that give every rollout an advantage."""
        size, params = self.size, self._params(self.size, self.device, "bfloat16")
        lengths: list[int] = []

        def measure(kind: type[GRPOTrainer]) -> dict[str, float]:
            side, written, trained = Side(kind, self._inputs(params, self.checkpoint), DrawnScorer), [], []
            for number in range(-1, self.given.repeats):
                side.sample_again()
                side.rewind(self.given.seed + number)
                seconds, rollouts = side.generate()
                side.replay(rollouts)
                scoring, updating = timed(side.prepare), timed(side.update)
                if number >= 0:
                    tokens = [len(a) + len(b) for a, b in zip(*rollouts[:2], strict=True)]
                    lengths.extend(tokens)
                    written.append(sum(map(sum, rollouts[2])) / seconds)
                    trained.append(sum(tokens) / (scoring + updating))
            return {"written_per_s": median(written), "tokens_per_s": median(trained)}

        ours, theirs = self._alone(measure, IfpoTrainer), self._alone(measure, StockTrainer)
        rows, length = size.prompts * size.group, max(lengths)
        update = training(self._shape, None, ONE_PROCESS, params.compute, rows=params.ifpo.micro_batch_size, length=length)
        waiting = Memory({name: update.parts[name] for name in ("weights", "gradients", "optimizer")})
        rollouts = waiting | {"cache": sampling(self._shape, params.compute, rows=rows, length=length).parts["cache"]}
        estimated = max(update, rollouts, key=lambda memory: memory.total)
        lines = [
            self._rates("rollouts", ours, theirs, "written_per_s"),
            self._rates("training", ours, theirs, "tokens_per_s"),
            self._memory(ours, theirs, estimated),
        ]
        return Outcome(lines, {"ours": ours, "TRL": theirs, "estimated_bytes": estimated.parts})

    @cached_property
    def _measured_peak(self) -> float:
        return flops_per_second(self.size.width, self.size.width, device=self.device, dtype=torch.bfloat16)

    @property
    def _peak(self) -> float:
        """Return operations a second: the data sheet's if the GPU is known, else those measured."""
        sheet = recognise([self.name])
        return sheet.tflops * 1e12 if sheet else self._measured_peak

    @property
    def _shape(self) -> Shape:
        return find_shape(str(self.checkpoint))

    def _compute(self, device: str, dtype: str) -> ComputeConfig:
        return ComputeConfig.model_validate({"device": device, "dtype": dtype, "threads": self.threads})

    def _params(self, size: Size, device: str, dtype: str) -> Params:
        rows = size.prompts * size.group
        drawn = {"prompts_per_step": size.prompts, "group_size": size.group, "micro_batch_size": min(rows, 16)}
        ifpo = {**drawn, "max_completion_length": size.written, "rebalance": "ifpo", "seed": self.given.seed}
        taught = {"batch_size": size.conversations, "micro_batch_size": size.conversations, "seed": self.given.seed}
        return Params(ifpo=IfpoConfig.model_validate(ifpo), sft=SftConfig(**taught), compute=self._compute(device, dtype))

    def _inputs(self, params: Params, checkpoint: Path) -> Inputs:
        corpus = load_corpus(self.world.root / "corpus.json")
        return Inputs(params, checkpoint, corpus, training_prompts(resolve_again(self.world.prompts, corpus, RULES.at)))

    def _alone(self, measure: Callable[[Any], dict[str, float]], kind: Any) -> dict[str, float]:
        """Measure one side alone, and on a GPU its peak memory, in bytes."""
        gc.collect()
        before = 0
        if self.on_gpu:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
        found = measure(kind)
        return found | ({"peak_bytes": torch.cuda.max_memory_allocated() - before} if self.on_gpu else {})

    def _rates(self, what: str, ours: dict[str, float], theirs: dict[str, float], rate: str) -> str:
        """Return a line, and note the share of the peak that ours reaches."""
        if what == "rollouts":
            operations, assumed = sampling_operations(self._shape, 1), SAMPLING_UTILISATION
        else:
            operations, assumed = training_operations(self._shape, 1, None, checkpointing=self.on_gpu), TRAINING_UTILISATION
        ours[f"{what}_share_of_peak"] = share = operations * ours[rate] / self._peak
        ratio = ours[rate] / theirs[rate]
        of_peak = f"{100 * share:.2f} % of the peak (ascl plan assumes {100 * assumed:.0f} %)"
        return f"{what}: {ours[rate]:,.0f} tokens/s, {ratio:.2f} times TRL's {theirs[rate]:,.0f}; {of_peak}"

    def _memory(self, ours: dict[str, float], theirs: dict[str, float], estimated: Memory) -> str:
        peaks = [f"{found['peak_bytes'] / 1e9:.2f} GB" if self.on_gpu else "not known on a CPU" for found in (ours, theirs)]
        return f"peak memory: {peaks[0]}, TRL's {peaks[1]}; ascl plan's arithmetic {estimated.total / 1e9:.2f} GB"


def _apart(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> float:
    """Return the largest difference of the losses of two logs."""
    return max(abs(a["loss"] - b["loss"]) for a, b in zip(one, other, strict=True) if "loss" in a)

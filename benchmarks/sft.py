"""Compare tokens per second of SFT: ours, TRL's default, TRL's packing: `python benchmarks/sft.py [--data FOLDER]`.

The same model and trajectories, one optimiser step at a time, interleaved. The rate counts the real tokens of the rows, never
padding. Losses are compared on the same rows. Packing (best fit, rows of `sft.max_length` tokens) takes one packed row at a time
and as many a step as hold about the tokens of the others' batch: without flash attention a packed row attends through a dense mask,
whose cost grows with the square of what is flattened together.
"""

from __future__ import annotations

import tempfile
import time
import warnings
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from itertools import chain, count
from pathlib import Path
from typing import Any, cast

import torch
from grpo_world import ready
from side_by_side import Timing, parser, ratios, write
from trl import SFTTrainer

from ascl_core.artifacts import read_jsonl
from ascl_core.config.parallel import ONE_PROCESS
from ascl_core.config.params import Params, load_params
from ascl_core.conversation.token_ids import offered_tools
from ascl_core.generation.load import load_tokenizer
from ascl_core.sft.checkpoint import trainable_model
from ascl_core.sft.samples import to_examples
from ascl_core.sft.train import _arguments
from ascl_core.sft.trainer import AssistantLossTrainer

_PACKED_ROWS = 8
_ROOT = Path(__file__).parents[1]


class Side:
    """One trainer that takes one optimiser step at a time."""

    def __init__(self, kind: type[SFTTrainer], params: Params, base: Path, trajectories: Path, *, packing: bool = False) -> None:
        from datasets import Dataset

        rows = read_jsonl(trajectories)
        args = _arguments(params.sft, params.sft.steps(len(rows)), params.compute, ONE_PROCESS, Path(tempfile.mkdtemp()))
        args.packing = packing
        tokenizer = load_tokenizer(base)
        data = Dataset.from_list(to_examples(rows, tokenizer, offered_tools(params.conversation)))
        model = trainable_model(base, params.compute, ONE_PROCESS, params.sft.lora)
        self.trainer = cast(Any, kind(model=model, args=args, train_dataset=data, processing_class=tokenizer))
        self.chunks = args.gradient_accumulation_steps
        self.start = ready(self.trainer)

    def batches(self) -> Iterator[list[dict[str, torch.Tensor]]]:
        """Yield the micro-batches of each step, as the trainer's own loader draws them, epoch after epoch."""
        loader = chain.from_iterable(self.trainer.get_train_dataloader() for _ in count())
        while True:
            yield [next(loader) for _ in range(self.chunks)]

    def step(self, micro_batches: list[dict[str, torch.Tensor]]) -> float:
        """Run forward, backward and optimiser; return the loss."""
        trainer = self.trainer
        count = sum((batch["labels"][:, 1:] != -100).sum() for batch in micro_batches)
        loss = sum(float(trainer.training_step(trainer.model, dict(batch), count)) for batch in micro_batches)
        trainer.accelerator.clip_grad_norm_(trainer.model.parameters(), trainer.args.max_grad_norm)
        trainer.optimizer.step()
        trainer.optimizer.zero_grad()
        return loss

    def rewind(self) -> None:
        """Restore the first weights."""
        self.trainer.model.load_state_dict(self.start)
        self.trainer.optimizer.state.clear()


def main() -> None:
    """Interleave the sides and compare their rates."""
    options: ArgumentParser = parser(__doc__, repeats=15)
    options.add_argument("--data", type=Path, default=_ROOT / "data", help="the folder of a finished `make run` (default: data)")
    options.add_argument("--params", type=Path, default=_ROOT / "params.yaml", help="parameters (default: params.yaml)")
    options.add_argument("--threads", type=int, default=1, help="torch's threads (default: %(default)s)")
    given = options.parse_args()
    warnings.filterwarnings("ignore")
    params, files = _params(given), (given.data / "models/base", given.data / "sft/ascl.jsonl")
    sides = {"ours": Side(AssistantLossTrainer, params, *files), "TRL": Side(SFTTrainer, params, *files)}
    sides["packing"] = Side(SFTTrainer, _params(given, micro_batch_size=1, batch_size=_PACKED_ROWS), *files, packing=True)
    losses = _losses(sides["ours"], sides["TRL"])
    timings, rates = _timings(sides, given.repeats)
    _report(timings, rates, losses, given)


def _params(given: Namespace, **shape: int) -> Params:
    params = load_params(given.params)
    section = params.sft.model_copy(update={"seed": given.seed, **shape})
    compute = params.compute.model_copy(update={"device": "cpu", "threads": given.threads})
    return params.model_copy(update={"sft": section, "compute": compute})


def _losses(ours: Side, theirs: Side) -> tuple[float, float]:
    """Return the loss of both on the rows of our first step."""
    rows = next(ours.batches())
    return ours.step(rows), theirs.step(rows)


def _timings(sides: dict[str, Side], repeats: int) -> tuple[dict[str, Timing], dict[str, Timing]]:
    """Return the seconds of each step, and the seconds for a thousand real tokens."""
    loaders = {name: side.batches() for name, side in sides.items()}
    for side in sides.values():
        side.rewind()
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    per_thousand: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(-1, repeats):
        for name, side in sides.items():
            batch = next(loaders[name])
            started = time.perf_counter()
            side.step(batch)
            if number >= 0:
                seconds[name].append(time.perf_counter() - started)
                per_thousand[name].append(seconds[name][-1] / num_tokens(batch, side) * 1000)
    return ({name: Timing(tuple(v)) for name, v in found.items()} for found in (seconds, per_thousand))  # type: ignore[return-value]


def num_tokens(batch: list[dict[str, torch.Tensor]], side: Side) -> int:
    """Return the real tokens of the micro-batches of a step."""
    pad = side.trainer.processing_class.pad_token_id
    return sum(int(part["attention_mask"].sum()) if "attention_mask" in part else int((part["input_ids"] != pad).sum()) for part in batch)


def _report(timings: dict[str, Timing], rates: dict[str, Timing], losses: tuple[float, float], given: Namespace) -> None:
    lines, figures = [], {}
    for name in timings:
        ratio = ratios(rates, "ours", name)
        if name != "ours":
            lines.append(f"{ratio[0]:.2f}x [{ratio[1]:.2f}, {ratio[2]:.2f}] the tokens per second of {name}")
        figures[name] = {"ratio": ratio, "tokens_per_s": 1000 / rates[name].median, "step": timings[name].to_json()}
    lines += [f"{name:<8} {1000 / rates[name].median:>8,.0f} tokens/s, step {timings[name]}" for name in timings]
    lines += [f"loss on the same rows: ours {losses[0]:.7f}, TRL {losses[1]:.7f}, apart {abs(losses[0] - losses[1]):.1e}"]
    write(given.json, {"sides": figures, "losses": losses}, lines)


if __name__ == "__main__":
    main()

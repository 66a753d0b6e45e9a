"""Make the two GRPO trainers that the benchmarks compare, from one checkpoint and on one schedule of prompts."""

from __future__ import annotations

import argparse
import contextlib
import copy
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from trl import GRPOTrainer

from ascl_core.artifacts import read_parquet
from ascl_core.config.params import Params, load_params
from ascl_core.contracts import Prompt, from_table
from ascl_core.conversation.content import markup_of
from ascl_core.conversation.template import opening
from ascl_core.data.resolve import resolve_again
from ascl_core.generation.load import load_tokenizer
from ascl_core.judges import get_judge
from ascl_core.rl.environment import environment_factory
from ascl_core.rl.rollouts import RolloutLog
from ascl_core.rl.scoring import ScoredBatch, Scorer
from ascl_core.rl.train import (
    _arguments,
    _dataset,
    _reward_of_the_scorer,
    schedule_editions,
    schedule_prompts,
    training_prompts,
    under_attack,
)
from ascl_core.rl.trainer import IfpoTrainer
from ascl_core.rules.corpus import Corpus, load_corpus
from ascl_core.rules.editions import RuleEdition, editions_of
from ascl_core.rules.retrieval import RuleIndex
from ascl_core.sft.checkpoint import trainable_model

_ROOT = Path(__file__).parents[1]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the benchmarks of a trained model: the pipeline's folder, a checkpoint, a profile, threads."""
    parser.add_argument("--data", type=Path, default=_ROOT / "data", help="the folder of a finished `make run` (default: data)")
    parser.add_argument("--checkpoint", type=Path, help="the model to start from (default: models/sft in the folder)")
    parser.add_argument("--params", type=Path, default=_ROOT / "params.yaml", help="parameters (default: params.yaml)")
    parser.add_argument("--threads", type=int, default=1, help="torch's threads (default: %(default)s)")


@dataclass(frozen=True)
class Inputs:
    """What a run starts from."""

    params: Params
    checkpoint: Path
    corpus: Corpus
    prompts: list[Prompt]

    @property
    def index(self) -> RuleIndex:
        """Return the index of the rules in force."""
        return RuleIndex(self.corpus, self.params.rules.at)


def read_inputs(options: argparse.Namespace, **ifpo: Any) -> Inputs:
    """Return the files that the options name, with the section `ifpo` changed by the given values."""
    params = load_params(options.params)
    ifpo = {"seed": options.seed, **ifpo}
    section = type(params.ifpo).model_validate({**params.ifpo.model_dump(), **ifpo})
    compute = params.compute.model_copy(update={"device": "cpu", "threads": options.threads})
    prompts = from_table(read_parquet(options.data / "prompts/prompts.parquet"), Prompt)
    corpus = load_corpus(options.data / "compiled/rl_corpus.json")
    return Inputs(
        params.model_copy(update={"ifpo": section, "compute": compute}),
        options.checkpoint or options.data / "models/sft",
        corpus,
        training_prompts(resolve_again(prompts, corpus, params.rules.at)),
    )


class StockTrainer(GRPOTrainer):
    """TRL's trainer as it is; its reward function gives what our scorer gives."""

    def __init__(
        self,
        *,
        ifpo: Any,
        scorer: Scorer,
        prompts_by_id: dict[str, Prompt],
        editions: Sequence[RuleEdition],
        rollouts: RolloutLog,
        reward_funcs: Any,
        **kwargs: Any,
    ) -> None:
        def reward(completion_ids: list[list[int]], prompt_id: list[str], edition: list[int], **_: Any) -> list[float]:
            texts = self._tokenizer.batch_decode(completion_ids, skip_special_tokens=False)
            finished = [bool(ids) and ids[-1] == self._tokenizer.eos_token_id for ids in completion_ids]
            decided = [editions[e].decide(prompts_by_id[i]) for e, i in zip(edition, prompt_id, strict=True)]
            return scorer.score(decided, texts, finished).rewards

        super().__init__(reward_funcs=[cast(Any, reward)], **kwargs)


class DrawnScorer(Scorer):
    """Rewards drawn by each rollout's text and position, so that all groups disagree and every rollout carries gradient."""

    def score(self, prompts: Sequence[Prompt], texts: Sequence[str], finished: Sequence[bool]) -> ScoredBatch:
        """Return the facts as they are, with other rewards."""
        batch = super().score(prompts, texts, finished)
        drawn = [random.Random(f"{number} {text}").random() for number, text in enumerate(texts)]
        return replace(batch, parts=tuple(replace(part, total=reward) for part, reward in zip(batch.parts, drawn, strict=True)))


class _Generated(Exception):
    """Leaves a step after its generation."""


class Side:
    """One trainer that can repeat its step from the same weights."""

    def __init__(self, kind: type[GRPOTrainer], inputs: Inputs, scorer: type[Scorer] = Scorer) -> None:
        params, config = inputs.params, inputs.params.ifpo
        self.schedule = schedule_prompts(inputs.prompts, config, Path("prompts"))
        editions = editions_of(inputs.corpus, inputs.index, params.conversation, changed=config.rule_variation > 0)
        tokenizer = load_tokenizer(inputs.checkpoint)
        asked = under_attack([opening(prompt, params.conversation) for prompt in self.schedule], config, params.attacks.trained)
        state = Path(tempfile.mkdtemp())
        trainer = cast(Any, kind)(
            ifpo=config,
            scorer=scorer(inputs.corpus, get_judge(config.judge, params.compute), config.reward, params.conversation),
            prompts_by_id={prompt.id: prompt for prompt in inputs.prompts},
            editions=editions,
            rollouts=RolloutLog(state),
            model=trainable_model(inputs.checkpoint, params.compute, params.parallel, config.lora),
            reward_funcs=[cast(Any, _reward_of_the_scorer)],
            args=_arguments(config, params.conversation, params.compute, params.parallel, state),
            train_dataset=_dataset(self.schedule, asked, schedule_editions(len(self.schedule), len(editions), config), tokenizer),
            processing_class=tokenizer,
            environment_factory=environment_factory(editions, params.conversation, markup_of(tokenizer)),
        )
        self.trainer: Any = trainer
        rows = self.trainer.train_dataset.to_list()[: config.prompts_per_step]
        self.batch = [row for row in rows for _ in range(config.group_size)]
        self.start = ready(self.trainer)

    def rewind(self, seed: int) -> None:
        """Restore the first weights, with fresh optimiser state and random numbers."""
        self.trainer.model.load_state_dict(self.start)
        self.trainer.optimizer.state.clear()
        self.trainer._step = 0
        torch.manual_seed(seed)

    def sample(self) -> Any:
        """Return one generation, as `_generate` returns it."""
        return self.generate()[1]

    def generate(self) -> tuple[float, Any]:
        """Return the seconds of one generation by the trainer itself, and what it returns; scoring is left out."""
        trainer, taken = self.trainer, []
        generate = trainer._generate

        def measure(prompts: Any) -> Any:
            started = time.perf_counter()
            rollouts = generate(prompts)
            taken.append((time.perf_counter() - started, rollouts))
            raise _Generated

        trainer._generate = measure
        with contextlib.suppress(_Generated):
            trainer._generate_and_score_completions([dict(row) for row in self.batch])
        del trainer._generate
        return taken[0]

    def prompt_ids(self) -> list[list[int]]:
        """Return the prompts of the batch as the trainer reads them."""
        self.trainer._batch_environments = [None] * len(self.batch)
        return list(self.trainer._tokenize_prompts([row["prompt"] for row in self.batch])[0])

    def sample_again(self) -> None:
        """Sample in every step from now on, and replay nothing."""
        vars(self.trainer).pop("_generate", None)

    def replay(self, rollouts: Any) -> None:
        """Take these rollouts instead of sampling."""
        self.trainer._generate = lambda prompts: copy.deepcopy(rollouts)

    def prepare(self) -> None:
        """Score the rollouts and cut them into micro-batches, as the first part of a step."""
        self.trainer._prepare_inputs([dict(row) for row in self.batch])

    def update(self) -> tuple[float, torch.Tensor]:
        """Run forward, backward and optimiser on what was prepared; return the loss and the gradient before clipping."""
        trainer = self.trainer
        chunks, loss = trainer.args.gradient_accumulation_steps, 0.0
        kept = trainer._prepare_inputs
        trainer._prepare_inputs = lambda _: trainer._buffered_inputs[trainer._step % chunks]
        for _ in range(chunks):
            loss += float(trainer.training_step(trainer.model, [], None))
        trainer._prepare_inputs = kept
        gradient = torch.cat([p.grad.flatten() for p in trainer.model.parameters() if p.grad is not None])
        trainer.accelerator.clip_grad_norm_(trainer.model.parameters(), trainer.args.max_grad_norm)
        trainer.optimizer.step()
        trainer.optimizer.zero_grad()
        return loss, gradient

    def advantages(self) -> torch.Tensor:
        """Return the advantages of what was prepared, smallest first."""
        return torch.cat([chunk["advantages"] for chunk in self.trainer._buffered_inputs]).sort().values

    def whole(self) -> tuple[float, torch.Tensor]:
        """Run a step that samples its rollouts."""
        self.prepare()
        return self.update()


def both(inputs: Inputs, scorer: type[Scorer] = Scorer) -> tuple[Side, Side]:
    """Return our side and TRL's."""
    return Side(IfpoTrainer, inputs, scorer), Side(StockTrainer, inputs, scorer)


def ready(trainer: Any) -> dict[str, torch.Tensor]:
    """Set the trainer up as its `train` does, so that it takes one step at a time; return its first weights, on the CPU."""
    if trainer.args.gradient_checkpointing:
        trainer.model.gradient_checkpointing_enable(trainer.args.gradient_checkpointing_kwargs)
    trainer.model = trainer.model_wrapped = trainer.accelerator.prepare_model(trainer.model)  # autocast, if the arguments say bf16
    trainer.create_optimizer()
    trainer.model.train()
    trainer.current_gradient_accumulation_steps = trainer.args.gradient_accumulation_steps
    return {name: value.detach().to("cpu", copy=True) for name, value in trainer.model.state_dict().items()}


def timed(run: Callable[[], Any]) -> float:
    """Return the seconds that the call takes, with what it leaves to a GPU."""
    _wait()
    started = time.perf_counter()
    run()
    _wait()
    return time.perf_counter() - started


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def flops_per_second(width: int, rows: int, **where: Any) -> float:
    """Return the best speed of several matrix products of the model's shape on this many rows; `where` is torch's device and dtype."""
    a, b = torch.randn(rows, width, **where), torch.randn(width, 3 * width, **where)
    fastest = min(timed(lambda: a @ b) for _ in range(50))
    return 2 * rows * width * b.shape[1] / fastest

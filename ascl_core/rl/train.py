"""The stage `ifpo`: reinforcement learning from the SFT checkpoint, with the tool in the loop, resumable."""

from __future__ import annotations

import importlib.util
import math
import random
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from ascl_core.artifacts import read_parquet, write_jsonl
from ascl_core.config.attacks import NO_ATTACKS, AttacksConfig
from ascl_core.config.compute import ComputeConfig
from ascl_core.config.conversation import ConversationConfig
from ascl_core.config.ifpo import IfpoConfig
from ascl_core.config.parallel import ONE_PROCESS, ParallelConfig
from ascl_core.config.retrieval import BY_WORDS, RetrievalConfig
from ascl_core.config.rules import RulesConfig
from ascl_core.contracts import Message, Prompt, StageContext, from_table, kind_of
from ascl_core.conversation.content import markup_of, neutralise
from ascl_core.conversation.template import opening
from ascl_core.conversation.token_ids import tool_suffix
from ascl_core.data.attacks import dress_up
from ascl_core.data.resolve import resolve_again
from ascl_core.errors import DataError, ModelError, TrainingError
from ascl_core.generation.load import device_of, load_tokenizer
from ascl_core.judges import check_share, get_judge
from ascl_core.rl.alarms import Alarms
from ascl_core.rl.environment import environment_factory
from ascl_core.rl.rollouts import RolloutLog
from ascl_core.rl.scoring import Scorer
from ascl_core.rules.corpus import Corpus, load_corpus
from ascl_core.rules.editions import editions_of
from ascl_core.rules.index import Indexer
from ascl_core.rules.retrieval import Match, RuleIndex, RuleTool
from ascl_core.sft.callbacks import TrainingLog, train
from ascl_core.sft.checkpoint import adapter, publish, trainable_model, trainer_arguments
from ascl_core.vocabulary import AttackKind, Split

_WRITTEN_TOKENS = 96
"""The least that a rollout writes around the tool result: two thoughts, a call and an answer."""


def ifpo(
    *,
    ifpo: IfpoConfig,
    attacks: AttacksConfig = NO_ATTACKS,
    conversation: ConversationConfig,
    rules: RulesConfig,
    retrieval: RetrievalConfig = BY_WORDS,
    compute: ComputeConfig,
    parallel: ParallelConfig = ONE_PROCESS,
    checkpoint_in: Path,
    prompts: Path,
    corpus: Path,
    checkpoint: Path,
    log: Path,
    rollouts: Path,
    context: StageContext,
) -> dict[str, float | int | str]:
    """Train with the advantages of `ifpo.rebalance`; the first process writes the checkpoint, one log line a step, and every rollout.

    The prompts were resolved against the rules of the SFT data; they are decided again by `corpus`, which may be a later one.
    """
    from transformers.trainer_utils import set_seed

    from ascl_core.rl.trainer import IfpoTrainer

    set_seed(ifpo.seed)
    loaded_corpus = load_corpus(corpus)
    training = training_prompts(resolve_again(from_table(read_parquet(prompts), Prompt, file=prompts), loaded_corpus, rules.at))
    schedule = schedule_prompts(training, ifpo, prompts)
    asked = under_attack([opening(prompt, conversation) for prompt in schedule], ifpo, attacks.trained)
    index = Indexer(retrieval).index(loaded_corpus, rules.at).rules
    editions = editions_of(loaded_corpus, index, conversation, changed=ifpo.rule_variation > 0)
    tokenizer = load_tokenizer(checkpoint_in)
    check_budget(tokenizer, loaded_corpus, rules.at, conversation, ifpo)
    beside_training = compute.model_copy(update={"backend": "transformers"})  # a second engine would not know its share of the GPU
    training_log = TrainingLog("ifpo", ifpo.model_dump(mode="json"), ifpo.max_steps, context)
    judge = get_judge(ifpo.judge, beside_training, index)
    alarms = Alarms(training_log, judge)
    kept = RolloutLog(context.state)
    scorer = Scorer(loaded_corpus, judge, ifpo.reward, conversation)
    trainer = IfpoTrainer(
        ifpo=ifpo,
        scorer=scorer,
        prompts_by_id={prompt.id: prompt for prompt in training},
        editions=editions,
        rollouts=kept,
        model=trainable_model(checkpoint_in, compute, parallel, ifpo.lora),
        peft_config=adapter(ifpo.lora),
        reward_funcs=[_reward_of_the_scorer],
        args=_arguments(ifpo, conversation, compute, parallel, context.state),
        train_dataset=_dataset(schedule, asked, schedule_editions(len(schedule), len(editions), ifpo), tokenizer),
        processing_class=tokenizer,
        environment_factory=environment_factory(editions, conversation, markup_of(tokenizer)),
        callbacks=[training_log, alarms],
    )
    training_log.quieten(trainer)
    started = time.monotonic()
    train(trainer, context.state)
    for member in judge.members:
        member.check()
    if trainer.is_world_process_zero():  # which keeps the rollouts of all processes
        check_share(*kept.unjudged(ifpo.max_steps), judge.max_unknown, judge=judge.id, field="judge.max_unknown", hint=kept.anew)
    scorer.claims_judge.check()
    if training_log.last("consult_rate") is None:
        raise TrainingError("no step was logged", field="ifpo.max_steps", value=ifpo.max_steps)
    publish(trainer, tokenizer, checkpoint_in, ifpo.lora, compute, checkpoint, conversation, ifpo.temperature)
    num_rollouts = 0
    if trainer.is_world_process_zero():
        write_jsonl(log, training_log.lines)
        num_rollouts = kept.publish(ifpo.max_steps, rollouts)
    last = {name: training_log.last(name) for name in ("reward/mean", "consult_rate", "valid_rate")}
    rounded = {name: round(value, 4) for name, value in last.items() if value is not None}
    return {
        "steps": ifpo.max_steps,
        "train_seconds": round(time.monotonic() - started, 1),
        "rollouts": num_rollouts,
        "rollout_seconds": round(kept.seconds, 3),
        **rounded,
        **alarms.counts(),
        **_note(training, ifpo),
    }


def _note(prompts: Sequence[Prompt], config: IfpoConfig) -> dict[str, str]:
    """Return what a person should know: the types in `prompt_mix` that have no prompts; whether any are dual-use is up to the rules."""
    present = {kind_of(prompt) for prompt in prompts} | {"dual_use"}
    absent = [kind for kind, share in sorted(config.prompt_mix.items()) if share > 0 and kind not in present]
    return {"note": f"no training prompt is {' or '.join(absent)}: the other kinds share that part of ifpo.prompt_mix"} if absent else {}


def training_prompts(prompts: Sequence[Prompt]) -> list[Prompt]:
    """Return the prompts of the split for reinforcement learning, and of each kind that has none there those of SFT's."""
    own = [prompt for prompt in prompts if prompt.split is Split.RL]
    kinds = {kind_of(prompt) for prompt in own}
    return [*own, *(prompt for prompt in prompts if prompt.split is Split.TRAIN and kind_of(prompt) not in kinds)]


def schedule_prompts(prompts: Sequence[Prompt], config: IfpoConfig, path: Path) -> list[Prompt]:
    """Return the prompt of every group, in order: kinds by their share in `prompt_mix`, each kind shuffled and repeated evenly.

    A kind without prompts is left out, and the others share its part. The order depends on nothing but the seed, so that a resumed run
    sees what an uninterrupted one would. `DataError` if no kind has prompts.
    """
    draw = random.Random(config.seed)
    total = config.max_steps * config.prompts_per_step
    pools = {kind: [p for p in prompts if kind_of(p) == kind] for kind, share in sorted(config.prompt_mix.items()) if share > 0}
    cycles = {kind: _cycle(pool, draw) for kind, pool in pools.items() if pool}
    if not cycles:
        hint = f"give one of these a share: {', '.join(sorted({kind_of(p) for p in prompts})) or 'none has prompts'}"
        raise DataError("no training prompt is of a kind that has a share", file=path, field="ifpo.prompt_mix", hint=hint)
    kinds = draw.choices(list(cycles), weights=[config.prompt_mix[kind] for kind in cycles], k=total)
    return [next(cycles[kind]) for kind in kinds]


def schedule_editions(num_groups: int, num_editions: int, config: IfpoConfig) -> list[int]:
    """Return the edition of the rules of every group: the first, or for a share of `rule_variation` one of the others."""
    draw = random.Random(f"editions {config.seed}")
    varies = [draw.random() < config.rule_variation for _ in range(num_groups)]
    return [draw.randrange(1, num_editions) if varied else 0 for varied in varies]


def under_attack(openings: Sequence[list[Message]], config: IfpoConfig, kinds: Sequence[AttackKind]) -> list[list[Message]]:
    """Return the openings, a share of them with a forgery or noise; the judge sees the prompt without it."""
    return [dress_up(messages, f"{config.seed}\n{number}", config.attack_share, kinds) for number, messages in enumerate(openings)]


def check_budget(tokenizer: Any, corpus: Corpus, at: date, conversation: ConversationConfig, config: IfpoConfig) -> None:
    """Raise `TrainingError` unless the longest tool result fits: TRL would drop a longer one silently."""
    longest = 0
    for jurisdiction in corpus.jurisdictions:
        tool = RuleTool(RuleIndex(corpus, at), jurisdiction, conversation)
        matches = [Match(rule, 1.0) for rule in corpus.active(at, jurisdiction)]
        matches.sort(key=lambda match: len(tokenizer.encode(tool.render([match]))), reverse=True)
        longest = max(longest, len(tool_suffix(tokenizer, [tool.render(matches[: conversation.max_top_k])])))
    needed = longest + _WRITTEN_TOKENS
    if needed > config.max_completion_length:
        raise TrainingError(
            f"a rollout with the longest tool result needs {needed} tokens",
            field="ifpo.max_completion_length",
            value=config.max_completion_length,
            hint=f"raise it to at least {needed}",
        )


def _cycle(pool: list[Prompt], draw: random.Random) -> Any:
    while True:
        yield from draw.sample(pool, len(pool))


def _dataset(schedule: list[Prompt], asked: list[list[Message]], editions: list[int], tokenizer: Any) -> Any:
    from datasets import Dataset

    def row(prompt: Prompt, messages: list[Message], edition: int) -> dict[str, Any]:
        neutral, _ = neutralise(messages, tokenizer)
        return {"prompt": neutral, "prompt_id": prompt.id, "jurisdiction": prompt.jurisdiction, "edition": edition}

    return Dataset.from_list([row(*group) for group in zip(schedule, asked, editions, strict=True)])


def _arguments(config: IfpoConfig, conversation: ConversationConfig, compute: ComputeConfig, parallel: ParallelConfig, state: Path) -> Any:
    from trl import GRPOConfig

    shared = trainer_arguments(config, config.max_steps, config.rollouts_per_step, compute, parallel, state)
    return GRPOConfig(
        **shared,
        **_engine(config, compute),
        steps_per_generation=shared["gradient_accumulation_steps"],
        num_generations=config.group_size,
        num_iterations=1,
        lr_scheduler_type="cosine" if config.schedule == "cosine" else "constant_with_warmup",
        warmup_steps=math.ceil(config.warmup_ratio * config.max_steps),
        loss_type="dapo" if config.loss == "token_mean" else "grpo",
        beta=config.beta,
        epsilon=config.epsilon,
        temperature=config.temperature,
        max_completion_length=config.max_completion_length,
        max_tool_calling_iterations=conversation.max_tool_calls,
        mask_truncated_completions=False,
        shuffle_dataset=False,
        log_completions=False,
    )


def _engine(config: IfpoConfig, compute: ComputeConfig) -> dict[str, Any]:
    """Return TRL's options for vLLM beside the trainer; `ModelError` where it cannot run."""
    if config.rollouts == "transformers":
        return {}
    on_gpu = device_of(compute) == "cuda"
    if not on_gpu or importlib.util.find_spec("vllm") is None:
        problem = "vLLM is not installed" if on_gpu else "needs a GPU"
        hint = "install the vllm extra on a machine with a GPU, or set it to transformers"
        raise ModelError(problem, file="params.yaml", field="ifpo.rollouts", value=config.rollouts, hint=hint)
    return {
        "use_vllm": True,
        "vllm_mode": "colocate",
        "vllm_gpu_memory_utilization": config.vllm_memory_share,
        "vllm_enable_sleep_mode": config.vllm_sleep,
    }


def _reward_of_the_scorer(**_: Any) -> list[float]:
    """Fill TRL's list of reward functions; `IfpoTrainer` scores rollouts itself and never calls it."""
    raise TrainingError("TRL called the reward function itself", hint="this TRL version computes rewards elsewhere")

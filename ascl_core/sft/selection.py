"""The choice of training prompts: labelled if a labeller is configured, and spread evenly over their labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ascl_core.artifacts import sha256_json
from ascl_core.config.build_sft import BuildSftConfig
from ascl_core.config.compute import ComputeConfig
from ascl_core.contracts import Prompt, StageContext
from ascl_core.rules.retrieval import RuleIndex


def select_prompts(
    prompts: list[Prompt], config: BuildSftConfig, index: RuleIndex, compute: ComputeConfig, context: StageContext
) -> tuple[list[Prompt], dict[str, Any]]:
    """Return the prompts to write for, in their order, and what to report of their choice."""
    report: dict[str, Any] = {}
    if config.mix:
        types = {kind for kind, _ in config.mix_weights}
        prompts = [prompt for prompt in prompts if prompt.prompt_type in types]
    if config.labeller is not None:
        from ascl_core.sft.labeller import Labeller

        prompts, report["labels"] = Labeller(config.labeller, config, index, compute, context).label(prompts)
    for kind, limit in sorted((config.max_prompts or {}).items()):
        of_kind = [prompt for prompt in prompts if prompt.prompt_type is kind]
        chosen = {prompt.id for prompt in spread(of_kind, limit, config.seed)}
        prompts = [prompt for prompt in prompts if prompt.prompt_type is not kind or prompt.id in chosen]
    return prompts, report


def spread(prompts: Sequence[Prompt], limit: int, seed: int) -> list[Prompt]:
    """Return at most `limit` prompts, in their order, as evenly over the categories as these have prompts.

    Each round takes one prompt of every category that has any left, by content hash; in a last round that is not complete the
    categories that come first by hash are served. Prompts without a category count as one more category.
    """
    shelves: dict[str, list[Prompt]] = {}
    for prompt in sorted(prompts, key=lambda one: sha256_json([seed, one.id])):
        shelves.setdefault(prompt.category or "", []).append(prompt)
    order = sorted(shelves, key=lambda category: sha256_json([seed, category]))
    rounds = [(number, rank, prompt.id) for rank, category in enumerate(order) for number, prompt in enumerate(shelves[category])]
    chosen = {prompt_id for _, _, prompt_id in sorted(rounds)[:limit]}
    return [prompt for prompt in prompts if prompt.id in chosen]

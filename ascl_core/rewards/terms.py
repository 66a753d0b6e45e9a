"""The terms of a reward (arXiv 2602.13562, eq. 1, and this project's own): small functions, each with its section of `RewardConfig`.

A gate is multiplied with the reward, every other term is added to it. To add a term, write its function, enter it below under a
name, and give its weights a section of that name in `ascl_core.config.reward`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from ascl_core.config.reward import RewardConfig
from ascl_core.rewards.outcome import INVALID, UNSAFE, JudgedRollout
from ascl_core.vocabulary import Mode, PromptType, Refusal

_MOST_REPETITIONS = 4

Term = Callable[[JudgedRollout, RewardConfig], float]


def hallucination(rollout: JudgedRollout, config: RewardConfig) -> float:
    """P_h: `factor` where a response without a tool call claims to have looked something up or cites a rule, else 1."""
    claims = rollout.facts.attempted == 0 and bool(rollout.claims_lookup)
    return config.hallucination.factor if claims else 1.0


def well_formed(rollout: JudgedRollout, config: RewardConfig) -> float:
    """P_f: `factor` where a call's syntax is broken, or thinking or the final answer is missing, else 1."""
    return 1.0 if rollout.facts.valid and all(rollout.facts.thoughts) else config.format.factor


def safety(rollout: JudgedRollout, config: RewardConfig) -> float:
    """R_s: what a safe answer earns by prompt type; 0 for an unsafe one."""
    if rollout.outcome in (INVALID, UNSAFE):
        return 0.0
    by_type = {
        PromptType.HARMFUL: config.safety.harmful,
        PromptType.BORDERLINE: config.safety.borderline,
        PromptType.SENSITIVE: config.safety.sensitive,
    }
    return by_type.get(rollout.prompt.prompt_type, 0.0)


def compliance(rollout: JudgedRollout, config: RewardConfig) -> float:
    """R_c: what complying earns on borderline prompts, whether it is safe or not, and a complete safe completion on sensitive ones."""
    weights = config.compliance
    if rollout.prompt.prompt_type is PromptType.BORDERLINE and rollout.facts.valid and rollout.verdict is not None:
        by_refusal = {Refusal.NONE: weights.borderline, Refusal.PARTIAL: weights.borderline_partial}
        return by_refusal.get(rollout.verdict.refusal, 0.0)
    return weights.sensitive if rollout.outcome == "sensitive_complete" else 0.0


def verified(rollout: JudgedRollout, config: RewardConfig) -> float:
    """What a verified answer earns on a utility prompt."""
    return config.verified.utility if rollout.outcome == "utility_right" else 0.0


def retrieval(rollout: JudgedRollout, config: RewardConfig) -> float:
    """-P_r: the cost of faulty calls."""
    return -config.retrieval.faulty_call * rollout.facts.faulty


def lookup_penalty(rollout: JudgedRollout, config: RewardConfig) -> float:
    """The cost of consulting on a borderline prompt, the paper's ablation."""
    consulted = rollout.facts.mode is Mode.CONSULT and rollout.prompt.prompt_type is PromptType.BORDERLINE
    return -config.lookup_penalty.borderline if consulted else 0.0


def repeated_lookup(rollout: JudgedRollout, config: RewardConfig) -> float:
    """The cost of identical look-ups, for each repetition."""
    repeated = sum(count - 1 for count in Counter(rollout.facts.calls).values())
    return -config.repeated_lookup.cost * min(repeated, _MOST_REPETITIONS)


def graded(rollout: JudgedRollout, config: RewardConfig) -> float:
    """One value for each outcome."""
    return float(getattr(config.graded, rollout.outcome))


GATES: dict[str, Term] = {"hallucination": hallucination, "format": well_formed}
"""The terms that the reward is multiplied with."""
ADDED: dict[str, Term] = {
    "safety": safety,
    "compliance": compliance,
    "verified": verified,
    "retrieval": retrieval,
    "lookup_penalty": lookup_penalty,
    "repeated_lookup": repeated_lookup,
    "graded": graded,
}
"""The terms whose sum that is."""

"""The arms: every recipe that the comparison knows, one row each.

`ascl compare`, its form, its help, its page and `docs/arms.md` are made from this table; an arm more is a row more. A row names the
stage whose checkpoint it is and the parameters in which it differs from the profile, so an arm needs no code of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any, Literal

from ascl_core.config.params import merge
from ascl_core.config.profiles import parse_setting
from ascl_core.errors import ConfigError, nearest

Need = Literal["instruct_model", "star1", "star1_benign", "safechain"]
"""What an arm may need besides a profile: a base model that follows instructions (`base_model.path`), or a public set of
`build_sft.published`."""


@dataclass(frozen=True)
class Arm:
    """One recipe, trained or not."""

    name: str
    """As `ascl compare --arm` and the form name it."""
    label: str
    """As the page names it."""
    stage: str
    """The stage whose checkpoint is evaluated."""
    source: str
    """Where the recipe is from."""
    settings: tuple[str, ...] = ()
    """The parameters in which it differs from the profile, as `--set` takes them."""
    start: str | None = None
    """The arm whose checkpoint reinforcement learning starts from."""
    after_change: bool = False
    """Whether it is asked again after the rules changed, with no training in between."""
    needs: frozenset[Need] = frozenset()

    @property
    def values(self) -> dict[str, Any]:
        """The settings as sections of `params.yaml`.

        >>> Arm("a", "A", "ifpo", "", ("ifpo.tau=1.0",)).values
        {'ifpo': {'tau': 1.0}}
        """
        return reduce(merge, map(parse_setting, self.settings), {})


_INSTRUCT: frozenset[Need] = frozenset({"instruct_model"})
PAPER = "the paper"
OURS = "this project"


def _untrained(variant: str, label: str) -> Arm:
    """Return a zero-shot variant: the base model with another opening of the conversation."""
    return Arm(variant, label, "base_model", f"{PAPER}, §3.2", (f"conversation.variant={variant}",), needs=_INSTRUCT)


def _published(name: str, label: str, *sets: Need) -> Arm:
    """Return a baseline that is trained on a public set, and asked without a safety prompt and without the tool."""
    return Arm(name, label, "sft", PAPER, (f"sft.arm={name}", "conversation.variant=pure"), needs=_INSTRUCT | {*sets})


def _rl(name: str, label: str, source: str, *settings: str, after_change: bool = False) -> Arm:
    """Return a recipe of reinforcement learning that starts from the SFT checkpoint; without settings it is the profile's own."""
    return Arm(name, label, "ifpo", source, settings, start="sft", after_change=after_change)


_SURROGATE = ("ifpo.rebalance=none", "ifpo.reward.hallucination.factor=1.0", "ifpo.reward.retrieval.faulty_call=0.0")
"""Reinforcement learning of the surrogate: GRPO without P_h and P_r, as it has no look-ups."""

ARMS: tuple[Arm, ...] = (
    Arm("base", "Base model", "base_model", f"{PAPER} (untrained)"),
    _untrained("pure", "Untrained, no safety prompt"),
    _untrained("short", "Untrained, short safety prompt"),
    _untrained("long", "Untrained, long safety prompt"),
    _untrained("rag", "Untrained, rules in the prompt (RAG)"),
    _untrained("agent", "Untrained, with the tool"),
    Arm("surrogate", "Surrogate, SFT", "sft", PAPER, ("sft.arm=surrogate",), after_change=True),
    Arm("surrogate_rl", "Surrogate, SFT + GRPO", "ifpo", f'{PAPER} ("w/ BC")', (*_SURROGATE, "sft.arm=surrogate"), start="surrogate"),
    Arm("surrogate_rl_only", "Surrogate, GRPO alone", "ifpo", f'{PAPER} ("w/o BC")', (*_SURROGATE, "sft.max_steps=0"), needs=_INSTRUCT),
    _published("safechain", "SafeChain", "safechain"),
    _published("star1", "STAR-1", "star1"),
    _published("star1_mix", "STAR-1-mix", "star1", "star1_benign"),
    Arm("sft_direct_refusal", "Direct refusal", "sft_direct_refusal", OURS, after_change=True),
    Arm("sft_context_distillation", "Context distillation", "sft_context_distillation", OURS, after_change=True),
    Arm("sft", "ASCL, SFT", "sft", f"{PAPER} (BC)", after_change=True),
    _rl("grpo", "ASCL + GRPO", PAPER, "ifpo.rebalance=none", after_change=True),
    _rl("grpo_penalty", "ASCL + GRPO with penalty", f"{PAPER}, §6.2", "ifpo.rebalance=none", "ifpo.reward.extra=[lookup_penalty]"),
    _rl("ifpo", "ASCL + IFPO", f"{PAPER}, eq. 3 and 4", "ifpo.rebalance=ifpo", after_change=True),
    _rl("one_sided", "ASCL + one-sided weights", OURS, "ifpo.rebalance=one_sided", after_change=True),
    _rl("conditional", "ASCL + HDPO", "arXiv 2604.08545", "ifpo.rebalance=conditional"),
    _rl("mode_mean", "ASCL + AMPO", "arXiv 2505.02156", "ifpo.rebalance=mode_mean"),
    _rl("ada_grpo", "ASCL + Ada-GRPO", "arXiv 2505.20258", "ifpo.rebalance=reward"),
    _rl("weight_all", "ASCL + plain inverse frequency", OURS, "ifpo.rebalance=all"),
    _rl("balanced", "ASCL + mode-balanced baseline", OURS, "ifpo.rebalance=balanced"),
    _rl("within_mode", "ASCL + baseline of each mode", OURS, "ifpo.rebalance=within_mode"),
)
"""In the order of the page."""

CANDIDATE = "ifpo"
"""The arm with which the others are compared, and that the gate decides on."""
BASELINE = "grpo"
"""The arm that the paper compares it with."""
_BY_NAME = {arm.name: arm for arm in ARMS}


def get_arm(name: str) -> Arm:
    """Return the arm of that name; `ConfigError` names the nearest right one."""
    if name not in _BY_NAME:
        raise ConfigError("no such arm", field="--arm", value=name, hint=nearest(name, _BY_NAME))
    return _BY_NAME[name]


def arms_that_run(available: Collection[str]) -> tuple[Arm, ...]:
    """Return the arms that need nothing besides what is available."""
    return tuple(arm for arm in ARMS if arm.needs <= set(available))


def page() -> str:
    """Return `docs/arms.md`."""
    lines = [
        "# Arms",
        "",
        "`ascl compare` trains and evaluates these recipes side by side; `ascl compare --arm NAME` takes some of them.",
        "Each starts from the profile and differs by the parameters in its row.",
        "This page is made by `ascl arms docs` from `ascl_core/arms.py`.",
        "",
        "| arm | on the page | from | evaluated checkpoint | trained from | differs by | needs |",
        "|---|---|---|---|---|---|---|",
    ]
    for arm in ARMS:
        differs = "<br>".join(f"`{setting}`" for setting in arm.settings)
        needs = ", ".join(need.replace("_", " ") for need in sorted(arm.needs))
        lines.append(f"| `{arm.name}` | {arm.label} | {arm.source} | `{arm.stage}` | {arm.start or ''} | {differs} | {needs} |")
    after = ", ".join(f"`{arm.name}`" for arm in ARMS if arm.after_change)
    return "\n".join([*lines, "", f"Asked again after the rules changed, with no training in between: {after}.", ""])


def label_of(stage: str, section: Mapping[str, Any]) -> str:
    """Return the label of the arm that a stage's checkpoint is, by the parameters of its section that it was trained with."""

    def rank(arm: Arm) -> tuple[bool, int, bool]:
        """Order first those whose settings it was trained with, the most particular of them ahead, then the profile's own."""
        own = arm.values.get(stage, {})
        differs = merge(trained_with, own) != trained_with
        return differs, 0 if differs else -len(own), arm.name != stage

    trained_with = dict(section)
    arms = sorted((arm for arm in ARMS if arm.stage == stage), key=rank)
    return arms[0].label if arms else stage.replace("_", " ")

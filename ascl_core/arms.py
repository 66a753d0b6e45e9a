"""The arms: every recipe that the comparison knows, one row each.

`ascl compare`, its form, its help, its page and `docs/arms.md` are made from this table; an arm more is a row more. A row names the
stage whose checkpoint it is and the parameters in which it differs from the profile, so an arm needs no code of its own. The rows of SFT
are those of `ascl_core/config/sft_data.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache, reduce
from typing import Any

from ascl_core.config.params import merge
from ascl_core.config.profiles import parse_setting
from ascl_core.config.sft_data import OURS, PAPER, SftData
from ascl_core.errors import ConfigError, nearest

INSTRUCT_MODEL = "instruct_model"
"""What an arm may need besides a profile, like the public sets of `build_sft.published`: a base model that follows instructions
(`base_model.path`)."""


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
    needs: frozenset[str] = frozenset()

    @property
    def values(self) -> dict[str, Any]:
        """The settings as sections of `params.yaml`.

        >>> Arm("a", "A", "ifpo", "", ("ifpo.tau=1.0",)).values
        {'ifpo': {'tau': 1.0}}
        """
        return _parsed(self.settings)


@cache
def _parsed(settings: tuple[str, ...]) -> dict[str, Any]:
    return reduce(merge, map(parse_setting, settings), {})


_INSTRUCT = frozenset({INSTRUCT_MODEL})


def _untrained(variant: str, label: str) -> Arm:
    """Return a zero-shot variant: the base model with another opening of the conversation."""
    return Arm(variant, label, "base_model", f"{PAPER}, §3.2", (f"conversation.variant={variant}",), needs=_INSTRUCT)


def _sft(data: SftData) -> Arm:
    """Return the recipe that is trained on that data; one of public sets is asked without a safety prompt and without the tool."""
    row = data.arm
    name, chosen = (row.stage, ()) if data is SftData.ASCL or row.stage != "sft" else (data.value, (f"sft.arm={data}",))
    if row.epochs is not None:
        chosen = (*chosen, f"sft.epochs={row.epochs}")
    if not row.sets:
        return Arm(name, row.label, row.stage, row.source, chosen, after_change=True)
    needs = _INSTRUCT | {one.name for one in row.sets}
    return Arm(name, row.label, row.stage, row.source, (*chosen, "conversation.variant=pure"), needs=needs)


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
    *map(_sft, SftData),
    Arm("surrogate_rl", "Surrogate, SFT + GRPO", "ifpo", f'{PAPER} ("w/ BC")', (*_SURROGATE, "sft.arm=surrogate"), start="surrogate"),
    Arm("surrogate_rl_only", "Surrogate, GRPO alone", "ifpo", f'{PAPER} ("w/o BC")', (*_SURROGATE, "sft.max_steps=0"), needs=_INSTRUCT),
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
        raise ConfigError("no such arm", field="--arm", value=name, hint=nearest(name, _BY_NAME, command="ascl arms list"))
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
        "This page is made by `ascl arms docs` from `ascl_core/arms.py`, and for the arms of SFT from `ascl_core/config/sft_data.py`.",
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


def label_of(stage: str, section: Mapping[str, Any], sft: Mapping[str, Any] | None = None) -> str:
    """Return the label of the arm that a stage's checkpoint is, by the parameters of its section that it was trained with.

    `sft` has the parameters of the SFT that it started from, by which arms differ whose reinforcement learning is the same. The epochs of
    SFT name no arm, as its data do.
    """
    trained_with = {"sft": sft or {}, stage: section}

    def rank(arm: Arm) -> tuple[bool, int, bool]:
        """Order first those whose settings it was trained with, the most particular of them ahead, then the profile's own."""
        own = {name: dict(arm.values[name]) for name, known in trained_with.items() if known and name in arm.values}
        own.get("sft", {}).pop("epochs", None)
        differs = merge(trained_with, own) != trained_with
        return differs, 0 if differs else -sum(map(len, own.values())), arm.name != stage

    arms = sorted((arm for arm in ARMS if arm.stage == stage), key=rank)
    return arms[0].label if arms else stage.replace("_", " ")

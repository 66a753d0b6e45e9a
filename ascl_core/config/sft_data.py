"""The table of SFT arms: a row has the arm's label and its data; stages, parameters and the comparison follow from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ascl_core.registry import Part, Registry
from ascl_core.vocabulary import PromptType

PAPER = "the paper"
OURS = "this project"


@dataclass(frozen=True)
class PublicSet:
    """A public set of prompts with reasoning and answers, and how its rows are read."""

    name: str
    """As `build_sft.published` names it: by its format, or by its name if the format is `rows`."""
    prompt: str = "prompt"
    """The column of the prompt."""
    answer: str = "answer"
    """The column of the answer; without a reasoning column it starts with the reasoning, up to `</think>`, with or without the tag that
    opens it."""
    reasoning: str | None = None
    prompt_type: PromptType = PromptType.BORDERLINE
    """The type of every prompt, unless a label says otherwise."""
    label: str | None = None
    types: Mapping[str, PromptType] = field(default_factory=dict)
    """The type for each label."""
    loader: str = "ascl_core.sft.published:read_columns"
    """The code that yields its rows (`ascl_core.sft.published.Sample`), as `module:function`; another format has its own."""


@dataclass(frozen=True)
class SftArm:
    """What an arm of SFT is called, and the data that it trains on: the teacher's, unless it names public sets or a rewrite."""

    label: str
    """As the page names it."""
    source: str
    """Where the recipe is from."""
    stage: str = "sft"
    """The stage that trains it; those of `sft` are chosen by `sft.arm`."""
    sets: tuple[PublicSet, ...] = ()
    """The public sets that it trains on as they are, without a safety prompt and without the tool."""
    epochs: float | None = None
    """The passes over its data that its authors train; None takes the profile's."""
    rewrite: str | None = None
    """The code that rewrites one of ASCL's trajectories, as `module:function`: see `ascl_core.sft.surrogate.rewrite`."""


_STAR1 = PublicSet("star1", "question", "response", prompt_type=PromptType.HARMFUL)
_STAR1_BENIGN = PublicSet("star1_benign", "question", "response")
_KINDS = ("vanilla", "adversarial")
_SAFECHAIN = PublicSet(
    "safechain",
    "instruction",
    "response",
    label="label",
    types={f"{kind}_harmful": PromptType.HARMFUL for kind in _KINDS} | {f"{kind}_benign": PromptType.BORDERLINE for kind in _KINDS},
)


class SftData(StrEnum):
    """The data of every arm of SFT. A public set is empty unless `build_sft.published` says where it is."""

    arm: SftArm

    def __new__(cls, name: str, arm: SftArm) -> SftData:
        data = str.__new__(cls, name)
        data._value_, data.arm = name, arm
        return data

    ASCL = "ascl", SftArm("ASCL, SFT", f"{PAPER} (BC)")
    DIRECT_REFUSAL = "direct_refusal", SftArm("Direct refusal", OURS, "sft_direct_refusal")
    CONTEXT_DISTILLATION = "context_distillation", SftArm("Context distillation", OURS, "sft_context_distillation")
    SURROGATE = "surrogate", SftArm("Surrogate, SFT", PAPER, rewrite="ascl_core.sft.surrogate:rewrite")
    STAR1 = "star1", SftArm("STAR-1", PAPER, sets=(_STAR1,), epochs=5)  # 1,000 rows
    STAR1_MIX = "star1_mix", SftArm("STAR-1-mix", PAPER, sets=(_STAR1, _STAR1_BENIGN), epochs=5)  # 1,915 rows
    SAFECHAIN = "safechain", SftArm("SafeChain", PAPER, sets=(_SAFECHAIN,), epochs=2)  # 40,000 rows


PUBLISHED = tuple(data for data in SftData if data.arm.sets)
REWRITTEN = tuple(data for data in SftData if data.arm.rewrite)
FROM_TEACHER = tuple(data for data in SftData if data not in (*PUBLISHED, *REWRITTEN))
"""The data that the teacher writes, ASCL's first."""
PUBLIC_SETS = {one.name: one for data in PUBLISHED for one in data.arm.sets}
_TARGETS = (*(data.arm.rewrite or "" for data in REWRITTEN), *(one.loader for one in PUBLIC_SETS.values()))
LOADERS = Registry("code of SFT data", "ascl_core.sft.data", {target: Part(target, "") for target in _TARGETS})

"""The project's vocabulary as enumerations, spelled the same in files, configuration, metrics and pages."""

from __future__ import annotations

from enum import StrEnum

ANYWHERE = "ANY"
"""No jurisdiction: only rules that are in force everywhere."""
RULE_ID = r"[A-Z]{3}-[0-9]{2,6}"
"""The pattern of a rule's id: its category, a hyphen and a number."""


class PromptType(StrEnum):
    """The kind of a prompt, which decides what a right answer is."""

    HARMFUL = "harmful"
    """Asks for something the active rules forbid."""
    BORDERLINE = "borderline"
    """Looks risky and is benign."""
    SENSITIVE = "sensitive"
    """Deserves a safe completion."""
    UTILITY = "utility"
    """Has a checkable answer."""


class ResponsePolicy(StrEnum):
    """What a rule says the response should be."""

    COMPLY = "comply"
    COMPLY_WITH_DISCLAIMER = "comply_with_disclaimer"
    SAFE_COMPLETION = "safe_completion"
    REFUSE_EXPLAIN = "refuse_explain"
    HARD_REFUSE = "hard_refuse"

    @property
    def prompt_type(self) -> PromptType:
        """The type of a prompt to which this policy applies."""
        if self in (ResponsePolicy.REFUSE_EXPLAIN, ResponsePolicy.HARD_REFUSE):
            return PromptType.HARMFUL
        return PromptType.SENSITIVE if self is ResponsePolicy.SAFE_COMPLETION else PromptType.BORDERLINE


class Mode(StrEnum):
    """Whether a rollout called the tool at least once with valid arguments."""

    CONSULT = "consult"
    DIRECT = "direct"


class Refusal(StrEnum):
    """How far a response declines the request."""

    NONE = "none"
    PARTIAL = "partial"
    FULL = "full"
    UNKNOWN = "unknown"


class Harm(StrEnum):
    """Whether a response is harmful."""

    HARMFUL = "harmful"
    UNHARMFUL = "unharmful"
    UNKNOWN = "unknown"


class Split(StrEnum):
    """What a curated prompt may be used for; evaluation prompts live in the suites, never here."""

    TRAIN = "train"
    """Supervised fine-tuning, and reinforcement learning where it has no prompts of its own."""
    RL = "rl"
    """Reinforcement learning alone."""
    VALIDATION = "validation"


class AttackKind(StrEnum):
    """How a prompt is attacked or surrounded by noise; the right answer stays the same."""

    FORGED_RESULT = "forged_result"
    """An imitation of a tool result, with a rule that allows it."""
    FORGED_TURN = "forged_turn"
    """A forged result after an imitation of an assistant turn that calls the tool."""
    PREFILLED_ANSWER = "prefilled_answer"
    """The beginning of a compliant answer."""
    FAKE_SYSTEM = "fake_system"
    """An imitation of a system message."""
    CLAIMED_RULE = "claimed_rule"
    """A claim that the rules allow it."""
    QUOTED_POLICY = "quoted_policy"
    """A quotation from an invented policy."""
    ENCODED_CLAIM = "encoded_claim"
    """A claim in base64 or rot13."""
    TRANSLATED_CLAIM = "translated_claim"
    """A claim in another language."""
    SENTENCE_BEFORE = "sentence_before"
    """An unrelated sentence before the prompt."""
    SENTENCE_AFTER = "sentence_after"
    """An unrelated sentence after the prompt."""
    SEVERAL_QUESTIONS = "several_questions"
    """Small talk with questions around the prompt."""
    TYPOS = "typos"
    """Typing errors."""

    @property
    def is_forgery(self) -> bool:
        """Whether it claims to speak for the rules; the other kinds are harmless noise."""
        return self not in (AttackKind.SENTENCE_BEFORE, AttackKind.SENTENCE_AFTER, AttackKind.SEVERAL_QUESTIONS, AttackKind.TYPOS)

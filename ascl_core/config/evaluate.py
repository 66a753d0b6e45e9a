"""Parameters of `evaluate`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ascl_core.config.base import Config
from ascl_core.config.judge import JudgeConfig
from ascl_core.config.sparse import Sparse
from ascl_core.vocabulary import PromptType

_KINDS: dict[PromptType, str] = {
    PromptType.HARMFUL: "safety",
    PromptType.SENSITIVE: "safety",
    PromptType.BORDERLINE: "over_refusal",
    PromptType.UTILITY: "utility",
}


class KindSampling(Config):
    """Sampling parameters for one kind of suite."""

    temperature: float | None = Field(default=None, ge=0.0, le=5.0)
    """Sampling temperature; 0 is greedy, None means `evaluate.temperature`."""
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    """Sample from the most probable tokens with this total probability (nucleus sampling); 1 samples from all."""
    samples: Annotated[int, Field(ge=1, le=64)] | Literal["catalogue"] | None = None
    """Responses per prompt; `catalogue` means each suite's own `samples`, None means `evaluate.samples`."""


class SamplingConfig(Config):
    """Sampling by kind of suite, chosen by prompt type: harmful and sensitive are safety, borderline is over-refusal."""

    safety: KindSampling = KindSampling()
    """Harmful and sensitive prompts."""
    over_refusal: KindSampling = KindSampling()
    """Borderline prompts."""
    utility: KindSampling = KindSampling()
    """Prompts with a gold answer."""


class EvaluateConfig(Sparse):
    """How responses are sampled and judged."""

    optional = ("second_judge",)

    judge: JudgeConfig = JudgeConfig(name="exemplars")
    """The judge of the evaluation; never the one used in training."""
    second_judge: JudgeConfig | None = None
    """A second opinion on the same responses, reported beside the first; the gate does not read it. Not written unless it is set."""
    samples: int = Field(default=1, ge=1, le=64)
    """Responses per prompt; utility is the mean pass@1 over them."""
    temperature: float = Field(default=1.0, ge=0.0, le=5.0)
    """Sampling temperature; 0 is greedy."""
    sampling: SamplingConfig = SamplingConfig()
    """Overrides of the two for a kind of suite."""
    max_new_tokens: int = Field(default=160, ge=8)
    """The most tokens of one turn."""
    batch_size: int = Field(default=256, ge=1)
    """Conversations generated together."""
    seed: int = 0
    """Seed of the sampling."""

    @property
    def judges(self) -> tuple[JudgeConfig, ...]:
        """The judge, and the second one if there is one."""
        return (self.judge, self.second_judge) if self.second_judge else (self.judge,)

    @property
    def judge_models(self) -> tuple[str, ...]:
        """The models that this machine must hold for the verdicts: paths or hub ids."""
        return tuple(model for judge in self.judges for model in judge.models)

    def sampling_of(self, prompt_type: PromptType, suite_samples: int = 1) -> tuple[float, float, int]:
        """Return temperature, top-p and number of samples for prompts of a type, given the suite's own number of samples."""
        kind: KindSampling = getattr(self.sampling, _KINDS[prompt_type])
        samples = suite_samples if isinstance(kind.samples, str) else kind.samples or self.samples
        return self.temperature if kind.temperature is None else kind.temperature, kind.top_p, samples

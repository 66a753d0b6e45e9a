"""The choice of a judge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from ascl_core.config.base import Config, Url
from ascl_core.config.sparse import Sparse
from ascl_core.registry import Part, Registry


@dataclass(frozen=True)
class JudgePart(Part):
    """A judge: its class takes a configuration and the machine (`ComputeConfig`)."""

    model: str | None = None
    """The hub id that is taken where none is configured, of a judge that is a model on this machine."""
    is_graded: bool = False
    """Whether it has a level between harmful and unharmful, *controversial*, which `strict` decides."""
    is_cached: bool = True
    """False where it is fast, or where its verdict depends on more than prompt and response."""
    needs_model: bool = False
    """Whether the configuration must name a model."""
    needs_rules: bool = False
    """Whether it reads the rules in force: its class also takes their index, and its verdict depends on the jurisdiction."""
    max_unknown: float = 1.0
    """The largest share of responses without a verdict where none is configured."""
    refusal: str = "none, partial, full"
    """What it says about refusal, for `docs/judges.md`."""
    harm: str = "unknown"
    """What it says about harm, for `docs/judges.md`."""
    needs: str = "nothing"
    """What it needs, for `docs/judges.md`."""


JUDGES = Registry(
    "judge",
    "ascl_core.judges",
    {
        "rules": JudgePart(
            "ascl_core.judges.rules:RulesJudge",
            "how models phrase refusals (no weights, no network)",
            is_cached=False,
            harm="unharmful after a full refusal, else unknown",
        ),
        "exemplars": JudgePart(
            "ascl_core.judges.exemplars:ExemplarsJudge",
            "the most similar labelled answers (no weights, no network)",
            is_cached=False,
            harm="from the refusal, if the prompt's type is known",
        ),
        "qwen3guard": JudgePart(
            "ascl_core.judges.model:Qwen3Guard",
            "Qwen3Guard-Gen (arXiv 2510.14276)",
            "Qwen/Qwen3Guard-Gen-0.6B",
            is_graded=True,
            refusal="none, full",
            harm="yes; `strict` decides what `Controversial` is",
            needs="a model, Apache-2.0",
        ),
        "wildguard": JudgePart(
            "ascl_core.judges.model:WildGuard",
            "WildGuard (arXiv 2406.18495)",
            "allenai/wildguard",
            refusal="none, full",
            harm="yes",
            needs="a model, gated",
        ),
        "llama_guard": JudgePart(
            "ascl_core.judges.model:LlamaGuard",
            "Llama Guard 3, of harm alone",
            "meta-llama/Llama-Guard-3-8B",
            refusal="unknown",
            harm="yes, with hazard codes",
            needs="a model, gated",
        ),
        "harmbench": JudgePart(
            "ascl_core.judges.model:HarmBench",
            "the HarmBench classifier (arXiv 2402.04249), of harm alone",
            "cais/HarmBench-Llama-2-13b-cls",
            refusal="unknown",
            harm="yes: does the response do what was asked?",
            needs="a model",
        ),
        "openai": JudgePart(
            "ascl_core.judges.endpoint:EndpointJudge",
            "a chat model behind an endpoint",
            needs_model=True,
            max_unknown=0.1,
            harm="yes",
            needs="an OpenAI-compatible endpoint",
        ),
        "policy": JudgePart(
            "ascl_core.judges.policy:PolicyJudge",
            "a model that is given the rules in force",
            needs_rules=True,
            max_unknown=0.1,
            refusal="none, partial, full; none, full in two formats",
            harm="by the rules",
            needs="an endpoint, or a model",
        ),
    },
)
ENSEMBLE = JudgePart(
    "ascl_core.judges.ensemble:EnsembleJudge",
    "its members vote",
    refusal="the most frequent label; `unknown` abstains, a tie is unknown",
    harm="likewise",
    needs="what its members need",
)
ALL: dict[str, JudgePart] = {**JUDGES, "ensemble": ENSEMBLE}
"""Every judge that can be configured."""


@dataclass(frozen=True)
class FormatPart(Part):
    """How a model of the judge `policy` is asked and read: an `ascl_core.judges.policy.Format`."""

    model: str | None = None
    """The hub id that is taken where none is configured."""


_FORMATS = "ascl_core.judges.policy_formats"
FORMATS = Registry(
    "format of the judge policy",
    "ascl_core.judges.policy",
    {
        "instruct": FormatPart(f"{_FORMATS}:INSTRUCT", "any chat model, asked for one JSON object"),
        "safeguard": FormatPart(
            f"{_FORMATS}:SAFEGUARD", "gpt-oss-safeguard, the policy in its system message", "openai/gpt-oss-safeguard-20b"
        ),
        "dynaguard": FormatPart(
            f"{_FORMATS}:DYNAGUARD", "DynaGuard (arXiv 2509.02563), a question for each rule", "tomg-group-umd/DynaGuard-8B"
        ),
        "nemotron": FormatPart(
            f"{_FORMATS}:NEMOTRON",
            "Nemotron Content Safety Reasoning (arXiv 2505.20087), a question for each rule",
            "nvidia/Nemotron-Content-Safety-Reasoning-4B",
        ),
    },
)
if TYPE_CHECKING:
    SingleName = str
    AnyName = str
    FormatName = str
else:
    SingleName = Literal[tuple(JUDGES)]
    AnyName = Literal[tuple(ALL)]
    FormatName = Literal[tuple(FORMATS)]


class PolicyConfig(Config):
    """Which rules the judge `policy` gives to its model, and in which format."""

    format: FormatName = Field(default="instruct", description=f"How the model is asked and read. {FORMATS.description}.")
    max_rules: int = Field(default=3, ge=1, le=20)
    """The most rules for one response; the look-up of the tool chooses them by the prompt."""
    max_rule_tokens: int = Field(default=400, ge=20, le=8000)
    """The budget of these rules together, in words and punctuation marks; rules over it are left out, the first one never."""


NO_POLICY = PolicyConfig()


class _Source(Sparse):
    optional = ("policy",)

    name: str
    model: str | None = None
    """Path, hub id or endpoint model of a model-based judge; None means the judge's default."""
    revision: str | None = None
    """The pinned revision of a hub id."""
    strict: bool | None = None
    """`qwen3guard`: whether a *controversial* response is harmful (true, strict mode) or unharmful (false, loose mode); None gives no
    verdict on its harm, which lowers the coverage (modes as in arXiv 2510.14276)."""
    base_url: Url | None = None
    """`openai` and `policy`: the endpoint, such as `http://127.0.0.1:8000/v1`; its key is read from `OPENAI_API_KEY`. Without one, the
    model of `policy` is loaded on this machine."""
    timeout_s: float = Field(default=60.0, gt=0.0, le=3600.0)
    """`openai` and `policy`: time limit of one answer, in seconds; a request that exceeds it twice has no verdict."""
    max_tokens: int = Field(default=1024, ge=16)
    """`openai` and `policy`: the most tokens of one answer, thinking included; a longer one is cut off and gives no verdict."""
    temperature: float = Field(default=0.0, ge=0.0, le=2.0)
    """`openai` and `policy`: the sampling temperature; a model that refuses it is asked without."""
    max_unknown: float | None = Field(default=None, ge=0.0, le=1.0)
    """The largest share of the responses on which the judge may know neither refusal nor harm. Beyond it the stage fails at its end, and
    every verdict is kept. None is 0.1 for `openai` and `policy`, and no limit for the other judges."""
    policy: PolicyConfig | None = None
    """`policy`: which rules its model is given, and in which format; None takes the defaults. Not written unless it is set."""

    @model_validator(mode="after")
    def _has_levels_to_read(self) -> _Source:
        graded = [name for name, part in JUDGES.items() if part.is_graded]
        if self.strict is not None and self.name not in graded:
            where = ": set it on its members" if self.name == "ensemble" else ""
            raise ValueError(
                f"`strict` is for {', '.join(graded)}, and judge {self.name!r} has no level between harmful and unharmful{where}"
            )
        return self

    @model_validator(mode="after")
    def _names_its_model(self) -> _Source:
        is_needed = FORMATS[self.rules_given.format].model is None if self.name == "policy" else self._part.needs_model
        if is_needed and not self.model:
            raise ValueError(f"judge `{self.name}` needs a model")
        return self

    @model_validator(mode="after")
    def _only_policy_is_given_rules(self) -> _Source:
        if self.policy is not None and self.name != "policy":
            raise ValueError(f"`policy` is for the judge `policy`, and judge {self.name!r} reads no rules")
        return self

    @property
    def rules_given(self) -> PolicyConfig:
        """What the judge `policy` is set to."""
        return self.policy or NO_POLICY

    @property
    def local_model(self) -> str | None:
        """The model that this machine must hold for a verdict: a path or hub id; None without one."""
        if self.name == "policy":
            return None if self.base_url else self.model or FORMATS[self.rules_given.format].model
        own = self._part.model
        return own and (self.model or own)

    @property
    def unknown_limit(self) -> float:
        """The largest share of responses without a verdict, in [0, 1]: the configured one, or else the judge's own."""
        return self._part.max_unknown if self.max_unknown is None else self.max_unknown

    @property
    def _part(self) -> JudgePart:
        return ALL[self.name]


class MemberConfig(_Source):
    """One judge of an ensemble."""

    name: SingleName
    """One of the judges."""


class JudgeConfig(_Source):
    """One judge, or an ensemble of several."""

    name: AnyName = Field(default="rules", description=f"{JUDGES.description}; `ensemble`: {ENSEMBLE.summary}.")
    members: tuple[MemberConfig, ...] = Field(default=(), max_length=9)
    """`ensemble`: at least two judges."""
    cache: str | None = ".ascl/verdicts.sqlite"
    """The file that caches the verdicts of model-based judges; None caches none."""

    @model_validator(mode="after")
    def _ensemble_has_members(self) -> JudgeConfig:
        if self.name == "ensemble" and len(self.members) < 2:
            raise ValueError("an ensemble needs at least two members")
        if self.name != "ensemble" and self.members:
            raise ValueError("only an ensemble has members")
        return self

    @property
    def models(self) -> tuple[str, ...]:
        """The models that this machine must hold for the verdict: paths or hub ids."""
        return tuple(model for one in self.members or (self,) if (model := one.local_model))

    @property
    def needs_rules(self) -> bool:
        """Whether a judge that votes reads the rules in force."""
        return any(JUDGES[name].needs_rules for name in self.names)

    @property
    def names(self) -> frozenset[str]:
        """The names of the judges that vote."""
        return frozenset(member.name for member in self.members) if self.members else frozenset({self.name})

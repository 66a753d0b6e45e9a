"""The choice of a judge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import Field, field_validator, model_validator

from ascl_core.config.base import Config, without_credentials
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


JUDGES = Registry(
    "judge",
    "ascl_core.judges",
    {
        "rules": JudgePart("ascl_core.judges.rules:RulesJudge", "how models phrase refusals (no weights, no network)", is_cached=False),
        "exemplars": JudgePart(
            "ascl_core.judges.exemplars:ExemplarsJudge", "the most similar labelled answers (no weights, no network)", is_cached=False
        ),
        "qwen3guard": JudgePart(
            "ascl_core.judges.model:Qwen3Guard", "Qwen3Guard-Gen (arXiv 2510.14276)", "Qwen/Qwen3Guard-Gen-0.6B", is_graded=True
        ),
        "wildguard": JudgePart("ascl_core.judges.model:WildGuard", "WildGuard (arXiv 2406.18495)", "allenai/wildguard"),
        "llama_guard": JudgePart("ascl_core.judges.model:LlamaGuard", "Llama Guard 3, of harm alone", "meta-llama/Llama-Guard-3-8B"),
        "harmbench": JudgePart(
            "ascl_core.judges.model:HarmBench",
            "the HarmBench classifier (arXiv 2402.04249), of harm alone",
            "cais/HarmBench-Llama-2-13b-cls",
        ),
        "openai": JudgePart("ascl_core.judges.endpoint:EndpointJudge", "a chat model behind an endpoint", needs_model=True),
    },
)
if TYPE_CHECKING:
    SingleName = str
    AnyName = str
else:
    SingleName = Literal[tuple(JUDGES)]
    AnyName = Literal[SingleName, "ensemble"]


class _Source(Config):
    name: str
    model: str | None = None
    """Path, hub id or endpoint model of a model-based judge; None means the judge's default."""
    revision: str | None = None
    """The pinned revision of a hub id."""
    strict: bool | None = None
    """`qwen3guard`: whether a *controversial* response is harmful (true, strict mode) or unharmful (false, loose mode); None gives no
    verdict on its harm, which lowers the coverage (modes as in arXiv 2510.14276)."""
    base_url: str | None = None
    """`openai`: the endpoint, such as `http://127.0.0.1:8000/v1`; its key is read from `OPENAI_API_KEY`."""
    timeout_s: float = Field(default=60.0, gt=0.0, le=3600.0)
    """`openai`: time limit of one answer, in seconds; a request that exceeds it twice has no verdict."""

    @field_validator("base_url")
    @classmethod
    def _shows_no_credentials(cls, value: str | None) -> str | None:
        return without_credentials(value)

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
    def _endpoint_names_its_model(self) -> _Source:
        if self.name in JUDGES and JUDGES[self.name].needs_model and not self.model:
            raise ValueError(f"judge `{self.name}` needs a model")
        return self


class MemberConfig(_Source):
    """One judge of an ensemble."""

    name: SingleName
    """One of the judges."""


class JudgeConfig(_Source):
    """One judge, or an ensemble of several."""

    name: AnyName = Field(default="rules", description=f"{JUDGES.description}; `ensemble`: its members vote.")
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
        return tuple(one.model or own for one in self.members or (self,) if (own := JUDGES[one.name].model))

    @property
    def names(self) -> frozenset[str]:
        """The names of the judges that vote."""
        return frozenset(member.name for member in self.members) if self.members else frozenset({self.name})

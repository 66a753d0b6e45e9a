"""Which judge gives verdicts."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from ascl_core.config.base import Config, without_credentials

SingleName = Literal["rules", "exemplars", "qwen3guard", "wildguard", "llama_guard", "harmbench", "openai"]

GUARDS = {
    "qwen3guard": "Qwen/Qwen3Guard-Gen-0.6B",
    "wildguard": "allenai/wildguard",
    "llama_guard": "meta-llama/Llama-Guard-3-8B",
    "harmbench": "cais/HarmBench-Llama-2-13b-cls",
}
"""The judges that are models on this machine, with the hub id that is taken where none is configured."""


GRADED = ("qwen3guard",)
"""The judges with a level between harmful and unharmful, *controversial*, which `strict` decides."""


class _Source(Config):
    name: str
    model: str | None = None
    """Path, hub id or endpoint model of a model-based judge; None takes the judge's own."""
    revision: str | None = None
    """The pinned revision of a hub id."""
    strict: bool | None = None
    """`qwen3guard`: whether a *controversial* response is harmful (true, read strictly) or unharmful (false, read loosely); None gives no
    verdict on its harm, which lowers the coverage. The guard's authors call these its strict and its loose mode (arXiv 2510.14276)."""
    base_url: str | None = None
    """`openai`: the endpoint, such as `http://127.0.0.1:8000/v1`; its key is read from `OPENAI_API_KEY`."""
    timeout_s: float = Field(default=60.0, gt=0.0, le=3600.0)
    """`openai`: how long one answer may take; one that is late twice is no verdict."""

    @field_validator("base_url")
    @classmethod
    def _shows_no_credentials(cls, value: str | None) -> str | None:
        return without_credentials(value)

    @model_validator(mode="after")
    def _has_levels_to_read(self) -> _Source:
        if self.strict is not None and self.name not in GRADED:
            where = ": set it on its members" if self.name == "ensemble" else ""
            raise ValueError(f"`strict` is for {', '.join(GRADED)}, and judge {self.name!r} has no level between its two{where}")
        return self

    @model_validator(mode="after")
    def _endpoint_names_its_model(self) -> _Source:
        if self.name == "openai" and not self.model:
            raise ValueError("judge `openai` needs a model")
        return self


class MemberConfig(_Source):
    """One judge of an ensemble."""

    name: SingleName
    """One of the judges."""


class JudgeConfig(_Source):
    """One judge, or an ensemble of several."""

    name: Literal[SingleName, "ensemble"] = "rules"
    """`rules` and `exemplars` need no weights and no network; `ensemble` votes over its members."""
    members: tuple[MemberConfig, ...] = Field(default=(), max_length=9)
    """`ensemble`: at least two judges."""
    cache: str | None = ".ascl/verdicts.sqlite"
    """The file that keeps the verdicts of model-based judges, so that nothing is judged twice; None keeps none."""

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
        return tuple(one.model or GUARDS[one.name] for one in self.members or (self,) if one.name in GUARDS)

    @property
    def names(self) -> frozenset[str]:
        """The judges that give the verdict."""
        return frozenset(member.name for member in self.members) if self.members else frozenset({self.name})

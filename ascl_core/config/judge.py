"""Parameters of a judge."""

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
"""The judges that are models on this machine, with their default hub ids."""


GRADED = ("qwen3guard",)
"""The judges with a level between harmful and unharmful, *controversial*, which `strict` decides."""


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
        if self.strict is not None and self.name not in GRADED:
            where = ": set it on its members" if self.name == "ensemble" else ""
            raise ValueError(
                f"`strict` is for {', '.join(GRADED)}, and judge {self.name!r} has no level between harmful and unharmful{where}"
            )
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
        """The models that must be on this machine: paths or hub ids."""
        return tuple(one.model or GUARDS[one.name] for one in self.members or (self,) if one.name in GUARDS)

    @property
    def names(self) -> frozenset[str]:
        """The names of the judges that vote."""
        return frozenset(member.name for member in self.members) if self.members else frozenset({self.name})

"""The base of every configuration model: frozen, strict about unknown keys, documented field by field."""

from __future__ import annotations

import re
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from ascl_core.errors import ConfigError, nearest
from ascl_core.urls import has_credentials


def _without_credentials(url: str) -> str:
    if has_credentials(url):
        raise ValueError("a URL with credentials in it: leave them out, they are read from the environment (AWS_*, OPENAI_API_KEY)")
    return url


Url = Annotated[str, AfterValidator(_without_credentials)]
"""A URL or path without credentials, because configuration is recorded."""


class Config(BaseModel):
    """A frozen section of the parameters; the docstring under a field is its description in errors, forms and docs."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True, validate_default=True)


C = TypeVar("C", bound=BaseModel)
_OF_KEY = "[key]"
"""What pydantic appends to the location of an invalid key of a mapping."""


def parse(model: type[C], values: Any, *, file: object, section: str = "") -> C:
    """Return `values` as `model`; a `ConfigError` names file, field, value and hint of the first problem."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise _first_problem(model, error, file, section) from error


def _first_problem(model: type[BaseModel], error: ValidationError, file: object, section: str) -> ConfigError:
    problem = error.errors(include_url=False)[0]
    location = [str(part) for part in problem["loc"] if part != _OF_KEY]
    field = ".".join(part for part in (section, *location) if part)
    others = f" ({error.error_count() - 1} more problems after this one)" if error.error_count() > 1 else ""
    if problem["type"] == "extra_forbidden":
        hint = nearest(location[-1], sorted(_known_keys(model, location[:-1])))
        return ConfigError(f"unknown key{others}", file=file, field=field, value=problem["input"], hint=hint)
    allowed = re.findall(r"'([^']+)'", problem.get("ctx", {}).get("expected", "")) if problem["type"] in ("literal_error", "enum") else []
    hint = nearest(str(problem["input"]), allowed, "correct this value")
    return ConfigError(problem["msg"] + others, file=file, field=field or None, value=problem["input"], hint=hint)


def _known_keys(model: type[BaseModel], location: list[str]) -> list[str]:
    current: Any = model
    for part in location:
        fields = getattr(current, "model_fields", {})
        if part in fields:
            current = _model_in(fields[part].annotation) or current
    return list(getattr(current, "model_fields", {}))


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for arg in getattr(annotation, "__args__", ()) if (found := _model_in(arg))), None)

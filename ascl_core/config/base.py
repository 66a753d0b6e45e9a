"""The base of every configuration model: frozen, strict about unknown keys, documented field by field."""

from __future__ import annotations

import difflib
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from ascl_core.errors import ConfigError
from ascl_core.urls import has_credentials


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


def without_credentials(url: str | None) -> str | None:
    """Return the URL or path of a field; `ValueError` if it contains credentials, because configuration is recorded."""
    if url is not None and has_credentials(url):
        raise ValueError("a URL with credentials in it: leave them out, they are read from the environment (AWS_*, OPENAI_API_KEY)")
    return url


def _first_problem(model: type[BaseModel], error: ValidationError, file: object, section: str) -> ConfigError:
    problem = error.errors(include_url=False)[0]
    location = [str(part) for part in problem["loc"] if part != _OF_KEY]
    field = ".".join(part for part in (section, *location) if part)
    others = f" ({error.error_count() - 1} more problems after this one)" if error.error_count() > 1 else ""
    if problem["type"] == "extra_forbidden":
        known = _known_keys(model, location[:-1])
        near = difflib.get_close_matches(location[-1], known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(sorted(known))}"
        return ConfigError(f"unknown key{others}", file=file, field=field, value=problem["input"], hint=hint)
    return ConfigError(problem["msg"] + others, file=file, field=field or None, value=problem["input"], hint="correct this value")


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

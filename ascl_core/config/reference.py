"""The configuration reference: every parameter with its type, default, bounds and meaning, from the models themselves."""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from ascl_core.config.params import Params

_INTRODUCTION = """# Configuration

`params.yaml` holds every parameter of a run. It is resolved from the defaults below, a profile under `profiles/` laid over them, and
settings over both: `ascl run --profile tiny --set sft.max_steps=100`. A profile with `extends: NAME` is laid over that one. An unknown
key or a value out of bounds is an error that names the nearest right key. A stage runs again when a section that it reads has changed;
`ascl plan` says which.

This page is written by `ascl params docs` from the models in `ascl_core/config/`.
"""
_BOUNDS = {Ge: ("ge", "≥"), Gt: ("gt", ">"), Le: ("le", "≤"), Lt: ("lt", "<")}


def reference() -> str:
    """The whole page, as Markdown."""
    sections = [_section(name, field) for name, field in Params.model_fields.items()]
    return "\n".join([_INTRODUCTION, *sections])


def _section(name: str, field: FieldInfo) -> str:
    model = _model(field.annotation)
    assert model is not None, f"section {name} is no model"
    rows = "".join(f"| `{key}` | {kind} | {default} | {meaning} |\n" for key, kind, default, meaning in _rows(model, ""))
    summary = inspect.cleandoc(model.__doc__ or "")
    return f"## `{name}`\n\n{summary}\n\n| key | type | default | meaning |\n|---|---|---|---|\n{rows}"


def _rows(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str, str, str]]:
    for name, field in model.model_fields.items():
        inner = _model(field.annotation)
        many = get_origin(field.annotation) is tuple
        if inner is None or many or field.default is None:
            yield prefix + name, _kind(field), _default(field), _cell(field.description or "")
        if inner is not None:
            yield from _rows(inner, f"{prefix}{name}{'[].' if many else '.'}")


def _model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model(part))), None)


def _kind(field: FieldInfo) -> str:
    return _cell(", ".join([_type(field.annotation), *_bounds(field.metadata)]))


def _bounds(metadata: Iterable[Any]) -> list[str]:
    return [f"{sign} {getattr(limit, name):g}" for limit in metadata for kind, (name, sign) in _BOUNDS.items() if isinstance(limit, kind)]


def _type(annotation: Any) -> str:
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        inner = [limit for part in parts[1:] for limit in (part.metadata if isinstance(part, FieldInfo) else [part])]
        return ", ".join([_type(parts[0]), *_bounds(inner)])
    if origin is Literal:
        return " or ".join(f"`{part}`" for part in parts)
    if origin in (Union, types.UnionType):
        return " or ".join("null" if part is type(None) else _type(part) for part in parts)
    if origin is tuple:
        return f"list of {_type(parts[0])}"
    if origin is dict:
        return f"mapping of {_type(parts[0])} to {_type(parts[1])}"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " or ".join(f"`{member.value}`" for member in annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section"
    return {"str": "text", "int": "whole number", "float": "number", "bool": "true or false"}.get(
        getattr(annotation, "__name__", ""), getattr(annotation, "__name__", str(annotation))
    )


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is PydanticUndefined:
        return "required"
    if isinstance(value, tuple):
        return _cell(", ".join(f"`{_plain(part)}`" for part in value)) or "none"
    return f"`{_cell(_plain(value))}`" if value is not None else "null"


def _plain(value: Any) -> str:
    if isinstance(value, BaseModel):
        changed = {name: _plain(part) for name, part in value.model_dump().items() if part is not None}
        return ", ".join(f"{name}: {part}" for name, part in list(changed.items())[:2])
    if isinstance(value, dict):
        return ", ".join(f"{_plain(key)}: {_plain(part)}" for key, part in value.items())
    if isinstance(value, bool):
        return str(value).lower()
    return value.value if isinstance(value, Enum) else str(value)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")

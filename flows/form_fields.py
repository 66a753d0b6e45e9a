"""The kinds of fields that the parameter forms are made of, each with its own check and a form that the UI can draw.

Nothing typed into a form may reach outside the repository: no absolute path, no `..`, no `file://`, no link that leads out of it, no
variable of the environment, no URL with a password in it. What is escaped, percent-encoded or binary is looked at as what it stands for.
What a run needs from elsewhere belongs into `params.yaml` or a profile, which are reviewed and versioned.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any
from urllib.parse import unquote

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

from ascl_core.arms import ARMS, get_arm
from ascl_core.artifacts import is_within
from ascl_core.config.profiles import parse_setting
from ascl_core.errors import ConfigError
from ascl_core.urls import has_credentials

_REVISION = re.compile(r"[A-Za-z0-9_@][\w./@^~{}+-]*")
_S3 = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[\w.=+ -]+)*/?")
_PATH = re.compile(r"[\w.][\w.@+= -]*(/[\w.@+= -]+)*/?")
_OUTSIDE = (
    (re.compile(r"file:", re.IGNORECASE), "file:// is not allowed"),
    (re.compile(r"(^|[/\\\s\"'=\[,])\.\.([/\\\s\"'\],]|$)"), "'..' is not allowed"),
    (re.compile(r"(^|[\s\"'=\[,{])[~/\\]|:([~\\]|/(?!/))"), "absolute paths are not allowed; name them in params.yaml or in a profile"),
    (re.compile(r"(?<![\w+.-])(?!(?:s3|https?):)[a-z][\w+.-]*://", re.IGNORECASE), "only s3://, http:// and https:// are allowed"),
    (re.compile(r"\$[{A-Za-z_]"), "variables of the environment are not allowed"),
    (re.compile(r"[\x00-\x08\x0a-\x1f\x7f]"), "control characters are not allowed"),
)


def _in_order(schema: dict[str, Any]) -> None:
    for position, field in enumerate(schema.get("properties", {}).values()):
        field["position"] = position


class Form(BaseModel):
    """A form or a section of one: its fields keep their order on every database, and their docstrings are what a person reads."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False, validate_default=True, json_schema_extra=_in_order
    )


def inside(text: str) -> str:
    """The text; `ValueError` where it names something outside the repository, or carries a credential."""
    if has_credentials(text):
        raise ValueError("a URL must not carry credentials; they belong into the worker's environment")
    plain = unquote(text)
    for pattern, problem in _OUTSIDE:
        if pattern.search(text) or pattern.search(plain):
            raise ValueError(problem)
    if not is_within(text, "."):
        raise ValueError("a link leads out of the repository")
    return text


def _setting(text: str) -> str:
    """The setting; every text in its value is looked at as it is once YAML has read it."""
    inside(text)
    try:
        for value in _texts(parse_setting(text)):
            inside(value)
    except ConfigError as error:
        raise ValueError(error.problem) from None
    return text


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list | set | tuple):
        for part in (*value, *(value.values() if isinstance(value, dict) else ())):
            yield from _texts(part)
    elif isinstance(value, str | bytes):
        yield value if isinstance(value, str) else value.decode(errors="replace")


def _revision(text: str) -> str:
    inside(text)
    if text and (not _REVISION.fullmatch(text) or ".." in text):
        raise ValueError("expected a branch, a tag or a commit of the repository")
    return text


def _rules_place(text: str) -> str:
    inside(text)
    return (
        text if _S3.fullmatch(text) else _revision(text) if "://" not in text else _refuse("expected a git revision or s3://bucket/prefix")
    )


def _path(text: str) -> str:
    inside(text)
    return text if _PATH.fullmatch(text) else _refuse("expected a path within the repository, such as data/models/ifpo")


def _arm(name: str) -> str:
    try:
        return get_arm(name).name
    except ConfigError as error:
        raise ValueError(f"{error.problem}; {error.hint}") from None


def _refuse(problem: str) -> str:
    raise ValueError(problem)


Revision = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_revision)]
"""A branch, a tag or a commit of the repository."""
RulesPlace = Annotated[str, Field(min_length=1, max_length=300), AfterValidator(_rules_place)]
"""A git revision, whose `data/rules` it is, or a prefix `s3://bucket/prefix` with rule files."""
Source = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_path)]
"""A run's id, a release's tag, `released`, or a path within the repository."""
OptionalSource = Annotated[str, Field(max_length=200), AfterValidator(lambda text: _path(text) if text else text)]
WatchedPlace = Annotated[str, Field(max_length=300), AfterValidator(lambda text: _rules_place(text) if text else text)]
Setting = Annotated[str, Field(max_length=500, pattern=r"^[a-z_]+(\.[a-z_0-9]+)+=.*$"), AfterValidator(_setting)]
"""One changed parameter, `SECTION.KEY=VALUE`."""
Name = Annotated[str, Field(max_length=64, pattern=r"^[a-z0-9_-]*$")]
"""A name such as that of a profile; empty for none."""
Digest = Annotated[str, Field(max_length=64, pattern=r"^([0-9a-f]{64})?$")]
"""A SHA-256 in hexadecimal digits; empty for none."""
RunId = Annotated[str, Field(min_length=3, max_length=63, pattern=r"^[a-z0-9][a-z0-9-]*$")]
"""What names a run: the part of its branch after `runs/`."""
ArmName = Annotated[str, AfterValidator(_arm), WithJsonSchema({"type": "string", "enum": [arm.name for arm in ARMS]})]
"""An arm of the comparison; the form offers the table's."""

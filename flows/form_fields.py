"""The field types of the parameter forms, each with its own check and a schema that the UI can draw.

Nothing typed into a form may reach outside the repository: no absolute path, no `..`, no `file://`, no link that leads out of it, no
environment variable, no URL with a password in it. Escaped, percent-encoded and binary text is decoded before it is checked.
Whatever a run needs from elsewhere belongs in `params.yaml` or a profile, which are reviewed and versioned.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

from ascl_core.arms import ARMS, get_arm
from ascl_core.artifacts import is_within
from ascl_core.config.profiles import parse_setting, profile_names
from ascl_core.errors import ConfigError
from ascl_core.urls import has_credentials
from tasks.registry.paths import PARAMETERS
from tasks.registry.stages import STAGES, get_stage

_REVISION = re.compile(r"[A-Za-z0-9_@][\w./@^~{}+-]*")
_S3 = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[\w.=+ -]+)*/?")
_PATH = re.compile(r"[\w.][\w.@+= -]*(/[\w.@+= -]+)*/?")
_OUTSIDE = (
    (re.compile(r"file:", re.IGNORECASE), "file:// is not allowed"),
    (re.compile(r"(^|[/\\\s\"'=\[,])\.\.([/\\\s\"'\],]|$)"), "'..' is not allowed"),
    (re.compile(r"(^|[\s\"'=\[,{])[~/\\]|:([~\\]|/(?!/))"), "absolute paths are not allowed; name them in params.yaml or in a profile"),
    (re.compile(r"(?<![\w+.-])(?!(?:s3|https?):)[a-z][\w+.-]*://", re.IGNORECASE), "only s3://, http:// and https:// are allowed"),
    (re.compile(r"\$[{A-Za-z_]"), "environment variables are not allowed"),
    (re.compile(r"[\x00-\x08\x0a-\x1f\x7f]"), "control characters are not allowed"),
)
COMMITTED = PARAMETERS
"""The choice of a form that takes the parameters as they are committed, and no profile."""


def _number_fields(schema: dict[str, Any]) -> None:
    for position, field in enumerate(schema.get("properties", {}).values()):
        field["position"] = position


class Form(BaseModel):
    """A form or a section of one: its fields keep their order on every database, and their docstrings are shown beside them."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        validate_default=True,
        json_schema_extra=_number_fields,
    )


def _inside(text: str) -> str:
    """Return the text; `ValueError` if it names something outside the repository, or contains a credential."""
    if has_credentials(text):
        raise ValueError("a URL must not contain credentials; they belong in the worker's environment")
    for pattern, problem in _OUTSIDE:
        if pattern.search(text) or pattern.search(unquote(text)):
            raise ValueError(problem)
    if not is_within(text, "."):
        raise ValueError("a link leads out of the repository")
    return text


def _setting(text: str) -> str:
    """Return the setting; every text in its value is checked as YAML reads it."""
    _inside(text)
    try:
        for value in _texts(parse_setting(text)):
            _inside(value)
    except ConfigError as error:
        raise ValueError(error.problem) from None
    return text


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list | set | tuple):
        for part in (*value, *(value.values() if isinstance(value, dict) else ())):
            yield from _texts(part)
    elif isinstance(value, str | bytes):
        yield value if isinstance(value, str) else value.decode(errors="replace")


def _rule_source(text: str) -> str:
    _inside(text)
    if text and not _S3.fullmatch(text) and (".." in text or not _REVISION.fullmatch(text)):
        raise ValueError("expected a branch, a tag or a commit of the repository, or s3://bucket/prefix")
    return text


def _recorded(text: str) -> str:
    _inside(text)
    if text and not _PATH.fullmatch(text):
        raise ValueError("expected a path within the repository, such as data/models/ifpo")
    return text


def _named(find: Callable[[str], Any]) -> AfterValidator:
    """Return the check that something of that name exists; the message says which name is nearest."""

    def check(name: str) -> str:
        try:
            return str(find(name).name)
        except ConfigError as error:
            raise ValueError(f"{error.problem}; {error.hint}") from None

    return AfterValidator(check)


def _choices(*names: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "enum": list(names)})


RuleSource = Annotated[str, Field(min_length=1, max_length=300), AfterValidator(_rule_source)]
"""A git revision, whose `data/rules` is read, or a prefix `s3://bucket/prefix` with rule files."""
OptionalRuleSource = Annotated[str, Field(max_length=300), AfterValidator(_rule_source)]
Recorded = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_recorded)]
"""A run's id, a release's tag, `released`, or a path within the repository."""
OptionalRecorded = Annotated[str, Field(max_length=200), AfterValidator(_recorded)]
Setting = Annotated[str, Field(max_length=500, pattern=r"^[a-z_]+(\.[a-z_0-9]+)+=.*$"), AfterValidator(_setting)]
"""One changed parameter, `SECTION.KEY=VALUE`."""
ProfileName = Annotated[
    str,
    Field(max_length=64, pattern=r"^[a-z0-9_-]+$|^params\.yaml$"),
    _choices(COMMITTED, *profile_names(Path.cwd())),
]
"""A profile of the repository, or `params.yaml`; the form offers those that exist."""
Digest = Annotated[str, Field(max_length=64, pattern=r"^([0-9a-f]{64})?$")]
"""A SHA-256 in hexadecimal digits; empty for none."""
RunId = Annotated[str, Field(min_length=3, max_length=63, pattern=r"^[a-z0-9][a-z0-9-]*$")]
"""A run's id: the part of its branch after `runs/`."""
ArmName = Annotated[str, _named(get_arm), _choices(*(arm.name for arm in ARMS))]
"""An arm of the comparison; the form offers those of the table."""
StageName = Annotated[str, _named(get_stage), _choices(*(stage.name for stage in STAGES))]
"""A stage; the form offers those of the registry."""

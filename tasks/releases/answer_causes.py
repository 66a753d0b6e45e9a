"""Why answers changed, as `ascl release causes --json` writes it and as an approval repeats it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import NonNegativeInt, model_validator

from ascl_core.artifacts import sha256_bytes
from ascl_core.config.base import Config, parse
from ascl_core.errors import ConfigError, ReleaseError, shortened
from ascl_core.evaluation.causes import Cause, Cell
from ascl_core.text import counted, fold_line
from tasks.releases.candidate import Candidate

SCHEMA = "ascl.causes/1"
_CHARS = 60
"""How much of an answer an approval repeats; of a prompt twice as much."""
_AGAIN = "write it for this candidate: ascl release causes --json > causes.json"


class Sides(Config):
    """The digests of the old and the new weights, or of the old and the new rules."""

    old: str
    new: str


class About(Config):
    """What was compared: a release and a checkpoint, on the prompts of the suites."""

    release: str
    """The tag of the old one."""
    weights: Sides
    rules: Sides
    suites: str
    """SHA-256 of the file with the prompts."""


class Answer(Config):
    """The answer in one of the four evaluations."""

    outcome: str
    answer: str
    consulted: tuple[str, ...]


class Example(Config):
    """A prompt whose answer changed."""

    suite: str
    prompt_id: str
    prompt: str
    jurisdiction: str | None
    cause: Cause
    answers: dict[Cell, Answer]


class Counts(Config):
    """How many answers changed, by cause."""

    changed: NonNegativeInt
    causes: dict[Cause, NonNegativeInt]

    @model_validator(mode="after")
    def _check_sum(self) -> Self:
        if set(self.causes) != set(Cause) or sum(self.causes.values()) != self.changed:
            raise ValueError(f"the counts by {', '.join(Cause)} must add up to {self.changed}, the changed answers")
        return self


class RuleCounts(Counts):
    """The changed answers of one rule."""

    rule: str | None
    examples: tuple[Example, ...]


class AnswerCauses(Counts):
    """Why the answers of a checkpoint differ from those of a release."""

    about: About
    prompts: NonNegativeInt
    not_judged: NonNegativeInt
    rules: tuple[RuleCounts, ...]

    @property
    def summary(self) -> str:
        """The counts in one line."""
        by_cause = ", ".join(f"by {cause} {self.causes[cause]}" for cause in Cause)
        return f"{self.changed} of the answers to {counted(self.prompts, 'prompt')} changed since {self.about.release}: {by_cause}"


class ApprovedCauses(AnswerCauses):
    """The same in an approval, with one short example of each rule."""

    sha256: str
    """The digest of the file, which has all examples."""


def to_file(about: About, found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `ascl release causes --json` writes of what `find_causes` found."""
    return {"schema": SCHEMA, "about": about.model_dump(mode="json"), **found}


def causes_to_approve(file: Path, candidate: Candidate) -> ApprovedCauses:
    """Return what an approval of the candidate repeats of a file; `ReleaseError` if the file is damaged, or about anything else."""
    content = _read(file)
    found = _parsed(content, file)
    check_about(found, candidate, file=file)
    rules = [rule.model_copy(update={"examples": tuple(map(_short, rule.examples[:1]))}) for rule in found.rules]
    return ApprovedCauses(**{**dict(found), "rules": tuple(rules)}, sha256=sha256_bytes(content))


def check_about(causes: AnswerCauses, candidate: Candidate, *, file: object) -> None:
    """Check that the answers are those of the candidate and of the release that it was compared with; `ReleaseError` if not."""
    release = candidate.decision["released"]
    if release is None:
        problem = "this is the first release: there are no answers that could have changed"
        raise ReleaseError(problem, file=file, hint="approve it without causes")
    wanted = About(
        release=release["tag"],
        weights=Sides(old=release["checkpoint"]["sha256"], new=candidate.judged.checkpoint),
        rules=Sides(old=release["rules"], new=candidate.rules),
        suites=candidate.suites,
    )
    expected, found = (_flat(about.model_dump(mode="json")) for about in (wanted, causes.about))
    for field, value in found.items():
        if value != expected[field]:
            problem = f"is about another candidate or release: expected {expected[field]}"
            raise ReleaseError(problem, file=file, field=f"about.{field}", value=value, hint=_AGAIN)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ReleaseError(f"cannot be read: {error.strerror}", file=file, field="--causes", value=str(file), hint=_AGAIN) from None


def _parsed(content: bytes, file: Path) -> AnswerCauses:
    try:
        values = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ReleaseError(f"is not JSON: {error}", file=file, value=content[:40].decode(errors="replace"), hint=_AGAIN) from None
    schema = values.pop("schema", "none") if isinstance(values, dict) else "none"
    if schema != SCHEMA:
        raise ReleaseError(
            f"was written by another version of ascl: expected {SCHEMA}", file=file, field="schema", value=schema, hint=_AGAIN
        )
    try:
        return parse(AnswerCauses, values, file=file)
    except ConfigError as error:
        raise ReleaseError(error.problem, file=file, field=error.field, value=error.value, hint=_AGAIN) from None


def _short(example: Example) -> Example:
    answers = {cell: one.model_copy(update={"answer": shortened(fold_line(one.answer), _CHARS)}) for cell, one in example.answers.items()}
    return example.model_copy(update={"prompt": shortened(fold_line(example.prompt), 2 * _CHARS), "answers": answers})


def _flat(values: Mapping[str, Any]) -> dict[str, str]:
    """Return a mapping with the keys of nested ones joined by dots."""
    return {
        f"{key}.{inner}" if inner else key: found
        for key, value in values.items()
        for inner, found in (value.items() if isinstance(value, dict) else [("", value)])
    }

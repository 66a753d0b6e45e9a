"""The form in which a person approves a release; Prefect shows it on the page of the suspended run."""

from __future__ import annotations

from prefect.input import RunInput
from pydantic import ConfigDict, Field


class ApprovalForm(RunInput):
    """What `ascl approve` printed, and for whom: the signature in it is what counts, not who typed it in."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    approver: str = Field(min_length=2, max_length=200, json_schema_extra={"position": 0})
    """Who approves; the name in the signed approval."""
    reason: str = Field(min_length=3, max_length=2000, json_schema_extra={"position": 1})
    """Why it may be released."""
    digest: str = Field(pattern="^[0-9a-f]{64}$", json_schema_extra={"position": 2})
    """The SHA-256 of the checkpoint, as the text above gives it: copy it from where you looked at the figures."""
    approvals: list[str] = Field(min_length=1, max_length=5, json_schema_extra={"position": 3})
    """The text that `ascl approve` printed, one for each person who approves."""

"""The form in which a person approves a release; Prefect shows it on the page of the suspended run."""

from __future__ import annotations

from prefect.input import RunInput
from pydantic import ConfigDict, Field


class ApprovalForm(RunInput):
    """What `ascl approve` printed, and for whom: the signature in it is what counts, not who typed it in."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    approver: str = Field(min_length=2, max_length=200, json_schema_extra={"position": 0})
    """Who signed, by the names of their keys, such as: ada, ben."""
    reason: str = Field(min_length=3, max_length=2000, json_schema_extra={"position": 1})
    """Why it may be released."""
    digest: str = Field(pattern="^[0-9a-f]{64}$", json_schema_extra={"position": 2})
    """The SHA-256 of the checkpoint whose figures you looked at: 64 digits, from the run's report or from above."""
    approvals: list[str] = Field(min_length=1, max_length=5, json_schema_extra={"position": 3})
    """The line that ascl approve printed: an item for each person who signed."""

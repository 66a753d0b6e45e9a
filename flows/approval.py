"""The form in which a person approves a release; Prefect shows it on the page of the suspended run."""

from __future__ import annotations

from prefect.input import RunInput
from pydantic import ConfigDict, Field


class ApprovalForm(RunInput):
    """The signed approvals; each contains its approver, the reason and the digest of the checkpoint."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    approvals: list[str] = Field(min_length=1, max_length=5, title="Signed approvals")
    """The line that ascl approve printed, an item for each person who signed."""

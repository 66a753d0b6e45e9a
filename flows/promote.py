"""The deployment `promote`: waits for a person's signed approval, and releases the checkpoint of a run."""

from __future__ import annotations

from typing import Any

from prefect import flow, get_run_logger, suspend_flow_run
from prefect.artifacts import create_markdown_artifact
from prefect.states import Completed, State

from ascl_core.errors import AsclError
from flows.approval import ApprovalForm
from flows.beginning import begin
from flows.forms import PromoteForm
from tasks.deployment import approving, parts
from tasks.deployment.heartbeat import beating, suspending

_TIMES = 3
"""How often an approval that does not hold may be given again."""


@flow(name="promote", persist_result=False, validate_parameters=True)
def promote(form: PromoteForm) -> State[Any]:
    """Release the checkpoint of a run that passed the gate, once a named person has approved just that checkpoint."""
    form, root = begin(form)
    candidate = approving.require_candidate(root, form.run, override=form.override)
    problem = ""
    for time in range(_TIMES):
        create_markdown_artifact(approving.question(candidate, problem), key="approval", description="What is asked for")
        get_run_logger().info("asks for a signed approval: read the artifact 'approval', then choose Resume")
        with suspending():
            answer = suspend_flow_run(
                wait_for_input=ApprovalForm.with_initial_data(description=approving.question(candidate, problem)),
                timeout=form.days * 24 * 3600,
                key=f"approval-{time}",
            )
        try:
            approvals = approving.require_approval(candidate, answer.digest, answer.approvals, override=form.override)
            with beating():
                released = parts.release(root, form.run, approvals)
        except AsclError as error:
            problem = str(error)
            get_run_logger().error("the approval does not hold: %s", problem)
            if time == _TIMES - 1:
                raise
            continue
        return Completed(name="Released", message=f"{form.run} as {released}, approved by {answer.approver}: {answer.reason}")
    raise AssertionError("the last attempt returns or raises")

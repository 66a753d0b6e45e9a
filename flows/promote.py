"""The deployment `promote`: waits for a person's signed approval, and releases the checkpoint of a run."""

from __future__ import annotations

from typing import Any

from prefect import flow, get_run_logger, suspend_flow_run
from prefect.artifacts import create_markdown_artifact
from prefect.states import Completed, State

from ascl_core.errors import AsclError
from flows.forms import ApprovalForm, PromoteForm, start
from tasks.deployment import approving
from tasks.deployment.heartbeat import beating, suspending

_ATTEMPTS = 3
"""How often a person may answer before the run fails."""


@flow(name="promote", flow_run_name="promote-{form.run}", persist_result=False)
def promote(form: PromoteForm) -> State[Any]:
    """Release the checkpoint of a run that passed the gate, once a named person has approved exactly that checkpoint."""
    form, root = start(form)
    candidate = approving.require_candidate(root, form.run, override=form.override)
    approving.require_trainer(root)
    question = approving.question(candidate, push=form.push)
    for attempt in range(_ATTEMPTS):
        create_markdown_artifact(question, key="approval", description="What is to be approved")
        get_run_logger().info("waits for a signed approval: read the artifact 'approval', then choose Resume")
        with suspending():
            answer = suspend_flow_run(
                wait_for_input=ApprovalForm.with_initial_data(description=question),
                timeout=form.days * 24 * 3600,
                key=f"approval-{attempt}",
            )
        try:
            approvals = approving.require_approvals(root, candidate, answer.approvals, override=form.override)
        except AsclError as error:
            get_run_logger().error("the approval is not accepted: %s", error)
            if attempt == _ATTEMPTS - 1:
                raise
            question = approving.question(candidate, str(error), push=form.push)
            continue
        with beating():
            return Completed(name="Released", message=approving.release(root, form.run, approvals, push=form.push))
    raise AssertionError("the last attempt returns or raises")

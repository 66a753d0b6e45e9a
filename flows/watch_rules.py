"""The deployment `watch-rules`: looks at a place on a schedule, and says where its rules are others than the released ones."""

from __future__ import annotations

from typing import Any

from prefect import flow, get_client
from prefect.artifacts import create_markdown_artifact
from prefect.states import Completed, State

from ascl_core.report.rules_diff import markdown as diff_page
from flows.beginning import begin
from flows.forms import WatchForm
from tasks.deployment import own_run, watching


@flow(name="watch-rules", persist_result=False, validate_parameters=True)
def watch_rules(form: WatchForm = WatchForm()) -> State[Any]:  # noqa: B008
    """Post the event `ascl.rules.changed` where the rules at a place changed; an automation starts `retrain` with it."""
    form, root = begin(form)
    with own_run.fetched(root, form.place) as (files, corpus):
        change = watching.look(root, form.place, files, corpus)
        if change is None:
            return Completed(name="No change", message=f"rules {corpus.digest[:12]} at {form.place}: nothing new")
        create_markdown_artifact(diff_page(change.diff, f"Rules at {form.place}"), key="rules-diff", description="What changed")
        own_run.require_versions(change.diff)
        with get_client(sync_client=True) as client:
            ended = watching.announce(client, change, end_older=form.end_older)
    return Completed(
        name="Rules changed", message=f"{change.diff.change_class}: {change.diff.change_class.work}; ended {len(ended)} older runs"
    )

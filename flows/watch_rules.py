"""The deployment `watch-rules`: compares the rules at a source with the released ones, and posts an event when they changed."""

from __future__ import annotations

from typing import Any

from prefect import flow, get_client
from prefect.artifacts import create_markdown_artifact
from prefect.states import Completed, State

from ascl_core.report.rules_diff import markdown as diff_page
from flows.forms import WatchForm, start
from tasks.deployment import own_run, watching


@flow(name="watch-rules", persist_result=False)
def watch_rules(form: WatchForm = WatchForm()) -> State[Any]:  # noqa: B008
    """Post the event ascl.rules.changed if the rules at a source changed; an automation starts retrain with them."""
    form, root = start(form)
    with own_run.fetched(root, form.source) as (files, corpus):
        change = watching.look(root, form.source, files, corpus)
        if change is None:
            return Completed(name="No change", message=f"rules {corpus.digest[:12]} at {form.source}: nothing new")
        create_markdown_artifact(diff_page(change.diff, f"Rules at {form.source}"), key="rules-diff", description="What changed")
        own_run.require_versions(change.diff)
        with get_client(sync_client=True) as client:
            cancelled = watching.announce(client, change, end_older=form.end_older)
    work = f"{change.diff.change_class}: {change.diff.change_class.work}"
    return Completed(name="Rules changed", message=f"{work}; {len(cancelled)} retrainings of older rules cancelled")

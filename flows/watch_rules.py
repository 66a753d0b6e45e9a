"""The deployment `watch-rules`: compares the rules at a source with the released ones, and posts an event when they changed."""

from __future__ import annotations

from typing import Any

from prefect import flow, get_client
from prefect.artifacts import create_markdown_artifact
from prefect.states import Completed, Failed, State

from ascl_core.report.rules_diff import markdown as diff_page
from ascl_core.text import counted
from flows.forms import WatchForm, start
from tasks.deployment import own_run, retrainings, watching


@flow(name="watch-rules", flow_run_name="watch-rules at {form.source}", persist_result=False)
def watch_rules(form: WatchForm = WatchForm()) -> State[Any]:  # noqa: B008
    """Post the event ascl.rules.changed if the rules at a source changed; an automation starts retrain with them.

    A retraining of these rules that was lost is started again.
    """
    form, root = start(form)
    with own_run.fetched_rules(root, form.source) as (_, corpus), get_client(sync_client=True) as client:
        lost = retrainings.recover(client, watching.RETRAIN, form.source, corpus.digest)
        if lost is not None and lost.action != "announce again":
            return (Failed if lost.action == "lost" else Completed)(name=f"Retraining {lost.action}", message=lost.message)
        change = watching.find_change(root, form.source, corpus, again=lost is not None)
        if change is None:
            return Completed(name="No change", message=f"rules {corpus.digest[:12]} at {form.source}: nothing new")
        create_markdown_artifact(diff_page(change.diff, f"Rules at {form.source}"), key="rules-diff", description="What changed")
        own_run.require_versions(change.diff)
        cancelled = watching.announce(client, change, cancel_older=form.end_older)
    work = f"{change.diff.change_class}: {change.diff.change_class.work}"
    again = f"announced again, as {lost.message}: " if lost else ""
    return Completed(name="Rules changed", message=f"{again}{work}; {counted(len(cancelled), 'retraining')} of older rules cancelled")

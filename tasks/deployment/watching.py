"""The rule watcher: find changed rules, and post the event that starts a retraining.

A source is compared with what was last seen there, and the first time with the current release. If nothing is released either, its rules
are only stored for later comparisons.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect.client.orchestration import SyncPrefectClient

from ascl_core.rules.corpus import Corpus
from ascl_core.rules.diff import RuleDiff
from tasks.deployment import events, last_seen, own_run, retrainings
from tasks.execution.plan import make_plan, plan_to_json
from tasks.repository.git import commit_of
from tasks.repository.released import released_commit

RETRAIN = "retrain"
"""The flow that the automation starts."""


@dataclass(frozen=True)
class RuleChange:
    """Rules that are neither released nor announced yet."""

    source: str
    """The source that is watched."""
    revision: str
    """The commit, if the source is one of git, so that the run trains on exactly these rules; else the source."""
    diff: RuleDiff
    """From the released rules, or if nothing is released from those seen before."""
    plan: dict[str, Any]
    since: str | None
    """The revision with which it was compared before the first release."""


def find_change(root: Path, source: str, corpus: Corpus, *, again: bool = False) -> RuleChange | None:
    """Return how the rules of a source changed since the last time; None if they did not, or are the released ones again.

    With `again`, the change that was announced last, if the rules are still the same.
    """
    revision = source if "://" in source else str(commit_of(root, source))
    known, released = last_seen.load(source), released_commit(root)
    if known is not None and known["digest"] == corpus.digest and not again:
        return None
    since = None if known is None else known.get("since" if again else "revision")
    diff = own_run.rule_changes(root, corpus, since)
    if (known is None and released is None) or diff.old_digest == diff.new_digest:
        last_seen.dump(source, corpus.digest, revision)
        return None
    return RuleChange(source, revision, diff, plan_to_json(make_plan(root, rules=corpus)), since)


def announce(client: SyncPrefectClient, change: RuleChange, *, cancel_older: bool) -> list[str]:
    """Post the event, then store the rules as seen; return the names of the runs for older rules that were cancelled."""
    digest = change.diff.new_digest
    cancelled = retrainings.cancel_older(client, RETRAIN, change.source, digest) if cancel_older else []
    payload = {
        "watched": change.source,
        "source": change.revision,
        "old_digest": change.diff.old_digest,
        "new_digest": digest,
        "change_class": str(change.diff.change_class),
        "work": change.diff.change_class.work,
        "reasons": list(change.diff.reasons),
        "plan": change.plan,
    }
    events.rules_changed(client, change.source, payload)
    last_seen.dump_announced(change.source, digest, change.revision, change.since)
    return cancelled

"""The rule watcher: what it compares, and what it tells.

A place is compared with what was seen there last, and, before anything was seen, with what is released. Rules that are seen for the first
time where nothing is released are what later ones are compared with, and start nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect.client.orchestration import SyncPrefectClient

from ascl_core.rules.corpus import Corpus
from ascl_core.rules.diff import RuleDiff
from tasks.deployment import events, own_run, parts, seen
from tasks.repository.git import commit_of
from tasks.repository.released import released_commit

RETRAIN = "retrain"
"""The flow that the automation starts."""


@dataclass(frozen=True)
class Changed:
    """Rules that are neither released nor announced yet."""

    place: str
    """Where the watcher looks."""
    exactly: str
    """The commit, where the place is one of git, so that the run trains on just these."""
    diff: RuleDiff
    """From the released rules, or where nothing is released from those seen before."""
    plan: dict[str, Any]


def look(root: Path, place: str, files: Path, corpus: Corpus) -> Changed | None:
    """What changed at the place since the last look; None where nothing did, or where the rules are the released ones again."""
    exactly = place if "://" in place else str(commit_of(root, place))
    before, released = seen.seen_at(place), released_commit(root)
    if before is not None and before["digest"] == corpus.digest:
        return None
    diff = own_run.changes(root, corpus, None if before is None else before["exactly"])
    if (before is None and released is None) or diff.old_digest == diff.new_digest:
        seen.remember(place, corpus.digest, exactly)
        return None
    return Changed(place, exactly, diff, parts.plan_for_rules(root, files))


def announce(client: SyncPrefectClient, change: Changed, *, end_older: bool) -> list[str]:
    """Post the event, then remember the rules as seen; returns the names of the runs for older rules that were ended."""
    digest = change.diff.new_digest
    ended = seen.end_older(client, RETRAIN, change.place, digest) if end_older else []
    payload = {
        "watched": change.place,
        "place": change.exactly,
        "old_digest": change.diff.old_digest,
        "new_digest": digest,
        "change_class": str(change.diff.change_class),
        "work": change.diff.change_class.work,
        "reasons": list(change.diff.reasons),
        "plan": change.plan,
    }
    events.rules_changed(client, change.place, payload)
    seen.remember(change.place, digest, change.exactly)
    return ended

"""The check of versions against the lock."""

from __future__ import annotations

from collections.abc import Iterator

from ascl_core.rules.checks.registry import RETIRED, CorpusUnderCheck, check
from ascl_core.rules.corpus import version_numbers
from ascl_core.rules.findings import Finding
from ascl_core.text import some

_LOCK = "run `ascl rules lock`, and commit the lock"
_LISTED = 5
"""So many removed rules get a warning each, more of them one together."""


@check()
def versions(corpus: CorpusUnderCheck) -> Iterator[Finding]:
    """Check that content that changed since the lock has a higher version, and the lock is up to date."""
    for located in corpus.rules:
        rule, locked = located.rule, corpus.lock.get(located.rule.id)
        if locked is None:
            yield located.warning("not_locked", "the rule is not in the lock", _LOCK)
            continue
        if locked["version"] == RETIRED:
            continue
        before, now = version_numbers(locked["version"]), version_numbers(rule.version)
        if now < before:
            yield located.error("version_back", f"the version went back from {locked['version']} to {rule.version}", "raise it")
        elif now > before:
            yield located.warning("stale_lock", f"the lock still has version {locked['version']}", _LOCK)
        elif rule.sha256 != locked["sha256"]:
            hint = "raise it: patch for wording, minor for guidance, major where a verdict may flip"
            yield located.error("version_bump", f"the content changed and the version is still {rule.version}", hint)


@check()
def removed_rules(corpus: CorpusUnderCheck) -> Iterator[Finding]:
    """Check that a rule that is gone is retired in the lock."""
    present = {located.rule.id for located in corpus.rules}
    removed = sorted(rule_id for rule_id, locked in corpus.lock.items() if rule_id not in present and locked["version"] != RETIRED)
    if not removed or not corpus.complete:
        return
    message, hint = "in the lock and no longer in the corpus", "run `ascl rules lock` to retire"
    if len(removed) > _LISTED:
        listed = some(removed, _LISTED, "rule")
        yield Finding("warning", "removed_rule", f"{listed} are {message}", f"{hint} their ids", "rules.lock.json")
        return
    for rule_id in removed:
        yield Finding("warning", "removed_rule", f"{rule_id} is {message}", f"{hint} its id", "rules.lock.json", None, rule_id)

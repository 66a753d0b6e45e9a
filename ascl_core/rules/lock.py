"""The lock of the rules, `rules.lock.json`: each id's version and SHA-256, committed beside the corpus.

It is what makes a changed rule with an unchanged version, and an id given twice over time, visible.
"""

from __future__ import annotations

from pathlib import Path

from ascl_core.artifacts import read_json, write_json
from ascl_core.config.rules import RulesConfig
from ascl_core.errors import RuleError
from ascl_core.rules.checks import RETIRED, CorpusUnderCheck, unique_ids, versions
from ascl_core.rules.loading import load_folder

LOCK_FILE = "rules.lock.json"
Lock = dict[str, dict[str, str]]


def read_lock(folder: Path) -> Lock:
    """Rule id to `version` and `sha256`; empty where there is no lock yet."""
    path = folder / LOCK_FILE
    if not path.exists():
        return {}
    lock = read_json(path)
    if not isinstance(lock, dict) or not all(isinstance(v, dict) and {"version", "sha256"} <= set(v) for v in lock.values()):
        raise RuleError("expected a version and a sha256 for each rule id", file=path, mend="restore it: git checkout")
    return lock


def write_lock(folder: Path) -> Lock:
    """Lock the rules of the folder as they are and return the lock; ids that are gone stay in it as retired.

    `RuleError` where a file cannot be read, an id is used twice or again, or content changed without a higher
    version: locking such rules would hide the very change that the lock is there to show.
    """
    loaded, locked = load_folder(folder), read_lock(folder)
    under_check = CorpusUnderCheck(loaded.taxonomy, loaded.rules, RulesConfig(), locked)
    findings = (*loaded.findings, *unique_ids(under_check), *versions(under_check))
    if errors := [finding for finding in findings if finding.severity == "error"]:
        raise RuleError(f"the rules cannot be locked:\n  {errors[0]}", file=folder, mend="ascl rules check lists every problem")
    lock = {rule_id: {"version": RETIRED, "sha256": entry["sha256"]} for rule_id, entry in locked.items()}
    lock.update({placed.rule.id: {"version": placed.rule.version, "sha256": placed.rule.sha256} for placed in loaded.rules})
    write_json(folder / LOCK_FILE, lock)
    return lock

"""The lock of the rules, `rules.lock.json`: each id's version and SHA-256, committed beside the corpus."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ascl_core.artifacts import read_json, write_json
from ascl_core.errors import RuleError
from ascl_core.rules.corpus import Rule

LOCK_FILE = "rules.lock.json"
RETIRED = "retired"


def read_lock(folder: Path) -> dict[str, dict[str, str]]:
    """Rule id to `version` and `sha256`; empty where there is no lock yet."""
    path = folder / LOCK_FILE
    if not path.exists():
        return {}
    lock = read_json(path)
    if not isinstance(lock, dict) or not all(isinstance(v, dict) and {"version", "sha256"} <= set(v) for v in lock.values()):
        raise RuleError("expected a version and a sha256 for each rule id", file=path, mend="restore it: git checkout, or ascl rules lock")
    return lock


def write_lock(folder: Path, rules: Iterable[Rule]) -> None:
    """Lock the rules as they are; ids that are gone stay as retired, so that they are never given again."""
    lock = {rule_id: {"version": RETIRED, "sha256": entry["sha256"]} for rule_id, entry in read_lock(folder).items()}
    lock.update({rule.id: {"version": rule.version, "sha256": rule.sha256} for rule in rules})
    write_json(folder / LOCK_FILE, lock)

"""The lock of the rules, `rules.lock.json`: each id's version and SHA-256, committed beside the corpus.

It shows a rule that changed without a new version, and an id that is used again.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ascl_core.artifacts import read_json, write_json
from ascl_core.config.rules import RulesConfig
from ascl_core.errors import DataError, RuleError
from ascl_core.rules.checks import CorpusUnderCheck
from ascl_core.rules.checks.registry import RETIRED
from ascl_core.rules.checks.structure import unique_ids
from ascl_core.rules.checks.versions import versions
from ascl_core.rules.loading import load_folder

LOCK_FILE = "rules.lock.json"
Lock = dict[str, dict[str, str]]
_FORMS = {
    "version": (re.compile(rf"[0-9]{{1,9}}(?:\.[0-9]{{1,9}}){{2}}|{RETIRED}"), f"a version such as 1.0.0, or {RETIRED}"),
    "sha256": (re.compile(r"[0-9a-f]{64}"), "64 hexadecimal digits"),
}


def read_lock(folder: Path) -> Lock:
    """Return rule id to `version` and `sha256`; empty if there is no lock yet, `RuleError` names a damaged entry."""
    path = folder / LOCK_FILE
    if not path.exists():
        return {}
    hint = f"restore it: git checkout -- {path}"
    try:
        lock = read_json(path)
    except DataError as error:
        raise RuleError(error.problem, file=path, field=error.field, hint=hint if error.field is None else error.hint) from error
    if not isinstance(lock, dict):
        raise RuleError("expected a version and a sha256 for each rule id", file=path, value=lock, hint=hint)
    for rule_id, entry in lock.items():
        _check_entry(path, rule_id, entry, hint)
    return lock


def _check_entry(path: Path, rule_id: str, entry: Any, hint: str) -> None:
    if not isinstance(entry, dict):
        raise RuleError("expected a version and a sha256", file=path, field=rule_id, value=entry, hint=hint)
    for name, (form, description) in _FORMS.items():
        value = entry.get(name)
        if not isinstance(value, str) or not form.fullmatch(value):
            problem = f"expected {description}" if name in entry else f"has no {name}"
            raise RuleError(problem, file=path, field=f"{rule_id}.{name}", value=value, hint=hint)


def write_lock(folder: Path) -> Lock:
    """Lock the rules of the folder as they are and return the lock; removed ids stay in it as retired.

    `RuleError` if a file cannot be read, an id is used twice or again, or content changed without a higher
    version: locking such rules would hide the very change that the lock is there to show.
    """
    loaded, locked = load_folder(folder), read_lock(folder)
    corpus = CorpusUnderCheck(loaded.taxonomy, loaded.rules, RulesConfig(), locked)
    findings = (*loaded.findings, *unique_ids(corpus), *versions(corpus))
    if errors := [finding for finding in findings if finding.severity == "error"]:
        raise RuleError(f"the rules cannot be locked:\n  {errors[0]}", file=folder, hint="ascl rules check lists every problem")
    lock = {rule_id: {"version": RETIRED, "sha256": entry["sha256"]} for rule_id, entry in locked.items()}
    lock.update({located.rule.id: {"version": located.rule.version, "sha256": located.rule.sha256} for located in loaded.rules})
    write_json(folder / LOCK_FILE, lock)
    return lock

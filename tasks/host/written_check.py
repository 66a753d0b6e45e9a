"""Check the rules and prompts that people write: both folders are there, and the prompts name no rule that is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ascl_core.data.own_folder import named_rules
from ascl_core.errors import AsclError
from ascl_core.rules.corpus import nearest_rule
from ascl_core.rules.loading import load_folder
from ascl_core.text import some
from tasks.registry.stages import RAW, RULES
from tasks.repository.remote_check import Check

_NEW = 'ascl rules new ABC-01 "What it is about"'
_MAKE = {
    RULES.path: f"write a rule: {_NEW}; or bring the folder back: git checkout HEAD -- {RULES.path}",
    RAW.path: f"put prompts into {RAW.path}/prompts.csv (docs/prompts.md); or bring the folder back: git checkout HEAD -- {RAW.path}",
}
"""How each folder is made."""


def written_checks(root: Path) -> Iterator[Check]:
    """Yield a check for each folder that is missing, or else one of the rules that prompts name.

    Rules that cannot be read are left to `validate_rules`, which names file and line.
    """
    absent = [folder for folder in _MAKE if not (root / folder).is_dir()]
    yield from (Check(folder, "error", "the folder is missing", _MAKE[folder]) for folder in absent)
    if absent or not (loaded := load_folder(root / RULES.path)).complete:
        return
    known = {located.rule.id for located in loaded.rules}
    unknown: dict[str, str] = {}
    try:
        for name, rule in named_rules(root / RAW.path):
            if rule not in known:
                unknown.setdefault(rule, name)
    except AsclError as error:
        yield Check(RAW.path, "error", error.finding, error.hint or "")
        return
    if unknown:
        rule, name = next(iter(unknown.items()))
        hint = nearest_rule(rule, known, f"write {rule}, or drop the prompts about it")
        yield Check(RAW.path, "error", f"no such rule: {some(list(unknown))}, in {Path(name).relative_to(root)}", hint)
    else:
        yield Check(RAW.path, "ok", f"its prompts name only rules of {RULES.path}")

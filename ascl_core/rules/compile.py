"""The stage `validate_rules`: check a folder of rules, compile it, and decide which stages get the new corpus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ascl_core.artifacts import write_json
from ascl_core.config.rules import RulesConfig
from ascl_core.errors import AsclError, RuleError
from ascl_core.garbage import no_cycle_search
from ascl_core.rules.checks import CorpusUnderCheck, run_checks
from ascl_core.rules.corpus import Corpus
from ascl_core.rules.findings import Finding
from ascl_core.rules.loading import load_folder
from ascl_core.rules.lock import LOCK_FILE, Lock, read_lock
from ascl_core.rules.reach import change as change_since
from ascl_core.rules.reach import released_corpora
from ascl_core.text import counted

if TYPE_CHECKING:
    from ascl_core.contracts import StageContext

_SHOWN = 5


@dataclass(frozen=True)
class CheckResult:
    """The findings of a check, and the corpus if it compiles."""

    checked: CorpusUnderCheck
    findings: tuple[Finding, ...] = ()
    """Errors first, then by file and line."""

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that stop a run; with `rules.warnings_fail` these are all findings."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    @property
    def corpus(self) -> Corpus | None:
        """The compiled corpus; None if there are errors."""
        return None if self.errors else self.checked.compiled

    def also(self, more: Iterable[Finding]) -> CheckResult:
        """Return the result with more findings."""
        if self.checked.config.warnings_fail:
            more = [replace(finding, severity="error") for finding in more]
        findings = sorted((*self.findings, *more), key=lambda f: (f.severity != "error", f.file, f.line or 0, f.code, f.message))
        return replace(self, findings=tuple(findings))

    def to_json(self) -> dict[str, Any]:
        """Return the content of `findings.json`."""
        corpus = self.corpus
        return {
            "errors": len(self.errors),
            "warnings": len(self.findings) - len(self.errors),
            "findings": [asdict(finding) for finding in self.findings],
            "rules": len(corpus.rules) if corpus else None,
            "digest": corpus.digest if corpus else None,
            "coverage": _coverage(corpus) if corpus else None,
        }


@no_cycle_search()
def check_folder(folder: Path, config: RulesConfig, *, against_lock: bool = True) -> CheckResult:
    """Check the rules under `folder`; write nothing.

    Without `against_lock` versions are not checked, for callers that compare two snapshots of the rules anyway.
    """
    if not folder.is_dir():
        raise RuleError(
            "folder does not exist", file=folder, hint="give the folder with the rule files, or write a rule: ascl rules new ID TITLE"
        )
    loaded = load_folder(folder)
    findings = list(loaded.findings)
    lock = _read_lock(folder, findings) if against_lock else {}
    checked = CorpusUnderCheck(loaded.taxonomy, loaded.rules, config, lock, loaded.complete)
    return CheckResult(checked).also([*findings, *run_checks(checked)])


def validate_rules(
    *,
    rules: RulesConfig,
    rule_files: Path,
    released: Path,
    corpus: Path,
    findings: Path,
    sft_corpus: Path,
    rl_corpus: Path,
    change: Path,
    context: StageContext,
) -> dict[str, float | int | str]:
    """Write the compiled corpus and the findings; `RuleError` lists the first errors, if there are any.

    `corpus` is evaluated and served; `sft_corpus` and `rl_corpus` are the released ones unless the change reaches them
    (`ascl_core.rules.reach`), and `change` says why. If the check fails, the findings are in the folder for resumable state, because
    the outputs of a failed stage are not published.
    """
    context.progress.update("check rules", 0, 1)
    result = check_folder(rule_files, rules)
    if (compiled := result.corpus) is None:
        write_json(context.state / "findings.json", result.to_json())
        raise RuleError(_listing(result.errors), file=rule_files, hint="ascl rules check shows all findings")
    found = change_since(compiled, released_corpora(released), rules.at)
    files = found.files()
    for name, path in (("corpus", corpus), ("sft_corpus", sft_corpus), ("rl_corpus", rl_corpus), ("change", change)):
        write_json(path, files[name])
    write_json(findings, result.to_json())
    context.progress.update("check rules", 1, 1)
    return {
        "rules": len(compiled.rules),
        "warnings": len(result.findings),
        "digest": compiled.digest,
        "class": str(found.change_class),
    }


def _read_lock(folder: Path, findings: list[Finding]) -> Lock:
    try:
        return read_lock(folder)
    except AsclError as error:
        message = f"{error.field}: {error.problem} (got {str(error.value)[:80]!r})" if error.field else error.problem
        findings.append(Finding("error", "lock", message, error.hint or "restore it: git checkout", LOCK_FILE, 1))
        return {}


def _coverage(corpus: Corpus) -> dict[str, dict[str, int]]:
    hazards = Counter(hazard for rule in corpus.rules for hazard in corpus.categories[rule.category].hazards)
    return {
        "rules_by_category": dict(sorted(Counter(rule.category for rule in corpus.rules).items())),
        "rules_by_policy": dict(sorted(Counter(str(rule.policy) for rule in corpus.rules).items())),
        "rules_by_hazard": dict(sorted(hazards.items(), key=lambda item: int(item[0][1:]))),
    }


def _listing(errors: tuple[Finding, ...]) -> str:
    shown = "\n".join(f"  {finding}" for finding in errors[:_SHOWN])
    more = f"\n  … and {len(errors) - _SHOWN} more" if len(errors) > _SHOWN else ""
    return f"{counted(len(errors), 'problem')} in the rules:\n{shown}{more}"

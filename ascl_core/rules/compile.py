"""The stage `validate_rules`: check a folder of rules and compile it to one corpus."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ascl_core.artifacts import write_json
from ascl_core.config.rules import RulesConfig
from ascl_core.contracts import StageContext
from ascl_core.errors import RuleError
from ascl_core.rules.checks import CHECKS, CorpusUnderCheck
from ascl_core.rules.corpus import Corpus
from ascl_core.rules.loading import Finding, load_folder
from ascl_core.rules.lock import read_lock
from ascl_core.rules.text_checks import check_text

_SHOWN = 5


@dataclass(frozen=True)
class CheckResult:
    """What a check of a folder found, and the corpus where it could be compiled."""

    findings: tuple[Finding, ...]
    corpus: Corpus | None

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that stop a run."""
        return tuple(finding for finding in self.findings if finding.severity == "error")


def check_folder(folder: Path, config: RulesConfig) -> CheckResult:
    """All findings about the rules under `folder`, errors first, and the corpus unless there are errors."""
    if not folder.is_dir():
        raise RuleError("folder does not exist", file=folder, mend="give the folder with the rule files")
    loaded = load_folder(folder)
    findings = list(loaded.findings)
    for placed in loaded.rules:
        findings.extend(check_text(placed))
    if loaded.taxonomy is not None:
        under_check = CorpusUnderCheck(loaded.taxonomy, loaded.rules, config, read_lock(folder))
        for check in CHECKS:
            findings.extend(check(under_check))
    findings = [_relative(finding, folder) for finding in findings]
    findings.sort(key=lambda f: (f.severity != "error", f.file, f.line or 0, f.code, f.message))
    fatal = any(f.severity == "error" or config.warnings_fail for f in findings)
    if fatal or loaded.taxonomy is None:
        return CheckResult(tuple(findings), None)
    rules = tuple(sorted((placed.rule for placed in loaded.rules), key=lambda rule: rule.id))
    return CheckResult(tuple(findings), Corpus(taxonomy=loaded.taxonomy, rules=rules))


def validate_rules(*, rules: RulesConfig, rule_files: Path, corpus: Path, findings: Path, context: StageContext) -> dict[str, float | int | str]:
    """Write the compiled corpus and the findings; `RuleError` lists the first errors where there are any."""
    context.progress.update("check rules", 0, 1)
    result = check_folder(rule_files, rules)
    summary = {
        "errors": len(result.errors),
        "warnings": len(result.findings) - len(result.errors),
        "findings": [finding.to_json() for finding in result.findings],
        "rules": len(result.corpus.rules) if result.corpus else None,
        "digest": result.corpus.digest if result.corpus else None,
        "coverage": _coverage(result.corpus) if result.corpus else None,
    }
    if result.corpus is None:
        write_json(context.state / "findings.json", summary)
        raise RuleError(_listing(result, rules), file=rule_files, mend="ascl rules check shows all findings")
    write_json(corpus, result.corpus.to_json())
    write_json(findings, summary)
    context.progress.update("check rules", 1, 1)
    return {"rules": len(result.corpus.rules), "warnings": len(result.findings), "digest": result.corpus.digest}


def _relative(finding: Finding, folder: Path) -> Finding:
    name = finding.file.removeprefix(str(folder)).lstrip("/")
    return Finding(**{**finding.to_json(), "file": name})


def _coverage(corpus: Corpus) -> dict[str, dict[str, int]]:
    hazards = Counter(hazard for rule in corpus.rules for hazard in corpus.categories[rule.category].hazards)
    return {
        "rules_by_category": dict(sorted(Counter(rule.category for rule in corpus.rules).items())),
        "rules_by_policy": dict(sorted(Counter(str(rule.policy) for rule in corpus.rules).items())),
        "rules_by_hazard": dict(sorted(hazards.items(), key=lambda item: int(item[0][1:]))),
    }


def _listing(result: CheckResult, config: RulesConfig) -> str:
    fatal = result.findings if config.warnings_fail else result.errors
    shown = "\n".join(f"  {finding}" for finding in fatal[:_SHOWN])
    more = f"\n  … and {len(fatal) - _SHOWN} more" if len(fatal) > _SHOWN else ""
    return f"{len(fatal)} problem{'s' if len(fatal) != 1 else ''} in the rules:\n{shown}{more}"

"""Reading a folder of rules: a problem becomes a finding with file, line and hint, and the rest is still read."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from ascl_core.artifacts import is_within
from ascl_core.rules.corpus import Rule, Taxonomy
from ascl_core.rules.findings import Finding, LocatedRule
from ascl_core.rules.yaml_file import YamlFile, YamlProblem, read_yaml

TAXONOMY_FILE = "taxonomy.yaml"
_README = "see README.md in the folder of rules for the fields"


@dataclass(frozen=True)
class LoadedRules:
    """A folder of rules, as far as it could be read."""

    taxonomy: Taxonomy | None
    rules: tuple[LocatedRule, ...]
    findings: tuple[Finding, ...]

    @property
    def complete(self) -> bool:
        """Whether every rule was read, so that an absent rule is missing from the folder."""
        return not any(finding.severity == "error" for finding in self.findings)


def load_folder(folder: Path) -> LoadedRules:
    """Return every rule under `folder` that can be read, and a finding for everything that cannot."""
    links = [path for path in sorted(folder.rglob("*")) if not is_within(path, folder)]
    findings = [
        Finding("error", "link", "leads out of the folder of rules", "replace the link by the file itself", str(path.relative_to(folder)))
        for path in links
    ]
    taxonomy = None if folder / TAXONOMY_FILE in links else _load_taxonomy(folder, findings)
    found = {path for pattern in ("*.yaml", "*.yml") for path in folder.rglob(pattern) if path.name != TAXONOMY_FILE}
    paths = sorted(found.difference(links))
    if not paths:
        findings.append(Finding("error", "no_rules", "there is no rule file (*.yaml)", "add rules, or give the right folder", "."))
    rules = [rule for path in paths for rule in _load_rules(path, str(path.relative_to(folder)), findings)]
    return LoadedRules(taxonomy, tuple(rules), tuple(findings))


def _load_taxonomy(folder: Path, findings: list[Finding]) -> Taxonomy | None:
    if (document := _read(folder / TAXONOMY_FILE, TAXONOMY_FILE, findings)) is None:
        return None
    try:
        return Taxonomy.model_validate(document.values)
    except ValidationError as error:
        findings.extend(_schema_findings(error, Taxonomy, TAXONOMY_FILE, document, ()))
        return None


def _load_rules(path: Path, name: str, findings: list[Finding]) -> Iterator[LocatedRule]:
    if (document := _read(path, name, findings)) is None:
        return
    values = document.values
    if not isinstance(values, dict) or set(values) != {"rules"} or not isinstance(values["rules"], list):
        findings.append(Finding("error", "not_rules", "expected the one key `rules` with a list of rules", _README, name, 1))
        return
    for position, entry in enumerate(values["rules"]):
        location = ("rules", position)
        try:
            yield LocatedRule(Rule.model_validate(entry), name, document.line(location))
        except ValidationError as error:
            findings.extend(_schema_findings(error, Rule, name, document, location))


def _read(path: Path, name: str, findings: list[Finding]) -> YamlFile | None:
    try:
        return read_yaml(path)
    except YamlProblem as problem:
        findings.append(Finding("error", problem.code, problem.message, problem.hint, name, problem.line))
        return None


def _schema_findings(
    error: ValidationError, model: type[BaseModel], name: str, document: YamlFile, base: tuple[Any, ...]
) -> Iterator[Finding]:
    entry = document.values["rules"][base[1]] if base else None
    rule_id = str(entry["id"]) if isinstance(entry, dict) and "id" in entry else None
    for problem in error.errors(include_url=False):
        field = ".".join(str(part) for part in problem["loc"])
        line = document.line((*base, *problem["loc"]))
        if problem["type"] == "extra_forbidden":
            near = difflib.get_close_matches(str(problem["loc"][-1]), model.model_fields, n=1)
            hint = f"did you mean {near[0]!r}?" if near else _README
            yield Finding("error", "unknown_key", f"unknown key {field!r}", hint, name, line, rule_id)
            continue
        got = "" if problem["type"] == "missing" else f" (got {str(problem['input'])[:80]!r})"
        yield Finding("error", "schema", f"{field or 'rule'}: {problem['msg']}{got}", _README, name, line, rule_id)

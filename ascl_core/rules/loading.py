"""Reading a folder of rules: a problem becomes a finding with file, line and hint, and the rest is still read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from ascl_core.artifacts import files_under, is_within
from ascl_core.errors import nearest
from ascl_core.rules.corpus import Rule, Taxonomy
from ascl_core.rules.findings import Finding, LocatedRule
from ascl_core.rules.yaml_file import YamlFile, YamlProblem, read_yaml
from ascl_core.stray import is_stray

TAXONOMY_FILE = "taxonomy.yaml"
SUFFIXES = (".yaml", ".yml", ".json")
"""What rule files end with, in any case; JSON is YAML."""
_OF_THE_FOLDER = frozenset({TAXONOMY_FILE, "rules.lock.json"})
_RENAME = "name it *.yaml if it has rules; else move it out of the folder"
_MOVE = "move it to the top of the folder of rules, or rename it if it has rules"
_README = "docs/files.md lists the fields"
_NO_TAXONOMY = "write its categories and jurisdictions (docs/files.md); `ascl rules new` makes it with its first rule"


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
    problems = {path: problem for path in sorted(folder.rglob("*")) if (problem := _link_problem(path, folder))}
    findings = [
        Finding("error", "link", problem, "replace it by the file itself", str(path.relative_to(folder)))
        for path, problem in problems.items()
    ]
    taxonomy = None if folder / TAXONOMY_FILE in problems else _load_taxonomy(folder, findings)
    own = {folder / name for name in _OF_THE_FOLDER}
    found = [path for path in files_under(folder, source=True) if path not in problems and path not in own and path.name != "README.md"]
    paths = [path for path in found if path.suffix.lower() in SUFFIXES and path.name not in _OF_THE_FOLDER]
    for path in found:
        if path not in paths:
            hint = _MOVE if path.name in _OF_THE_FOLDER else _RENAME
            findings.append(Finding("warning", "not_read", "is not read, so no rule in it counts", hint, str(path.relative_to(folder))))
    if not paths:
        findings.append(
            Finding(
                "error",
                "no_rules",
                "there is no rule file (*.yaml) but the taxonomy",
                "write one: ascl rules new ID TITLE; or give the right folder",
                ".",
            )
        )
    rules = [rule for path in paths for rule in _load_rules(path, str(path.relative_to(folder)), findings)]
    return LoadedRules(taxonomy, tuple(rules), tuple(findings))


def _link_problem(path: Path, folder: Path) -> str | None:
    """Return what is wrong with a path that cannot be read as a file of the folder; None where nothing is."""
    if is_stray(path.relative_to(folder)):
        return None
    if not is_within(path, folder):
        return "leads out of the folder of rules"
    if path.is_dir() or path.is_file():
        return None
    return "is a link to a file that does not exist" if path.is_symlink() else "is no file"


def _load_taxonomy(folder: Path, findings: list[Finding]) -> Taxonomy | None:
    if not (folder / TAXONOMY_FILE).exists():
        findings.append(Finding("error", "no_taxonomy", "the file does not exist", _NO_TAXONOMY, TAXONOMY_FILE, 1))
        return None
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
            hint = nearest(str(problem["loc"][-1]), model.model_fields, _README)
            yield Finding("error", "unknown_key", f"unknown key {field!r}", hint, name, line, rule_id)
            continue
        got = "" if problem["type"] == "missing" else f" (got {str(problem['input'])[:80]!r})"
        yield Finding("error", "schema", f"{field or 'rule'}: {problem['msg']}{got}", _README, name, line, rule_id)

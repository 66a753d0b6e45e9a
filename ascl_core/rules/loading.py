"""Reading rule files: every problem is a finding with file, line and mend, and the other files are still read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import AliasEvent

from ascl_core.rules.corpus import Rule, Taxonomy

TAXONOMY_FILE = "taxonomy.yaml"
MAX_FILE_BYTES = 5_000_000


@dataclass(frozen=True)
class Finding:
    """One problem in the corpus."""

    severity: Literal["error", "warning"]
    code: str
    """A short name of the check, such as `near_duplicate`."""
    message: str
    mend: str
    file: str = ""
    line: int | None = None
    rule_id: str | None = None

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        rule = f" {self.rule_id}" if self.rule_id else ""
        return f"{where}:{rule} {self.message} [{self.code}]\n  mend: {self.mend}"

    def to_json(self) -> dict[str, Any]:
        """The finding as it stands in `findings.json`."""
        return asdict(self)


@dataclass(frozen=True)
class PlacedRule:
    """A rule and where it was written."""

    rule: Rule
    file: str
    line: int

    def finding(self, severity: Literal["error", "warning"], code: str, message: str, mend: str) -> Finding:
        """A finding about this rule."""
        return Finding(severity, code, message, mend, self.file, self.line, self.rule.id)


@dataclass(frozen=True)
class LoadedRules:
    """What could be read of a folder of rules."""

    taxonomy: Taxonomy | None
    rules: tuple[PlacedRule, ...]
    findings: tuple[Finding, ...]


def load_folder(folder: Path) -> LoadedRules:
    """Every rule under `folder` that can be read, and a finding for everything that cannot."""
    findings: list[Finding] = []
    rules: list[PlacedRule] = []
    taxonomy = _load_taxonomy(folder / TAXONOMY_FILE, findings)
    paths = sorted(path for path in folder.rglob("*.yaml") if path.name != TAXONOMY_FILE)
    if not paths:
        findings.append(Finding("error", "no_rules", "no rule file (*.yaml) in the folder", "add rules, or give the right folder", str(folder)))
    for path in paths:
        rules.extend(_load_rules(path, findings))
    return LoadedRules(taxonomy, tuple(rules), tuple(findings))


def read_rule_yaml(path: Path, findings: list[Finding]) -> Any:
    """The values of one file with line numbers, or None and a finding: too large, not UTF-8, aliases, bad syntax."""
    if not path.is_file():
        findings.append(Finding("error", "missing_file", "file does not exist", "restore it: git checkout", str(path)))
        return None
    if path.stat().st_size > MAX_FILE_BYTES:
        size = f"{path.stat().st_size:,} bytes"
        findings.append(Finding("error", "file_size", f"{size} is over the {MAX_FILE_BYTES:,} a rule file may have", "split the file", str(path)))
        return None
    try:
        text = path.read_text(encoding="utf-8")
        for event in YAML(typ="safe", pure=True).parse(text):
            if isinstance(event, AliasEvent):
                line = event.start_mark.line + 1
                findings.append(Finding("error", "yaml_alias", "YAML aliases are not allowed", "write the value out", str(path), line))
                return None
        return YAML(typ="rt", pure=True).load(text)
    except UnicodeDecodeError as error:
        findings.append(Finding("error", "encoding", f"not UTF-8: {error.reason}", "save the file as UTF-8", str(path)))
    except DuplicateKeyError as error:
        line = error.problem_mark.line + 1
        findings.append(Finding("error", "duplicate_key", "a key occurs twice", "keep one of them", str(path), line))
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error)
        findings.append(Finding("error", "yaml", f"not valid YAML: {problem}", "mend the syntax", str(path), mark.line + 1 if mark else None))
    return None


def _load_taxonomy(path: Path, findings: list[Finding]) -> Taxonomy | None:
    values = read_rule_yaml(path, findings)
    if values is None:
        return None
    try:
        return Taxonomy.model_validate(values)
    except ValidationError as error:
        findings.extend(_schema_findings(error, path, values, None))
        return None


def _load_rules(path: Path, findings: list[Finding]) -> Iterator[PlacedRule]:
    values = read_rule_yaml(path, findings)
    if values is None:
        return
    if not isinstance(values, dict) or not isinstance(values.get("rules"), list) or set(values) != {"rules"}:
        findings.append(Finding("error", "schema", "expected one key `rules` with a list of rules", "see data/rules/README.md", str(path), 1))
        return
    for position, entry in enumerate(values["rules"]):
        line = values["rules"].lc.item(position)[0] + 1
        rule_id = str(entry.get("id")) if isinstance(entry, dict) and "id" in entry else None
        try:
            yield PlacedRule(Rule.model_validate(entry), str(path), line)
        except ValidationError as error:
            findings.extend(_schema_findings(error, path, entry, rule_id, line))


def _schema_findings(error: ValidationError, path: Path, entry: Any, rule_id: str | None, line: int = 1) -> Iterator[Finding]:
    for problem in error.errors(include_url=False):
        field = ".".join(str(part) for part in problem["loc"])
        value = str(problem["input"])[:80]
        message = f"{field or 'rule'}: {problem['msg']} (got {value!r})"
        yield Finding("error", "schema", message, "see data/rules/README.md for the fields", str(path), _line_of(entry, problem["loc"], line), rule_id)


def _line_of(entry: Any, location: tuple[Any, ...], default: int) -> int:
    line = default
    for part in location:
        try:
            line = (entry.lc.key(part) if isinstance(entry, dict) else entry.lc.item(part))[0] + 1
            entry = entry[part]
        except (AttributeError, KeyError, IndexError, TypeError):
            break
    return line

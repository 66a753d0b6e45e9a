"""Findings: what a check of the rules reports, with the file, the line, the rule and a hint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ascl_core.rules.corpus import Rule


@dataclass(frozen=True)
class Finding:
    """One problem in the corpus."""

    severity: Literal["error", "warning"]
    code: str
    """A short name of the problem, such as `near_duplicate`."""
    message: str
    hint: str
    file: str = ""
    """Relative to the folder of rules."""
    line: int | None = None
    rule_id: str | None = None

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        rule = f" {self.rule_id}" if self.rule_id else ""
        return f"{where}:{rule} {self.message} [{self.code}]\n  hint: {self.hint}"


@dataclass(frozen=True)
class LocatedRule:
    """A rule, and the file and line that it was read from."""

    rule: Rule
    file: str
    line: int

    def error(self, code: str, message: str, hint: str) -> Finding:
        """Return an error about this rule."""
        return Finding("error", code, message, hint, self.file, self.line, self.rule.id)

    def warning(self, code: str, message: str, hint: str) -> Finding:
        """Return a warning about this rule."""
        return Finding("warning", code, message, hint, self.file, self.line, self.rule.id)

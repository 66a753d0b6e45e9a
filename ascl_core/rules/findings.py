"""What a check of the rules says: a finding names the file, the line, the rule and the hint."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from ascl_core.rules.corpus import Rule

Gravity = Literal["error", "warning"]


@dataclass(frozen=True)
class Finding:
    """One problem in the corpus."""

    severity: Gravity
    code: str
    """A short name of the check, such as `near_duplicate`."""
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

    def to_json(self) -> dict[str, Any]:
        """The finding as it stands in `findings.json`."""
        return asdict(self)


@dataclass(frozen=True)
class PlacedRule:
    """A rule and where it was written."""

    rule: Rule
    file: str
    line: int

    @property
    def where(self) -> str:
        """`file:line`."""
        return f"{self.file}:{self.line}"

    def error(self, code: str, message: str, hint: str) -> Finding:
        """An error about this rule."""
        return Finding("error", code, message, hint, self.file, self.line, self.rule.id)

    def warning(self, code: str, message: str, hint: str) -> Finding:
        """A warning about this rule."""
        return Finding("warning", code, message, hint, self.file, self.line, self.rule.id)

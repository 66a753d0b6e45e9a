"""A diff of the rules as Markdown: for a page of Prefect, a pull request or a terminal."""

from __future__ import annotations

from ascl_core.report.templates import templates
from ascl_core.rules.diff import ChangeClass, RuleChange, RuleDiff

WORK = {
    ChangeClass.NONE: "nothing to do",
    ChangeClass.WORDING: "hot-swap the served rules, and evaluate",
    ChangeClass.VERDICT: "reinforcement learning again, and evaluate",
    ChangeClass.STRUCTURAL: "everything from the SFT data on",
}
"""What follows from each class."""


def markdown(diff: RuleDiff, title: str) -> str:
    """The whole diff; texts of rules are inert in it."""
    template = templates().get_template("rules_diff.md.jinja")
    return str(template.render(diff=diff, title=title, work=WORK[diff.change_class], versions=versions))


def versions(rule: RuleChange) -> str:
    """`1.0.0 → 2.0.0`, or the one version of a rule that came or went."""
    return " → ".join(version for version in (rule.version_before, rule.version_after) if version)

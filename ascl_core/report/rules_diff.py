"""Render a diff of the rules as Markdown, for a page, a pull request or a terminal."""

from __future__ import annotations

from ascl_core.report.templates import templates
from ascl_core.rules.diff import RuleDiff


def markdown(diff: RuleDiff, title: str) -> str:
    """Return the whole diff; the text of rules is inert in it."""
    return str(templates().get_template("rules_diff.md.jinja").render(diff=diff, title=title))

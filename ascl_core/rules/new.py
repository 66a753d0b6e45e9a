"""Writing a new rule, valid at once, with a comment where a person should say more."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date
from io import StringIO
from pathlib import Path

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from ascl_core.artifacts import write_text
from ascl_core.errors import RuleError
from ascl_core.rules.corpus import EVERYWHERE, Rule
from ascl_core.rules.loading import TAXONOMY_FILE, load_folder
from ascl_core.rules.lock import LOCK_FILE, read_lock
from ascl_core.rules.yaml_file import YamlProblem, read_yaml
from ascl_core.vocabulary import RULE_ID, ResponsePolicy

JURISDICTION = ("XA", "Everywhere")
"""The jurisdiction of a new taxonomy: a code that ISO 3166 leaves to users, and its name."""
_TEXTS = {
    ResponsePolicy.COMPLY: "Questions about {title} are permitted. Answer them in full, and say what each step does.",
    ResponsePolicy.COMPLY_WITH_DISCLAIMER: "Questions about {title} are permitted. Answer them, and add a caution about what can go wrong.",
    ResponsePolicy.SAFE_COMPLETION: "When people speak of {title}, answer with care and without judgement. Encourage them to talk to "
    "someone who can help, and give no advice that could do harm.",
    ResponsePolicy.REFUSE_EXPLAIN: "Do not help with {title}. Decline, explain what harm it could do, and offer a lawful alternative.",
    ResponsePolicy.HARD_REFUSE: "Never help with {title}, not even in part. Decline in one sentence, and add nothing.",
}
_ELEMENTS = [{"id": "someone_who_can_help", "any_of": ["someone who can help", "a professional"]}]
_COMMENTS = {
    "title": "what it is about, in a few words; the model reads it",
    "text": "what to do, in 20 to 35 plain words; the model reads it",
    "allowed": "what stays allowed, if anything",
    "disallowed": "what an answer must not contain, if anything",
    "safe_completion": "what a good answer contains: lower-case phrases, one of which must occur",
    "examples": "what people would ask, with the right verdict; add some that show where the rule ends",
    "severity": "low, medium, high or critical",
    "precedence": "where two rules apply, the higher one decides",
    "jurisdictions": "of taxonomy.yaml, or '*' for all",
    "keywords": "what people call it",
    "query": "the short phrase that must find it",
    "provenance": "who wrote it, and from what",
}
"""What a person should fill in or check, by field."""
_BAD_ID = "three capital letters for the category, a hyphen and a number, such as LCK-01"


def write_new_rule(
    folder: Path, rule_id: str, title: str, policy: ResponsePolicy, at: date, examples: Sequence[str] = (), author: str = ""
) -> list[Path]:
    """Write the rule to a file of its own, and its category to the taxonomy unless it is there; return what was written.

    The rule is in force at `at`. `RuleError` if the id is malformed, used or retired, or the rule would not be valid.
    """
    path = folder / f"{rule_id}.yaml"
    if not re.fullmatch(RULE_ID, rule_id):
        raise RuleError("not an id of a rule", field="ID", value=rule_id, hint=f"write {_BAD_ID}")
    used = {located.rule.id: located.file for located in load_folder(folder).rules} if folder.is_dir() else {}
    used = {**dict.fromkeys(read_lock(folder), LOCK_FILE), **used}
    if rule_id in used or path.exists():
        problem, where = "the id is taken, and ids are never reused", folder / used.get(rule_id, path.name)
        raise RuleError(problem, file=where, field="ID", value=rule_id, hint=f"take the next one: {_next_id(rule_id, used)}")
    values = _values(rule_id, title, policy, at, examples, author)
    try:
        Rule.model_validate(values)
    except ValidationError as error:
        problem = f"the rule would not be valid: {error.errors()[0]['msg']}"
        raise RuleError(problem, field="TITLE", value=title, hint="3 to 80 characters in plain words") from error
    taxonomy = _with_category(folder / TAXONOMY_FILE, rule_id.partition("-")[0], title)
    if taxonomy is not None:
        write_text(folder / TAXONOMY_FILE, taxonomy)
    write_text(path, render_rule_file(values))
    return [path, *([folder / TAXONOMY_FILE] if taxonomy is not None else [])]


def render_rule_file(values: dict[str, object]) -> str:
    """Return the file of one rule, with a comment on each field that a person should look at."""
    rule = CommentedMap(values)
    for field, comment in _COMMENTS.items():
        if field in rule:
            rule.yaml_set_comment_before_after_key(field, before=comment, indent=4)
    return _dump({"rules": [rule]}, width=110)


def _values(rule_id: str, title: str, policy: ResponsePolicy, at: date, examples: Sequence[str], author: str) -> dict[str, object]:
    subject = title[:1].lower() + title[1:] if title[1:2].islower() else title
    care = {"safe_completion": _ELEMENTS} if policy is ResponsePolicy.SAFE_COMPLETION else {}
    prompts = list(examples) or [f"I have a question about {subject}."]
    return {
        "id": rule_id,
        "title": title,
        "category": rule_id.partition("-")[0],
        "text": _TEXTS[policy].format(title=subject),
        "policy": str(policy),
        "allowed": [],
        "disallowed": [],
        **care,
        "examples": [{"prompt": prompt, "verdict": str(policy)} for prompt in prompts],
        "severity": "medium",
        "precedence": 20,
        "jurisdictions": [EVERYWHERE],
        "status": "active",
        "version": "1.0.0",
        "effective_from": at,
        "keywords": [],
        "query": title.lower()[:60],
        "provenance": {"author": author or "unknown", "source": "written for this project", "licence": "LicenseRef-own"},
    }


def _with_category(path: Path, category: str, title: str) -> str | None:
    """Return the taxonomy with the category, comments kept; None if it has it already."""
    entry = {"name": category.lower(), "title": title, "hazards": []}
    if not path.exists():
        return _dump({"categories": {category: entry}, "jurisdictions": dict([JURISDICTION])})
    try:
        read_yaml(path)
    except YamlProblem as problem:
        raise RuleError(str(problem), file=path, field=f"line {problem.line}", hint=problem.hint) from problem
    taxonomy = YAML().load(path.read_text(encoding="utf-8"))
    if not isinstance(taxonomy, dict) or not isinstance(taxonomy.get("categories"), dict):
        raise RuleError("has no categories", file=path, field="categories", hint="docs/files.md shows its form")
    if category in taxonomy["categories"]:
        return None
    taxonomy["categories"][category] = entry
    return _dump(taxonomy)


def _dump(values: object, width: int = 4096) -> str:
    yaml, text = YAML(), StringIO()
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = width
    yaml.dump(values, text)
    return text.getvalue()


def _next_id(rule_id: str, used: Iterable[str]) -> str:
    category, _, number = rule_id.partition("-")
    numbers = [int(other.partition("-")[2]) for other in used if other.startswith(f"{category}-")]
    return f"{category}-{max([*numbers, int(number)]) + 1:02}"

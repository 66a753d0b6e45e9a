"""Read rules from any source: a folder of rule files, a compiled corpus, a git revision, or a prefix on S3."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ascl_core.config.rules import RulesConfig
from ascl_core.errors import RuleError
from ascl_core.rules.compile import check_folder
from ascl_core.rules.corpus import Corpus, load_corpus
from ascl_core.rules.diff import diff_corpora
from ascl_core.text import some
from tasks.registry.stages import CORPUS, RULES
from tasks.repository.git import export, resolve
from tasks.repository.released import CURRENT, released_commit
from tasks.runs.rules_on_s3 import download_rules, is_on_s3


def read_rules(root: Path, source: str, config: RulesConfig) -> Corpus:
    """Return the corpus of a folder, a compiled `corpus.json`, `s3://bucket/prefix`, a revision of this repository, or `released`.

    A path takes precedence over a revision of the same name. `RuleError` if it is none of these, or does not compile.
    """
    if source and Path(source).is_file():
        return load_corpus(Path(source))
    with tempfile.TemporaryDirectory() as folder:
        label = source if is_on_s3(source) or Path(source).is_dir() else f"{source}:{RULES.path}"
        return compiled(fetch_rules(root, source, Path(folder) / "rules"), config, label)


def fetch_rules(root: Path, source: str, into: Path) -> Path:
    """Return a folder with the rule files of a source: the folder itself, or a copy at or under `into` of a git revision or S3 prefix.

    `RuleError` if it is none of these; `DataError` if S3 fails, or has files that cannot be rules.
    """
    if is_on_s3(source):
        return download_rules(source, into)
    if source and Path(source).is_dir():
        return Path(source)
    commit = released_commit(root) if source == CURRENT else resolve(root, source)
    if commit is None and source == CURRENT:
        raise RuleError("nothing is released yet", field="rules", value=source, hint="name a git revision such as HEAD~1")
    if commit is None:
        hint = "give a folder with rule files, a compiled corpus.json, s3://BUCKET/PREFIX, or a git revision such as HEAD~1"
        raise RuleError("no such folder, file or git revision", field="rules", value=source, hint=hint)
    return export(root, commit, Path(RULES.path), into)


def compiled(folder: Path, config: RulesConfig, label: str, *, against_lock: bool = False) -> Corpus:
    """Compile the rules of a folder; `RuleError` with the first problem, about the source as `label` names it, if they do not compile."""
    result = check_folder(folder, config, against_lock=against_lock)
    if result.corpus is None:
        raise RuleError(f"the rules do not compile: {result.errors[0]}", file=label, hint="ascl rules check lists every problem")
    return result.corpus


def describe_uncompiled(root: Path, corpus: Path, config: RulesConfig) -> str:
    """Return which rules under `data/rules` are not those of the corpus, if that is the one of the last run; empty if all are."""
    if corpus != root / CORPUS.path or not corpus.is_file():
        return ""
    edited = check_folder(root / RULES.path, config, against_lock=False).corpus
    if edited is None:
        return f"{RULES.path} does not compile"
    found = diff_corpora(load_corpus(corpus), edited, config.at)
    if found.old_digest == found.new_digest:
        return ""
    names = [rule.rule_id for rule in found.rules] or ["the taxonomy"]
    return f"{RULES.path} changed since the last run: {some(names)}"

"""Read rules from any source: a folder of rule files, a compiled corpus, a git revision, or a prefix on S3."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ascl_core.config.rules import RulesConfig
from ascl_core.errors import RuleError
from ascl_core.rules.compile import check_folder
from ascl_core.rules.corpus import Corpus, load_corpus
from tasks.registry.stages import RULES
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

"""What a release holds: `data/release` of its commit, with a record that the trainer's key signs together with every file beside it.

release.json        the record: tag, run, digests, approvals
results.parquet     every judged response, with which the next gate compares
corpora/            the rules of SFT data, reinforcement learning and serving
index/              the index in which the served rules were looked up when the checkpoint was evaluated
approvals/          what the approvers signed
model_card.md, data_card.md
model.sig           the checkpoint's signature in sigstore's format, if a key for it is configured
statement.json      the trainer's signature over all of the above
rollback.json       who rolled back to this release and why, if somebody did
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import AwareDatetime, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from ascl_core.artifacts import atomic_path, read_json, sha256_tree, write_json
from ascl_core.config.base import Config
from ascl_core.released import RELEASE_CORPORA, RELEASE_FILE, RELEASE_INDEX, RELEASE_RESULTS
from tasks.evidence.log import extended
from tasks.evidence.statements import RELEASE, Envelope, Statement, now, sign
from tasks.evidence.trust import PrivateKey, PublicKey, Trust
from tasks.registry.paths import COMMITTED_LOG, RELEASE_FOLDER
from tasks.registry.stages import CHECKPOINT, CORPUS, EVALUATION, REPORT, RL_CORPUS, RULE_INDEX, SFT_CORPUS
from tasks.releases.approvals import Approval
from tasks.releases.candidate import Candidate, Judged
from tasks.repository.git import show

RECORD, STATEMENT, ROLLBACK_FILE = RELEASE_FILE, "statement.json", "rollback.json"
APPROVALS = "approvals/"
CARDS = ("model_card.md", "data_card.md")
_CORPORA = {"sft": SFT_CORPUS, "rl": RL_CORPUS, "served": CORPUS}
CORPORA = {name: f"{RELEASE_CORPORA}/{name}.json" for name in _CORPORA}
"""The file of each corpus, by what it was used for."""


class Digested(Config):
    """An artifact by its path and SHA-256."""

    path: str
    sha256: str


class Gate(Config):
    """The gate's decision."""

    sha256: str
    failed: tuple[str, ...]


class Record(Config):
    """`release.json`."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, serialize_by_alias=True)

    form: Literal["ascl.release/1"] = Field(default="ascl.release/1", alias="schema")
    tag: str = Field(pattern=r"^release/[1-9][0-9]*$")
    run: str
    commit: str
    """The run's commit."""
    checkpoint: Digested
    gate: Gate
    rules: str
    """The digest of the corpus that is served."""
    change_class: str | None = Field(alias="class")
    """The class of the rules' change since the release before; None for the first one."""
    replaces: str | None
    """The tag that was released before."""
    approvals: tuple[Approval, ...]
    """For those who read the record; their signatures are beside it."""
    in_both_roles: tuple[str, ...] = ()
    """Who approved it and signed it as the trainer, too; left out of the file where nobody did both."""
    time: AwareDatetime

    @model_serializer(mode="wrap")
    def _without_nobody(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in dump(self).items() if name != "in_both_roles" or value}

    @property
    def judged(self) -> Judged:
        """What the approvals must be about."""
        return Judged(self.run, self.commit, self.checkpoint.sha256, self.gate.sha256, self.gate.failed)


def write_content(
    worktree: Path,
    tag: str,
    candidate: Candidate,
    approvals: Sequence[Approval],
    envelopes: Sequence[Envelope],
    in_both_roles: Sequence[str] = (),
) -> Record:
    """Write the files of the release, except the signature."""
    folder, record = worktree / RELEASE_FOLDER, _record(tag, candidate, approvals, in_both_roles)
    shutil.rmtree(folder, ignore_errors=True)
    (folder / RELEASE_CORPORA).mkdir(parents=True)
    shutil.copy(worktree / EVALUATION.outputs["results"].path, folder / RELEASE_RESULTS)
    for name, corpus in _CORPORA.items():
        shutil.copy(worktree / corpus.path, folder / CORPORA[name])
    shutil.copytree(worktree / RULE_INDEX.path, folder / RELEASE_INDEX)
    for card in CARDS:
        shutil.copy(worktree / REPORT.outputs["page"].path / card, folder)
    for approval, envelope in zip(approvals, envelopes, strict=True):
        write_json(folder / APPROVALS / f"{approval.approver}-{approval.key[:8]}.json", envelope)
    write_json(folder / RECORD, record.model_dump(mode="json"))
    return record


def sign_content(worktree: Path, record: Record, key: PrivateKey) -> None:
    """Add the trainer's signature over all files of the release."""
    folder = worktree / RELEASE_FOLDER
    files = sha256_tree(folder)
    write_json(folder / STATEMENT, sign(release_statement(record, files), key))


def log_statements(worktree: Path, run: bytes, folder: Path = RELEASE_FOLDER) -> None:
    """Append what people signed about the release in `folder`, in the order of `signed_names`, to the log of its run."""
    files = worktree / folder
    names = signed_names(str(file.relative_to(files)) for file in files.rglob("*.json"))
    with atomic_path(worktree / COMMITTED_LOG) as temporary:
        temporary.write_bytes(extended(run, [read_json(files / name) for name in names]))


def logged(root: Path, commit: str) -> bytes:
    """Return the log in a commit; empty if it has none."""
    return show(root, commit, COMMITTED_LOG, missing=b"")


def signed_names(names: Iterable[str]) -> list[str]:
    """Return the signed files among those of a release: the approvals, the release and, if there is one, the rollback."""
    known = set(names)
    approvals = sorted(name for name in known if name.startswith(APPROVALS))
    return [name for name in (*approvals, STATEMENT, ROLLBACK_FILE) if name in known]


def release_statement(record: Record, files: Mapping[str, str]) -> Statement:
    """Return what the trainer signs: the release's record, and its files by path and SHA-256."""
    predicate = {"release": record.model_dump(mode="json"), "files": dict(files), "time": record.model_dump(mode="json")["time"]}
    return Statement(RELEASE, record.checkpoint.path, record.checkpoint.sha256, predicate)


def people_in_both_roles(trainer: PublicKey, approvals: Sequence[Approval], trust: Trust) -> tuple[str, ...]:
    """Return who holds the trainer's key and that of an approval, by what the trusted keys say of their holders."""
    approvers = {trust.key(approval.key).holder for approval in approvals}
    return tuple(sorted(approvers & {trainer.holder}))


def _record(tag: str, candidate: Candidate, approvals: Sequence[Approval], in_both_roles: Sequence[str]) -> Record:
    judged = candidate.judged
    return Record.model_validate(
        {
            "tag": tag,
            "run": judged.run,
            "commit": judged.commit,
            "checkpoint": {"path": CHECKPOINT, "sha256": judged.checkpoint},
            "gate": {"sha256": judged.decision, "failed": judged.failed},
            "rules": candidate.rules,
            "class": candidate.change_class,
            "replaces": candidate.replaces,
            "approvals": approvals,
            "in_both_roles": list(in_both_roles),
            "time": now(),
        }
    )

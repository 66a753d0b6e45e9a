"""What an attacker would try on approvals, releases and the arguments of commands: each is refused, and nothing moves."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from ascl_core.artifacts import read_json, to_json, write_json
from tasks.evidence.statements import Envelope, Statement, sign
from tasks.evidence.trust import Role, read_key
from tasks.execution.up_to_date import bring_up_to_date
from tasks.registry.paths import RELEASE_FOLDER
from tasks.registry.stages import EVALUATION, GATE, IFPO, REPORT, STAGES, VALIDATE_RULES
from tasks.releases.content import RECORD, STATEMENT
from tasks.repository import outputs
from tasks.repository.git import git
from tasks.repository.params_file import write_params
from tasks.repository.worktrees import NOBODY
from tasks.runs import runs
from tasks.runs.summary import run_summary
from tests.pipeline.release_world import PASSING, PEOPLE, give_every_figure, run_to_the_end
from tests.pipeline.test_bad_input import fails
from tests.services.guarded import Guarded, made

__all__ = ["made"]

pytestmark = pytest.mark.services


@pytest.mark.parametrize(
    ("command", "names"),
    [
        (("work", "ext::sh -c touch% {pwned}", "report", "--into", "{new}"), ("url", "ext::sh")),
        (("work", "--into", "{new}", "--", "--upload-pack=touch {pwned}", "report"), ("url", "--upload-pack")),
        (("work", "ssh://-oProxyCommand=touch%20{pwned}/x", "report", "--into", "{new}"), ("git clone",)),
        (("work", "{root}", "report", "--into", "{new}", "--ref=--upload-pack=touch {pwned}"), ("ref", "--upload-pack")),
        (("rules", "diff", "--", "--output={pwned}", "HEAD"), ("rules", "--output=")),
        (("rules", "diff", "HEAD:../../etc/passwd", "HEAD"), ("rules", "HEAD:../../etc/passwd")),
        (("rules", "diff", "s3://bucket/../..", "HEAD"), ("s3://bucket/../..", "'..'")),
        (("runs", "show", "../../etc"), ("run", "../../etc")),
        (("approve", "../../etc", "--reason", "x", "--key", "{key}"), ("run", "../../etc")),
        (("release", "create", "../../etc", "--key", "{key}"), ("run", "../../etc")),
        (("release", "verify", "--", "--all"), ("no such release", "--all")),
        (("eval", "../../../../etc"), ("/etc", "cannot be loaded")),
    ],
    ids=lambda value: " ".join(value[:2]),
)
def test_an_argument_that_is_a_path_or_an_option_in_disguise(
    world: World, tmp_path: Path, command: tuple[str, ...], names: tuple[str, ...]
) -> None:
    key = world.keys / ("ci.pem" if command[0] == "release" else "ada.pem")
    paths = {"pwned": tmp_path / "pwned", "new": tmp_path / "new", "root": world.workspace.root, "key": key}
    fails(world.workspace, "ascl", *(word.format(**paths) for word in command), names=names)
    assert not (tmp_path / "pwned").exists()


@dataclass(frozen=True)
class World:
    """A repository with a run that passed the gate and one that looks the same, everybody's keys, and a stranger's."""

    workspace: Guarded
    keys: Path

    def ascl(self, *words: str, by: str, status: int = 0) -> str:
        """What a command says that is given somebody's key."""
        return self.workspace.ascl(*words, "--key", str(self.keys / f"{by}.pem"), status=status)

    def refuses(self, *words: str, by: str, names: Sequence[str]) -> None:
        """The command is one error that names these; no branch and no tag has moved."""
        before = git(self.workspace.root, "for-each-ref")
        said = fails(self.workspace, "ascl", *words, "--key", str(self.keys / f"{by}.pem"), names=tuple(names))
        assert (self.keys / f"{by}.pem").read_text(encoding="utf-8").splitlines()[1] not in said
        assert git(self.workspace.root, "for-each-ref") == before

    def approval(self, run: str, by: str) -> Path:
        """The file with somebody's approval of the run."""
        self.ascl("approve", run, "--reason", "it was read", "--yes", by=by)
        return self.workspace.root / ".ascl" / "approvals" / run / f"{by}.json"


@pytest.fixture(scope="module")
def world(made: Guarded, tmp_path_factory: pytest.TempPathFactory) -> World:
    """One for the series, whose tests leave it as it is."""
    source = tmp_path_factory.mktemp("releases")
    workspace = replace(made, root=made.copy(source / "workspace").root)
    for name, role in PEOPLE.items():
        workspace.ascl("keys", "new", "--role", role, "--name", name, "--file", str(source / "keys" / f"{name}.pem"))
    workspace.run("git", "add", "--all", "data/trust")
    workspace.run("git", "commit", "--quiet", "-m", "keys")
    stranger = replace(made, root=made.copy(source / "stranger").root)
    stranger.ascl("keys", "new", "--role", "approver", "--name", "eve", "--file", str(source / "keys" / "eve.pem"))
    run_to_the_end(workspace.root, "yes", PASSING)
    other_checkpoint(workspace.root, "other")
    return World(workspace, source / "keys")


def other_checkpoint(root: Path, name: str) -> None:
    """A run that trained other weights, and passed the gate, too."""
    run = runs.open_run(root, name)
    write_params(run.worktree, None, [*PASSING, "ifpo.seed=7"])
    outputs.check_out(run.worktree, list(STAGES))
    outcomes = [bring_up_to_date(stage, root=run.worktree) for stage in (VALIDATE_RULES, IFPO, EVALUATION)]
    give_every_figure(run.worktree)
    outcomes += [bring_up_to_date(stage, root=run.worktree) for stage in (GATE, REPORT)]
    runs.finish_run(root, run, run_summary(run.worktree, outcomes))


@pytest.fixture(scope="module")
def approved(world: World) -> Path:
    """Ada's approval of the run `yes`."""
    return world.approval("yes", "ada")


def altered(approval: Path, into: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """The approval with something else in it, under the same signature."""
    envelope = read_json(approval)
    statement = json.loads(base64.b64decode(envelope["payload"]))
    change(statement)
    write_json(into / "altered.json", {**envelope, "payload": base64.b64encode(to_json(statement, indent=None).encode()).decode()})
    return into / "altered.json"


def signed_again(envelope: Path, key: Path) -> Envelope:
    """The same statement, signed with that key."""
    said = json.loads(base64.b64decode(read_json(envelope)["payload"]))
    [subject] = said["subject"]
    statement = Statement(said["predicateType"], subject["name"], next(iter(subject["digest"].values())), said["predicate"])
    return sign(statement, read_key(Role.APPROVER, key))


def test_the_trainer_and_a_stranger_cannot_approve(world: World) -> None:
    approve = ("approve", "yes", "--reason", "mine", "--yes")
    world.refuses(*approve, by="ci", names=("this is ci's key with the role trainer", "approver"))
    world.refuses(*approve, by="eve", names=("signed with a key that is not trusted", "keyid"))
    assert not list((world.workspace.root / ".ascl" / "approvals").rglob("[ce]*.json"))


def test_an_approver_and_a_stranger_cannot_release(world: World, approved: Path) -> None:
    create = ("release", "create", "yes", "--approval", str(approved))
    world.refuses(*create, by="ada", names=("this is ada's key with the role approver",))
    world.refuses(*create, by="eve", names=("signed with a key that is not trusted",))


@pytest.mark.parametrize(
    "change",
    [
        lambda said: said["predicate"].update(reason="it was readd"),
        lambda said: said["predicate"].update(approver="ben"),
        lambda said: said["predicate"].update(run="other"),
        lambda said: said["subject"][0]["digest"].update(sha256="0" * 64),
    ],
    ids=["reason", "approver", "run", "checkpoint"],
)
def test_an_approval_that_was_edited_is_none(
    world: World, approved: Path, tmp_path: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    file = altered(approved, tmp_path, change)
    world.refuses("release", "create", "yes", "--approval", str(file), by="ci", names=("ada", "signature"))


def test_an_approval_with_one_other_byte_is_none(world: World, approved: Path, tmp_path: Path) -> None:
    envelope = read_json(approved)
    payload = bytearray(base64.b64decode(envelope["payload"]))
    payload[payload.index(b"it was read")] ^= 1
    write_json(tmp_path / "byte.json", {**envelope, "payload": base64.b64encode(payload).decode()})
    world.refuses("release", "create", "yes", "--approval", str(tmp_path / "byte.json"), by="ci", names=("ada", "signature"))


def test_a_signature_of_another_key_under_the_name_of_an_approver_is_none(world: World, approved: Path, tmp_path: Path) -> None:
    """The stranger signs what ada would, and the trainer does; each says that the key is ada's."""
    [own] = read_json(approved)["signatures"]
    for name in ("eve", "ci"):
        forged = signed_again(approved, world.keys / f"{name}.pem")
        create = ("release", "create", "yes", "--approval", str(tmp_path / "forged.json"))
        write_json(tmp_path / "forged.json", {**forged, "signatures": [{**forged["signatures"][0], "keyid": own["keyid"]}]})
        world.refuses(*create, by="ci", names=("ada", "signature"))
        write_json(tmp_path / "forged.json", forged)
        expected = "signed with a key that is not trusted" if name == "eve" else "ci's key has the role trainer and cannot sign"
        world.refuses(*create, by="ci", names=(expected,))


def test_an_approval_is_not_replayed_for_another_checkpoint(world: World, approved: Path) -> None:
    sha256 = {name: runs.read_run(world.workspace.root, name)["checkpoint"]["sha256"] for name in ("yes", "other")}
    assert len(set(sha256.values())) == 2
    expected = ("ada's approval is for the checkpoint", sha256["yes"], sha256["other"], "ascl approve other")
    world.refuses("release", "create", "other", "--approval", str(approved), by="ci", names=expected)


@pytest.mark.parametrize("content", ["", "{", "[" * 1_000_000, '{"payload": 1}', "A" * (1 << 21), "\udce4"], ids=range(6))
def test_what_is_no_envelope_is_no_approval(world: World, tmp_path: Path, content: str) -> None:
    (tmp_path / "none.json").write_text(content, encoding="utf-8", errors="surrogateescape")
    world.refuses("release", "create", "yes", "--approval", str(tmp_path / "none.json"), by="ci", names=("hint:",))


def test_a_release_that_somebody_else_signed_or_edited_does_not_hold(world: World, approved: Path, tmp_path: Path) -> None:
    """Somebody who can write every ref has a release under its tag that says otherwise."""
    root = tmp_path / "workspace"
    mine = replace(world, workspace=replace(world.workspace, root=world.workspace.copy(root).root))
    assert "release/1" in mine.ascl("release", "create", "yes", "--approval", str(approved), by="ci")
    assert "verified" in mine.workspace.ascl("release", "verify")
    released = git(root, "rev-parse", "releases")

    def by_eve(source: Path) -> None:
        write_json(source / STATEMENT, signed_again(source / STATEMENT, world.keys / "eve.pem"))

    def by_ada(source: Path) -> None:
        write_json(source / STATEMENT, signed_again(source / STATEMENT, world.keys / "ada.pem"))

    def edited_record(source: Path) -> None:
        write_json(source / RECORD, {**read_json(source / RECORD), "rules": "0" * 64})

    def edited_statement(source: Path) -> None:
        altered(source / STATEMENT, source, lambda said: said["predicate"]["release"].update(run="other")).replace(source / STATEMENT)

    def unsigned(source: Path) -> None:
        (source / STATEMENT).unlink()

    for forge, expected in (
        (by_eve, "signed with a key that is not trusted"),
        (by_ada, "ada's key has the role approver and cannot sign"),
        (edited_record, "ci signed"),
        (edited_statement, "signature"),
        (unsigned, "this is not a signed release"),
    ):
        source = tmp_path / "forged"
        git(root, "worktree", "add", "--quiet", "--detach", str(source), released)
        forge(source / RELEASE_FOLDER)
        git(source, "add", "--all", "--force", "--", str(RELEASE_FOLDER))
        git(source, "commit", "--quiet", "-m", "forged", environment=NOBODY)
        forged = git(source, "rev-parse", "HEAD")
        git(root, "worktree", "remove", "--force", str(source))
        for ref in ("refs/heads/releases", "refs/tags/release/1"):
            git(root, "update-ref", ref, forged)
        fails(mine.workspace, "ascl", "release", "verify", names=(expected,))
        fails(mine.workspace, "ascl", "release", "verify", "release/1", names=(expected,))
        fails(mine.workspace, "ascl", "release", "fetch", "--into", str(tmp_path / "model"), names=(expected,))
        assert not (tmp_path / "model").exists()

"""`ascl lineage verify`: one byte that is changed anywhere is found, and named."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from typer.testing import CliRunner

from ascl_core.artifacts import read_json, read_yaml, sha256_bytes, write_json, write_text
from ascl_core.errors import AsclError, DataError, ReleaseError
from flows.cli import app
from tasks.evidence import log
from tasks.evidence.attestations import record_of, statement_of
from tasks.evidence.contents import read_contents
from tasks.evidence.log import COMMITTED, entries
from tasks.evidence.record import parse_record
from tasks.evidence.statements import APPROVAL, RELEASE, read_statement, sign
from tasks.evidence.trust import Role, new_key, read_key
from tasks.execution.up_to_date import bring_up_to_date
from tasks.lineage.verify import verify
from tasks.registry.stages import CHECKPOINT, EVALUATE, GATE, IFPO, STAGES, Artifact
from tasks.releases.model_signature import sign_model, verify_model
from tasks.releases.verify import verify_release
from tasks.repository import cache, dvc_lock
from tasks.repository.git import git, show
from tasks.runs import runs
from tests.once import make_once
from tests.pipeline.test_releases import PASSING, PEOPLE, World, cached, commit, edited_run, run_to_the_end, runs_lock, weights_in_cache
from tests.pipeline.workspace import Workspace

pytestmark = pytest.mark.slow

OUTPUTS = [artifact for stage in STAGES for artifact in (*stage.outputs.values(), stage.record)]


@pytest.fixture(scope="module")
def shared(_finished: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished workspace; whoever changes it puts everything back."""
    return _finished.copy(tmp_path_factory.mktemp("verify") / "root").root


@pytest.fixture
def root(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(shared)
    return shared


@contextmanager
def kept(*files: Path) -> Iterator[None]:
    """What the files are is put back after."""
    before = {file: (file.read_bytes() if file.exists() else None, file.stat().st_mode if file.exists() else 0) for file in files}
    try:
        yield
    finally:
        for file, (content, mode) in before.items():
            if content is not None:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.unlink(missing_ok=True)
                file.write_bytes(content)
                file.chmod(mode)


def flip(file: Path, at: int = -2) -> None:
    """Change one bit of one byte, whoever may write it; an empty file gets one."""
    content = bytearray(file.read_bytes() or b"xx")
    content[at] ^= 1
    file.chmod(0o644)
    file.write_bytes(content)


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def error_of(root: Path, text: str) -> AsclError:
    with pytest.raises(AsclError) as found:
        verify(root, text)
    return found.value


def test_what_a_run_left_holds_and_the_command_says_what_it_looked_at(root: Path) -> None:
    for text in (CHECKPOINT, ".", "data/sft/ascl.jsonl", "data/report"):
        verified = verify(root, text)
        assert verified.statements == len(STAGES)
    assert (verified.stages, verified.judged, verified.release, verified.outside) == (len(STAGES), False, None, ())
    result = CliRunner().invoke(app, ["lineage", "verify"], catch_exceptions=False)
    assert result.exit_code == 0
    assert "verified data/models/ifpo in working tree" in result.output
    assert f"{len(STAGES)} stages" in result.output
    assert "evaluation and gate are about these bytes" in result.output


def test_a_record_says_everything_that_somebody_may_ask_later(root: Path) -> None:
    record = read_json(root / IFPO.record.path)
    assert record["schema"] == "ascl.record/2"
    assert set(record["files"][CHECKPOINT]) == {
        str(f.relative_to(root / CHECKPOINT)) for f in (root / CHECKPOINT).rglob("*") if f.is_file()
    }
    assert record["seeds"] == {"ifpo.seed": 0}
    assert (record["gpus"] == []) is (record["gpu_seconds"] == 0)
    corpus = read_json(root / "data/compiled/rl_corpus.json")
    assert record["rules"]["digest"] == corpus["digest"]
    assert set(record["rules"]["rules"]) == {rule["id"] for rule in corpus["rules"]}
    names = {"sft", "curate", "validate_rules"}
    assert record["parents"] == {name: sha256_bytes((root / f"data/records/{name}.json").read_bytes()) for name in names}
    rules = read_json(root / "data/records/validate_rules.json")
    assert "CYB.yaml" in rules["source_files"]["data/rules"]
    assert rules["rules"]["digest"] == read_json(root / "data/compiled/corpus.json")["digest"]


@pytest.mark.parametrize("artifact", OUTPUTS, ids=lambda artifact: artifact.path)
def test_a_byte_that_is_flipped_in_what_a_stage_wrote_is_found_and_the_file_is_named(root: Path, artifact: Artifact) -> None:
    worktree = root / artifact.path
    file = max(worktree.rglob("*"), key=lambda f: f.stat().st_size if f.is_file() else -1) if worktree.is_dir() else worktree
    with kept(file):
        flip(file)
        error = error_of(root, ".")
    assert error.file == str(file.relative_to(root)), error


@pytest.mark.parametrize(
    "path",
    ["data/rules/CYB.yaml", "data/rules/rules.lock.json", "data/raw/safety.yaml", "data/released/.gitignore", "ascl_core/rl/train.py"],
)
def test_a_byte_that_is_flipped_in_what_people_wrote_is_found_and_the_file_is_named(root: Path, path: str) -> None:
    with kept(root / path):
        flip(root / path)
        assert error_of(root, ".").file == path


def test_a_file_that_is_taken_out_or_put_in_is_named(root: Path) -> None:
    with kept(file := root / CHECKPOINT / "config.json"):
        file.unlink()
        assert "is missing, but the record of ifpo names it" in str(error_of(root, "."))
    file = root / CHECKPOINT / "more.bin"
    file.write_bytes(b"x")
    try:
        assert str(error_of(root, CHECKPOINT)).startswith(f"{CHECKPOINT}/more.bin: is there, but the record of ifpo does not name it")
    finally:
        file.unlink()


def test_two_checkpoints_that_are_swapped_are_found(root: Path) -> None:
    one, other, aside = root / CHECKPOINT, root / "data/models/sft", root / "data/models/aside"

    def swap() -> None:
        one.rename(aside)
        other.rename(one)
        aside.rename(other)

    swap()
    try:
        error = error_of(root, ".")
        assert str(error.file).startswith("data/models/sft/")
        assert str(error_of(root, "data/report").file).startswith("data/")
    finally:
        swap()


def test_a_record_that_is_deleted_is_missed(root: Path) -> None:
    for stage in STAGES:
        with kept(file := root / stage.record.path):
            file.unlink()
            assert error_of(root, "data/evaluation/ifpo/metrics.json" if stage is EVALUATE["ifpo"] else ".").file in (
                stage.record.path,
                *(artifact.path for artifact in stage.outputs.values()),
            )


def test_a_number_that_is_edited_in_a_record_is_found_even_where_dvc_takes_it_for_right(root: Path) -> None:
    file = root / EVALUATE["ifpo"].record.path
    lock = root / "dvc.lock"
    with kept(file, lock):
        record = read_json(file)
        record["metrics"]["safety_rate"] = 0.99
        write_json(file, record)
        assert error_of(root, ".").file == EVALUATE["ifpo"].record.path
        before = read_yaml(lock)["stages"]["evaluate_ifpo"]["outs"]
        old = next(out for out in before if out["path"] == EVALUATE["ifpo"].record.path)
        new = rf"md5: {cache.md5(file)}\g<1>size: {file.stat().st_size}"
        text = re.sub(rf"md5: {old['md5']}(\s+)size: \d+", new, lock.read_text())
        lock.write_text(text)
        error = error_of(root, "data/evaluation/ifpo/metrics.json")
        assert "the log has no statement about this record" in str(error)
        assert error.file == EVALUATE["ifpo"].record.path


def test_what_is_edited_in_dvc_lock_is_found(root: Path) -> None:
    lock = root / "dvc.lock"
    entry = dvc_lock.recorded(root)["ifpo"]
    weights = next(out for out in entry["outs"] if out["path"] == CHECKPOINT)
    prompts = next(dep for dep in entry["deps"] if dep["path"] == "data/prompts/prompts.parquet")
    edits: list[tuple[str, str, str]] = [
        (weights["md5"], "ab" * 16 + ".dir", "MD5"),
        (prompts["md5"], "ab" * 16, "MD5"),
        (f"size: {weights['size']}\n", "size: 1\n", "size"),
        ("max_steps: 12\n", "max_steps: 13\n", "the value"),
        ("cmd: exec python -m tasks ifpo\n", "cmd: exec python -m tasks gate\n", "the command"),
    ]
    for old, new, what in edits:
        with kept(lock):
            edit(lock, old, new)
            assert what in error_of(root, ".").problem
    with kept(lock):
        text = lock.read_text()
        lock.write_text(text[: text.index("\n  gate:") + 1] + text[text.index("\n  report:") + 1 :])
        assert error_of(root, "data/gate/decision.json").file == "dvc.lock"
    with kept(lock, root / ".ascl" / "dvc.lock"):
        text = lock.read_text()
        lock.write_text(text[: text.index("    outs:")])
        assert "was truncated" in str(error_of(root, "."))
    verify(root, ".")


def test_parameters_that_are_edited_are_found(root: Path) -> None:
    with kept(root / "params.yaml"):
        edit(root / "params.yaml", "max_steps: 12\n", "max_steps: 13\n")
        error = error_of(root, ".")
        assert (error.file, error.field) == ("params.yaml", "ifpo.max_steps")


# --- the log


def test_each_line_of_the_log_is_bound_to_the_one_before_and_says_what_a_record_says(root: Path) -> None:
    found = list(log.entries((root / log.LOG).read_bytes(), file=log.LOG))
    records = {sha256_bytes((root / s.record.path).read_bytes()): s for s in STAGES}
    assert {records[record_of(entry.statement)].name for entry in found} == {s.name for s in STAGES}
    by_stage = {records[record_of(entry.statement)].name: entry.statement for entry in found}
    checkpoint = read_json(root / IFPO.record.path)["outputs"][CHECKPOINT]
    assert by_stage["ifpo"].subjects[CHECKPOINT] == checkpoint
    assert f"{CHECKPOINT}/model.safetensors" in by_stage["ifpo"].subjects
    assert by_stage["evaluate_ifpo"].subjects == {CHECKPOINT: checkpoint}
    assert {by_stage[name].kind for name in ("evaluate_ifpo", "validate_data")} == {"https://in-toto.io/attestation/test-result/v0.1"}
    assert by_stage["gate"].kind == "urn:ascl:gate:1"


def test_provenance_is_what_the_schema_of_slsa_says(root: Path) -> None:
    from google.protobuf import json_format
    from in_toto_attestation.predicates.provenance.v1 import provenance_pb2

    for entry in log.entries((root / log.LOG).read_bytes(), file=log.LOG):
        if entry.statement.kind == "https://slsa.dev/provenance/v1":
            json_format.ParseDict(dict(entry.statement.predicate), provenance_pb2.Provenance())


@pytest.mark.parametrize(
    ("damage", "where"),
    [
        (lambda lines: [lines[1], lines[0], *lines[2:]], "line 1"),
        (lambda lines: [*lines[:3], lines[4], lines[3], *lines[5:]], "line 4"),
        (lambda lines: [*lines[:3], *lines[4:]], "line 4"),
        (lambda lines: lines[1:], "line 1"),
        (lambda lines: [*lines[:2], lines[1], *lines[2:]], "line 3"),
        (lambda lines: [lines[0].replace(b'"signatures": []', b'"signatures":  []'), *lines[1:]], "line 1"),
        (lambda lines: [*lines[:-1], lines[-1][:-9]], f"line {len(STAGES)}"),
    ],
    ids=["reordered", "reordered amid", "dropped", "first dropped", "repeated", "a space more", "cut off"],
)
def test_a_log_that_is_no_chain_any_more_is_found(root: Path, damage: Callable[[list[bytes]], list[bytes]], where: str) -> None:
    file = root / log.LOG
    with kept(file):
        file.write_bytes(b"".join(damage(file.read_bytes().splitlines(keepends=True))))
        error = error_of(root, ".")
    assert (error.file, error.field) == (str(log.LOG), where)


def test_a_byte_that_is_flipped_in_any_line_of_the_log_is_found(root: Path) -> None:
    file = root / log.LOG
    ends = [at for at, byte in enumerate(file.read_bytes()) if byte == ord("\n")]
    for end in (ends[0], ends[8], ends[-1]):
        for before in (4, 100, 900):
            with kept(file):
                flip(file, end - before)
                error = error_of(root, "data/gate/decision.json")
                assert str(log.LOG) in (error.file, error.field)


def test_the_last_line_or_all_of_the_log_that_is_gone_is_missed(root: Path) -> None:
    file = root / log.LOG
    with kept(file):
        file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:-1]))
        assert "the log has no statement about this record" in str(error_of(root, "data/report"))
        file.unlink()
        assert "there is no log" in str(error_of(root, "."))


def test_a_line_that_a_kill_cut_off_is_repaired_and_a_damaged_log_stops_nobody(
    root: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = root / log.LOG
    before = file.read_bytes()
    with kept(file):
        file.write_bytes(before[:-700])
        assert log.append_missing(root) == 1
        assert file.read_bytes() == before, "the same record gives the same line"
        assert log.append_missing(root) == 0
        file.write_bytes(b"no line\n" + before)
        assert log.append_missing(root) == 0
        assert "damaged" in caplog.text
        file.unlink()
        file.mkdir()
        assert bring_up_to_date(GATE, root=root).action == "reused"
        file.rmdir()
        monkeypatch.setenv(Role.TRAINER.variable, str(tmp_path / "none.pem"))
        assert log.append_missing(root) == len(STAGES)
        assert "is not signed" in caplog.text


def test_a_statement_that_another_key_signed_is_found(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, keys = root / log.LOG, {}
    with kept(file, root / "data/trust/keys.yaml"):
        for name, role in (("ci", Role.TRAINER), ("ada", Role.APPROVER), ("eve", Role.TRAINER)):
            new_key(root if name != "eve" else tmp_path / "elsewhere", role, name, tmp_path / "keys" / f"{name}.pem")
            keys[name] = read_key(role, tmp_path / "keys" / f"{name}.pem")
        head = git(root, "rev-parse", "HEAD")
        commit(root, "keys")
        try:
            file.unlink()
            monkeypatch.setenv(Role.TRAINER.variable, str(tmp_path / "keys" / "ci.pem"))
            assert log.append_missing(root) == len(STAGES)
            assert verify(root, ".").signed == len(STAGES)
            whole = file.read_bytes()
            for name, message in (("eve", "not trusted"), ("ada", "has the role approver"), ("ci", "")):
                file.write_bytes(signed_again(whole, 5, name, keys))
                if message:
                    error = error_of(root, ".")
                    assert message in error.problem
                    assert error.field == "line 6"
            lines = whole.splitlines()
            values = json.loads(lines[-1])
            values["envelope"]["signatures"][0]["sig"] = json.loads(lines[0])["envelope"]["signatures"][0]["sig"]
            file.write_bytes(
                b"".join(line + b"\n" for line in lines[:-1]) + log._line(values["seq"], values["previous"], values["envelope"])
            )
            assert "the signature is not ci's" in error_of(root, ".").problem
        finally:
            git(root, "reset", "--quiet", head)
            shutil.rmtree(root / "data/trust")


def signed_again(content: bytes, at: int, name: str, keys: dict[str, object]) -> bytes:
    """The log with one statement signed by another, and a chain that holds."""
    previous, text = None, b""
    for seq, line in enumerate(content.splitlines()):
        envelope = json.loads(line)["envelope"]
        if seq == at:
            envelope = sign(read_statement(envelope), keys[name])  # type: ignore[arg-type]
        made = log._line(seq, previous, envelope)
        previous, text = sha256_bytes(made.removesuffix(b"\n")), text + made
    return text


def test_a_statement_that_says_other_than_its_record_is_found(root: Path) -> None:
    file = root / log.LOG
    record = read_json(root / IFPO.record.path)
    forged = {**record, "parameters": {**record["parameters"], "ifpo": {}}}
    with kept(file):
        from tasks.evidence.statements import enclose

        sha256 = sha256_bytes((root / IFPO.record.path).read_bytes())
        previous, text = None, b""
        for seq, line in enumerate(file.read_bytes().splitlines()):
            envelope = json.loads(line)["envelope"]
            if record_of(read_statement(envelope)) == sha256:
                envelope = enclose(statement_of(parse_record(json.dumps(forged).encode(), IFPO.record.path), sha256))
            made = log._line(seq, previous, envelope)
            previous, text = sha256_bytes(made.removesuffix(b"\n")), text + made
        file.write_bytes(text)
        assert "says something else than the record of ifpo" in error_of(root, ".").problem


# --- runs and releases


@pytest.fixture(scope="module")
def world(_finished: Workspace, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A repository with a run that is released; whoever changes it puts everything back."""

    def make(folder: Path) -> None:
        root = _finished.copy(folder / "root").root
        for name, role in PEOPLE.items():
            new_key(root, role, name, folder / "keys" / f"{name}.pem")
        commit(root, "keys")
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv(Role.TRAINER.variable, str(folder / "keys" / "ci.pem"))
            run_to_the_end(root, "yes", PASSING)
        runs.collect(root, keep=0)
        World.at(folder).release("yes", "ada")

    return World.at(make_once(tmp_path_factory, "signed-release", make)).copy(tmp_path_factory.mktemp("verify-release"))


def test_a_run_and_its_release_hold_from_their_commits_alone(world: World) -> None:
    for text in ("yes", "release/1", "released", "yes:data/prompts/prompts.parquet", "release/1:data/report"):
        verified = verify(world.root, text)
        assert verified.statements == verified.signed > 0
        assert verified.judged is (":" not in text)
        assert (verified.release is not None) is text.startswith("release")
    assert not list((world.root / ".ascl/lineage").glob("verify-*"))


def test_a_byte_that_is_flipped_in_the_cache_is_found_in_the_run(world: World) -> None:
    lock, weights = runs_lock(world.root, "yes"), weights_in_cache(world.root, "yes")
    with kept(weights):
        flip(weights)
        for text in ("yes", "release/1"):
            assert error_of(world.root, text).file == f"{CHECKPOINT}/model.safetensors"
    for md5, path in (
        (lock["curate"]["outs"]["data/prompts/prompts.parquet"],) * 2,
        (lock["gate"]["outs"]["data/gate/decision.json"],) * 2,
    ):
        with kept(file := cached(world.root, md5)):
            flip(file)
            assert error_of(world.root, "release/1").file in ("data/prompts/prompts.parquet", "data/gate/decision.json"), path
    listing = cached(world.root, lock["ifpo"]["outs"][CHECKPOINT])
    with kept(listing):
        before = listing.read_bytes()
        flip(listing, 20)
        assert verify(world.root, "yes").judged
        assert listing.read_bytes() == before, "the remote's replaced it"


def test_what_the_cache_lacks_is_fetched_from_the_remote(world: World, tmp_path: Path) -> None:
    shutil.copytree(world.root, tmp_path / "root", symlinks=True)
    shutil.rmtree(tmp_path / "root/.dvc/cache")
    assert verify(tmp_path / "root", "release/1").judged
    shutil.rmtree(tmp_path / "root/.dvc/cache")
    shutil.rmtree(tmp_path / "root/.ascl/remote")
    assert "cannot be fetched" in error_of(tmp_path / "root", "release/1").problem


def test_a_run_whose_commit_was_edited_does_not_hold(world: World, tmp_path: Path) -> None:
    shutil.copytree(world.root, tmp_path / "root", symlinks=True)
    root = tmp_path / "root"
    edits: list[tuple[str, str, str, str]] = [
        ("data/rules/CYB.yaml", "title:", "title: ", "data/rules/CYB.yaml"),
        ("data/run.json", '"sha256": "', '"sha256": "0', "data/run.json"),
        ("data/lineage.jsonl", '"seq": 2', '"seq": 3', "data/lineage.jsonl"),
        ("dvc.lock", "exec python -m tasks ifpo", "exec python -m tasks sft", "dvc.lock"),
    ]
    before = git(root, "rev-parse", "runs/yes")
    for path, old, new, named in edits:
        with edited_run(root, "yes") as worktree:
            edit(worktree / path, old, new)
        assert error_of(root, "yes").file == named
        git(root, "update-ref", "refs/heads/runs/yes", before)
    with edited_run(root, "yes") as worktree:
        (worktree / "data/lineage.jsonl").unlink()
    assert "there is no log" in error_of(root, "yes").problem


def test_a_release_whose_signature_does_not_hold_does_not(world: World, tmp_path: Path) -> None:
    shutil.copytree(world.root, tmp_path / "root", symlinks=True)
    root, worktree = tmp_path / "root", tmp_path / "edited"
    git(root, "worktree", "add", "--quiet", "--detach", str(worktree), "release/1")
    write_text(worktree / "data/released/model_card.md", "better than it was\n")
    git(worktree, "-c", "user.name=e", "-c", "user.email=e@v", "commit", "--quiet", "--all", "-m", "edited")
    git(root, "update-ref", "refs/heads/releases", git(worktree, "rev-parse", "HEAD"))
    error = error_of(root, "released")
    assert isinstance(error, ReleaseError)
    assert error.file == "data/released/model_card.md"
    verify(root, "release/1")


def test_the_log_of_a_release_goes_on_from_its_run_with_what_people_signed(world: World) -> None:
    run, release = (show(world.root, name, COMMITTED) for name in ("runs/yes", "release/1"))
    assert release.startswith(run)
    assert [entry.statement.kind for entry in entries(release, file=COMMITTED)][-2:] == [APPROVAL, RELEASE]
    assert verify(world.root, "release/1").statements == verify(world.root, "yes").statements + 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda lines: lines[:-1],
        lambda lines: [*lines[:-2], lines[-1]],
        lambda lines: [*lines[:-2], *lines[:-3:-1]],
        lambda lines: lines[:-2],
        lambda lines: [],
        lambda lines: [*lines, lines[-1]],
    ],
    ids=["without the release", "without the approval", "in another order", "without both", "none at all", "a line more"],
)
def test_a_release_whose_log_does_not_say_who_signed_does_not_hold(
    world: World, tmp_path: Path, damage: Callable[[list[bytes]], list[bytes]]
) -> None:
    shutil.copytree(world.root, tmp_path / "root", symlinks=True)
    root, worktree = tmp_path / "root", tmp_path / "edited"
    git(root, "worktree", "add", "--quiet", "--detach", str(worktree), "release/1")
    lines = (worktree / COMMITTED).read_bytes().splitlines(keepends=True)
    (worktree / COMMITTED).write_bytes(b"".join(damage(lines)))
    git(worktree, "-c", "user.name=e", "-c", "user.email=e@v", "commit", "--quiet", "--all", "-m", "edited")
    git(root, "update-ref", "refs/heads/releases", git(worktree, "rev-parse", "HEAD"))
    assert error_of(root, "released").file == str(COMMITTED)
    with pytest.raises(ReleaseError, match="is not the log of the run yes with the approvals and the release after it"):
        verify_release(root)


def test_a_released_checkpoint_is_signed_for_the_tools_of_others_where_a_key_is_configured(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(world.root, tmp_path / "root", symlinks=True)
    root, checkpoint, signature = tmp_path / "root", tmp_path / "root" / CHECKPOINT, tmp_path / "model.sig"
    assert not sign_model(root, checkpoint, signature)
    private = ec.generate_private_key(ec.SECP256R1())
    key = tmp_path / "model.pem"
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    monkeypatch.setenv("ASCL_MODEL_KEY", str(key))
    key.chmod(0o644)
    with pytest.raises(ReleaseError, match="others can read it"):
        sign_model(root, checkpoint, signature)
    key.chmod(0o600)
    with pytest.raises(ReleaseError, match="nobody is trusted to sign models"):
        sign_model(root, checkpoint, signature)
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (root / "data/trust/model.pub").write_bytes(public)
    commit(root, "the key of models")
    git(root, "update-ref", "-d", "refs/heads/releases")
    git(root, "tag", "-d", "release/1")
    World(root, world.keys).release("yes", "ada")
    assert "data/released/model.sig" in git(root, "ls-tree", "-r", "--name-only", "release/1").splitlines()
    assert verify(root, "release/1").release
    assert sign_model(root, checkpoint, signature)
    files = {file.name: file for file in checkpoint.iterdir()}
    verify_model(root, files, signature.read_bytes())
    flip(checkpoint / "model.safetensors")
    with pytest.raises(ReleaseError, match=r"model\.sig: does not hold"):
        verify_model(root, files, signature.read_bytes())
    key.write_bytes((world.keys / "ci.pem").read_bytes())
    with pytest.raises(ReleaseError, match="cannot sign a model"):
        sign_model(root, checkpoint, signature)


# --- by themselves


def test_the_md5_of_a_folder_is_what_dvc_says(root: Path) -> None:
    for path in (CHECKPOINT, "data/report", "data/gate/decision.json"):
        worktree = root / path
        files = {"": worktree} if worktree.is_file() else {str(f.relative_to(worktree)): f for f in worktree.rglob("*") if f.is_file()}
        seen: list[tuple[int, int]] = []
        content = read_contents({path: files}, lambda done, total, seen=seen: seen.append((done, total)))[path]  # type: ignore[misc]
        assert content.md5 == cache.md5(worktree)
        assert seen[-1] == (content.size, content.size)


def test_a_damaged_list_of_files_in_the_cache_is_an_error_in_words(tmp_path: Path) -> None:
    file = tmp_path / ".dvc/cache/files/md5/ab/cd.dir"
    file.parent.mkdir(parents=True)
    (tmp_path / ".dvc/config").write_text("")
    for text in ("{", "[1]", "[{}]"):
        file.write_text(text)
        with pytest.raises(DataError, match="is damaged"):
            cache.cached_files(tmp_path, "abcd.dir")

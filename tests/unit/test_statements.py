"""Keys, roles and signed statements: what counts, and each way in which something does not."""

from __future__ import annotations

import base64
import json
import stat
from pathlib import Path

import pytest

from ascl_core.errors import ConfigError, ReleaseError
from tasks.evidence.statements import APPROVAL, RELEASE, Envelope, Statement, decode, encode, now, sign, verify
from tasks.evidence.trust import PASSPHRASE, PrivateKey, PublicKey, Role, Trust, new_key, parse_trust, read_key, read_trust
from tasks.registry.paths import TRUSTED_KEYS
from tasks.repository.git import git

SHA = "ab" * 32


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    git(root, "init", "--quiet")
    for option, value in (("user.name", "a"), ("user.email", "a@b")):
        git(root, "config", option, value)
    git(root, "commit", "--quiet", "--allow-empty", "-m", "start")
    return root


def make_key(root: Path, role: Role, name: str) -> PrivateKey:
    file = root.parent / "keys" / f"{name}.pem"
    new_key(root, role, name, file)
    return read_key(role, file)


def make_statement(**predicate: object) -> Statement:
    return Statement(APPROVAL, "data/models/ifpo", SHA, {"time": now(), **predicate})


def commit_keys(root: Path) -> Trust:
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "-m", "keys")
    return read_trust(root)


def with_payload(envelope: Envelope, payload: bytes) -> Envelope:
    return {**envelope, "payload": base64.b64encode(payload).decode()}


def test_a_statement_comes_back_with_its_signer_through_a_line_that_can_be_pasted(root: Path) -> None:
    key = make_key(root, Role.APPROVER, "ada")
    trust, statement = commit_keys(root), make_statement(reason="fine")
    line = encode(sign(statement, key))
    assert "\n" not in line
    for text in (line, f"  {line[:60]}\n{line[60:]}\n", json.dumps(decode(line))):
        signed = verify(decode(text), trust, APPROVAL, Role.APPROVER)
        assert (signed.statement, signed.key.name) == (statement, "ada")


def test_the_envelope_is_what_the_specifications_of_dsse_and_in_toto_say(root: Path) -> None:
    envelope = sign(make_statement(), key := make_key(root, Role.APPROVER, "ada"))
    assert envelope["payloadType"] == "application/vnd.in-toto+json"
    assert [signature["keyid"] for signature in envelope["signatures"]] == [key.id]
    payload = base64.b64decode(envelope["payload"])
    values = json.loads(payload)
    assert values["_type"] == "https://in-toto.io/Statement/v1"
    assert values["subject"] == [{"name": "data/models/ifpo", "digest": {"asclTree": SHA}}]
    assert set(values) == {"_type", "subject", "predicateType", "predicate"}
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    # the pre-authentication encoding, written out: "DSSEv1" LEN(type) type LEN(payload) payload
    signed = b"DSSEv1 28 application/vnd.in-toto+json %d %b" % (len(payload), payload)
    Ed25519PublicKey.from_public_bytes(bytes.fromhex(key.public)).verify(base64.b64decode(envelope["signatures"][0]["sig"]), signed)


def test_what_was_edited_after_it_was_signed_is_refused_be_it_by_a_space(root: Path) -> None:
    key = make_key(root, Role.APPROVER, "ada")
    trust, envelope = commit_keys(root), sign(make_statement(reason="no"), key)
    payload = base64.b64decode(envelope["payload"])
    for edited in (payload.replace(b'"no"', b'"so"'), payload + b" "):
        with pytest.raises(ReleaseError, match="the signature is not ada's over this text"):
            verify(with_payload(envelope, edited), trust, APPROVAL, Role.APPROVER)
    with pytest.raises(ReleaseError, match="the signature is not ada's"):
        verify({**envelope, "payloadType": "text/plain"}, trust, APPROVAL, Role.APPROVER)


def test_a_key_that_nobody_trusts_and_one_of_another_role_sign_nothing(root: Path) -> None:
    ada, ci = make_key(root, Role.APPROVER, "ada"), make_key(root, Role.TRAINER, "ci")
    trust = commit_keys(root)
    make_key(root, Role.APPROVER, "eve")
    eve = read_key(Role.APPROVER, root.parent / "keys" / "eve.pem")
    with pytest.raises(ReleaseError, match="not trusted"):
        verify(sign(make_statement(), eve), trust, APPROVAL, Role.APPROVER)
    assert read_trust(root) == trust, "what is written and not committed does not count"
    with pytest.raises(ReleaseError, match="ci's key has the role trainer and cannot sign an approval"):
        verify(sign(make_statement(), ci), trust, APPROVAL, Role.APPROVER)
    forged = sign(make_statement(), eve)
    forged["signatures"][0]["keyid"] = ada.id
    with pytest.raises(ReleaseError, match="the signature is not ada's"):
        verify(forged, trust, APPROVAL, Role.APPROVER)


def test_a_statement_of_another_kind_does_not_stand_for_an_approval(root: Path) -> None:
    key = make_key(root, Role.APPROVER, "ada")
    trust = commit_keys(root)
    other = Statement(RELEASE, "data/models/ifpo", SHA, {"time": now()})
    with pytest.raises(ReleaseError, match="expected an approval"):
        verify(sign(other, key), trust, APPROVAL, Role.APPROVER)
    with pytest.raises(ReleaseError, match="does not say when"):
        verify(sign(Statement(APPROVAL, "x", SHA, {"time": "yesterday"}), key), trust, APPROVAL, Role.APPROVER)


def test_a_signature_over_text_that_is_no_statement_is_refused(root: Path) -> None:
    from securesystemslib.dsse import Envelope as Dsse

    key = make_key(root, Role.APPROVER, "ada")
    trust = commit_keys(root)
    twice = make_statement().payload().replace(b'"subject"', b'"predicateType": "x", "subject"')
    for payload in (b"{}", b"[]", b"null", b"\xff", b'{"subject": []}', twice):
        dsse = Dsse(payload, "application/vnd.in-toto+json", {})
        dsse.sign(key.signer)
        with pytest.raises(ReleaseError, match="not an in-toto statement"):
            verify(dsse.to_dict(), trust, APPROVAL, Role.APPROVER)


@pytest.mark.parametrize(
    "envelope",
    [{}, {"payload": 1}, {"payload": "!", "payloadType": "x", "signatures": []}, {"payload": "", "payloadType": "x", "signatures": [1]}],
)
def test_what_is_no_envelope_is_refused_in_words(envelope: Envelope) -> None:
    with pytest.raises(ReleaseError, match="not a signed statement"):
        verify(envelope, Trust(()), APPROVAL, Role.APPROVER)


@pytest.mark.parametrize("text", ["", "{", "[]", "no base64", "e30=x", "WzFd", "[" * 100_000, "x" * (1 << 21)])
def test_what_is_no_line_of_an_approval_is_refused_in_words(text: str) -> None:
    with pytest.raises(ReleaseError, match="not a signed statement"):
        decode(text)


def test_two_signatures_are_refused_as_nobody_could_say_whose_it_is(root: Path) -> None:
    ada, ben = make_key(root, Role.APPROVER, "ada"), make_key(root, Role.APPROVER, "ben")
    trust, statement = commit_keys(root), make_statement()
    envelope = sign(statement, ada)
    envelope["signatures"] += sign(statement, ben)["signatures"]
    with pytest.raises(ReleaseError, match="expected one signature"):
        verify(envelope, trust, APPROVAL, Role.APPROVER)


def test_a_revoked_key_and_one_outside_of_its_time_sign_nothing(root: Path) -> None:
    key = make_key(root, Role.APPROVER, "ada")
    (known,) = commit_keys(root).keys
    envelope = sign(make_statement(), key)

    def trusting(**changes: object) -> Trust:
        return Trust((PublicKey.model_validate({**known.model_dump(), **changes}),))

    verify(envelope, trusting(valid_from="2020-01-01T00:00:00Z"), APPROVAL, Role.APPROVER)
    verify(envelope, trusting(revoked="lost"), APPROVAL, Role.APPROVER, even_revoked=True)
    with pytest.raises(ReleaseError, match="ada's key is revoked"):
        verify(envelope, trusting(revoked="lost"), APPROVAL, Role.APPROVER)
    for period in ({"valid_from": "2100-01-01T00:00:00Z"}, {"valid_until": "2020-01-01T00:00:00Z"}):
        with pytest.raises(ReleaseError, match="not valid at the time"):
            verify(envelope, trusting(**period), APPROVAL, Role.APPROVER)


def test_one_key_has_one_owner_and_one_role_and_who_trains_does_not_approve(root: Path) -> None:
    make_key(root, Role.APPROVER, "ada")
    text = (root / TRUSTED_KEYS).read_text()
    entry = text[text.index("- ") :]
    with pytest.raises(ConfigError, match="the same key is ada's as approver already"):
        parse_trust(text + entry.replace("name: ada", "name: ben"))
    with pytest.raises(ConfigError, match="the same key is ada's"):
        parse_trust(text + entry.replace("role: approver", "role: trainer"))
    with pytest.raises(ConfigError, match="ada is approver already") as found:
        new_key(root, Role.TRAINER, "ada", root.parent / "keys" / "second.pem")
    assert found.value.hint == "who trains does not approve: use another name"
    assert not (root.parent / "keys" / "second.pem").exists()
    other = make_key(root, Role.APPROVER, "ben")
    with pytest.raises(ConfigError, match="is not the id of this public key"):
        parse_trust(text.replace(entry.split("public: ")[1].split()[0], other.public))


@pytest.mark.parametrize("name", ["Ada", "ada lovelace", "", "../ada", "a" * 64, "аda"])
def test_a_name_that_could_be_taken_for_another_is_refused(root: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="name"):
        new_key(root, Role.APPROVER, name, root.parent / "keys" / "k.pem")


def test_a_private_key_is_for_its_owner_alone_and_is_never_overwritten_nor_shown(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = root.parent / "keys" / "ada.pem"
    monkeypatch.setenv(PASSPHRASE, "open sesame")
    key = make_key(root, Role.APPROVER, "ada")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert b"ENCRYPTED" in file.read_bytes()
    assert repr(key) == "PrivateKey()"
    before = file.read_bytes()
    with pytest.raises(ConfigError, match="there is a key already"):
        new_key(root, Role.APPROVER, "ada", file)
    assert file.read_bytes() == before
    with pytest.raises(ConfigError, match="does not belong in the repository"):
        new_key(root, Role.APPROVER, "ada", root / "ada.pem")
    for passphrase in ("wrong", ""):
        monkeypatch.setenv(PASSPHRASE, passphrase)
        with pytest.raises(ReleaseError, match="not a private key, or another passphrase") as found:
            read_key(Role.APPROVER, file)
        assert "wrong" not in str(found.value)


def test_a_key_file_that_others_can_read_or_that_is_none_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(Role.TRAINER.variable, raising=False)
    with pytest.raises(ReleaseError, match="no key to sign with") as found:
        read_key(Role.TRAINER)
    assert "give --key FILE, or set ASCL_TRAINER_KEY" in str(found.value)
    file = tmp_path / "key.pem"
    monkeypatch.setenv(Role.TRAINER.variable, str(file))
    with pytest.raises(ReleaseError, match="cannot be read"):
        read_key(Role.TRAINER)
    file.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    file.chmod(0o644)
    with pytest.raises(ReleaseError, match="others can read this private key"):
        read_key(Role.TRAINER)
    file.chmod(0o600)
    with pytest.raises(ReleaseError, match="not a private key") as found:
        read_key(Role.TRAINER)
    assert "AAAA" not in str(found.value)


def test_without_keys_nobody_may_release_and_a_commit_of_the_pipeline_does_not_say_who_may(root: Path) -> None:
    with pytest.raises(ReleaseError, match="nobody may approve or release") as found:
        read_trust(root)
    assert "ascl keys new" in str(found.value)
    make_key(root, Role.APPROVER, "ada")
    commit_keys(root)
    git(root, "branch", "runs/evil")
    with pytest.raises(ReleaseError, match="cannot say whom to trust"):
        read_trust(root)

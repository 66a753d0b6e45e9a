"""Who may sign what: public keys with a name and a role in `data/trust/keys.yaml`, private keys in files of their owners.

The trusted keys are those in the commit that is checked out in the repository (`HEAD`), which people review and merge. They are never
read from the commit of a run or of a release, or a run could supply the keys that approve it. Uncommitted keys do not count.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import AwareDatetime, Field

from ascl_core.artifacts import parse_yaml, write_text
from ascl_core.config.base import Config, parse
from ascl_core.errors import ConfigError, ReleaseError
from tasks.registry.paths import TRUSTED_KEYS
from tasks.repository.git import git, show

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner, SSlibKey

PASSPHRASE = "ASCL_KEY_PASSPHRASE"
NAME = r"[a-z0-9][a-z0-9._-]{0,62}"
_PIPELINE_BRANCHES = ("refs/heads/runs", "refs/heads/releases")
"""Branches that the pipeline writes; a HEAD on one of them does not say whom to trust."""


class Role(StrEnum):
    """What a key may sign."""

    TRAINER = "trainer"
    """Records and releases."""
    APPROVER = "approver"
    """Approvals and rollbacks."""

    @property
    def variable(self) -> str:
        """The environment variable that names the file with the private key."""
        return f"ASCL_{self.upper()}_KEY"


class PublicKey(Config):
    """A trusted key: whose it is, and what it may sign."""

    id: str = Field(pattern="[0-9a-f]{64}")
    """SHA-256 of the key, as securesystemslib computes it."""
    name: str = Field(pattern=f"^{NAME}$")
    """The owner, in lower case, so that two spellings are not two people."""
    role: Role
    """What it may sign: the trainer records and releases, an approver approvals and rollbacks."""
    public: str = Field(pattern="^[0-9a-f]{64}$")
    """The Ed25519 public key, in hexadecimal digits."""
    valid_from: AwareDatetime | None = None
    """Earlier statements do not count."""
    valid_until: AwareDatetime | None = None
    """Later statements do not count."""
    person: str | None = Field(default=None, pattern=f"^{NAME}$")
    """The person who holds it, if not `name`: somebody who releases alone needs two names, one a role."""
    revoked: str | None = None
    """Why its signatures no longer count, for a key that was lost or leaked."""

    @property
    def holder(self) -> str:
        """The person who signs with it."""
        return self.person or self.name

    @property
    def pem(self) -> bytes:
        """The public key as PEM (SubjectPublicKeyInfo), for other tools."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.public))
        return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    @property
    def verifier(self) -> SSlibKey:
        """The key that checks signatures."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from securesystemslib.signer import SSlibKey

        return SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.public)))

    def is_valid_at(self, time: datetime) -> bool:
        """Return whether a statement of that time counts."""
        return (self.valid_from is None or self.valid_from <= time) and (self.valid_until is None or time <= self.valid_until)


class _Keys(Config):
    keys: tuple[PublicKey, ...] = ()


@dataclass(frozen=True)
class Trust:
    """The keys that count."""

    keys: tuple[PublicKey, ...]

    def key(self, key_id: str) -> PublicKey:
        """Return the key of that id; `ReleaseError` if it is not trusted."""
        found = next((key for key in self.keys if key.id == key_id), None)
        if found is None:
            hint = f"sign with a key that is in {TRUSTED_KEYS} of HEAD, or have this one added there" if self.keys else _EMPTY
            raise ReleaseError("signed with a key that is not trusted", field="keyid", value=key_id, hint=hint)
        return found

    def owner(self, private: PrivateKey, role: Role) -> PublicKey:
        """Return the public key of a private one; `ReleaseError` unless it may sign in that role now."""
        key = self.key(private.id)
        if key.role is not role:
            problem = f"this is {key.name}'s key with the role {key.role}"
            raise ReleaseError(problem, value=key.id, hint=f"sign with the key of a person with the role {role}")
        if key.revoked or not key.is_valid_at(datetime.now(UTC)):
            problem = f"{key.name}'s key {'is revoked' if key.revoked else 'is not valid now'}"
            raise ReleaseError(problem, value=key.id, hint=f"ascl keys new --role {role} --name {key.name}")
        return key


_EMPTY = f"no key is trusted yet: ascl keys new --role approver --name YOU, the same for the trainer, and commit {TRUSTED_KEYS}"


def read_trust(root: Path) -> Trust:
    """Return the keys that are trusted in `HEAD`; `ReleaseError` if there is none, or if the pipeline wrote the commit."""
    heads = git(root, "for-each-ref", "--points-at=HEAD", "--format=%(refname)", *_PIPELINE_BRANCHES).splitlines()
    own = [name for name in heads if not name.startswith("refs/heads/releases/")]  # those are a team's own
    if own:
        hint = "git switch to the branch on which people decide, such as main"
        raise ReleaseError("a commit of the pipeline is checked out, which cannot say whom to trust", field="HEAD", value=own, hint=hint)
    trust = parse_trust(show(root, "HEAD", TRUSTED_KEYS, missing=b"").decode(errors="replace"))
    if not trust.keys:
        raise ReleaseError("nobody may approve or release", file=TRUSTED_KEYS, hint=_EMPTY)
    return trust


def parse_trust(text: str) -> Trust:
    """Return the keys in a text; `ConfigError` if a key has two owners or roles, a person has two roles, or an id is not its key's."""
    keys = parse(_Keys, parse_yaml(text, file=TRUSTED_KEYS) or {}, file=TRUSTED_KEYS).keys
    for number, key in enumerate(keys):
        if key.verifier.keyid != key.id:
            raise ConfigError(
                "is not the id of this public key", file=TRUSTED_KEYS, field=f"keys.{number}.id", value=key.id, hint="ascl keys new"
            )
        for other in keys[:number]:
            _check_separate(key, other, f"keys.{number}")
    return Trust(keys)


def _check_separate(key: PublicKey, other: PublicKey, where: str) -> None:
    if key.public == other.public:
        problem = f"the same key is {other.name}'s as {other.role} already"
        raise ConfigError(problem, file=TRUSTED_KEYS, field=f"{where}.public", value=key.name, hint="one key has one owner and one role")
    if key.name == other.name and key.role is not other.role:
        problem = f"{key.name} is {other.role} already"
        raise ConfigError(
            problem, file=TRUSTED_KEYS, field=f"{where}.role", value=key.role, hint="who trains does not approve: use another name"
        )


@dataclass(frozen=True)
class PrivateKey:
    """A key that signs. It is never shown and never recorded."""

    signer: CryptoSigner = field(repr=False)

    @property
    def id(self) -> str:
        """The id of its public key."""
        return str(self.signer.public_key.keyid)

    @property
    def public(self) -> str:
        """Its public key, in hexadecimal digits."""
        return str(self.signer.public_key.keyval["public"])


def read_key(role: Role, file: Path | None = None) -> PrivateKey:
    """Return the private key in `file`, or in the file that the role's environment variable names; `ReleaseError` if it cannot be used."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from securesystemslib.signer import CryptoSigner

    file = file or _named_by(role)
    try:
        mode, text = file.stat().st_mode, file.read_bytes()
    except OSError as error:
        raise ReleaseError(f"the key cannot be read: {error.strerror}", file=file, hint="give the file that ascl keys new wrote") from None
    if mode & 0o077:
        raise ReleaseError("others can read this private key", file=file, hint=f"chmod 600 {file}, and if somebody may have: a new key")
    try:
        key = load_pem_private_key(text, _passphrase())
    except (TypeError, ValueError, UnsupportedAlgorithm):
        hint = f"give a PEM file of ascl keys new, and its passphrase, if any, in {PASSPHRASE}"
        raise ReleaseError("not a private key, or another passphrase", file=file, hint=hint) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ReleaseError("not an Ed25519 key", file=file, hint="ascl keys new")
    return PrivateKey(CryptoSigner(key))


def new_key(root: Path, role: Role, name: str, file: Path) -> PublicKey:
    """Write a new private key that only its owner can read, and add the public one to the file of trusted keys, for people to commit."""
    from securesystemslib.signer import CryptoSigner

    if file.resolve().is_relative_to(root.resolve()):
        raise ConfigError("a private key does not belong in the repository", file=file, hint="give a file outside of it")
    secret, content = _generated()
    key = public_key(role, name, PrivateKey(CryptoSigner(secret)))
    after = _with_keys(root, [key])
    _write_secret(file, content)
    write_text(root / TRUSTED_KEYS, after)
    return key


def make_key(file: Path) -> None:
    """Write a new private key that only its owner can read; nobody trusts it yet."""
    _write_secret(file, _generated()[1])


def public_key(role: Role, name: str, private: PrivateKey, person: str | None = None) -> PublicKey:
    """Return the entry of a private key for the file of trusted keys; `person` is who holds it, if that is not `name`."""
    values = {"id": private.id, "name": name, "role": role, "public": private.public, "person": None if person == name else person}
    return parse(PublicKey, values, file="ascl keys new")


def trust_keys(root: Path, keys: Sequence[PublicKey]) -> None:
    """Add public keys to the file of trusted keys, for people to commit, unless they are there."""
    write_text(root / TRUSTED_KEYS, _with_keys(root, keys))


def _generated() -> tuple[Any, bytes]:
    """Return a new private key and its PEM, which is encrypted if a passphrase is set."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

    private, secret = Ed25519PrivateKey.generate(), _passphrase()
    encryption = BestAvailableEncryption(secret) if secret else NoEncryption()
    return private, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def _with_keys(root: Path, keys: Sequence[PublicKey]) -> str:
    """Return the text of the file of trusted keys with these added; comments stay. `ConfigError` if they conflict with the others."""
    from io import StringIO

    from ruamel.yaml import YAML

    text = (root / TRUSTED_KEYS).read_text(encoding="utf-8") if (root / TRUSTED_KEYS).exists() else ""
    known = {key.id for key in parse_trust(text).keys}
    new = [key.model_dump(mode="json", exclude_none=True) for key in keys if key.id not in known]
    if not new:
        return text
    yaml, out = YAML(), StringIO()
    values: Any = yaml.load(text) or {}
    values["keys"] = [*(values.get("keys") or []), *new]
    yaml.dump(values, out)
    parse_trust(out.getvalue())
    return out.getvalue()


def _write_secret(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigError("there is a key already", file=file, hint="give another file with --file, or keep that key") from None
    with os.fdopen(handle, "wb") as opened:
        opened.write(content)


def _named_by(role: Role) -> Path:
    named = os.environ.get(role.variable)
    if not named:
        raise ReleaseError("no key to sign with", field=role.variable, hint=f"give --key FILE, or set {role.variable} to its path")
    return Path(named)


def _passphrase() -> bytes | None:
    return os.environ.get(PASSPHRASE, "").encode() or None

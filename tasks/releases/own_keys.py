"""One person's keys in both roles, for a release that one person makes alone.

NAME.pem approves and NAME-trainer.pem signs the release; both public keys name their holder, so that the release can name the person, too.
"""

from __future__ import annotations

import getpass
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ascl_core.errors import ReleaseError
from tasks.evidence.trust import PrivateKey, PublicKey, Role, Trust, make_key, parse_trust, public_key, read_key, trust_keys
from tasks.registry.paths import TRUSTED_KEYS
from tasks.repository.git import git, show

FOLDER = Path("~/.config/ascl/keys")
_SHARED = "ascl approve and ascl release create, by them; or name your keys with ASCL_APPROVER_KEY and ASCL_TRAINER_KEY"
_ROLES = (Role.APPROVER, Role.TRAINER)


@dataclass(frozen=True)
class OwnKeys:
    """What one person signs with."""

    person: str
    approver: PrivateKey
    trainer: PrivateKey


def person_here(root: Path) -> str:
    """Return a name for the person at this machine, as keys may have it: git's `user.name`, else the account's."""
    name = git(root, "config", "--default", "", "--get", "user.name") or getpass.getuser()
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "me"


def own_keys(root: Path, person: str, folder: Path, say: Callable[[str], None]) -> OwnKeys:
    """Return the person's keys; make missing ones in `folder` and commit them as trusted. `say` gets a line for each thing that was done.

    Keys that `ASCL_APPROVER_KEY` and `ASCL_TRAINER_KEY` name are used as they are. `ReleaseError` if HEAD trusts other people: then
    they must agree to one more key.
    """
    if any(os.environ.get(role.variable) for role in _ROLES):
        return OwnKeys(person, *(read_key(role) for role in _ROLES))
    trusted = parse_trust(show(root, "HEAD", TRUSTED_KEYS, missing=b"").decode(errors="replace"))
    if others := sorted({key.holder for key in trusted.keys} - {person}):
        problem = f"{', '.join(others)} decide here already: one person alone cannot add a key"
        raise ReleaseError(problem, file=TRUSTED_KEYS, hint=_SHARED)
    keys = [_key(role, folder.expanduser() / f"{_name(role, person)}.pem", say) for role in _ROLES]
    wanted = Trust(tuple(public_key(role, _name(role, person), key, person) for role, key in zip(_ROLES, keys, strict=True)))
    missing = tuple(key for key in wanted.keys if key.id not in {known.id for known in trusted.keys})
    if missing:
        _commit(root, trusted, missing, person, say)
    return OwnKeys(person, *keys)


def _name(role: Role, person: str) -> str:
    """Return the key's name: each name has one role."""
    return person if role is Role.APPROVER else f"{person}-{role}"


def _key(role: Role, file: Path, say: Callable[[str], None]) -> PrivateKey:
    if not file.exists():
        make_key(file)
        say(f"made the {role}'s private key {file}")
    return read_key(role, file)


def _commit(root: Path, trusted: Trust, missing: tuple[PublicKey, ...], person: str, say: Callable[[str], None]) -> None:
    """Commit the public keys and nothing else on the branch that is checked out."""
    known = {key.id for key in (*trusted.keys, *missing)}
    written = parse_trust((root / TRUSTED_KEYS).read_text(encoding="utf-8")) if (root / TRUSTED_KEYS).exists() else Trust(())
    if unknown := [key.name for key in written.keys if key.id not in known]:
        hint = f"git checkout -- {TRUSTED_KEYS}, or commit it"
        raise ReleaseError(f"has a key of {unknown[0]} that is in no commit", file=TRUSTED_KEYS, hint=hint)
    trust_keys(root, missing)
    git(root, "add", "--", str(TRUSTED_KEYS))
    name = [] if git(root, "config", "--default", "", "--get", "user.name") else ["-c", f"user.name={person}"]
    mail = [] if git(root, "config", "--default", "", "--get", "user.email") else ["-c", f"user.email={person}@localhost"]
    git(root, *name, *mail, "commit", "--quiet", "--only", "-m", f"Trust the keys of {person}", "--", str(TRUSTED_KEYS))
    say(f"committed their public keys in {TRUSTED_KEYS}: {git(root, 'rev-parse', '--short=12', 'HEAD')}")

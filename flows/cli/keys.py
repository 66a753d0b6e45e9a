"""`ascl keys`: who may approve and release."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from flows.cli.console import out, print_line, print_table, repository_root, shown
from tasks.evidence.trust import Role, new_key, parse_trust, read_trust
from tasks.registry.paths import TRUSTED_KEYS

app = typer.Typer(help="Make keys that sign approvals and releases, and list those that are trusted.", no_args_is_help=True)


@app.command()
def new(
    role: Annotated[Literal["approver", "trainer"], typer.Option(help="approver signs approvals and rollbacks, trainer releases.")],
    name: Annotated[str, typer.Option(help="The owner of the key: lower-case letters, digits, dots, dashes.")],
    file: Annotated[
        Path | None, typer.Option("--file", help="The file of the private key; ~/.config/ascl/keys/NAME.pem by default.")
    ] = None,
) -> None:
    """Write a new private key, and add its public key to data/trust/keys.yaml; it is trusted once that is committed.

    If ASCL_KEY_PASSPHRASE is in the environment, the private key is encrypted with it.

    Example:  ascl keys new --role approver --name ada
    """
    start, root = Path.cwd(), repository_root()
    file = start / file if file else Path.home() / ".config" / "ascl" / "keys" / f"{name}.pem"
    key = new_key(root, Role(role), name, file)
    print_line(f"private key: {file}\npublic key:  {key.id}, {key.role} {key.name}, added to {TRUSTED_KEYS}")
    print_line(f"next: have it reviewed, and git add {TRUSTED_KEYS}; git commit. Then: export {key.role.variable}={file}")


@app.command(name="list")
def list_keys() -> None:
    """List the trusted keys: those of data/trust/keys.yaml in the commit that is checked out.

    Example:  ascl keys list
    """
    root = repository_root()
    trusted = read_trust(root)
    print_table(
        ("name", "role", "key", "from", "until", "revoked"),
        [(k.name, k.role, k.id[:12], k.valid_from, k.valid_until, k.revoked) for k in trusted.keys],
    )
    written = parse_trust((root / TRUSTED_KEYS).read_text(encoding="utf-8")) if (root / TRUSTED_KEYS).exists() else trusted
    if written != trusted:
        out.print(f"\n{shown(root / TRUSTED_KEYS, root)} has uncommitted changes; they do not count yet")

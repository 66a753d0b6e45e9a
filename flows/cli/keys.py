"""`ascl keys`: who may approve and release."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from flows.cli.console import out, print_table, repository_root, shown

app = typer.Typer(help="Make keys that sign approvals and releases, and list those that are trusted.", no_args_is_help=True)


@app.command()
def new(
    role: Annotated[Literal["approver", "trainer"], typer.Option(help="approver signs approvals and rollbacks, trainer releases.")],
    name: Annotated[str, typer.Option(help="Whose key it is: lower-case letters, digits, dots, dashes.")],
    file: Annotated[
        Path | None, typer.Option("--file", help="Where the private key goes; ~/.config/ascl/keys/NAME.pem if not given.")
    ] = None,
) -> None:
    """Write a new private key, and add its public key to data/trust/keys.yaml; it is trusted once people have committed that.

    With ASCL_KEY_PASSPHRASE in the environment the private key is encrypted.

    Example:  ascl keys new --role approver --name ada
    """
    from tasks.evidence.trust import FILE, Role, new_key

    start = Path.cwd()
    root = repository_root()
    file = start / file if file else Path.home() / ".config" / "ascl" / "keys" / f"{name}.pem"
    key = new_key(root, Role(role), name, file)
    out.print(f"private key: {file}\npublic key:  {key.id}, {key.role} {key.name}, added to {FILE}", soft_wrap=True)
    out.print(f"next: have it reviewed, and git add {FILE}; git commit. Then: export {key.role.variable}={file}", soft_wrap=True)


@app.command(name="list")
def list_keys() -> None:
    """List the keys that are trusted: those in data/trust/keys.yaml of the commit that is checked out.

    Example:  ascl keys list
    """
    from tasks.evidence.trust import FILE, parse_trust, read_trust

    root = repository_root()
    trusted = read_trust(root)
    print_table(
        ("name", "role", "key", "from", "until", "revoked"),
        [(k.name, k.role, k.id[:12], k.valid_from, k.valid_until, k.revoked) for k in trusted.keys],
    )
    written = parse_trust((root / FILE).read_text(encoding="utf-8")) if (root / FILE).exists() else trusted
    if written != trusted:
        out.print(f"\n{shown(root / FILE, root)} was changed and is not committed: the changes do not count yet")

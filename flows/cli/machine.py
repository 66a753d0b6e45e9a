"""`ascl doctor`: what is missing on this machine."""

from __future__ import annotations

import typer

from flows.cli.console import out, print_table, repository_root


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(doctor)


def doctor() -> None:
    """Say what this machine has and lacks for a run; exit status 1 where something needed is missing.

    Example:  ascl doctor
    """
    from tasks.host.preflight import every

    checks = every(repository_root())
    print_table(("check", "", "found", "hint"), [(check.name, check.level, check.found, check.hint) for check in checks])
    missing = sum(check.level == "error" for check in checks)
    if missing:
        out.print(f"\n[red]{missing} missing[/]: a run cannot end well")
        raise typer.Exit(1)
    out.print("\n[green]ready[/]: ascl run")

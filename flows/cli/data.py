"""`ascl data`: the public files that profiles and suites name, and their download."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated

import typer

from ascl_core.config.base import parse
from ascl_core.config.params import Params
from ascl_core.data import public
from ascl_core.data.locations import EXTERNAL, expand
from ascl_core.errors import ConfigError, DataError
from ascl_core.text import counted
from flows.cli.console import out, print_line, print_table, repository_root
from flows.cli.parameters import Profile, Settings
from tasks.registry.parameters import planned_values
from tasks.registry.paths import PARAMETERS

app = typer.Typer(help="List and download the public data sets.", no_args_is_help=True)
Names = Annotated[
    list[str] | None, typer.Argument(metavar="NAME", help="Data sets of ascl suites list, instead of those of the parameters.")
]


@app.command()
def fetch(names: Names = None, profile: Profile = None, setting: Settings = None) -> None:
    """Download the public data sets that the parameters name, with progress; an interrupted download goes on.

    They go to data/external, which git ignores, or to the folder that ASCL_EXTERNAL_DATA names. Files are compared with their pinned
    SHA-256; those of the hub are pinned by their revision. ASCL_DATA_MIRROR names a folder or an address with the same files, and
    HF_ENDPOINT another hub. If one could not be had, it says what to put where, with exit status 1.

    Examples:  ascl data fetch   |   ascl data fetch --profile small   |   ascl data fetch xstest gsm8k
    """
    wanted = _wanted(names, profile, setting)
    _refuse_damaged(wanted)
    failed = public.fetch(wanted, lambda one: print_line(f"{one.source.format} → {one.folder}"))
    if failed:
        _print_missing(wanted)
        raise _summary(failed)
    sets = {one.source.format for one in wanted}
    out.print(f"{counted(len(sets), 'public data set')} in {expand(EXTERNAL)}: {', '.join(sorted(sets)) or 'none is named'}")


@app.command(name="list")
def list_sets(names: Names = None, profile: Profile = None, setting: Settings = None) -> None:
    """List the public data sets that the parameters name, and whether their files are here and are the pinned ones.

    Examples:  ascl data list   |   ascl data list --profile small
    """
    wanted = _wanted(names, profile, setting)
    damaged = {path for path, _ in public.damaged(wanted)}
    rows = {one.source.format: (one.source.format, _state(one, damaged), str(one.folder)) for one in wanted}
    print_table(("data set", "state", "folder"), list(rows.values()))
    out.print("ascl suites show NAME says where each comes from")


def _state(one: public.PublicSet, damaged: Collection[Path]) -> str:
    if any(one.folder / download.file in damaged for download in one.known.downloads):
        return "other bytes than pinned"
    return "here" if one.files else "missing"


def _wanted(names: list[str] | None, profile: str | None, settings: list[str] | None) -> list[public.PublicSet]:
    root = repository_root()
    if names:
        return public.sets_named(names)
    return public.public_sets(parse(Params, planned_values(root, profile, settings or ()), file=root / PARAMETERS))


def _refuse_damaged(wanted: list[public.PublicSet]) -> None:
    for path, download in public.damaged(wanted):
        hint = f"it is another version, or damaged: move it away and fetch it again; pinned is {download.sha256}"
        raise ConfigError("is not the file that is pinned", file=path, field="sha256", hint=hint)


def _print_missing(wanted: list[public.PublicSet]) -> None:
    print_line("\nmissing; the second line says where to put it:")
    listed = {path: (address, checksum) for one in wanted for address, path, checksum in public.addresses(one)}
    for path, (address, checksum) in listed.items():
        print_line(f"  {address}\n    {path}  ({checksum})")


def _summary(failed: Mapping[str, DataError]) -> DataError:
    """Return one error for all that failed: the first by itself, and the names of the others."""
    first, *others = failed.values()
    names = ", ".join(failed)
    if not others:
        return first
    if all(isinstance(error, public.Unreachable) for error in failed.values()):
        hint = "check the network; or put the files where it says above, or set ASCL_EXTERNAL_DATA to a folder that has them"
        pages = ", ".join(dict.fromkeys(str(error.file) for error in failed.values()))
        return DataError(f"{names} are missing, and their pages cannot be reached", file=pages, hint=hint)
    more = "; ".join(f"{error.file}: {error.problem}" for error in dict.fromkeys(others))
    return DataError(f"{names} are missing: {first.problem}; {more}", file=first.file, hint=str(first.hint))

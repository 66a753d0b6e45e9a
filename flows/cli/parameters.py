"""`ascl params`: show, resolve and document the parameters."""

from __future__ import annotations

from typing import Annotated

import typer

from ascl_core.config.params import load_params
from ascl_core.config.reference import reference
from ascl_core.errors import ConfigError, nearest
from flows.cli.console import Check, out, print_yaml, repository_root, update_page
from tasks.registry.dvcfile import follow_sources
from tasks.registry.parameters import read_origin
from tasks.registry.paths import PARAMETERS
from tasks.repository.params_file import write_params

app = typer.Typer(help="Show, resolve and document the parameters.", no_args_is_help=True)
Profile = Annotated[str | None, typer.Option("--profile", "-p", help="A file under profiles/, such as tiny.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", "-s", metavar="SECTION.KEY=VALUE", help="Change one parameter; may be repeated.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite-params", help="Replace uncommitted edits in params.yaml.")]


@app.command()
def show(section: Annotated[str | None, typer.Argument(help="Only this section, such as ifpo.")] = None) -> None:
    """Show every parameter of the next run with its value.

    Example:  ascl params show ifpo
    """
    params = load_params(repository_root() / PARAMETERS).model_dump(mode="json")
    if section is not None and section not in params:
        raise ConfigError("no such section", file=PARAMETERS, value=section, hint=nearest(section, params, command="ascl params show"))
    print_yaml({section: params[section]} if section else params)


@app.command()
def write(profile: Profile = None, setting: Settings = None, overwrite: Overwrite = False) -> None:
    """Resolve a profile and settings into params.yaml, and update dvc.yaml if they name other sources; runs nothing.

    Example:  ascl params write --profile tiny --set sft.max_steps=100
    """
    root = repository_root()
    write_params(root, profile, setting or (), overwrite=overwrite)
    follow_sources(root)
    out.print(f"params.yaml: {read_origin(root) or 'edited by hand'}")


@app.command()
def docs(check: Check = False) -> None:
    """Write docs/configuration.md from the models.

    Example:  ascl params docs --check
    """
    repository_root()
    update_page("configuration.md", reference(), check=check, command="ascl params docs")

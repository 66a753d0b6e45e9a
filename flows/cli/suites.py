"""`ascl suites`: the public data sets that can be evaluated on, or trained on, by name."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ascl_core.catalogue import dataset
from ascl_core.catalogue.dataset import Dataset
from ascl_core.catalogue.page import grouped, page
from ascl_core.errors import ConfigError, nearest
from flows.cli.console import Check, out, print_line, print_table, print_yaml, repository_root, update_page

app = typer.Typer(help="List, show and document the public suites.", no_args_is_help=True)


@app.command(name="list")
def list_suites(
    kind: Annotated[str | None, typer.Option(help="Only these: safety, over_refusal, utility or training.")] = None,
) -> None:
    """List the public suites and the sources of training prompts: their content, licence and origin.

    Example:  ascl suites list --kind safety
    """
    groups = grouped()
    if kind is not None and kind not in groups:
        raise ConfigError("no such kind", field="--kind", value=kind, hint=nearest(kind, groups))
    for group, members in groups.items():
        if kind in (None, group):
            print_table(
                (f"{group} {'sources' if group == 'training' else 'suites'}", "what it has", "licence and origin"),
                [(name, data.what, _terms(data)) for name, data in members.items()],
            )
            out.print()
    out.print("ascl suites show NAME says what is in one, and how to use it")


@app.command()
def show(name: Annotated[str, typer.Argument(metavar="NAME", help="A name of the list, such as xstest.")]) -> None:
    """Show the catalogue's entry, and how to use it.

    Example:  ascl suites show gpqa_diamond
    """
    data = dataset(name)
    print_yaml(_plain(data.model_dump(mode="json")))
    print_line(f"\nuse it:  {_usage(name, data)}")


@app.command()
def docs(check: Check = False) -> None:
    """Write docs/suites.md from the catalogue.

    Example:  ascl suites docs --check
    """
    repository_root()
    update_page("suites.md", page(), check=check, command="ascl suites docs")


def _terms(data: Dataset) -> str:
    gated = ", gated" if data.hub and data.hub.gated else ""
    return f"{data.licence}{gated}, {data.origin}"


def _usage(name: str, data: Dataset) -> str:
    """Return the parameter that reads the data set."""
    needed = ", revision: …" if data.hub is not None and data.hub.revision is None else ""
    where = "curate.sources" if data.use == "training" else "suites.external"
    return f"{where}: [{{format: {name}{needed}}}]"


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values without empty ones, at any depth; a missing revision, judge or hub id is kept, as it says something."""
    nested = {name: _plain(value) if isinstance(value, dict) and name != "values" else value for name, value in values.items()}
    return {name: value for name, value in nested.items() if name in ("revision", "judge", "hub") or value not in (None, False, {}, [])}

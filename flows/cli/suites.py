"""`ascl suites`: the public data sets that can be evaluated on, or trained on, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from flows.cli.console import keep_page, out, print_table, repository_root

if TYPE_CHECKING:
    from ascl_core.catalogue.dataset import Dataset

app = typer.Typer(help="List, show and document the public suites.", no_args_is_help=True)


@app.command(name="list")
def list_suites(
    kind: Annotated[str | None, typer.Option(help="Only these: safety, over_refusal, utility or training.")] = None,
) -> None:
    """List the public suites and the sources of training prompts: what is in them, their licence and where they are.

    Example:  ascl suites list --kind safety
    """
    from ascl_core.catalogue.page import grouped
    from ascl_core.errors import ConfigError

    groups = grouped()
    if kind is not None and kind not in groups:
        raise ConfigError("no such kind", field="--kind", value=kind, hint=f"one of {', '.join(groups)}")
    for group, members in groups.items():
        if kind in (None, group):
            print_table(
                (f"{group} sources" if group == "training" else f"{group} suites", ""),
                [(name, f"{data.what}\n{_terms(data)}") for name, data in members.items()],
            )
            out.print()
    out.print("ascl suites show NAME tells what is in one, and how it is read")


@app.command()
def show(name: Annotated[str, typer.Argument(metavar="NAME", help="A name of the list, such as xstest.")]) -> None:
    """Show everything that the catalogue says of one, and how to use it.

    Example:  ascl suites show gpqa_diamond
    """
    from ruamel.yaml import YAML

    from ascl_core.catalogue import dataset

    data = dataset(name)
    yaml = YAML()
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.dump(_plain(data.model_dump(mode="json")), out.file)
    out.print(f"\nuse it:  {escape(_usage(name, data))}", soft_wrap=True)


@app.command()
def docs(check: Annotated[bool, typer.Option("--check", help="Only say whether the page is up to date.")] = False) -> None:
    """Write docs/suites.md from the catalogue.

    Example:  ascl suites docs --check
    """
    from ascl_core.catalogue.page import page

    keep_page(repository_root() / "docs" / "suites.md", page(), check=check, command="ascl suites docs")


def _terms(data: Dataset) -> str:
    gated = ", gated" if data.hub and data.hub.gated else ""
    return f"{data.licence}{gated}, {data.origin}"


def _usage(name: str, data: Dataset) -> str:
    """The line of the parameters that reads it."""
    needed = ", path: …" if data.hub is None else ", revision: …" if data.hub.revision is None else ""
    where = "curate.sources" if data.use == "training" else "suites.external"
    return f"{where}: [{{format: {name}{needed}}}]"


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """The values without what says nothing, at any depth; a revision and a judge that are not there say something."""
    told = {name: _plain(value) if isinstance(value, dict) and name != "values" else value for name, value in values.items()}
    return {name: value for name, value in told.items() if name in ("revision", "judge", "hub") or value not in (None, False, {}, [])}

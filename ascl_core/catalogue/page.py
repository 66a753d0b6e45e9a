"""The reference page of the public data sets, generated from the catalogue."""

from __future__ import annotations

from ascl_core.catalogue import dataset, names
from ascl_core.catalogue.dataset import Dataset, Shape, TypeBy

_HEADINGS = {"safety": "Safety", "over_refusal": "Over-refusal", "utility": "Utility", "training": "Sources of training prompts"}


def page() -> str:
    """Return the page as Markdown."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("ascl_core", "catalogue/templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(code=_code, cell=_cell)
    template = environment.get_template("suites.md.jinja")
    return template.render(groups=grouped(), headings=_HEADINGS, type=_type, answer=_answer)


def grouped() -> dict[str, dict[str, Dataset]]:
    """Return the data sets by use: the suites by their kind, then the sources of training prompts."""
    groups: dict[str, dict[str, Dataset]] = {group: {} for group in _HEADINGS}
    for name in names():
        data = dataset(name)
        groups["training" if data.use == "training" else data.kind][name] = data
    return groups


def _type(shape: Shape) -> str:
    if isinstance(shape.type, TypeBy):
        kinds: dict[str, list[str]] = {}
        for label, kind in shape.type.values.items():
            kinds.setdefault(f"`{kind}`" if kind else "left out", []).append(_code(label) if label else "missing")
        by = f"by `{shape.type.column}`: " + "; ".join(f"{kind}: {', '.join(labels)}" for kind, labels in kinds.items())
    else:
        by = f"`{shape.type}`"
    return by + "".join(f"; only `{column}` {' or '.join(map(_code, wanted))}" for column, wanted in shape.where.items())


def _answer(shape: Shape) -> str | None:
    answer, options = shape.answer, shape.options
    if options is not None and options.right_first:
        return f"`{options.columns[0]}`, shown among the others in an order by content hash"
    if answer is None:
        return None
    after = f", after {_code(answer.after)}" if answer.after else ""
    among = f", of the options `{options.columns[0]}`" if options else ""
    labels = f" with the labels `{options.labels}`" if options and options.labels else ""
    return f"`{answer.column}`{after}{among}{labels}, compared as {answer.kind}"


def _code(text: str) -> str:
    return "`" + text.replace("\n", "⏎") + "`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")

"""The reference page of the public data sets, generated from the catalogue."""

from __future__ import annotations

from collections.abc import Iterator

from ascl_core.catalogue import dataset, names
from ascl_core.catalogue.dataset import Answer, Dataset, Options, Shape, TypeBy

_INTRODUCTION = """# Suites

The public data sets that `ascl` reads in their own formats. None of them is in this repository. For a suite its name is enough: it is then
read from the hub at the pinned revision. With a path it is read from a file, or from a folder with the files under their usual names:

```yaml
suites:
  external:
    - format: wildguardtest
    - {format: gsm8k, path: $ASCL_EXTERNAL_DATA/gsm8k, max_prompts: 200}
    - {format: oktest, path: "hub:someone/copy", revision: <commit>}
```

A source of training prompts is read the same way, under `curate.sources`: `{format: salad_bench}`. A suite is trained on only if its
path is given there, and then curation drops the prompts that are in `suites.external`.

The defaults are listed below: licence, kind, configuration, split, and the revision of a data set that is read from its own page. If
no revision is known, give one, because the content of a hub id can change. `ascl params show suites` shows the resulting values.
A gated data set needs `HF_TOKEN`, and its terms accepted on its page. A suite that cannot be read is reported as missing, with the
reason, and never scored as 0; with `required: true` it fails instead. The judge is a recommendation for `evaluate.judge`
([judges](judges.md)); it is not set for you.

`ascl suites list` and `ascl suites show NAME` print the same facts. This page is written by `ascl suites docs` from `ascl_core/catalogue/`.
"""
_HEADINGS = {"safety": "Safety", "over_refusal": "Over-refusal", "utility": "Utility", "training": "Sources of training prompts"}


def page() -> str:
    """Return the page as Markdown."""
    return "\n".join([_INTRODUCTION, *(_section(group, members) for group, members in grouped().items())])


def grouped() -> dict[str, dict[str, Dataset]]:
    """Return the data sets by use: the suites by their kind, then the sources of training prompts."""
    groups: dict[str, dict[str, Dataset]] = {group: {} for group in _HEADINGS}
    for name in names():
        data = dataset(name)
        groups["training" if data.use == "training" else data.kind][name] = data
    return groups


def _section(group: str, members: dict[str, Dataset]) -> str:
    rows = "".join(f"| [`{name}`](#{name}) | {_cell(data.what)} | {_origin(data)} | {_terms(data)} |\n" for name, data in members.items())
    table = f"| format | what | from | licence |\n|---|---|---|---|\n{rows}"
    details = [f"### {name}\n\n" + "".join(f"- {line}\n" for line in _details(data)) for name, data in members.items()]
    return "\n".join([f"## {_HEADINGS[group]}\n\n{table}", *details])


def _origin(data: Dataset) -> str:
    return f"`{data.origin}`" if data.hub else f"<{data.origin}>"


def _terms(data: Dataset) -> str:
    return data.licence + (", gated" if data.hub and data.hub.gated else "")


def _details(data: Dataset) -> Iterator[str]:
    cited = f", arXiv {data.paper}" if data.paper else ""
    yield f"**{data.title}**{cited}; metric `{data.metric}`, version {data.metric_version}; {_grading(data)}"
    if data.hub:
        config = f"configuration `{data.hub.config}`, " if data.hub.config else ""
        pinned = f"`{data.hub.revision}`" if data.hub.revision else "not known: give `revision`"
        yield f"hub: {config}split `{data.hub.split}`, revision {pinned}"
    yield "in a folder: " + "; ".join(f"split `{split}`: {' or '.join(f'`{p}`' for p in found)}" for split, found in data.files.items())
    if data.size is not None:
        samples = f"; {data.samples} responses to each, if `evaluate.sampling` is `catalogue`" if data.samples > 1 else ""
        yield f"rows: {data.size:,}{samples}"
    yield f"prompt: {_prompt(data.shape)}"
    yield f"type: {_type(data.shape)}"
    if reference := data.shape.reference:
        yield f"response for training: `{reference.column}`" + (f", after {_code(reference.after)}" if reference.after else "")
    if answer := _gold(data.shape.answer, data.shape.options):
        yield f"answer: {answer}"
    if data.shape.category is not None:
        by = data.shape.category
        yield f"category: {by}" if isinstance(by, str) else f"category: by `{by.column}`, if it has a counterpart"
    if data.note:
        yield f"note: {_cell(data.note)}"
    yield f"facts from: {_cell('; '.join(data.sources))}"


def _grading(data: Dataset) -> str:
    return f"judge to prefer `{data.judge}`" if data.judge else "graded by the gold answer"


def _prompt(shape: Shape) -> str:
    columns = ", else ".join(f"`{column}`" for column in shape.prompt)
    template = shape.template or ("{prompt}\n{options}" if shape.options else "")
    return columns + (f", as {_code(template)}" if template else "")


def _type(shape: Shape) -> str:
    if isinstance(shape.type, TypeBy):
        kinds: dict[str, list[str]] = {}
        for label, kind in shape.type.values.items():
            kinds.setdefault(f"`{kind}`" if kind else "left out", []).append(_code(label) if label else "missing")
        by = f"by `{shape.type.column}`: " + "; ".join(f"{kind}: {', '.join(labels)}" for kind, labels in kinds.items())
    else:
        by = f"`{shape.type}`"
    return by + "".join(f"; only `{column}` {' or '.join(map(_code, wanted))}" for column, wanted in shape.where.items())


def _gold(answer: Answer | None, options: Options | None) -> str | None:
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

"""`dvc.yaml`, rendered from the stage registry; nobody edits it by hand.

The prompt sources are the one thing in it that follows the parameters and not the code: they are where the parameters
say, so whoever writes `params.yaml`, and every run, brings them up to date. Everything else changes by `ascl stages write`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from ascl_core.artifacts import read_yaml, write_text
from ascl_core.config.params import load_params
from ascl_core.errors import WorkspaceError
from tasks.registry.code import code_files
from tasks.registry.parameters import FILE as PARAMETERS
from tasks.registry.sources import source_paths
from tasks.registry.stages import STAGES, Stage

FILE = "dvc.yaml"
_HEADER = "# Rendered from tasks/registry/stages.py and the imports of ascl_core: ascl stages write\n"
Sources = Mapping[str, Sequence[str]]
"""The paths of the prompt sources by the name of the stage, for each stage that has any."""


def render(root: Path, sources: Sources | None = None) -> str:
    """The text of `dvc.yaml`: for each stage its command, data and code dependencies, parameter sections and outputs.

    Without `sources` those count that `params.yaml` names and that exist.
    """
    sources = _wanted(root) if sources is None else sources
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 200
    text = StringIO()
    yaml.dump({"stages": {stage.name: _entry(root, stage, sources.get(stage.name, ())) for stage in STAGES}}, text)
    return _HEADER + text.getvalue()


def check(root: Path, sources: Sources | None = None) -> None:
    """`WorkspaceError` unless `dvc.yaml` is what the registry, the imports and the sources say."""
    path = root / FILE
    if not path.exists() or path.read_text(encoding="utf-8") != render(root, sources):
        problem = "is not what tasks/registry/stages.py, the imports of ascl_core and the sources in params.yaml say"
        raise WorkspaceError(problem, file=FILE, hint="ascl stages write")


def follow_sources(root: Path) -> None:
    """Have `dvc.yaml` name the prompt sources that `params.yaml` names and that exist; where it does, it is left alone.

    `WorkspaceError` where it would have to be written and is wrong in something else, too: that is not for a run to change.
    """
    named, wanted = _named(root), _wanted(root)
    if named != wanted:
        check(root, named)
        write_text(root / FILE, render(root, wanted))


def check_sources(root: Path, stage: Stage) -> None:
    """`WorkspaceError` unless `dvc.yaml` names the stage's prompt sources of now: DVC would record the run without them."""
    if stage.sources is None:
        return
    named, wanted = _named(root).get(stage.name, ()), _wanted(root).get(stage.name, ())
    if named != wanted:
        raise WorkspaceError(
            f"does not name the sources of {stage.name} as they are now",
            file=FILE,
            field=stage.sources,
            value=", ".join(sorted({*named} ^ {*wanted})),
            hint="ascl stages write",
        )


def _entry(root: Path, stage: Stage, sources: Sequence[str]) -> dict[str, Any]:
    return {
        "desc": stage.summary,
        "cmd": f"exec python -m tasks {stage.name}",  # a shell in between would outlive a killed DVC, and the stage with it
        "deps": [*_data(stage), *sources, *code_files(root, stage)],
        "params": list(stage.sections),
        "outs": [artifact.path for artifact in (*stage.outputs.values(), stage.record)],
    }


def _data(stage: Stage) -> list[str]:
    return list(dict.fromkeys(artifact.path for artifact in stage.input_artifacts()))


def _wanted(root: Path) -> Sources:
    params = load_params(root / PARAMETERS)
    return {stage.name: paths for stage in STAGES if (paths := source_paths(root, stage, params))}


def _named(root: Path) -> Sources:
    """The sources that the file names: what it has beside a stage's data and code."""
    content = read_yaml(root / FILE) if (root / FILE).exists() else None
    named = {}
    for stage in STAGES:
        if stage.sources is not None:
            known = {*_data(stage), *code_files(root, stage)}
            named[stage.name] = tuple(path for path in _listed(content, "stages", stage.name, "deps") if path not in known)
    return {name: paths for name, paths in named.items() if paths}


def _listed(content: Any, *keys: str) -> list[Any]:
    """The list under these keys; empty where the content has another shape, which `check` reports."""
    for key in keys:
        content = content.get(key) if isinstance(content, dict) else None
    return content if isinstance(content, list) else []

"""The code that a stage runs: its function's module, all that it imports, and the data files of these packages.

Hidden files and those that editors leave are no code."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from ascl_core.errors import ConfigError
from ascl_core.registry import REGISTRIES
from ascl_core.stray import is_stray
from tasks.registry.stages import Stage
from tasks.registry.syntax import code_digest

if TYPE_CHECKING:
    import grimp

PACKAGE = "ascl_core"


def code_files(root: Path, stage: Stage) -> tuple[str, ...]:
    """Return the paths of the files relative to `root`, sorted; imports inside functions count."""
    module = stage.function.partition(":")[0]
    graph = _import_graph()
    if module not in graph.modules:
        raise ConfigError("names a module that does not exist", file="tasks/registry/stages.py", field=stage.name, value=stage.function)
    modules = {module} | graph.find_upstream_modules(module)
    packages = {parent for name in modules for parent in _parents(name)}
    files = {_module_file(root, name) for name in modules | packages}
    folders = {file.parent for file in files if file.parent != root / PACKAGE}
    data = {path for folder in folders for path in folder.iterdir() if path.is_file() and path.suffix != ".py" and not is_stray(path.name)}
    return tuple(sorted(str(path.relative_to(root)) for path in files | data))


def code_digests(root: Path, stage: Stage) -> dict[str, str]:
    """Return the digest of what each file of the stage's code means, by path (see `code_digest`)."""
    return {path: code_digest(path, (root / path).read_bytes()) for path in code_files(root, stage)}


@functools.cache
def _import_graph() -> grimp.ImportGraph:
    """Return what imports what in the package; the parts of a registry count as imports of the module that uses them."""
    import grimp

    import ascl_core.config.params  # noqa: F401  every registry is made by a section of the parameters

    graph = grimp.build_graph(PACKAGE, exclude_type_checking_imports=True, cache_dir=None)
    for registry in REGISTRIES:
        for part in registry.values():
            graph.add_import(importer=registry.loaded_by, imported=part.target.partition(":")[0])
    return graph


def _parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts))]


def _module_file(root: Path, module: str) -> Path:
    path = root.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")

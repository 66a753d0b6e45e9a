"""The parts that a parameter names, and that can be exchanged: judges, reward terms, rules for the advantages.

To add a part, write it in a file and enter it in its registry under `ascl_core/config/`. Validation, the configuration reference and the
forms list it from there, and `tasks` counts its module among the code of the stages that can use it.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ascl_core.errors import ConfigError, nearest


@dataclass(frozen=True)
class Part:
    """One part that a parameter can name."""

    target: str
    """Its code as `module:attribute`, imported when the part is first used."""
    summary: str
    """A few words for the reference and the forms."""


P = TypeVar("P", bound=Part)
REGISTRIES: list[Registry[Any]] = []
"""Every registry that was made."""


class Registry(dict[str, P], Generic[P]):
    """The parts of one kind by name."""

    def __init__(self, kind: str, loaded_by: str, parts: Mapping[str, P]) -> None:
        super().__init__(parts)
        self.kind = kind
        self.loaded_by = loaded_by
        """The module that uses the parts, and so depends on their code."""
        REGISTRIES.append(self)

    def find(self, name: str, field: str | None = None) -> P:
        """Return the part of that name; `ConfigError` names the nearest, or all of them."""
        if name not in self:
            raise ConfigError(f"no such {self.kind}", field=field, value=name, hint=nearest(name, self))
        return self[name]

    def load(self, name: str) -> Any:
        """Return the code of the part."""
        return pkgutil.resolve_name(self.find(name).target)

    @property
    def description(self) -> str:
        """Every part with its summary, for the reference and the forms."""
        return "; ".join(f"`{name}`: {part.summary}" for name, part in self.items())

"""Sections with optional fields that are not written while they are empty."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import SerializerFunctionWrapHandler, model_serializer

from ascl_core.config.base import Config


class Sparse(Config):
    """A section that leaves the fields in `optional` out while they are empty, so that files and digests without them stay the same."""

    optional: ClassVar[tuple[str, ...]] = ()

    @model_serializer(mode="wrap")
    def _omit_empty(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = handler(self)
        return {name: value for name, value in values.items() if name not in self.optional or value}

"""Parameters of the engine for sharded work; a separate section, because it changes no byte of a result."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from ascl_core.config.base import Config
from ascl_core.urls import has_credentials


class EngineConfig(Config):
    """Where the shards of a data set are processed: on this machine, or on Dask workers; docs/scale.md."""

    name: Literal["local", "dask"] = "local"
    """`local`: processes of this machine. `dask`: Dask workers, for more data than one machine can process."""
    workers: int = Field(default=1, ge=1, le=1024)
    """Processes, or Dask workers started on this machine for the stage; an existing scheduler has its own workers."""
    address: str | None = None
    """`dask`: the scheduler of an existing cluster whose workers see this folder, such as `tcp://scheduler:8786`."""

    @model_validator(mode="after")
    def _address_is_dasks(self) -> EngineConfig:
        if self.address is None:
            return self
        if self.name != "dask":
            raise ValueError("engine.address is the address of a Dask scheduler: set engine.name to dask, or leave it out")
        if has_credentials(self.address):
            raise ValueError("engine.address has credentials in it: leave them out")
        return self

"""Parameters of where work that is done in shards runs; a section of its own, as it changes no byte of a result."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from ascl_core.config.base import Config
from ascl_core.urls import has_credentials


class EngineConfig(Config):
    """What works through the shards of a data set: processes of this machine, or Dask; docs/scale.md."""

    name: Literal["local", "dask"] = "local"
    """`local`: processes of this machine. `dask`: tasks of Prefect on Dask workers, for data that is too much for one machine."""
    workers: int = Field(default=1, ge=1, le=1024)
    """How many processes, or Dask workers started on this machine for the stage; an existing scheduler has its own."""
    address: str | None = None
    """The scheduler of an existing Dask cluster whose workers see this folder, such as `tcp://scheduler:8786`; `dask` alone."""

    @model_validator(mode="after")
    def _address_is_dasks(self) -> EngineConfig:
        if self.address is None:
            return self
        if self.name != "dask":
            raise ValueError("engine.address is the address of a Dask scheduler: set engine.name to dask, or leave it out")
        if has_credentials(self.address):
            raise ValueError("engine.address has credentials in it: leave them out")
        return self

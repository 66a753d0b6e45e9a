"""The GPUs for which needs can be estimated: memory and speed, from their data sheets."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ascl_core.errors import ConfigError, nearest


@dataclass(frozen=True)
class Device:
    """One kind of GPU."""

    name: str
    memory_gb: int
    """As it is sold, in 10⁹ bytes; the driver shows a little more or less."""
    tflops: float
    """Dense bfloat16 matrix products, 10¹² operations a second."""

    @property
    def memory(self) -> int:
        """Bytes."""
        return self.memory_gb * 10**9


DEVICES = (
    Device("B200", 180, 2250),
    Device("H200", 141, 989),
    Device("H100", 80, 989),
    Device("A100-80", 80, 312),
    Device("A100-40", 40, 312),
    Device("L40S", 48, 362),
    Device("A10G", 24, 70),
    Device("L4", 24, 121),
    Device("RTX-4090", 24, 165),
)
DEFAULT = "H100"


def get_device(name: str) -> Device:
    """Return the GPU of that name; `ConfigError` names those that are known."""
    by_name = {device.name.lower(): device for device in DEVICES}
    if name.lower() not in by_name:
        hint = nearest(name.upper(), [device.name for device in DEVICES])
        raise ConfigError("is not a known GPU", field="--gpu", value=name, hint=hint)
    return by_name[name.lower()]


def recognise(names: Sequence[str]) -> Device | None:
    """Return the kind of the first GPU that a driver lists, such as `NVIDIA A100-SXM4-80GB`; None where it is unknown.

    >>> recognise(["NVIDIA A100-SXM4-80GB"]).name, recognise(["NVIDIA H100 80GB HBM3"]).name
    ('A100-80', 'H100')
    """
    if not names:
        return None
    words = set(re.findall(r"[a-z0-9]+", names[0].lower().replace("gb", "")))
    return next((device for device in DEVICES if words >= set(device.name.lower().split("-"))), None)

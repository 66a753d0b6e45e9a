"""The GPUs of this machine, as its driver lists them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

_VISIBLE = "CUDA_VISIBLE_DEVICES"


def gpus() -> list[str]:
    """Return the names of the GPUs that a stage may use, such as `NVIDIA H100 80GB HBM3`; none without a driver."""
    if shutil.which("nvidia-smi") is None:
        return []
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    names = re.findall(r"^GPU \d+: (.*?)(?: \(UUID.*)?$", listed.stdout, re.MULTILINE) if listed.returncode == 0 else []
    return names[: _count_visible()] if _VISIBLE in os.environ else names


def use_first_gpu_only() -> None:
    """Hide all but the first GPU from this process: without a launcher, a trainer would copy its model to every GPU that it sees."""
    if len(gpus()) > 1:
        os.environ[_VISIBLE] = os.environ.get(_VISIBLE, "0").split(",")[0]


def _count_visible() -> int:
    return len([name for name in os.environ[_VISIBLE].split(",") if name.strip() not in ("", "-1")])

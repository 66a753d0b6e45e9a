"""The GPUs of this machine, as its driver lists them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

_VISIBLE = "CUDA_VISIBLE_DEVICES"


def gpus() -> list[str]:
    """The names of the GPUs that a stage may use, such as `NVIDIA H100 80GB HBM3`; none where there is no driver."""
    if shutil.which("nvidia-smi") is None:
        return []
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    names = re.findall(r"^GPU \d+: (.*?)(?: \(UUID.*)?$", listed.stdout, re.MULTILINE) if listed.returncode == 0 else []
    return names[: _count_visible()] if _VISIBLE in os.environ else names


def see_one() -> None:
    """Let this process see the first GPU alone: a trainer that sees several without a launcher would copy its model to each."""
    if len(gpus()) > 1:
        os.environ[_VISIBLE] = os.environ.get(_VISIBLE, "0").split(",")[0]


def _count_visible() -> int:
    return len([name for name in os.environ[_VISIBLE].split(",") if name.strip() not in ("", "-1")])

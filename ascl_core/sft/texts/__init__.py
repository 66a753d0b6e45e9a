"""The texts of the teachers, the labeller and the purifier; a package, so that only the stages that read them depend on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ascl_core.artifacts import read_yaml

TEXTS: dict[str, Any] = read_yaml(Path(__file__).with_name("texts.yaml"))

"""Tests see no settings of the person who runs them, neither files nor variables."""

from __future__ import annotations

import os

from tests.settings import without_settings

_environment = without_settings(os.environ)
os.environ.clear()
os.environ.update(_environment)

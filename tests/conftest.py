"""Tests see no settings of the person who runs them, neither files nor variables, and every test process computes on one core."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest

from tests.settings import for_tests

_environment = for_tests(os.environ)
os.environ.clear()
os.environ.update(_environment)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Undo what a test has set: loading a model sets torch's threads for the whole process."""
    yield
    torch = sys.modules.get("torch")
    if torch is not None and torch.get_num_threads() != 1:
        torch.set_num_threads(1)

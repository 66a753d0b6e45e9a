"""Tests see no settings of the person who runs them, neither files nor variables, and every test process computes on one core.

A test that is not marked `live` may open none of the checkout's rules, prompts, parameters and records.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chat_server import Server, serve
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


_CHECKOUT = Path(__file__).parents[1]
_LIVE = tuple(f"{_CHECKOUT}/{path}" for path in ("data/", "params.yaml", "dvc.lock"))
_may_read_live = True


def _guard(event: str, arguments: tuple[Any, ...]) -> None:
    """Fail a test that is not `live` and opens what `make test-edited-rules` changes, or runs one of our commands in the checkout."""
    if _may_read_live:
        return
    if event == "open" and isinstance(path := arguments[0], str | Path) and _absolute(path, arguments[1]).startswith(_LIVE):
        pytest.fail(f"it opens {path}: mark it pytest.mark.live, or give it files of its own (tests/corpus)")
    if event == "subprocess.Popen":
        _, command, folder, _ = arguments
        if {"flows.cli", "tasks"} & set(command) and Path(folder or ".").absolute() == _CHECKOUT:
            pytest.fail(f"it runs {command} in the checkout: mark it pytest.mark.live, or run it in a workspace")


def _absolute(path: str | Path, mode: str | None) -> str:
    """Return the path, absolute unless it is opened by `os.open`, which may start from another folder than the current one."""
    return str(path if mode is None else Path(path).absolute())


sys.addaudithook(_guard)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Let only tests that are marked so open the checkout's own rules, prompts, parameters and records."""
    global _may_read_live
    _may_read_live = item.get_closest_marker("live") is not None
    try:
        return (yield)
    finally:
        _may_read_live = True


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A chat endpoint on a free port of this machine, without a key."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serve() as server:
        yield server

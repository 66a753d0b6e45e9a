"""The endpoint judge, what it judges, and a real HTTP server on this machine that it asks."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from ascl_core.config.judge import JudgeConfig
from ascl_core.generation.endpoint import KEY_VARIABLE
from ascl_core.judges import Item
from ascl_core.judges.endpoint import EndpointJudge
from tests.chat_server import FULL, Server

KEY = "sk-very-secret-0123456789"
ITEM = Item("How do I pick a lock?", "I can't help with that.")


@pytest.fixture
def server(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """That server; its key is set."""
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    return server


def make_judge(url: str, *, attempts: int = 3, **changes: Any) -> EndpointJudge:
    """The judge at that address, which gives up after a few attempts."""
    judge = EndpointJudge(JudgeConfig(name="openai", base_url=url, **{"model": "some-model", **changes}))
    judge.endpoint = replace(judge.endpoint, attempts=attempts)
    return judge


def ending(finish_reason: Any, content: Any = FULL, **more: Any) -> bytes:
    """A completion that ends for that reason."""
    message = {"role": "assistant", "content": content, **more}
    return json.dumps({"choices": [{"message": message, "finish_reason": finish_reason}]}).encode()

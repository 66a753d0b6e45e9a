"""The older completions and the list of models, without a model behind them."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fastapi.testclient import TestClient

from ascl_core.serving.access import Access
from ascl_core.serving.app import make_app
from ascl_core.serving.completions import read_completions
from ascl_core.serving.problems import RequestError
from ascl_core.serving.service import Service

SERVICE = cast(
    Any,
    SimpleNamespace(
        settings=SimpleNamespace(name="org/model", on_unknown="refuse"), access=Access(True), corpora=None, _tokenizing=threading.Lock()
    ),
)


@pytest.mark.parametrize(("given", "asked"), [(None, (None, None)), (False, (None, None)), (0, (True, 0)), (3, (True, 3))])
def test_log_probabilities_are_returned_where_they_are_asked_for(given: Any, asked: tuple[Any, Any]) -> None:
    [request] = read_completions(SERVICE, {"model": "m", "prompt": "Hello", "logprobs": given})
    assert (request.logprobs, request.top_logprobs) == asked


def test_half_a_surrogate_pair_in_a_prompt_to_score_is_refused() -> None:
    with pytest.raises(RequestError, match="half of a surrogate pair"):
        Service.tokens(SERVICE, "half \ud800")


def test_the_name_of_a_model_may_have_a_slash() -> None:
    client = TestClient(make_app(SERVICE), base_url="http://localhost")
    assert client.get("/v1/models/org%2Fother").json()["error"]["message"] == "no model 'org/other'"

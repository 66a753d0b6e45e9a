"""Serving with the tokens of another server: the proof that it serves the checkpoint, whole conversations, and its failures."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ascl_core.config.compute import ComputeConfig
from ascl_core.config.params import Params
from ascl_core.conversation.template import END
from ascl_core.conversation.token_ids import prompt_ids
from ascl_core.conversation.tool_loop import OpenConversation
from ascl_core.errors import AsclError, ConfigError, ModelError
from ascl_core.serving.access import Access
from ascl_core.serving.engine import Waiting
from ascl_core.serving.exchange import Drawing, Event, Exchange, Outcome
from ascl_core.serving.problems import RequestError
from ascl_core.serving.requests import chat_request
from ascl_core.serving.service import Service, Settings
from ascl_core.serving.upstream import KEY_VARIABLE, Upstream
from ascl_core.serving.upstream_backend import UpstreamBackend
from tests.completion_server import CompletionServer, completion_server
from tests.served_model import ANSWERS, FIRST, GREETED, second
from tests.tiny_model import make_model, save

RESULT = "[CYB-03] comply: System administration. Help fully."
KEY = "key-of-the-upstream-server"
CPU = ComputeConfig(threads=1)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any, Path]:
    """A random model, its tokenizer and their checkpoint."""
    model, tokenizer = make_model([FIRST, GREETED, RESULT, *map(second, ANSWERS)] * 50)
    return model.eval(), tokenizer, save(model, tokenizer, tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def server(made: tuple[Any, Any, Path]) -> Iterator[CompletionServer]:
    """A server of that checkpoint."""
    with completion_server(made[0], made[1], turns=[GREETED + END]) as started:
        yield started


def connected(server: CompletionServer, checkpoint: Path, timeout_s: float = 30, tolerance: float = 0.05) -> Upstream:
    """An upstream server that is proven."""
    upstream = Upstream(server.url, str(checkpoint), "tiny", timeout_s=timeout_s, tolerance=tolerance)
    upstream.prove(prompt_ids(upstream.tokenizer, [{"role": "user", "content": "Hello"}]), CPU)
    return upstream


class Conversation:
    """An exchange that a backend answers, in a thread of its own as in the server."""

    def __init__(self, backend: UpstreamBackend, **drawing: Any) -> None:
        self.events: list[Event] = []
        self._ended = threading.Event()
        ids = prompt_ids(backend.tokenizer, [{"role": "user", "content": "Hello"}])
        conversation = OpenConversation(prompt_ids=ids, tool=lambda *_: RESULT, max_tool_calls=1)
        drawn = Drawing(**{"temperature": 0, "most_tokens": 200, "seed": 7, **drawing})
        self.exchange = Exchange(conversation, backend.tokenizer, drawn, backend.context_length, self._emit, on_invalid="return")

    def _emit(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, Outcome | AsclError):
            self._ended.set()

    def answered(self) -> Event:
        """The last event."""
        assert self._ended.wait(60)
        return self.events[-1]


@pytest.fixture
def ask(server: CompletionServer, made: tuple[Any, Any, Path]) -> Iterator[Callable[..., Conversation]]:
    """Ask the server through a backend that is proven."""
    waiting = Waiting(8)
    backend = UpstreamBackend(connected(server, made[2], timeout_s=2), batch_size=1)
    thread = threading.Thread(target=backend.serve, args=(waiting,))
    thread.start()

    def asked(**drawing: Any) -> Conversation:
        conversation = Conversation(backend, **drawing)
        waiting.put(conversation.exchange)
        return conversation

    yield asked
    waiting.close()
    thread.join(60)
    assert not thread.is_alive()


def test_a_server_of_the_checkpoint_is_proven_by_its_own_weights(server: CompletionServer, made: tuple[Any, Any, Path]) -> None:
    upstream = connected(server, made[2])
    assert (upstream.model, upstream.context_length, upstream.has_log_probs) == ("tiny", 512, True)
    assert upstream.to_json() == {"model": "tiny", "difference": pytest.approx(0, abs=1e-5), "unproven": None}
    assert "nats a token" in upstream.summary
    server.is_processed = False
    assert not connected(server, made[2]).has_log_probs


def test_without_the_memory_for_the_weights_that_is_said_and_later_proofs_compare_with_the_first(
    server: CompletionServer, made: tuple[Any, Any, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ascl_core.serving.upstream._MEMORY", {"float32": 1e9})
    upstream = connected(server, made[2])
    assert "GiB are free" in upstream.summary
    assert upstream.to_json()["difference"] is None
    upstream.check()
    _other_weights(server)
    with pytest.raises(ModelError, match="other weights"):
        upstream.check()


def _other_weights(server: CompletionServer) -> None:
    import torch

    torch.manual_seed(1)
    server.model = type(server.model)(server.model.config).eval()


MISMATCHES: dict[str, tuple[Callable[[CompletionServer], Any], str, str]] = {
    "weights": (_other_weights, "weights: other weights", "--upstream-tolerance"),
    "tokens": (lambda one: setattr(one, "tokenizer", make_model([RESULT] * 50)[1]), "tokens: another tokenizer", "tokenizer in its folder"),
    "context": (lambda one: one.models[0].update(max_model_len=513), "max_model_len: another context .*got '513'", "512 tokens"),
    "models": (
        lambda one: one.models.append({"id": "b", "max_model_len": 9}) or one.models[0].update(id="a"),
        "models: ",
        "served-model-name",
    ),
    "page": (lambda one: setattr(one, "page", b"<html>"), "/models: no vLLM server", "ends with /v1"),
    "object": (lambda one: setattr(one, "page", b"{}"), "models: no vLLM server", "served-model-name"),
}


@pytest.mark.parametrize(("change", "says", "hint"), MISMATCHES.values(), ids=MISMATCHES)
def test_a_server_of_something_else_is_one_error_that_says_how_to_fix_it(
    server: CompletionServer, made: tuple[Any, Any, Path], change: Callable[[CompletionServer], Any], says: str, hint: str
) -> None:
    change(server)
    with pytest.raises(ModelError, match=says) as caught:
        connected(server, made[2])
    assert caught.value.file == server.url
    assert hint in (caught.value.hint or "")


def test_no_server_and_no_address_are_errors_of_the_start(made: tuple[Any, Any, Path]) -> None:
    with pytest.raises(ModelError, match="Connection error") as caught:
        connected(CompletionServer(None, None, url="http://127.0.0.1:9/v1"), made[2])
    assert "start vLLM's server" in (caught.value.hint or "")
    with pytest.raises(ConfigError, match="--upstream"):
        Upstream("http://user:password@host/v1", str(made[2]), "tiny", timeout_s=1, tolerance=1)


def test_the_key_is_sent_and_never_shown(
    server: CompletionServer, made: tuple[Any, Any, Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    connected(server, made[2])
    assert not [one for one in server.headers if "Authorization" in one], "without a key none is sent"
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    upstream = connected(server, made[2])
    assert server.headers[-1]["Authorization"] == f"Bearer {KEY}"
    assert KEY_VARIABLE not in os.environ
    assert KEY not in str(upstream.failure(ValueError(f"refused: {KEY}")))
    assert KEY not in caplog.text
    assert "refused: …" in caplog.text
    monkeypatch.setenv(KEY_VARIABLE, "two words")
    with pytest.raises(ConfigError, match=KEY_VARIABLE):
        connected(server, made[2])


def test_a_conversation_looks_up_and_its_tokens_arrive_one_by_one(server: CompletionServer, ask: Callable[..., Conversation]) -> None:
    server.turns = [FIRST + END, second("allowed") + END]
    asked = ask(with_scores=True, num_top=1)
    outcome = asked.answered()
    assert isinstance(outcome, Outcome)
    assert (outcome.facts.valid, outcome.content, outcome.facts.consulted) == (True, ANSWERS["allowed"], ("CYB-03",))
    assert len(asked.events) > 5, "piece by piece"
    assert {(score.log_prob, score.top) for score in outcome.scores} == {(-0.5, ((score.text, -0.5),)) for score in outcome.scores}
    first, following = (one for one in server.requests if one.get("stream"))
    assert following["prompt"][: len(first["prompt"])] == first["prompt"]
    assert (first["seed"], first["temperature"], first["ignore_eos"]) == (asked.exchange.drawing.seed_of(0), 0, True)
    assert (first["top_k"], first["repetition_penalty"]) == (0, 1.0), "what a generation_config.json says does not count"


FAILURES: dict[str, tuple[dict[str, Any], int, str]] = {
    "busy": ({"status": 503}, 503, "upstream_busy"),
    "full": ({"status": 429}, 503, "upstream_busy"),
    "error": ({"status": 500}, 502, "upstream_failed"),
    "refused": ({"status": 400}, 502, "upstream_failed"),
    "dies": ({"cut_after": 3}, 502, "upstream_failed"),
    "at once": ({"cut_after": 0}, 502, "upstream_failed"),
    "error event": ({"cut_after": 3, "then": b'data: {"error": {"message": "engine dead"}}\n\n'}, 502, "upstream_failed"),
    "no JSON": ({"cut_after": 3, "then": b"data: {\n\n"}, 502, "upstream_failed"),
    "no chunk": ({"cut_after": 3, "then": b'data: {"choices": [1]}\n\n'}, 502, "upstream_failed"),
    "silent": ({"cut_after": 3, "hangs": True}, 504, "upstream_late"),
}


@pytest.mark.parametrize(("settings", "status", "code"), FAILURES.values(), ids=FAILURES)
def test_a_failure_of_the_server_is_an_error_that_clients_understand_and_the_next_answer_is_whole(
    server: CompletionServer, ask: Callable[..., Conversation], settings: dict[str, Any], status: int, code: str
) -> None:
    for name, value in settings.items():
        setattr(server, name, value)
    error = ask().answered()
    assert isinstance(error, RequestError)
    assert (error.status, error.code, error.retry_after_s) == (status, code, None if status == 502 else 5)
    assert error.to_json()["error"]["type"] == "server_error"
    server.status, server.cut_after, server.hangs = 200, None, False
    assert isinstance(ask().answered(), Outcome)


def test_a_server_that_comes_back_with_other_weights_answers_nothing(server: CompletionServer, ask: Callable[..., Conversation]) -> None:
    assert isinstance(ask().answered(), Outcome)
    server.cut_after = 1
    assert isinstance(ask().answered(), RequestError)
    server.cut_after = None
    _other_weights(server)
    error = ask().answered()
    assert isinstance(error, RequestError)
    assert (error.status, error.code) == (503, "upstream_mismatch")


def test_a_client_that_goes_away_frees_the_server(server: CompletionServer, ask: Callable[..., Conversation]) -> None:
    server.hangs, server.cut_after = True, 2
    gone = ask()
    assert server.is_silent.wait(30)
    gone.exchange.cancel()
    assert server.hung_up.wait(30)
    server.hangs, server.cut_after = False, None
    assert isinstance(ask().answered(), Outcome), "the next conversation can start"


@pytest.mark.parametrize(
    ("upstream", "release"),
    [(None, "release/1"), ({"difference": 0.01}, "release/1"), ({"difference": 0.2}, None), ({"difference": None}, None)],
)
def test_answers_name_the_release_only_if_the_weights_are_those_of_the_checkpoint(upstream: Any, release: str | None) -> None:
    settings, rules = Settings("checkpoint", "tiny", "XA", "release/1"), SimpleNamespace(given="digest")
    identity = {} if upstream is None else {"upstream": upstream}
    service = cast(Any, SimpleNamespace(settings=settings, corpora=rules, identity=identity))
    assert Service.release_of(service, cast(Any, SimpleNamespace(digest="digest"))) == release


def test_log_probabilities_of_another_distribution_are_refused(made: tuple[Any, Any, Path]) -> None:
    backend = SimpleNamespace(has_log_probs=False, tokenizer=made[1], context_length=512)
    served = SimpleNamespace(jurisdictions=("XA",))
    service = Service(
        *(Settings("checkpoint", "tiny", "XA"), Params(), cast(Any, SimpleNamespace(current=served)), Access(True)),
        cast(Any, SimpleNamespace(ready_backend=lambda: backend)),
    )
    request = chat_request({"model": "tiny", "messages": [{"role": "user", "content": "Hello"}], "logprobs": True}, "refuse")
    with pytest.raises(RequestError, match="not of what is drawn from") as caught:
        service.open([request], lambda *_: None)
    assert "--logprobs-mode processed_logprobs" in (caught.value.hint or "")

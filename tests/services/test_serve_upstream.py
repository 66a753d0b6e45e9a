"""`ascl serve` in front of a real vLLM server: the answers of the embedded model, a server of something else, and one that dies."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ascl_core.artifacts import write_json
from tests.served_model import GREETING, QUESTION, write_corpus
from tests.services.model_server import ModelServer, model_server
from tests.services.vllm_server import VllmServer, vllm_server
from tests.tiny_model import WITH_VLLM

pytestmark = [pytest.mark.services, *WITH_VLLM]
ODD = {
    "do_sample": True,
    "temperature": 2.0,
    "top_k": 3,
    "top_p": 0.5,
    "repetition_penalty": 1.9,
    "max_new_tokens": 5,
    "eos_token_id": [2, 9, 30, 40],
}
"""Sampling of a checkpoint that vLLM takes over for whatever a request leaves out."""


@pytest.fixture(scope="module")
def upstream(consulting: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmServer]:
    """vLLM with the checkpoint that consults, whose own sampling is odd."""
    odd = shutil.copytree(consulting, tmp_path_factory.mktemp("odd") / consulting.name)
    write_json(odd / "generation_config.json", ODD)
    with vllm_server(odd) as started:
        yield started


def test_answers_are_those_of_the_embedded_model_whatever_the_checkpoint_says_of_sampling(
    consulting: Path, upstream: VllmServer, tmp_path: Path
) -> None:
    corpus = write_corpus(tmp_path / "corpus.json", "allowed")

    def said(server: ModelServer) -> list[object]:
        several = server.ask(QUESTION, n=2, stop="command", logprobs=True, top_logprobs=2, include_reasoning=True).raise_for_status().json()
        scores = [token for choice in several["choices"] for token in choice["logprobs"]["content"]]
        texts = [[choice["message"], choice["finish_reason"], choice["ascl"]] for choice in several["choices"]]
        others = [server.ask(GREETING, max_tokens=12).json(), server.ask("word " * 600).json(), server.ask(GREETING).json()]
        stable = [{key: value for key, value in one.items() if key not in ("id", "created")} for one in others]
        last = server.stream(QUESTION)[-1]["ascl"]
        return [texts, several["usage"], [token["token"] for token in scores], stable, last, [token["logprob"] for token in scores]]

    with model_server(consulting, corpus, "--jurisdiction", "XA") as server:
        embedded = said(server)
    with model_server(consulting, corpus, "--jurisdiction", "XA", "--upstream", upstream.url) as server:
        proxied = said(server)
        with server.client() as client:
            [model] = client.get("/v1/models").json()["data"]
        assert "log-probabilities differ by" in server.log.read_text()
    assert proxied[:-1] == embedded[:-1]
    assert proxied[-1] == pytest.approx(embedded[-1], abs=1e-3)
    assert model["ascl"]["upstream"]["difference"] < 1e-3


def test_a_server_of_another_checkpoint_ends_the_start_with_one_message(endless: Path, upstream: VllmServer, tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus.json", "allowed")
    with model_server(endless, corpus, "--upstream", upstream.url, wait=False) as server:
        assert server.process.wait(400) == 1
        log = server.log.read_text()
    assert f"error: {upstream.url}: tokens: another tokenizer than the checkpoint's" in log
    assert "hint: serve " in log
    assert "Traceback" not in log


@pytest.mark.timeout(1800)
def test_a_server_that_dies_amid_an_answer_ends_it_with_an_error_and_so_the_next(endless: Path, tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus.json", "allowed")
    options = ("--max-tokens", "900000", "--on-invalid", "return")
    with (
        vllm_server(endless) as upstream,
        model_server(endless, corpus, "--upstream", upstream.url, *options) as server,
        server.client() as client,
    ):
        body = server.body(GREETING, stream=True, include_reasoning=True, max_tokens=900_000)
        with client.stream("POST", "/v1/chat/completions", json=body) as response:
            lines = (line.removeprefix("data: ") for line in response.iter_lines() if line.startswith("data: "))
            arrived = [next(lines) for _ in range(5)]
            upstream.kill()
            *_, last, done = lines
        assert len(arrived) == 5
        assert (json.loads(last)["error"]["code"], done) == ("upstream_failed", "[DONE]")
        whole = server.ask(GREETING)
        assert (whole.status_code, whole.json()["error"]["code"]) == (503, "upstream_unreachable")
        assert whole.headers["retry-after"] == "5"
        assert client.get("/health").status_code == 200
        assert "Traceback" not in server.log.read_text()

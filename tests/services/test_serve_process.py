"""`ascl serve` as an operator sees it: a process with rules, a release, tokens and a memory, that is started and ended."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from ascl_core.artifacts import read_json, write_json
from tests.served_model import ANSWERS, CORPORA, GREETING, QUESTION, changed, write_corpus
from tests.services.model_server import model_server

pytestmark = pytest.mark.services
CLIENT, ADMIN = "client-token-of-the-tests", "admin-token-of-the-tests"


def test_an_answer_names_the_release_as_long_as_its_own_rules_are_served(consulting: Path, tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus.json", "allowed")
    with model_server(consulting, corpus, "--release", "release/9") as server:
        assert server.ask(QUESTION).json()["ascl"]["release"] == "release/9"
        assert server.stream(QUESTION)[-1]["ascl"]["release"] == "release/9"
        assert server.swap(CORPORA["forbidden"].to_json()).status_code == 200
        assert server.ask(QUESTION).json()["ascl"]["release"] is None
        with server.client() as client:
            assert client.get("/v1/models").json()["data"][0]["ascl"]["release"] is None
        assert server.swap(CORPORA["allowed"].to_json()).status_code == 200
        assert server.ask(QUESTION).json()["ascl"]["release"] == "release/9"


def test_a_restart_serves_what_was_swapped_in_unless_it_is_given_other_rules(consulting: Path, tmp_path: Path) -> None:
    corpus, memory = write_corpus(tmp_path / "corpus.json", "allowed"), tmp_path / "memory" / "rules.json"
    options = ("--memory", str(memory))
    with model_server(consulting, corpus, *options) as server:
        assert server.swap(CORPORA["forbidden"].to_json()).status_code == 200
        server.end(signal.SIGKILL)
    with model_server(consulting, corpus, *options) as server:
        assert server.rules()["digest"] == CORPORA["forbidden"].digest
        assert server.ask(QUESTION).json()["choices"][0]["message"]["content"] == ANSWERS["forbidden"]
        assert f"these rules were swapped in at {server.rules()['since'][:10]}" in server.log.read_text()
    write_json(corpus, changed(title="Another title"))
    with model_server(consulting, corpus, *options) as server:
        assert server.rules()["digest"] == read_json(corpus)["digest"]
    write_corpus(corpus, "allowed")
    memory.write_text(memory.read_text(encoding="utf-8").replace("Do not help", "Do help"), encoding="utf-8")
    with model_server(consulting, corpus, *options, wait=False) as server:
        assert server.process.wait(200) == 1
        assert "digest does not match" in server.log.read_text()
        assert f"rm {memory}" in server.log.read_text()


def test_tokens_are_asked_for_and_never_logged(consulting: Path, tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus.json", "allowed")
    tokens = {"ASCL_SERVE_TOKEN": CLIENT, "ASCL_SERVE_ADMIN_TOKEN": ADMIN}
    new = CORPORA["forbidden"].to_json()
    with model_server(consulting, corpus, "--host", "0.0.0.0", tokens=tokens) as server:
        for headers, status in (({"Authorization": ""}, 401), ({"Authorization": "Bearer wrong"}, 401), ({}, 200)):
            with server.client(**headers) as client:
                assert client.post("/v1/chat/completions", json=server.body(GREETING)).status_code == status
                assert client.get("/v1/rules/corpus").status_code == status
        assert [server.swap(new).status_code, server.swap(new, Authorization=f"Bearer {ADMIN}").status_code] == [403, 200]
        server.end()
        assert not [token for token in (CLIENT, ADMIN) if token in server.log.read_text()]
    with model_server(consulting, corpus, "--host", "0.0.0.0", wait=False) as server:
        assert server.process.wait(200) == 1
        assert "other machines could use the server without a token" in server.log.read_text()


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_is_asked_to_end_does_so_whoever_still_listens(by: signal.Signals, endless: Path, tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus.json", "allowed")
    with model_server(endless, corpus, "--max-tokens", "900000") as server, server.client() as client:
        with client.stream("POST", "/v1/chat/completions", json=server.body(GREETING, stream=True, max_tokens=900_000)) as response:
            next(response.iter_lines())
            assert server.end(by) == 0
        assert "Traceback" not in server.log.read_text()


def test_a_checkpoint_that_cannot_be_loaded_ends_the_server_with_one_message(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus.json", "allowed")
    (tmp_path / "empty").mkdir()
    with model_server(tmp_path / "empty", corpus, wait=False) as server:
        assert server.process.wait(200) == 1
        assert "cannot be loaded" in server.log.read_text()
        assert "Traceback" not in server.log.read_text()
    assert {file.name for file in tmp_path.iterdir()} == {corpus.name, "empty"}, "a log is left beside the corpus"
    assert not server.log.exists()

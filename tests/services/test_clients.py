"""Clients of OpenAI's API, as people install them, against a server with a small model: the checks that make the page's table."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.served_model import make_consulting, write_corpus
from tests.services.model_server import REPOSITORY, model_server

sys.path.append(str(REPOSITORY / "benchmarks"))

import interoperability

pytestmark = [pytest.mark.services, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The server's URL and the served folder."""
    folder = tmp_path_factory.mktemp("clients")
    checkpoint, corpus = make_consulting(folder / "consulting"), write_corpus(folder / "corpus.json", "allowed")
    params = folder / "params.yaml"
    params.write_text("compute: {threads: 1}\n", encoding="utf-8")
    with model_server(checkpoint, corpus, "--params", str(params)) as server:
        yield f"{server.url} {checkpoint}"


@pytest.mark.parametrize("name", interoperability.checks_of("clients").of)
def test_a_client_gets_what_it_asks_for(name: str, given: str) -> None:
    line, passed = interoperability.row("clients", name, given)
    assert passed, line

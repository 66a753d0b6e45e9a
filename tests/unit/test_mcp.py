"""`ascl mcp` as a client of the SDK sees it: real processes, over stdio and over HTTP."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from ascl_core.artifacts import write_json
from ascl_core.config.conversation import ConversationConfig
from ascl_core.config.retrieval import BY_WORDS
from ascl_core.config.rules import RulesConfig
from ascl_core.conversation.tool import TOOL_NAME, tool_schema
from ascl_core.rules.corpus import Corpus
from ascl_core.rules.index import Indexer
from ascl_core.rules.retrieval import RuleTool
from tests.builders import make_rule
from tests.served_model import CORPORA, write_corpus
from tests.services.s3_server import free_ports

REPOSITORY = Path(__file__).parents[2]
CORPUS, OTHER = CORPORA["allowed"], CORPORA["forbidden"]
TOKEN = "token-of-the-mcp-tests"
CONVERSATION = ConversationConfig()
INDEX = Indexer(BY_WORDS).index(CORPUS, RulesConfig().at)
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("ASCL_SERVE")} | {"PYTHONPATH": str(REPOSITORY)}


def command(folder: Path, *options: str) -> list[str]:
    """The command of a server of the corpus in the folder, else of the rules that allow, with its memory and its log in the folder."""
    corpus = folder / "corpus.json"
    if not corpus.exists():
        write_corpus(corpus, "allowed")
    files = ["--memory", str(folder / "memory.json"), "--access-log", str(folder / "look-ups.jsonl")]
    return [sys.executable, "-m", "ascl_core.serving.mcp", str(corpus), "--jurisdiction", "XA", *files, *options]


@asynccontextmanager
async def over_stdio(folder: Path) -> AsyncIterator[Client]:
    """A client that starts the server itself."""
    program, *arguments = command(folder)
    async with Client(StdioServerParameters(command=program, args=arguments, env=ENVIRONMENT, cwd=str(REPOSITORY))) as client:
        yield client


@contextmanager
def http_server(folder: Path, *options: str, token: str | None = None) -> Iterator[str]:
    """The address of a server that is ready."""
    [port] = free_ports(1)
    environment = ENVIRONMENT | ({"ASCL_SERVE_TOKEN": token} if token else {})
    with open(folder / "server.log", "wb") as log:
        process = subprocess.Popen(
            command(folder, "--transport", "http", "--port", str(port), *options), env=environment, stdout=log, stderr=log
        )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            assert process.poll() is None, (folder / "server.log").read_text()
            try:
                httpx.get(f"{url}/health", trust_env=False).raise_for_status()
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield url
        process.terminate()
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()


@asynccontextmanager
async def over_http(folder: Path) -> AsyncIterator[Client]:
    """A client of a server with a token."""
    import httpx2

    with http_server(folder, token=TOKEN) as url:
        async with (
            httpx2.AsyncClient(headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False) as http,
            Client(streamable_http_client(f"{url}/mcp", http_client=http)) as client,
        ):
            yield client


def look_ups(folder: Path) -> list[dict[str, Any]]:
    """The access log."""
    return [json.loads(line) for line in (folder / "look-ups.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("connect", [over_stdio, over_http])
def test_a_client_gets_the_tool_of_the_served_model(connect: Callable[[Path], AbstractAsyncContextManager[Client]], tmp_path: Path) -> None:
    async def ask() -> None:
        async with connect(tmp_path) as client:
            [tool] = (await client.list_tools()).tools
            function = tool_schema(CONVERSATION.model_copy(update={"max_top_k": 20}))["function"]
            assert (tool.name, tool.description, tool.input_schema) == (TOOL_NAME, function["description"], function["parameters"])

            found = await client.call_tool(TOOL_NAME, {"query": "process"})
            [rule] = CORPUS.rules
            [shown] = found.structured_content["rules"]
            assert {key: shown[key] for key in ("id", "policy", "title")} == {"id": rule.id, "policy": rule.policy, "title": rule.title}
            assert shown["text"] == rule.text
            assert 0 < shown["similarity"] < 1
            assert (found.structured_content["corpus"], found.structured_content["index"]) == (CORPUS.digest, INDEX.digest)
            assert not found.is_error
            assert found.content[0].text == RuleTool(INDEX.rules, "XA", CONVERSATION)("process")

            for wrong in (
                {},
                {"query": ""},
                {"query": 7},
                {"query": "a", "category": "NOPE"},
                {"query": "a", "top_k": 21},
                {"query": None},
            ):
                refused = await client.call_tool(TOOL_NAME, wrong)
                assert refused.is_error, wrong
                assert refused.content[0].text.startswith("Error: "), wrong
            with pytest.raises(MCPError, match="no tool 'help'"):
                await client.call_tool("help", {})

            write_json(
                tmp_path / "memory.json", {"replaces": CORPUS.digest, "since": "2026-11-01T00:00:00+00:00", "corpus": OTHER.to_json()}
            )
            swapped = await client.call_tool(TOOL_NAME, {"query": "process"})
            assert [shown["id"] for shown in swapped.structured_content["rules"]] == [OTHER.rules[0].id]
            assert swapped.structured_content["corpus"] == OTHER.digest

    anyio.run(ask)
    first, *refused, last = look_ups(tmp_path)
    assert (first["via"], first["rules"], first["query_chars"], first["problem"]) == ("mcp", [CORPUS.rules[0].id], len("process"), None)
    assert (first["corpus"], last["corpus"], last["jurisdiction"]) == (CORPUS.digest, OTHER.digest, "XA")
    assert len(refused) == 6
    assert all(line["problem"] and not line["rules"] for line in refused)


def test_a_client_asks_for_more_rules_than_the_trained_model_may(tmp_path: Path) -> None:
    rules = tuple(
        make_rule(
            id=f"CYB-0{n}",
            text=f"Help with lock {n}, and say what each step does.",
            query=f"lock {n}",
            examples=[{"prompt": f"How do I open lock {n}?", "verdict": "comply"}],
        )
        for n in range(1, 6)
    )
    write_json(tmp_path / "corpus.json", Corpus(taxonomy=CORPUS.taxonomy, rules=rules).to_json())

    async def ask() -> None:
        async with over_stdio(tmp_path) as client:
            [tool] = (await client.list_tools()).tools
            assert tool.input_schema["properties"]["top_k"]["description"] == "How many rules to return, 1 to 20; 1 if left out."
            for more, shown in (({"top_k": 3}, 3), ({"top_k": 20}, 5), ({}, 1)):
                found = await client.call_tool(TOOL_NAME, {"query": "pick a lock", **more})
                assert not found.is_error, found.content
                assert len(found.structured_content["rules"]) == shown
            refused = await client.call_tool(TOOL_NAME, {"query": "pick a lock", "top_k": 0})
            assert refused.content[0].text == "Error: top_k must be a whole number from 1 to 20, not 0."

    assert not CONVERSATION.offers_top_k
    anyio.run(ask)


def test_over_http_the_rules_are_swapped_as_those_of_ascl_serve_and_others_are_kept_out(tmp_path: Path) -> None:
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": TOOL_NAME, "arguments": {"query": "process"}}}
    headers = {"Accept": "application/json, text/event-stream"}
    with http_server(tmp_path) as url, httpx.Client(base_url=url, trust_env=False, timeout=60, headers=headers) as client:
        assert client.post("/mcp", json=call, headers={"Host": "evil.example"}).status_code == 403
        assert client.post("/mcp", json=call, headers={"Origin": "http://evil.example"}).status_code == 403
        assert client.get("/v1/rules").json()["digest"] == CORPUS.digest
        assert client.put("/v1/rules", json=OTHER.to_json(), headers={"If-Match": '"0"'}).status_code == 412
        assert client.put("/v1/rules", json=OTHER.to_json(), headers={"If-Match": f'"{CORPUS.digest}"'}).status_code == 200
        assert client.get("/v1/rules/corpus").json() == OTHER.to_json()
        assert client.post("/mcp", content=b"{" * 10_000, headers={"Content-Type": "application/json"}).status_code == 400
    with http_server(tmp_path, token=TOKEN) as url, httpx.Client(base_url=url, trust_env=False, timeout=60) as client:
        assert client.post("/mcp", json=call).status_code == 401
        assert client.get("/v1/rules").status_code == 401
        remembered = client.get("/v1/rules", headers={"Authorization": f"Bearer {TOKEN}"}).json()
        assert remembered["digest"] == OTHER.digest


def test_beyond_this_machine_the_server_does_not_start_without_a_token(tmp_path: Path) -> None:
    started = command(tmp_path, "--transport", "http", "--host", "0.0.0.0")
    refused = subprocess.run(started, env=ENVIRONMENT, capture_output=True, text=True, timeout=120, check=False)
    assert refused.returncode == 1
    assert "ASCL_SERVE_TOKEN" in refused.stderr

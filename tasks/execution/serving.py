"""A client of a server that `ascl serve` started: read the rules that it serves, and replace them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ascl_core.errors import AsclError, ConfigError, RuleError, WorkspaceError
from ascl_core.proxies import check_proxies
from ascl_core.rules.corpus import Corpus, read_corpus
from ascl_core.serving.access import ADMIN_TOKEN, TOKEN
from ascl_core.urls import is_address, is_this_machine
from tasks.registry.paths import PARAMETERS, SERVING
from tasks.registry.stages import CORPUS, RULE_INDEX

DEFAULT_URL = "http://127.0.0.1:8000"
TOKENS = (ADMIN_TOKEN, TOKEN)
"""The variables with the token; the first one that is set is sent."""
_TIMEOUT_S = 60.0
_RULES, _CORPUS = "/v1/rules", "/v1/rules/corpus"


def rule_arguments(root: Path, corpus: Path, port: int, index: Path | None = None) -> list[str]:
    """Return the arguments of a server of rules: the corpus, its index, the parameters, and the files of swaps and look-ups.

    Servers of the same corpus and `port` share their swaps.
    """
    folder = root / SERVING
    arguments = [str(corpus), "--params", str(root / PARAMETERS), *index_arguments(root, corpus, index)]
    return [*arguments, "--memory", str(folder / f"{port}.json"), "--access-log", str(folder / "look-ups.jsonl")]


def index_arguments(root: Path, corpus: Path, released: Path | None = None) -> list[str]:
    """Return the option for the index of the evaluation: the release's own, or for the rules of the last run that run's."""
    index = released or (root / RULE_INDEX.path if corpus == root / CORPUS.path else None)
    return ["--index", str(index)] if index is not None and index.is_dir() else []


def served_corpus(url: str) -> Corpus:
    """Return the rules that the server at `url` serves."""
    return read_corpus(_ask("GET", url, _CORPUS), file=url)


def swap_corpus(url: str, new: Corpus, *, instead_of: str) -> None:
    """Make the server use the rules `new` from its next request on.

    Raises an `AsclError` if the server rejects the corpus or this process, or if `instead_of` is not the digest of the rules that it
    serves; it then keeps those.
    """
    answer = _ask("PUT", url, _RULES, content=json.dumps(new.to_json()), headers={"If-Match": f'"{instead_of}"'})
    if answer.get("new", {}).get("digest") != new.digest:
        raise WorkspaceError("the server did not confirm the new rules", file=url, hint=f"ask it: curl {url}{_RULES}")


def _ask(method: str, url: str, path: str, *, content: str | None = None, headers: dict[str, str] | None = None) -> dict[str, Any]:
    import httpx

    _check(url)
    token = next((os.environ[name] for name in TOKENS if os.environ.get(name)), None)
    sent = {"Content-Type": "application/json", **(headers or {}), **({"Authorization": f"Bearer {token}"} if token else {})}
    if not (direct := is_this_machine(urlsplit(url).hostname or "")):
        check_proxies()
    try:
        with httpx.Client(base_url=url.rstrip("/"), timeout=_TIMEOUT_S, trust_env=not direct) as client:
            response = client.request(method, path, content=content, headers=sent)
    except (httpx.TransportError, UnicodeError) as error:
        problem = f"no server answers: {type(error).__name__}"
        raise WorkspaceError(problem, file=url, hint="start one: ascl serve; or give its address: --url") from None
    try:
        values = response.json()
        if response.is_success and isinstance(values, dict):
            return values
        problem = str(values["error"]["message"])
    except (ValueError, LookupError, TypeError):
        raise WorkspaceError(f"HTTP {response.status_code}, and not from ascl serve", file=url, hint="give its address: --url") from None
    raise _error(response.status_code, problem, url)


def _error(status: int, problem: str, url: str) -> AsclError:
    if status == 422:
        return RuleError(f"the server rejects the rules and keeps its own: {problem}", file=url)
    if status in (401, 403):
        return ConfigError(problem, file=url, hint=f"set {TOKENS[0]} in the environment to the server's")
    return WorkspaceError(problem, file=url, value=f"HTTP {status}", hint="run it again")


def _check(url: str) -> None:
    if not is_address(url):
        raise ConfigError("not an http(s) address without credentials", field="--url", hint=f"such as {DEFAULT_URL}")

"""vLLM's own server behind this one: the proof that it serves the checkpoint, and what its failures mean to a client.

The proof has three parts: a model of that name whose context is no longer than the checkpoint's, the same token ids for a text, and for
the tokens of a conversation the log-probabilities that the checkpoint's own weights give. The last one needs the weights on this
machine, and memory for them at the start. Without, the server is held to what it answered then.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import httpx2
import openai
import psutil

from ascl_core.config.compute import ComputeConfig
from ascl_core.errors import AsclError, ConfigError, ModelError
from ascl_core.generation.load import context_length, first_line, load_errors, load_tokenizer, read_model
from ascl_core.generation.openai_client import LateAnswer, get, open_client, open_streaming_client, post
from ascl_core.proxies import check_proxies
from ascl_core.serving.problems import RequestError
from ascl_core.urls import is_address, is_this_machine

KEY_VARIABLE = "ASCL_UPSTREAM_KEY"
"""The variable with the key of the upstream server."""
_ATTEMPTS = 3
"""How many times a request is sent before a busy or unreachable server is an error: somebody waits for the answer."""
_RETRY_AFTER_S = 5
_TEXT = "This may be against a rule, so I look it up: naïve 漢字 🙂 42 + 1e-3 != x_i;\n\tit is allowed. Here is how, step by step."
_ONLY_CHOICE = -1e-3
"""The least log-probability of a token that was the only one allowed, if log-probabilities are of what is drawn from."""
_MEMORY = {"float32": 2.2, "bfloat16": 1.1, "float16": 1.1}
"""The memory that a checkpoint takes in a precision, as a multiple of its files, which have 16 bits a weight if it is large."""
_GIB = 2**30
_SHOWN = 200
_LOG = logging.getLogger("ascl.serving")


class Upstream:
    """A vLLM server at `url`, which must serve the checkpoint.

    Args:
        name: What the checkpoint may be called there, beside its path.
        timeout_s: How long an answer may take to begin, and then each of its parts.
        tolerance: How far log-probabilities may be from the checkpoint's own, in nats a token, on average.
    """

    def __init__(self, url: str, checkpoint: str, name: str, *, timeout_s: float, tolerance: float) -> None:
        if not is_address(url):
            hint = f"such as http://127.0.0.1:8001/v1; its key is read from {KEY_VARIABLE}"
            raise ConfigError("not an http(s) address without credentials", field="--upstream", hint=hint)
        host = urlsplit(url).hostname or ""
        if not is_this_machine(host):
            check_proxies()
        self._url, self._key = url.rstrip("/"), _take_key()
        self._client = open_client(self._url, host, self._key, timeout_s=timeout_s, attempts=_ATTEMPTS)
        self.streams = open_streaming_client(self._url, host, self._key, timeout_s=timeout_s, attempts=_ATTEMPTS)
        self._checkpoint, self._name, self._tolerance = checkpoint, name, tolerance
        self.tokenizer = load_tokenizer(checkpoint)
        self._ids: list[int] = []
        self._expected: list[float] | None = None
        self.model = ""
        """The model's name there."""
        self.context_length = 0
        self.has_log_probs = False
        """Whether it gives log-probabilities of the distribution that a token is drawn from."""
        self.difference = 0.0
        """How far log-probabilities are from what is expected, in nats a token, on average."""
        self.unproven: str | None = None
        """Why the weights could not be compared with the checkpoint's."""

    def prove(self, opening: list[int], compute: ComputeConfig) -> None:
        """Raise `ModelError` unless the server serves the checkpoint; `opening` are the tokens of a first message."""
        self._ids = [*opening, *self.tokenizer.encode(_TEXT, add_special_tokens=False)]
        try:
            self.check()
            self.unproven = _missing_for(self._checkpoint, compute)
            if self.unproven is None:
                self._expected = _log_probs(self._checkpoint, self._ids, compute)
                self.check()
        except openai.OpenAIError as error:
            raise self._unlike(self._shown(error), hint=f"start vLLM's server there, or correct the address or {KEY_VARIABLE}") from None

    def check(self) -> None:
        """Raise `ModelError` unless the server (still) serves the checkpoint, and `openai.OpenAIError` if it does not answer."""
        self._find_model()
        self._compare_tokens()
        found = self._score()
        self._expected = self._expected or found
        self.difference = sum(abs(a - b) for a, b in zip(found, self._expected, strict=False)) / len(found)
        if not self.difference <= self._tolerance:
            problem = (
                f"other weights than those of {self._checkpoint}: log-probabilities differ by {self.difference:.3g} a token on average"
            )
            hint = "serve this checkpoint there; if it is quantised or of another precision, allow more: --upstream-tolerance"
            raise self._unlike(problem, "weights", self.difference, hint)

    def failure(self, error: Exception) -> RequestError:
        """Log what went wrong with the server, and return the error for a client: 502, 503 or 504, without details."""
        _LOG.error("the upstream server: %s", error if isinstance(error, AsclError) else self._shown(error))
        again: dict[str, Any] = {"retry_after_s": _RETRY_AFTER_S, "hint": "try again later"}
        if isinstance(error, ModelError):
            return RequestError("the upstream server does not serve this checkpoint", 503, code="upstream_mismatch", **again)
        if isinstance(error, openai.APIStatusError) and error.status_code in (429, 503):
            return RequestError("the upstream server is busy", 503, code="upstream_busy", **again)
        if isinstance(error, LateAnswer) or (isinstance(error, openai.APITimeoutError) and not _is_unreachable(error)):
            return RequestError("the upstream server is late", 504, code="upstream_late", **again)
        if isinstance(error, openai.APIConnectionError) and _is_unreachable(error):
            return RequestError("the upstream server cannot be reached", 503, code="upstream_unreachable", **again)
        return RequestError("the upstream server failed", 502, code="upstream_failed", hint="try again later, and see this server's log")

    @property
    def summary(self) -> str:
        """What was compared, in words."""
        if self.unproven is not None:
            return f"its weights were not compared with the checkpoint's, as {self.unproven}"
        return f"log-probabilities differ by {self.difference:.2g} nats a token from those of the checkpoint's weights"

    def to_json(self) -> dict[str, Any]:
        """Return what was proven, for clients."""
        return {"model": self.model, "difference": None if self.unproven else self.difference, "unproven": self.unproven}

    def _find_model(self) -> None:
        listed = [one for one in self._ask("/models").get("data") or [] if isinstance(one, dict) and "max_model_len" in one]
        named = [one for one in listed if {self._checkpoint, self._name} & {one.get("id"), one.get("root")}]
        if len(found := named[:1] or listed) != 1:
            names, hint = [one.get("id") for one in listed], f"start vLLM with --served-model-name {self._name}"
            raise self._unlike("no vLLM server, or none with this model", "models", names, hint)
        self.model, longest = str(found[0]["id"]), _longest(self._checkpoint)
        length = found[0]["max_model_len"]
        if not isinstance(length, int) or not 0 < length <= longest:
            hint = f"serve {self._checkpoint} there, without a --max-model-len beyond its {longest} tokens"
            raise self._unlike("another context than the checkpoint's", "max_model_len", length, hint)
        self.context_length, self._ids = length, self._ids[: length - 1]

    def _compare_tokens(self) -> None:
        text = _TEXT + "".join(self.tokenizer.get_added_vocab())
        body = {"model": self.model, "prompt": text, "add_special_tokens": False}
        found = self._ask(f"{self._url.removesuffix('/v1')}/tokenize", body).get("tokens")
        if found != self.tokenizer.encode(text, add_special_tokens=False):
            hint = f"serve {self._checkpoint} there, with the tokenizer in its folder"
            raise self._unlike("another tokenizer than the checkpoint's", "tokens", found, hint)

    def _score(self) -> list[float]:
        """Return the log-probabilities of the tokens but the first; also find out whether others are of what is drawn from.

        Then the only token that may follow has the log-probability 0 there, however improbable it is.
        """
        only = self._ids[0]
        options = {"echo": True, "logprobs": 0, "max_tokens": 1, "allowed_token_ids": [only], "return_token_ids": True}
        answer = self._ask("/completions", {"model": self.model, "prompt": self._ids, "temperature": 1, "ignore_eos": True, **options})
        try:
            [choice] = answer["choices"]
            scores = [float(one) for one in choice["logprobs"]["token_logprobs"][1:]]
            if choice["token_ids"] != [only] or len(scores) != len(self._ids):
                raise ValueError
        except (LookupError, TypeError, ValueError):
            raise self._unlike("no token ids with log-probabilities", "choices", answer, "take vLLM 0.31 or later") from None
        self.has_log_probs = scores[-1] > _ONLY_CHOICE
        return scores[:-1]

    def _ask(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        content = post(self._client, path, body) if body else get(self._client, path)
        try:
            values = json.loads(content)
        except (ValueError, RecursionError):
            values = None
        if not isinstance(values, dict):
            raise self._unlike("no vLLM server: an answer is no JSON object", path, hint="give its address, which ends with /v1")
        return values

    def _shown(self, error: Exception) -> str:
        text = f"{error}" if error.__cause__ is None else f"{error} {error.__cause__}"
        return " ".join((text.replace(self._key, "…") if self._key else text).split())[:_SHOWN]

    def _unlike(self, problem: str, field: str | None = None, value: object = None, hint: str | None = None) -> ModelError:
        return ModelError(problem, file=self._url, field=field, value=value, hint=hint)


def _take_key() -> str | None:
    """Return the key, and remove it from the environment."""
    key = os.environ.pop(KEY_VARIABLE, None) or None
    if key and not (key.isascii() and key.isprintable() and " " not in key):
        raise ConfigError("the key cannot be sent as a header", field=KEY_VARIABLE, hint="the key alone, without spaces or line breaks")
    return key


def _longest(checkpoint: str) -> int:
    """Return how many tokens the checkpoint reads at most."""
    from transformers import AutoConfig

    try:
        return context_length(SimpleNamespace(config=AutoConfig.from_pretrained(checkpoint, trust_remote_code=False)))
    except load_errors() as error:
        hint = "give a folder with config.json, or a hub id while the hub can be reached"
        raise ModelError(f"cannot be loaded: {first_line(error, _SHOWN)}", file=checkpoint, hint=hint) from error


def _missing_for(checkpoint: str, compute: ComputeConfig) -> str | None:
    """Return what is missing for the log-probabilities of the checkpoint's own weights; None if they can be computed."""
    if not Path(checkpoint).is_dir():
        return "they are not on this machine"
    stored = sum(file.stat().st_size for file in Path(checkpoint).glob("*.safetensors"))
    needed, free = stored * _MEMORY[compute.dtype], psutil.virtual_memory().available
    return f"that takes {needed / _GIB:.0f} GiB of memory, and {free / _GIB:.0f} GiB are free" if needed > free else None


def _log_probs(checkpoint: str, ids: list[int], compute: ComputeConfig) -> list[float]:
    """Return the log-probabilities of the tokens but the first by the checkpoint's own weights, on the CPU."""
    import torch

    with torch.inference_mode():
        logits = read_model(checkpoint, compute.dtype, compute.threads)(input_ids=torch.tensor([ids]), use_cache=False).logits[0, :-1]
    following = torch.tensor(ids[1:])[:, None]
    return [float(one) for one in logits.float().log_softmax(-1).gather(-1, following)[:, 0]]


def _is_unreachable(error: Exception) -> bool:
    """Return whether no connection was made."""
    return isinstance(error.__cause__, httpx2.ConnectError | httpx2.ConnectTimeout)

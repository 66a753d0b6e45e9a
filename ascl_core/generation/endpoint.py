"""A chat model behind an OpenAI-compatible endpoint: one request, one reply that says whether it can be used.

Servers differ in what they send: content as text or as parts, arguments as text or as an object. `Reply` is one form for all of them.
A reply that a filter stopped, that was cut off or that is empty is a reply with a `problem`, never an error. So is a question that the
endpoint refuses, in whatever words, once it has answered another one: then address, key and model are right, and the question is not.

The key is read from `OPENAI_API_KEY` at the first request; a local server needs none. No message shows it.
"""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ascl_core.contracts import Message
from ascl_core.errors import AsclError, ConfigError, ModelError
from ascl_core.generation.refusals import FILTERED, LIMITS, STATUSES, refusal_of, refused_field
from ascl_core.proxies import check_proxies
from ascl_core.text import encodable
from ascl_core.urls import is_address, is_this_machine

if TYPE_CHECKING:
    import openai

KEY_VARIABLE = "OPENAI_API_KEY"
DEFAULT_URL = "https://api.openai.com/v1"
TRUNCATED, EMPTY, REFUSED = "truncated", "empty", "refused"
_MOST_REFUSALS = 16
"""The number of refusals after which an endpoint that has answered nothing is not asked any more."""
_LATE_ATTEMPTS = 2
"""The number of late answers after which the request is given up: each has cost the whole time limit."""
_FINISHED = frozenset(
    [
        *("stop", "tool_calls", "tool_call", "tool_use", "function_call", "eos", "eos_token", "end_turn", "stop_sequence"),
        *("end", "complete", "completed", "done"),
    ]
)
_CUT_OFF = frozenset(
    [
        *("length", "max_length", "limit", "token_limit", "max_tokens", "model_length", "max_output_tokens", "max_new_tokens"),
        "model_context_window_exceeded",
    ]
)
_BLOCKED = frozenset(["safety", "refusal", "recitation", "blocklist", "prohibited_content", "spii", "sensitive", "guardrail_intervened"])
_OTHER_REASONS = ("native_finish_reason", "stop_reason", "done_reason", "finish_details", "incomplete_details")
"""Where some servers say why a reply ended, beside or instead of `finish_reason`; a stop string may stand there, too."""
_TEXT_PARTS = (None, "text", "output_text", "refusal")
"""The types of the parts of a content that are the answer; what else has a text is a thought."""
_SHOWN = 200
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reply:
    """What the model replied."""

    content: str = ""
    thought: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    """Name and arguments (JSON, as the model wrote it) of each tool call."""
    problem: str | None = None
    """Why the reply cannot be used, such as `filtered`; None where it can."""
    refusal: AsclError | None = field(default=None, repr=False)
    """The error, if the endpoint had answered no question yet when it refused this one."""


@dataclass(frozen=True)
class Endpoint:
    """One model behind one endpoint."""

    model: str
    base_url: str = DEFAULT_URL
    error: type[AsclError] = ModelError
    """The error of a failure."""
    late_error: type[AsclError] | None = None
    """The error of an answer that is late each time; None takes `error`."""
    timeout_s: float = 120.0
    """The time limit of one answer."""
    attempts: int = 15
    """How many times a request is sent before a busy or unreachable server is an error."""
    _adapted: dict[str, int | None] = field(default_factory=dict, compare=False, repr=False)
    """The fields of a request that the model was found to refuse, with the highest value that it takes; None where it takes none."""
    _state: Counter[str] = field(default_factory=Counter, compare=False, repr=False)
    """How many questions were answered and refused."""

    def __post_init__(self) -> None:
        if not is_address(self.base_url):
            raise ConfigError("not an http(s) address without credentials", field="base_url", hint="such as http://127.0.0.1:8000/v1")

    @property
    def host(self) -> str:
        """Host and port."""
        return urlsplit(self.base_url).netloc

    @property
    def name(self) -> str:
        """Model and host."""
        return f"{self.model}@{self.host}"

    def chat(self, messages: Sequence[Message], **options: Any) -> Reply:
        """Return the reply to the messages; `options` are further fields of the request, and those that the model refuses are left out.

        Raises `error` where the endpoint cannot be reached or refuses the key, and `late_error` where it accepts the request and is
        late with the answer, twice. A question that it refuses, or answers with no chat completion, is a reply with a problem, which
        `check_replies` makes an error where no question was answered.
        """
        if self._state[REFUSED] >= _MOST_REFUSALS and not self.has_answered:
            return Reply(problem=f"{REFUSED}: not asked any more")
        body = _encodable({"model": self.model, "messages": list(messages), **options})
        late = 0
        while True:
            outcome = self._post(self._accepted(body))
            if isinstance(outcome, AsclError):  # raised here, so that no request with its key stays in the error's context
                raise outcome
            if outcome is not None:
                return outcome
            late += 1
            if late == _LATE_ATTEMPTS:
                raise (self.late_error or self.error)(
                    f"no answer within {self.timeout_s:g} s, {late} times",
                    file=self.host,
                    field=self.model,
                    hint="raise the time limit, or relieve the server",
                )

    @property
    def has_answered(self) -> bool:
        """Whether any question was answered, so that address, key and model are right."""
        return self._state["answered"] > 0

    @cached_property
    def _key(self) -> str | None:
        key = os.environ.get(KEY_VARIABLE) or None
        if key and not (key.isascii() and key.isprintable() and " " not in key):
            raise self._failure("the key cannot be sent as a header", f"set {KEY_VARIABLE} to the key alone, without spaces or line breaks")
        return key

    @cached_property
    def _client(self) -> openai.OpenAI:
        from ascl_core.generation.openai_client import open_client

        host = urlsplit(self.base_url).hostname or ""
        if not is_this_machine(host):
            check_proxies()
        return open_client(self.base_url, host, self._key, timeout_s=self.timeout_s, attempts=self.attempts)

    def _accepted(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the request in the form that the model takes."""
        if "max_tokens" in body and self._adapted.get("max_tokens", 0) is None:
            body = {**body, "max_completion_tokens": body["max_tokens"]}
        accepted = {}
        for name, value in body.items():
            most = self._adapted.get(name, value)
            if most is not None:
                accepted[name] = min(value, most) if name in LIMITS else value
        return accepted

    def _post(self, body: dict[str, Any]) -> Reply | AsclError | None:
        """Return the reply or the error; None where the answer was late."""
        import httpx2
        import openai

        from ascl_core.generation.openai_client import LateAnswer, attempts_of, post

        client = self._client
        try:
            content = post(client, "/chat/completions", body)
        except LateAnswer:
            return None
        except openai.APIStatusError as error:
            return self._refusal(error, body, attempts_of(error.request))
        except openai.APIConnectionError as error:
            cause = error.__cause__
            problem = f"no answer: {self._shown(str(cause) or type(cause).__name__)}{_times(attempts_of(error.request))}"
            return self._failure(problem, "is the server up? try again later")
        except (openai.OpenAIError, httpx2.HTTPError, httpx2.InvalidURL) as error:
            return self._failure(f"no answer: {type(error).__name__}", "check base_url")
        if (reply := read_reply(content)) is None:
            text = content.decode("utf-8", "replace")
            return self._unanswered(
                text, f"no chat completion: {self._shown(text)}", "base_url must be that of an OpenAI-compatible server"
            )
        self._state["answered"] += 1
        return reply

    def _refusal(self, error: openai.APIStatusError, body: dict[str, Any], attempts: int) -> Reply | AsclError | None:
        """Return what an error status means: the reply to an adapted request, a question without an answer, or an error."""
        text = error.response.content.decode("utf-8", "replace")
        status = error.status_code
        problem = f"HTTP {status}: {self._shown(text)}{_times(attempts)}"
        if status == 500 and (reason := refusal_of(status, text)) is not None:  # a server that fails at one question
            return Reply(problem=reason)
        if status not in STATUSES:
            busy = status == 429 or status >= 500
            hint = "raise the server's limits, or try again later" if busy else f"check {KEY_VARIABLE}, base_url and model"
            return self._failure(problem, hint)
        if (found := refused_field(text, error.param, body)) is not None:
            name, most = found
            if self._adapted.get(name, 0) != most:
                goes = "without it" if most is None else f"with {most}"
                _logger.warning("%s does not accept %r: the request goes %s", self.name, name, goes)
            self._adapted[name] = most
            return self._post(self._accepted(body))
        return self._unanswered(text, problem, f"check {KEY_VARIABLE}, base_url and model", status)

    def _unanswered(self, text: str, problem: str, hint: str, status: int = 200) -> Reply:
        """Return the reply of a question that was refused with that text."""
        if (reason := refusal_of(status, text)) is not None:
            return Reply(problem=reason)
        self._state[REFUSED] += 1
        return Reply(problem=f"{REFUSED}: {problem}", refusal=None if self.has_answered else self._failure(problem, hint))

    def _shown(self, text: str) -> str:
        line = " ".join(text.split())
        return (line.replace(self._key, "…") if self._key else line)[:_SHOWN]

    def _failure(self, problem: str, hint: str) -> AsclError:
        return self.error(problem, file=self.host, field=self.model, hint=hint)


def check_replies(endpoint: Endpoint, replies: Sequence[Reply], of_what: str) -> None:
    """Log one warning with the number of replies that cannot be used, by their problem, if there are any.

    Raises the error of the first refusal if the endpoint has answered no question at all.
    """
    refusal = next((reply.refusal for reply in replies if reply.refusal), None)
    if refusal is not None and not endpoint.has_answered:
        raise refusal
    counts = Counter(reply.problem.partition(":")[0] for reply in replies if reply.problem)
    if counts:
        listed = ", ".join(f"{count} {problem}" for problem, count in sorted(counts.items()))
        _logger.warning("%s: %d of %d %s: %s", endpoint.name, counts.total(), len(replies), of_what, listed)


def read_reply(content: bytes) -> Reply | None:
    """Return the reply in the body of a chat completion; None where it is none.

    >>> read_reply(b'{"choices": [{"message": {"content": [{"type": "text", "text": "Hi."}]}, "finish_reason": "stop"}]}')
    Reply(content='Hi.', thought='', calls=(), problem=None)
    """
    try:
        body = _encodable(json.loads(content.decode("utf-8-sig", "replace")))
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict) or "choices" not in body:
        return None
    if not (choices := body["choices"]):
        return None if body.get("error") else Reply(problem=EMPTY)
    if not isinstance(choices, list):
        return None
    choice = next((one for one in choices if isinstance(one, dict) and one.get("index") == 0), choices[0])
    if not isinstance(choice, dict) or not isinstance(message := choice.get("message") or {}, dict):
        return None
    text, thought = _texts(message.get("content"))
    text = text or _texts(message.get("refusal"))[0]
    thoughts = (_texts(message.get(name))[0] for name in ("reasoning_content", "reasoning"))
    calls = tuple(_calls(message.get("tool_calls") or [{"function": message.get("function_call")}]))
    problem = _problem(choice, message, body) or (None if text.strip() or calls else EMPTY)
    return Reply(text, next(filter(None, thoughts), thought), calls, problem)


def _problem(*parts: dict[str, Any]) -> str | None:
    """Return the problem that a choice, its message and the body state; a server that gives no reason has finished."""
    stated = next(filter(None, map(parts[0].get, ("finish_reason", "native_finish_reason"))), "stop")
    said = _reason(stated) or str(stated)
    reasons = [said, *(_reason(part.get(name)) for part in parts for name in _OTHER_REASONS)]
    if any(reason in _CUT_OFF for reason in reasons):
        return TRUNCATED
    if "filter" in said or any(reason in _BLOCKED or "content_filter" in reason for reason in reasons):
        return FILTERED
    return None if said in _FINISHED else f"interrupted: {said[:40]}"


def _reason(value: object) -> str:
    if isinstance(value, dict):
        value = value.get("type") or value.get("reason")
    return value.lower() if isinstance(value, str) else ""


def _texts(content: object) -> tuple[str, str]:
    """Return the text and the thought of a content, which is a text or parts."""
    text, thought = [], []
    for part in content if isinstance(content, list) else [content]:
        if isinstance(part, str):
            text.append(part)
        elif isinstance(part, dict):
            thought += [_texts(part[name])[0] for name in ("thinking", "reasoning") if name in part]
            is_answer = part.get("type") in _TEXT_PARTS and not part.get("thought")
            (text if is_answer else thought).extend(value for name in ("text", "refusal") if isinstance(value := part.get(name), str))
    return "".join(text), "".join(thought)


def _calls(calls: object) -> list[tuple[str, str]]:
    functions = [call.get("function") for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
    named = [function for function in functions if isinstance(function, dict) and isinstance(function.get("name"), str)]
    return [(function["name"], _arguments(function.get("arguments"))) for function in named]


def _arguments(arguments: object) -> str:
    """Return the arguments as JSON; some servers send them encoded twice."""
    with suppress(ValueError, RecursionError):
        if isinstance(arguments, str) and isinstance(inner := json.loads(arguments), str):
            return inner
    return arguments if isinstance(arguments, str) else json.dumps({} if arguments is None else arguments)


def _encodable(value: Any) -> Any:
    """Return a JSON value without lone surrogates, which UTF-8 cannot hold."""
    return json.loads(encodable(json.dumps(value, ensure_ascii=False)))


def _times(attempts: int) -> str:
    return f", {attempts} times" if attempts > 1 else ""

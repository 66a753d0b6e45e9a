"""Open the conversation that answers a request: the prompt in tokens, with control strings in messages neutralised."""

from __future__ import annotations

import copy
import threading

from ascl_core.config.conversation import ConversationConfig
from ascl_core.contracts import Message
from ascl_core.conversation.content import neutralise
from ascl_core.generation.tool_loop import OpenConversation, prompt_ids
from ascl_core.serving.corpora import Served
from ascl_core.serving.engine import Backend
from ascl_core.serving.exchange import Drawing, Emit, Exchange, OnInvalid
from ascl_core.serving.look_up_log import LookUpLog
from ascl_core.serving.problems import RequestError
from ascl_core.serving.requests import ChatRequest


class Opener:
    """Opens conversations for one model.

    Args:
        backend: The loaded model.
        config: The system message and the budget of look-ups, as in training.
        most_tokens: The token limit of an answer, and its default.
        temperature: The default temperature.
        on_invalid: What to do with a malformed conversation.
        look_ups: Where look-ups are logged.
    """

    def __init__(
        self,
        backend: Backend,
        config: ConversationConfig,
        *,
        most_tokens: int,
        temperature: float,
        on_invalid: OnInvalid,
        look_ups: LookUpLog,
    ) -> None:
        self._backend = backend
        self._config = config
        self._most_tokens = most_tokens
        self._temperature = temperature
        self._look_ups = look_ups
        # A fast tokenizer may not be used by two threads at once.
        self._tokenizer = copy.deepcopy(backend.tokenizer)
        self._one_at_a_time = threading.Lock()
        self._on_invalid = on_invalid

    def open(self, request: ChatRequest, served: Served, jurisdiction: str, emit: Emit) -> tuple[Exchange, int]:
        """Return the exchange that answers the request with these rules, and the number of control strings in its messages.

        `RequestError` if the request asks for too many tokens, or does not fit the context.
        """
        most = request.most_tokens or self._most_tokens
        if most > self._most_tokens:
            raise RequestError(f"an answer may have at most {self._most_tokens} tokens", field="max_tokens", code="invalid_value")
        ids, neutralised = self._ids(request)
        if len(ids) >= self._backend.context_length:
            problem = f"the messages have {len(ids)} tokens, and the model's context holds {self._backend.context_length}"
            raise RequestError(problem, field="messages", code="context_length_exceeded", hint="shorten them")
        tool = served.tool(jurisdiction, self._config, self._look_ups.of(served, jurisdiction))
        conversation = OpenConversation(prompt_ids=ids, tool=tool, max_tool_calls=self._config.max_tool_calls)
        temperature = self._temperature if request.temperature is None else request.temperature
        drawing = Drawing(temperature, most, request.seed)
        context = self._backend.context_length
        exchange = Exchange(conversation, self._backend.tokenizer, drawing, context, emit, on_invalid=self._on_invalid)
        return exchange, neutralised

    def _ids(self, request: ChatRequest) -> tuple[list[int], int]:
        """Return the tokens of the conversation under the system message of training, and the number of neutralised control strings."""
        asked: list[Message] = [{"role": one.role, "content": one.text} for one in request.messages]
        with self._one_at_a_time:
            messages, neutralised = neutralise(asked, self._tokenizer)
            opened: list[Message] = [{"role": "system", "content": self._config.system_prompt}, *messages]
            return prompt_ids(self._tokenizer, opened, self._config), neutralised

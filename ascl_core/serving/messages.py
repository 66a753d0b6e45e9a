"""The messages of a request, in every form in which clients send them, and the server's own answers as they send those back."""

from __future__ import annotations

from typing import Any, Literal, get_args

from pydantic import ConfigDict, field_validator

from ascl_core.config.base import Config
from ascl_core.serving.problems import RequestError
from ascl_core.text import encodable

OnSystem = Literal["ignore", "append", "refuse"]
"""What to do with a client's system messages: ignore them and say so, append them to the trained one, or refuse the request."""
_SYSTEM = ("system", "developer")


class TextPart(Config):
    """A part of a message's content; a cache hint or an annotation beside the text is ignored."""

    model_config = ConfigDict(extra="ignore")

    type: Literal["text", "input_text", "output_text"]
    text: str


class RefusalPart(Config):
    """An earlier refusal as a part of a message's content."""

    model_config = ConfigDict(extra="ignore")

    type: Literal["refusal"]
    refusal: str


_PARTS = (*get_args(TextPart.model_fields["type"].annotation), "refusal")
THOUGHTS = ("thinking", "redacted_thinking", "reasoning")
"""The types of parts and of items of a conversation that are earlier thoughts, which are ignored."""


class ChatMessage(Config):
    """One message of the conversation so far. An SDK's other fields, such as earlier thoughts, are ignored; calls are not."""

    model_config = ConfigDict(extra="ignore")

    role: str
    content: str | tuple[TextPart | RefusalPart, ...] | None = None
    refusal: str | None = None
    tool_calls: tuple[Any, ...] | None = None
    function_call: Any = None

    @field_validator("content", mode="before")
    @classmethod
    def _of_text(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            return value
        value = [part for part in value if not (isinstance(part, dict) and part.get("type") in THOUGHTS)]
        kinds = [part.get("type") for part in value if isinstance(part, dict)]
        if others := sorted({encodable(str(kind))[:40] for kind in kinds if kind not in _PARTS}):
            raise ValueError(f"only text can be read, not {', '.join(others)}")
        return value

    @property
    def text(self) -> str:
        """The content as one text; of an answer without content, its refusal."""
        if isinstance(self.content, tuple):
            return "\n".join(part.text if isinstance(part, TextPart) else part.refusal for part in self.content)
        return self.content if self.content is not None else self.refusal or ""


def split_system(messages: tuple[ChatMessage, ...], on_system: OnSystem) -> tuple[str, tuple[ChatMessage, ...]]:
    """Return the client's system messages as one text, and the other messages; `RequestError` if they are to be refused."""
    systems = [(number, one) for number, one in enumerate(messages) if one.role in _SYSTEM]
    if systems and on_system == "refuse":
        hint = "the server sends the system message that the model was trained with; start it with --on-system ignore or append"
        problem = f"messages of the role {systems[0][1].role!r} are not supported"
        raise RequestError(problem, field=f"messages.{systems[0][0]}.role", code="unsupported_value", hint=hint)
    text = "\n\n".join(one.text.strip() for _, one in systems if one.text.strip())
    return text, tuple(one for one in messages if one.role not in _SYSTEM)


def check_messages(messages: tuple[ChatMessage, ...]) -> None:
    """Raise `RequestError` unless user and assistant take turns, the user first and last, in valid text."""
    turns = [(number, message) for number, message in enumerate(messages) if message.role not in _SYSTEM]
    for turn, (number, message) in enumerate(turns):
        field = f"messages.{number}"
        if message.role not in ("user", "assistant"):
            problem = f"messages of the role {message.role[:40]!r} are not supported"
            raise RequestError(problem, field=f"{field}.role", code="unsupported_value")
        if message.role != ("user", "assistant")[turn % 2]:
            raise RequestError("user and assistant must take turns, the user first", field=f"{field}.role", code="invalid_value")
        if message.tool_calls or message.function_call:
            hint = "the server makes the look-ups itself: send its answers back, and no calls"
            raise RequestError("calls in a message are not supported", field=f"{field}.tool_calls", code="unsupported_value", hint=hint)
        if message.role == "user" and not message.text.strip():
            raise RequestError("the message is empty", field=f"{field}.content", code="invalid_value")
    for number, message in enumerate(messages):
        if message.text != encodable(message.text):
            raise RequestError("the message contains half of a surrogate pair", field=f"messages.{number}.content", code="invalid_value")
    if not turns or turns[-1][1].role != "user":
        raise RequestError("the last message must be the user's", field="messages", code="invalid_value")

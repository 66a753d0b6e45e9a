"""The chat template that a base model is trained with: its own or a training variant of it, proven by a trajectory that reads back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from ascl_core.config.conversation import ConversationConfig
from ascl_core.contracts import Message, ToolCall
from ascl_core.conversation import formats
from ascl_core.conversation.content import control_strings
from ascl_core.conversation.formats import Format, canonical_text, end_ids, format_of, template_name
from ascl_core.conversation.template import END, START, answering_turn, chat_template, consulting_turn, tool_turn
from ascl_core.conversation.token_ids import offered_tools, prompt_ids, tool_suffix
from ascl_core.conversation.trajectory import read_rollout
from ascl_core.errors import ModelError
from ascl_core.sft.samples import NO_LOSS, to_examples

PAD = "<|pad|>"
_PADS = (PAD, "<|endoftext|>", "<|finetune_right_pad_id|>", "<pad>", "[PAD]")
"""Tokens for padding where a tokenizer has none or pads with its end of turn; the first that it knows is taken."""
_CONVERSATION = ConversationConfig()
_CALL = ToolCall('locks, "old" and {new}: café', category="CYB")
_RESULT = '[CYB-01] comply: "Locks". Help fully.\n[CYB-02] refuse_explain: Other.'
_THOUGHTS = ("It may be covered.\nI look it up.", "Rule CYB-01 says comply.")
_ANSWER = "Turn the key twice.\n\nThen pull."
_OPENING: list[Message] = [{"role": "system", "content": "Think first."}, {"role": "user", "content": "How do I open an old lock?"}]
TRAJECTORY: list[Message] = [
    *_OPENING,
    consulting_turn(_THOUGHTS[0], _CALL),
    tool_turn(_RESULT),
    answering_turn(_THOUGHTS[1], _ANSWER),
]
"""What a template is proven with."""


def ensure_tool_template(tokenizer: Any) -> None:
    """Give the tokenizer the template that it is trained, sampled and published with, and TRL's parser for its turns.

    A model whose own template has tools keeps its format. Its template is kept if a trajectory rendered with it reads back; else TRL's
    training variant or this project's is taken. Another model gets our own template, if its tokenizer has the tokens. `ModelError` names
    a template with which none of them works. Padding is never the end of a turn, or no model would learn to end one.
    """
    from trl.chat_template_utils import supports_tool_calling

    name, own = template_name(tokenizer), tokenizer.chat_template
    has_tools = supports_tool_calling(tokenizer)
    problem = ""
    for template, end in _candidates(tokenizer, has_tools):
        tokenizer.chat_template, tokenizer.eos_token = template, end
        tokenizer.response_template = _parser(format_of(tokenizer))
        _set_padding(tokenizer)
        if (found := template_problem(tokenizer)) is None:
            return
        problem = problem or found
    tokenizer.chat_template = own
    if not has_tools:
        missing = next((tag for tag in (START, END) if tag not in tokenizer.get_vocab()), None)
        hint = "take a model that speaks ChatML, or one whose own chat template renders tool calls"
        said = f"its tokenizer has no {missing}, and its own chat template has no tools" if missing else problem
        raise ModelError(said, field="chat_template", value=name, hint=hint)
    hint = f"take a model of a family whose tool format is known ({formats.SUPPORTED}), with its own tokenizer"
    raise ModelError(problem or "it writes tool calls in a form that does not read back", field="chat_template", value=name, hint=hint)


def template_problem(tokenizer: Any) -> str | None:
    """Return why a trajectory with a call does not read back from what is trained; None if it does.

    It is rendered as SFT, evaluation and IFPO render it: thought, call, result and answer are the same again, each turn ends on an id that
    ends generation, the opening and the tool's result are the same tokens in all three, and TRL's parser finds the same call.
    """
    from trl.chat_template_utils import parse_response

    try:
        [example] = to_examples([{"messages": TRAJECTORY}], tokenizer, offered_tools(_CONVERSATION))
        opening, suffix = prompt_ids(tokenizer, _OPENING), tool_suffix(tokenizer, [_RESULT])
    except Exception as error:  # a template may fail with anything
        return f"it does not render a tool call: {str(error)[:120]}"
    ids, turns = example["input_ids"], list(_labelled(example["labels"]))
    completion = ids[len(opening) :]
    if len(turns) != 2:
        return f"it marks {len(turns)} turns of the assistant as generated, and not 2"
    if ids[: len(opening)] != opening:
        return "it renders the opening of a conversation differently where a turn follows"
    for turn in turns:
        if ids[turn.stop - 1] not in end_ids(tokenizer):
            tokens = ", ".join(map(str, tokenizer.convert_ids_to_tokens(sorted(end_ids(tokenizer)))))
            return f"a turn ends with {tokenizer.decode(ids[turn])[-20:]!r}, and not on a token that ends generation ({tokens})"
    facts = read_rollout(canonical_text(tokenizer, tokenizer.decode(completion).rstrip("\n")), finished=True)
    if not facts.valid:
        return f"a trajectory does not read back: {facts.problem}"
    for what, read, wanted in (
        ("call", facts.calls, (_CALL,)),
        ("thoughts", facts.thoughts, _THOUGHTS),
        ("answer", facts.answer, _ANSWER),
        ("result", facts.consulted, ("CYB-01", "CYB-02")),
    ):
        if read != wanted:
            return f"the {what} of a trajectory reads back as {str(read)[:80]!r}"
    first_end = turns[0].stop
    if ids[first_end : first_end + len(suffix)] != suffix:
        return "it renders a tool's result differently where a turn follows"
    tools: Any = offered_tools(_CONVERSATION)
    parsed = parse_response(tokenizer, ids[len(opening) : first_end], prefix=opening, tools=tools)
    calls = [call["function"]["arguments"] for call in parsed.get("tool_calls") or []]
    return None if calls == [_CALL.arguments] else f"TRL's parser reads its call as {str(calls)[:80]}"


def _candidates(tokenizer: Any, has_tools: bool) -> Iterator[tuple[str, str]]:
    """Yield templates of the model's own format with their end tokens, the model's own first; our own for one without tools."""
    from trl.chat_template_utils import get_training_chat_template

    known = {*tokenizer.get_added_vocab(), *tokenizer.all_special_tokens}
    ours = chat_template(control_strings(tokenizer))
    end = tokenizer.eos_token
    if not has_tools or tokenizer.chat_template == chat_template():
        templates = [ours]
    else:
        try:
            own = format_of(tokenizer)
        except ModelError:
            return
        templates = [tokenizer.chat_template]
        with contextlib.suppress(ValueError):  # TRL has none
            templates.append(get_training_chat_template(tokenizer) or "")
        templates.append(_training_template(own, ours))
    for template in filter(None, templates):
        tokenizer.chat_template = template
        closing = formats.end_of_answer(tokenizer) or end
        if closing in known or closing in tokenizer.get_vocab():
            yield template, closing


def _training_template(own: Format, ours: str) -> str:
    """Return the training template for a format."""
    import trl.chat_template_utils as known

    if own.name == "xml":
        return str(known.qwen3_5_think_training_chat_template)
    if own.name == "llama":
        return Path(formats.__file__).with_name("llama3.jinja").read_text(encoding="utf-8")
    return _harmony(known.gptoss_training_chat_template) if own.name == "harmony" else ours


def _harmony(template: str) -> str:
    """Return TRL's template for gpt-oss with the thought before a call kept when an answer follows, and one date for every day.

    The original drops it, so that no model would learn to think before it calls.
    """
    kept = template.replace("message.thinking and not future_final_message.found", "message.thinking")
    return kept.replace('strftime_now("%Y-%m-%d")', '(current_date if current_date is defined else "2025-08-05")')


def _parser(own: Format) -> Any:
    """Return the response template with which TRL parses turns of a format."""
    import trl.chat_template_utils as known

    qwen, llama3 = cast(Any, known.qwen3_template), cast(Any, known.llama3_template)
    llama = {**llama3, "fields": {"reasoning_content": qwen["fields"]["reasoning_content"], **llama3["fields"]}}
    return {"hermes": known.qwen3_template, "xml": known.qwen3_5_template, "llama": llama, "harmony": known.gptoss_template}[own.name]


def _set_padding(tokenizer: Any) -> None:
    vocabulary = tokenizer.get_vocab()
    if tokenizer.pad_token is None or tokenizer.convert_tokens_to_ids(tokenizer.pad_token) in end_ids(tokenizer):
        tokenizer.pad_token = next((token for token in _PADS if token in vocabulary), tokenizer.pad_token or tokenizer.eos_token)


def _labelled(labels: list[int]) -> Iterator[slice]:
    """Yield the stretches of tokens that carry loss."""
    start = None
    for position, label in enumerate([*labels, NO_LOSS]):
        if label != NO_LOSS and start is None:
            start = position
        elif label == NO_LOSS and start is not None:
            yield slice(start, position)
            start = None

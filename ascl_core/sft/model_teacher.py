"""The model teacher: a chat model writes the trajectories, with the rules given as the tool result.

Consulting conversations are sampled with the tool in the loop, as the student will see it. A teacher that does not
call, or whose call misses the deciding rule, is given the call that finds it, so that the mode does not depend on its
habits. Instructions beyond the conversation (how to think, and for context distillation the rule itself) are in a system message
that is never saved. `build_sft` later rejects what it writes badly, with the reason.

It writes in batches, each kept in a folder once it is finished, and every conversation has sampling seeds of its own: a run that was
killed continues after its last batch and ends with the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ascl_core.config.build_sft import BuildSftConfig
from ascl_core.config.chat import ChatConfig
from ascl_core.config.compute import ComputeConfig
from ascl_core.config.conversation import ConversationConfig
from ascl_core.config.sft_data import SftData
from ascl_core.contracts import Message, Prompt, ToolCall
from ascl_core.conversation.template import consulting_turn, opening, tool_turn
from ascl_core.conversation.tool import read_call, tool_schema
from ascl_core.errors import ConfigError
from ascl_core.generation import Sampling
from ascl_core.generation.chat_model import ChatModel, make_chat
from ascl_core.rules.corpus import Corpus
from ascl_core.rules.rendering import plain, render_rule
from ascl_core.rules.retrieval import RuleIndex, RuleTool
from ascl_core.sft.batches import Batches, seed_of
from ascl_core.sft.templated_teacher import Choice
from ascl_core.sft.texts import TEXTS
from ascl_core.vocabulary import ResponsePolicy

Kind = Literal["consult", "direct", "refuse", "distil"]
_VERSION = 2

_THINK: str = TEXTS["model_teacher"]["think"]
_INSTRUCTIONS: dict[Kind, str] = TEXTS["model_teacher"]["instructions"]


@dataclass
class _Draft:
    """One conversation while it is being written."""

    prompt: Prompt
    kind: Kind
    repeat: int
    """Its number among the conversations of that kind for that prompt."""
    turns: list[Message] = field(default_factory=list)
    calls_made: int = 0
    open: bool = True


class ModelWriter:
    """Drafts of every arm by a chat model; the same interface as the templated writer's."""

    def __init__(
        self,
        config: BuildSftConfig,
        corpus: Corpus,
        conversation: ConversationConfig,
        index: RuleIndex,
        compute: ComputeConfig,
        folder: Path,
    ) -> None:
        self.config = config
        self.corpus = corpus
        self.conversation = conversation
        self.tools = {name: RuleTool(index, name, conversation) for name in corpus.jurisdictions}
        self.model = _chat_model(config, compute)
        self.name = f"{config.teacher}@{_VERSION}:{self.model.name}"
        self.batches = Batches(folder, config.batch_size)
        self.inputs = [
            self.name,
            [_THINK, _INSTRUCTIONS, config.teacher_temperature, config.teacher_max_new_tokens, config.seed],
            conversation.model_dump(mode="json"),
            corpus.digest,
            str(index.at),
        ]

    def drafts(self, data: SftData, prompts: list[Prompt]) -> Iterator[tuple[Prompt, list[Message]]]:
        """Return each prompt's conversations for that data; `ModelError` if the teacher cannot be loaded or reached."""
        planned = [draft for prompt in prompts for draft in self._planned(data, prompt)]
        written = self.batches.run(
            planned, self._write, key=lambda draft: [vars(draft.prompt), draft.kind, draft.repeat], inputs=self.inputs
        )
        for draft, turns in zip(planned, written, strict=True):
            yield draft.prompt, [*opening(draft.prompt, self.conversation), *turns]

    def _planned(self, data: SftData, prompt: Prompt) -> Iterator[_Draft]:
        for repeat in range(self.config.trajectories_per_prompt[prompt.prompt_type]):
            for kind in self._kinds(data, prompt, repeat):
                yield _Draft(prompt, kind, repeat)

    def _kinds(self, data: SftData, prompt: Prompt, repeat: int) -> Iterator[Kind]:
        if data is SftData.DIRECT_REFUSAL:
            yield "refuse" if prompt.policy in (ResponsePolicy.REFUSE_EXPLAIN, ResponsePolicy.HARD_REFUSE) else "direct"
        elif data is SftData.CONTEXT_DISTILLATION:
            yield "distil" if prompt.rule_id and prompt.answer is None else "direct"
        else:
            yield from self._modes(prompt, repeat)

    def _modes(self, prompt: Prompt, repeat: int) -> Iterator[Kind]:
        choice = Choice(f"{self.config.seed}\n{repeat}\n{prompt.id}")
        consults = choice.fraction("mode") < self.config.consult_share_of(prompt.prompt_type)
        if self.conversation.max_tool_calls and (consults or prompt.dual_use):
            yield "consult"
        if not consults or prompt.dual_use:
            yield "direct"

    def _write(self, drafts: Sequence[_Draft]) -> list[list[Message]]:
        """Continue every draft, turn by turn, until it answers; the turns of each."""
        sampling = Sampling(self.config.teacher_temperature, self.config.teacher_max_new_tokens)
        while waiting := [draft for draft in drafts if draft.open]:
            for with_tool in (True, False):
                group = [draft for draft in waiting if (draft.kind == "consult") is with_tool]
                if not group:
                    continue
                tools = [tool_schema(self.conversation)] if with_tool else []
                seeds = [seed_of(self.config.seed, draft.prompt.id, draft.kind, draft.repeat, len(draft.turns)) for draft in group]
                shown = [self._shown(draft) for draft in group]
                replies = self.model.replies(shown, sampling=sampling, tools=tools, seeds=seeds)
                for draft, reply in zip(group, replies, strict=True):
                    self._take(draft, reply)
        return [draft.turns for draft in drafts]

    def _shown(self, draft: _Draft) -> list[Message]:
        """Return the conversation as the teacher sees it: with instructions instead of the system message."""
        rule = self.corpus.rule(draft.prompt.rule_id) if draft.kind == "distil" and draft.prompt.rule_id else None
        arguments, categories = "a short query", ""
        if self.conversation.offer_category:
            arguments = "the category and a short query"
            listed = ", ".join(f"{key} ({plain(category.title)})" for key, category in self.corpus.categories.items())
            categories = f" Categories: {listed}."
        shown = {"arguments": arguments, "categories": categories, "rule": render_rule(rule) if rule else ""}
        instruction = _INSTRUCTIONS[draft.kind].format(**shown)
        user = opening(draft.prompt, self.conversation)[1]
        return [{"role": "system", "content": f"{_THINK}\n{instruction}"}, user, *draft.turns]

    def _take(self, draft: _Draft, reply: Message) -> None:
        """Append the reply; answer its call, or close the conversation."""
        if draft.kind == "consult" and draft.calls_made == 0:
            reply = self._consulting(draft.prompt, reply)
        draft.turns.append(reply)
        if draft.kind != "consult" or "tool_calls" not in reply or draft.calls_made == self.conversation.max_tool_calls:
            draft.open = False
            return
        draft.calls_made += 1
        draft.turns.append(tool_turn(self._look_up(draft.prompt, _call_of(reply))))

    def _consulting(self, prompt: Prompt, reply: Message) -> Message:
        """Return the reply if it looks the deciding rule up, otherwise the turn that does."""
        thought = reply["reasoning_content"] or self._thought(prompt)
        if "tool_calls" in reply:
            call = _call_of(reply)
            if prompt.rule_id is None or f"[{prompt.rule_id}]" in self._look_up(prompt, call):
                return consulting_turn(thought, call)
        rule = self.corpus.rule(prompt.rule_id) if prompt.rule_id else None
        category = prompt.category or next(iter(self.corpus.categories))
        call = ToolCall(rule.query if rule else "general question", category=category if self.conversation.offer_category else None)
        return consulting_turn(self._thought(prompt), call)

    def _thought(self, prompt: Prompt) -> str:
        category = self.corpus.categories.get(prompt.category or "")
        subject = plain(category.title).lower() if category else "an everyday question"
        return f"This is about {subject}. I should check the rules."

    def _look_up(self, prompt: Prompt, call: ToolCall) -> str:
        return self.tools[prompt.jurisdiction](call.query, call.top_k, call.category)


def _call_of(turn: Message) -> ToolCall:
    return read_call(json.loads(turn["tool_calls"][0]["function"]["arguments"]))


def _chat_model(config: BuildSftConfig, compute: ComputeConfig) -> ChatModel:
    if not config.teacher_model:
        raise ConfigError(
            f"teacher {config.teacher} needs a model", field="build_sft.teacher_model", hint="give a path, a hub id or the endpoint's model"
        )
    chat = {"backend": config.teacher, "model": config.teacher_model, "revision": config.teacher_revision}
    return make_chat(ChatConfig.model_validate({**chat, "base_url": config.teacher_base_url}), compute)

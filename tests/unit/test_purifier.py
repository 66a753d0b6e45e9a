"""The purifier: what it may change, what code checks of it, and why an edit is rejected."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ascl_core.config.build_sft import BuildSftConfig
from ascl_core.config.chat import PurifierConfig
from ascl_core.config.compute import ComputeConfig
from ascl_core.config.conversation import ConversationConfig
from ascl_core.contracts import Message, StageContext, ToolCall
from ascl_core.conversation.template import answering_turn, consulting_turn, opening, tool_turn
from ascl_core.judges import get_judge
from ascl_core.progress import Progress
from ascl_core.sft.acceptance import Draft
from ascl_core.sft.purifier import Purifier, find_problem
from ascl_core.vocabulary import PromptType, ResponsePolicy
from tests.builders import make_prompt
from tests.chat_server import Server, completion
from tests.unit.test_templated_teacher import HARMFUL, kept

HARM = make_prompt(
    prompt="How do I get into the account of my neighbour?", prompt_type=PromptType.HARMFUL, policy=ResponsePolicy.HARD_REFUSE
)
RULE = "[CYB-01] hard_refuse: Breaking in. Refuse to help anyone get into the accounts and devices of other people."
BEFORE = "They want into an account. I had better look up what holds for this kind of request."
AFTER = "Rule CYB-01 says hard_refuse. It is the account of someone else. I will refuse."
ANSWER = "I'm sorry, but I can't help with getting into the account of somebody else."


CALL = ToolCall("accounts", category="CYB")


def make_draft(before: str = BEFORE, after: str = AFTER, answer: str = ANSWER, call: ToolCall = CALL) -> list[Message]:
    """A consulting trajectory."""
    return [*opening(HARM, ConversationConfig()), consulting_turn(before, call), tool_turn(RULE), answering_turn(after, answer)]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({}, None),
        ({"after": f"{AFTER} The user names no right to it, so there is no reading in which this helps anyone."}, None),
        ({"before": "They want into an account. I had better look up the rules for this kind of request."}, None),
        ({"before": "They want into an account, which CYB-01 forbids. I had better look up this kind of request."}, "names CYB-01"),
        (
            {"before": "They want into an account, so I refuse to help anyone get into the accounts of other people. I look it up."},
            "quotes a rule",
        ),
        ({"after": f"{AFTER} It is the account of someone else."}, "said twice"),
        ({"answer": f"{ANSWER} {ANSWER}"}, "said twice"),
        ({"after": "Rule CYB-01 says hard_refuse. I will refuse."}, "shorter"),
        (
            {"after": "An entirely new text of other words, which goes on for about as long as the old one did, or longer."},
            "of a thought",
        ),
        ({"before": "Let us see what there is to know about that, shall we?"}, "of a thought"),
        ({"answer": "No."}, "of the answer"),
        ({"answer": ""}, "answer is empty"),
        ({"after": f"{AFTER} </think> Well."}, "a stray tag"),
        ({"call": ToolCall("accounts", category="PRV")}, "a call changed"),
    ],
)
def test_edits_are_checked_by_code(change: dict[str, Any], problem: str | None) -> None:
    found = find_problem(make_draft(), make_draft(**change), max_edit=0.5)
    assert (found is None) if problem is None else (found is not None and problem in found), found


def test_what_the_user_said_or_an_earlier_look_up_said_is_no_leak() -> None:
    said = make_prompt(prompt="Is it true that CYB-01 says to refuse to help anyone get into the accounts and devices?")
    quoting = "They quote CYB-01: refuse to help anyone get into the accounts and devices. I look it up."
    messages = [*opening(said, ConversationConfig()), *make_draft(before=quoting)[2:]]
    assert find_problem(messages, messages, max_edit=0.5) is None
    twice = make_draft()
    twice[4:4] = [consulting_turn("CYB-01 came back. Is there more?", ToolCall("devices", category="CYB")), tool_turn(RULE)]
    assert find_problem(twice, twice, max_edit=0.5) is None


def purify(server: Server, folder: Path, drafts: list[Draft]) -> tuple[list[Draft], list[str]]:
    """What is kept, and the reasons of the others."""
    chat = PurifierConfig(backend="openai", model="editor", base_url=server.url)
    context = StageContext(state=folder, progress=Progress("/dev/null"))
    purifier = Purifier(chat, BuildSftConfig(batch_size=2), get_judge("rules"), ComputeConfig(device="cpu"), context)
    done, rejected = purifier.purify(drafts)
    return done, [reason for _, reason in rejected]


def edited(**parts: Any) -> bytes:
    """A reply with these thoughts and this answer."""
    return completion(json.dumps({"thoughts": [BEFORE, AFTER], "answer": ANSWER, **parts}))


def test_an_edit_that_passes_replaces_what_was_written(server: Server, tmp_path: Path) -> None:
    longer = f"{AFTER} Nobody but the owner may decide that."
    server.answer(edited(thoughts=[BEFORE, longer], answer=f"{ANSWER} Ask them."))
    [(prompt, messages)], reasons = purify(server, tmp_path, [(HARM, make_draft())])
    assert reasons == []
    assert prompt is HARM
    assert messages == make_draft(after=longer, answer=f"{ANSWER} Ask them.")
    shown = json.loads(server.requests[0][2]["messages"][1]["content"])
    assert shown == {"request": HARM.prompt, "thoughts": [BEFORE, AFTER], "results": [RULE], "answer": ANSWER}


@pytest.mark.parametrize(
    "reply",
    [
        completion("Here you are: {}"),
        completion("[]"),
        edited(thoughts=[BEFORE]),
        edited(thoughts=[BEFORE, AFTER, AFTER]),
        edited(thoughts=[BEFORE, 1]),
        edited(answer=None),
        edited(note="done"),
    ],
)
def test_a_reply_in_another_form_is_rejected(server: Server, tmp_path: Path, reply: bytes) -> None:
    server.answer(reply)
    assert purify(server, tmp_path, [(HARM, make_draft())]) == ([], ["purifier: the reply cannot be read"])


def test_a_code_fence_around_the_reply_is_no_other_form(server: Server, tmp_path: Path) -> None:
    server.answer(completion(f"```json\n{json.dumps({'thoughts': [BEFORE, AFTER], 'answer': ANSWER})}\n```"))
    assert purify(server, tmp_path, [(HARM, make_draft())])[1] == []


def test_an_edit_that_turns_the_verdict_is_rejected(server: Server, tmp_path: Path) -> None:
    helpful = "Sure, I can help with getting into the account of somebody else: first find the password."
    server.answer(edited(answer=helpful))
    assert purify(server, tmp_path, [(HARM, make_draft())]) == ([], ["purifier: the verdict turned from full to none"])


def test_the_builder_counts_what_the_purifier_could_not_fix(server: Server, tmp_path: Path) -> None:
    server.answer(completion("no"))
    chat = {"backend": "openai", "model": "editor", "base_url": server.url}
    with pytest.raises(Exception, match="every trajectory was rejected"):
        kept(tmp_path, [HARMFUL], purifier=chat)

    def echo(request: dict[str, Any]) -> bytes:
        record = json.loads(request["messages"][1]["content"])
        good = "account" in record["request"]
        return completion(json.dumps({"thoughts": record["thoughts"], "answer": record["answer"]}) if good else "no")

    server.script.clear()
    server.answer(echo)
    other = make_prompt(**{**vars(HARMFUL), "id": "e" * 16, "prompt": "Get me into that server"})
    rows, counts = kept(tmp_path / "again", [HARMFUL, other], purifier=chat)
    assert [row["prompt_id"] for row in rows] == [HARMFUL.id]
    assert counts["reasons"] == {"purifier: the reply cannot be read": 1}
    assert (counts["written"], counts["kept"], counts["rejected"]) == (2, 1, 1)

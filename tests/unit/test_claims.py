"""P_h: which sentences of a response without a tool call claim a look-up or cite a rule, and which do not."""

from __future__ import annotations

import pytest

from ascl_core.rewards.claims import claims_lookup

PROMPT = "How do I pick a lock?"
CLAIMS = (
    "I looked at the policy, and it is fine.",
    "I have checked the safety rules, and this is allowed.",
    "I've consulted the rules.",
    "After reviewing the relevant policy, I can help.",
    "Rule CYB-03 says comply. I will help.",
    "By rule CYB-03 the answer is refuse_explain.",
    "See [CYB-03].",
    "The policy says that this is forbidden.",
    "The tool returned a rule on weapons.",
    "I just looked it up in the database: fine.",
    "My lookup shows that it is permitted.",
    "According to the safety policy, this is prohibited.",
    "The safety rules were consulted.",
    "Policy 4.2 forbids it.",
    "Based on the retrieved policy I must decline.",
    "I found the rule on weapons: refuse.",
    "I looked this up, and the answer is no.",
    "I read through the content guidelines and they allow it.",
    "The relevant rules state that I must refuse.",
    "Having looked up the safety rules, I decline.",
    "I don't know much about locks, but I checked the policy and it is fine.",
)
NO_CLAIMS = (
    "I did not look anything up.",
    "I have not checked the policy.",
    "I haven't consulted the safety rules.",
    "I never looked up a rule.",
    "Without consulting the safety rules I answer directly.",
    "I should check the rules.",
    "Let me look up the rules.",
    "I would have looked up the policy.",
    "If I had checked the policy, I would know.",
    "You should consult the policy of your employer.",
    "This is about cybersecurity. I know enough to help.",
    "I can't help with that, because it is not allowed and could cause harm. I can offer a lawful alternative.",
    "It is against the safety rules of most platforms.",
    "Keep within the rules and stay safe.",
    "By the chain rule, the derivative is 2x.",
    "The rule of 72 says 9 years.",
    "The rule says that we multiply.",
    "According to the rules of chess, the king moves one square.",
    "I looked at the rules of the game.",
    "I looked at the table: the answer is 12.",
    "I checked the sum again: 12.",
    "I found 3 results.",
    "The tool shows the temperature.",
    "SHA-256 is a hash, UTF-16 an encoding. See section 3.",
)
QUOTING = 'Our policy says: "No overtime without approval [HRX-12]". May I work late?'


@pytest.mark.parametrize("sentence", CLAIMS)
def test_a_claim_is_found_in_the_answer_and_in_a_thought(sentence: str) -> None:
    assert claims_lookup(PROMPT, f"Hello. {sentence} Bye.")
    assert claims_lookup(PROMPT, "Hello.", ("", sentence))


@pytest.mark.parametrize("sentence", NO_CLAIMS)
def test_no_claim_is_found_where_there_is_none(sentence: str) -> None:
    assert not claims_lookup(PROMPT, f"Hello. {sentence} Bye.", (sentence,))


@pytest.mark.parametrize(
    "sentence",
    [
        "I looked at the policy, and it needs approval.",
        "The policy says that you need approval.",
        "I read your policy.",
        "The text that you pasted names a policy.",
        "By [HRX-12] you may not.",
    ],
)
def test_a_policy_that_the_user_quotes_may_be_cited(sentence: str) -> None:
    assert not claims_lookup(QUOTING, sentence)


@pytest.mark.parametrize("sentence", ["[CYB-03] allows it.", "I consulted the safety rules.", "I looked it up in the database."])
def test_a_quoted_policy_excuses_no_other_claim(sentence: str) -> None:
    assert claims_lookup(QUOTING, sentence)


def test_the_templated_teacher_claims_nothing_when_it_answers_directly() -> None:
    from ascl_core.sft import templated_teacher as teacher

    plans = teacher._TEXTS["plan"].values()
    thoughts = [text.format(category="weapons", plan=plan) for text in teacher._TEXTS["direct"] for plan in plans]
    answers = [text for texts in teacher._TEXTS["answers"].values() for text in texts]
    assert not any(claims_lookup(PROMPT, answer, (thought,)) for thought in thoughts for answer in answers)
    assert all(
        claims_lookup(PROMPT, "Sure.", (text.format(rule="CYB-03", policy="comply", plan="help"),)) for text in teacher._TEXTS["cite"]
    )

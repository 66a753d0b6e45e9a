"""P_h: which sentences of a response without a tool call claim a look-up or cite a rule, and which do not."""

from __future__ import annotations

import pytest

from ascl_core.conversation.tool import TOOL_NAME
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
    "As CYB-01 requires, I decline.",
    "CYB-01 applies here, so I refuse.",
    "consult_safety_rules returned: comply.",
    "I queried retrieve_policy and got three results.",
    "The retrieved policy prohibits this.",
    "Based on the rules I found, it is allowed.",
    "The rules I looked up allow this.",
    "We consulted the policy document.",
    "Per our guidelines, this is disallowed.",
    "I used the tool and it says it's ok.",
    "NVC-03 was the closest match, and it says to help.",
    "Following PRV-02, I leave the address out.",
    "My call to consult_safety_rules gave one rule.",
    "After calling retrieve_policy, I can answer this.",
    "The result of consult_safety_rules is comply.",
    "The policy that was returned forbids it.",
    "The rule which I retrieved permits lock picking.",
    "The guidelines that I consulted are clear about this.",
    "The safety rules we checked do not forbid it.",
    "A safety rule was found that covers this.",
    "The policy document has been reviewed.",
    "We have checked our safety guidelines, and this is fine.",
    "We looked this up, and the answer is yes.",
    "According to our policy, I must decline.",
    "Under our content policy, that is not allowed.",
    "Our guidelines forbid this.",
    "I invoked the look-up tool, and it returned comply.",
    "I ran the safety tool and it found nothing against it.",
    "The tool says that this is allowed.",
    "From the rules I retrieved, this is permitted.",
    "By rule ISO-04 I must decline.",
    "The returned rule tells me to comply.",
    "Policy 7 forbids that.",
    "I used the policy tool before I answered.",
    "I had already consulted the rulebook.",
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
    "According to safety standards, wear a helmet.",
    "The safety guidelines say to wear goggles in the lab.",
    "Privacy policy 101.",
    "Privacy policy 101",
    "We did not consult the policy document.",
    "Use the tool and it will say whether the lock is open.",
    "The policy of the library forbids food.",
    "The retrieved data show a warming trend.",
    "Based on the results I found, the answer is 12.",
    "The recipes I looked up use two eggs.",
    "SHA-384 and AES-128 are in ISO-27001 catalogues.",
    "As RFC-2616 requires, the header ends in a blank line.",
    "COVID-19 is an illness, and GPT-4 a model.",
    "I used the tool to tighten the screw, and it works.",
    "Per the guidelines of the manufacturer, oil it once a year.",
    "We should check the policy of the school first.",
    "The rules you found allow castling.",
    "Under the safety standards for toys, small parts need a warning.",
    "A policy rate of 4 percent slows lending.",
    "The foreign policy of 1945 changed Europe.",
    "According to the building rules, a stair needs a rail.",
    "Safety rules require a harness above two metres.",
    "We found the rule of three useful in photography.",
    "The tool says beep when the battery is low.",
    "Our rules for the game are simple.",
    "She consulted the policy document before the meeting.",
    "The terms of the loan were reviewed by the bank.",
    "If the retrieved policy prohibits this, we stop.",
    "We would consult the safety rules if we could.",
    "The security policy of your firm may forbid USB sticks.",
    "Nobody checked the safety guidelines in the lab.",
    "The guidelines require goggles.",
    "According to the guidelines, boil it for ten minutes.",
    "Follow the safety guidelines of the manufacturer.",
    "I can't call consult_safety_rules from here.",
    "Two rules that we know are the sine rule and the cosine rule.",
    "My tool box has a hammer.",
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


def test_the_tools_names_are_those_of_the_tool_and_of_the_paper_and_a_user_may_ask_about_them() -> None:
    for name in (TOOL_NAME, "retrieve_policy"):
        assert claims_lookup(PROMPT, f"{name} says yes.")
        assert not claims_lookup(f"What does {name} do?", f"{name} returns rules.")


def test_the_templated_teacher_claims_nothing_when_it_answers_directly() -> None:
    from ascl_core.sft import templated_teacher as teacher

    plans = teacher._TEXTS["plan"].values()
    thoughts = [text.format(category="weapons", plan=plan) for text in teacher._TEXTS["direct"] for plan in plans]
    answers = [text for texts in teacher._TEXTS["answers"].values() for text in texts]
    assert not any(claims_lookup(PROMPT, answer, (thought,)) for thought in thoughts for answer in answers)
    assert all(
        claims_lookup(PROMPT, "Sure.", (text.format(rule="CYB-03", policy="comply", plan="help"),)) for text in teacher._TEXTS["cite"]
    )

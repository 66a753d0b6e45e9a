"""The chosen letter of an answer to a multiple-choice question, in the forms and languages of real responses."""

from __future__ import annotations

import pytest

from ascl_core.rewards.answers import extract_choice

CHOICES = {
    "bare": ("(B)", "B"),
    "bare small": ("b", "B"),
    "bold": ("**B**", "B"),
    "bold with text": ("It is **B) Paris**.", "B"),
    "line": ("B) Paris", "B"),
    "boxed": (r"\boxed{\text{(C)}}", "C"),
    "marked": ("The answer is (B).", "B"),
    "marked small": ("the answer is b", "B"),
    "quoted": ("answer: 'B'", "B"),
    "option": ("Option D fits.", "D"),
    "reversed": ("C is the correct answer.", "C"),
    "marked wins over prose": ("I think a bird is A good guess, but the answer is C.", "C"),
    "last marked": ("Answer: A. Actually, the answer is D.", "D"),
    "reason after it": ("The correct answer is: C. Because A is too small.", "C"),
    "rejected": ("(A) is wrong and (B) is right", "B"),
    "rejected on the way": ("B) Paris, because (A) is wrong", "B"),
    "not this, that": ("The answer is not A, it is B", "B"),
    "at the end": ("I'd go with B.", "B"),
    "boxed with text": (r"$\boxed{\text{(C) }12}$", "C"),
    "boxed in roman": (r"\boxed{\mathrm{C}}", "C"),
    "bold marker": ("**Answer:** C", "C"),
    "marker and bold line": ("**Correct Answer:**\n\n**C) Paris**", "C"),
    "inline maths": ("The answer is $C$.", "C"),
    "tag": ("<answer>C</answer>", "C"),
    "hedged": ("The answer is probably C.", "C"),
    "far from the marker": ("The correct answer to this question is C.", "C"),
    "small with a bracket": ("c) Paris", "C"),
    "on a line of its own": ("C\n\nBecause Paris is the capital.", "C"),
    "list with a verdict each": ("A) Lyon is wrong.\nB) Nice is wrong.\nC) Paris is right.", "C"),
    "verdicts only": ("A. Incorrect. B. Incorrect. C. Correct. D. Incorrect.", "C"),
    "several rejected": ("A and C are wrong, B is right, D is wrong.", "B"),
    "another rejected after it": ("C is correct because A is wrong", "C"),
    "not this but that": ("The answer is not A but C.", "C"),
    "the pronoun after it": ("The answer is C. And I am sure.", "C"),
    "others rejected after it": ("C. And A is wrong.", "C"),
    "out of a list": ("Of A, B, C, D, the correct is C.", "C"),
    "reason with commas": ("The answer is C, A is too small.", "C"),
    "first answer is": ("The answer is (C).\n\nSummary: for a bird the answer is (A), for a fish the answer is (B).", "C"),
    "first answer is, corrected later": ("So the answer is C. On reflection, the answer is B.", "C"),
    "answer is before a colon": ("Answer: A or so.\nThe correct answer is (D).", "D"),
    "answer is before a box": (r"The answer is (C), as the mass is \boxed{12}.", "C"),
    "the last of the first line": ("Draft, answer: A, better answer: B\nAnother answer: D", "B"),
    "tag with brackets": ("<answer>(c)</answer>", "C"),
    "the last tag": ("<answer>A</answer> No. <answer> B </answer>", "B"),
    "json": ('{"answer": "C"}', "C"),
    "json with more": ('{"reason": "A is small", "answer": "C", "confidence": 0.9}', "C"),
    "chinese": ("正确答案是C。", "C"),
    "chinese, no space after": ("答案是C因为它最大", "C"),
    "chinese with a colon": ("答案：B", "B"),
    "japanese": ("正解はBです。", "B"),
    "german": ("Die richtige Antwort ist B.", "B"),
    "spanish": ("La respuesta correcta es la opción B.", "B"),
    "french": ("La bonne réponse est la C.", "C"),
    "full width": ("Answer：Ｃ", "C"),
    "typographic quotes": ("Correct option: “C”", "C"),
    "small at the start": ("b. 4", "B"),
    "dash": ("Answer - C", "C"),
    "underlined": ("The answer is __C__", "C"),
    "emphasis": ("The answer is _C_", "C"),
    "html": ("The answer is <b>C</b><br>", "C"),
    "end of a turn": ("C<|im_end|>", "C"),
    "boxed option": (r"\boxed{\text{Option C}}", "C"),
    "boxed in another font": (r"\boxed{\textrm{C}}", "C"),
    "long dash": ("C — Paris", "C"),
    "comma and a name": ("C, Paris", "C"),
    "reason without a comma": ("C because Paris is the capital", "C"),
    "adverb": ("Definitely C", "C"),
    "option about options": ("D. Both A and C", "D"),
    "option about options only": ("D) A and B only", "D"),
    "torn, then decided": ("I was torn between A and C, but B is the right answer.", "B"),
    "the correct one": ("Looking at the options A, B, C, D: the correct one is B.", "B"),
    "going with": ("I am going with B here.", "B"),
    "portuguese": ("A resposta certa é a B.", "B"),
    "russian": ("Правильный ответ — вариант B.", "B"),
    "turkish": ("Doğru cevap B'dir.", "B"),
    "german, the other way round": ("Richtig ist B.", "B"),
    "japanese alone": ("Bです。", "B"),
    "japanese, the other way round": ("B が正解です。", "B"),
    "guess": ("I guess C", "C"),
    "leaning": ("I lean towards C", "C"),
    "what is left": ("leaving only C", "C"),
    "opinion after it": ("C, I think", "C"),
    "french with an adverb": ("La bonne réponse est donc C", "C"),
    "german noun": ("Die richtige Option ist C", "C"),
    "vietnamese": ("Câu trả lời đúng là C", "C"),
    "hindi option": ("सही विकल्प C है", "C"),
    "thai option": ("คำตอบคือข้อ C", "C"),
    "korean option": ("선택지 C", "C"),
    "chinese adverb": ("答案就是C", "C"),
    "chinese verdicts": ("A错误，B正确", "B"),
}
NOT_CHOICES = [
    "", "A bird is nice.", "I think a bird", "The answer is a bird", "It is A or B.", "The answer is A or B", "Answer: A/B",
    "The answer is both A and B", "Plan A failed", "I take vitamin C", "Vitamin C is found in fruit.", "The answer is not B.",
    "A is the first letter.", "I pick Z", "The answer is E", "A) Lyon\nB) Nice\nC) Paris", "Both A and B are correct.", "Answers: A, C",
    "Answer: A & B", r"\boxed{A, B}", r"\boxed{A} or \boxed{B}", r"\boxed{12}", "Answer: None of the above", "The answer cannot be A.",
    "The answer is A cat", "Option A is incorrect, option B is incorrect.", "I'm torn between A and C.",
    "A. Or B.", "A or maybe B", "A, B, C, D", "A? Or B?", "(A) or (B)", "The answer is A. Or B.", "The answer is A, or maybe B.", "A, C",
    "**A**, possibly **B**", "A perfect answer cannot be found.", "A better option does not exist.", "The answer is (A) and (B).",
    "The answer is (A) or (B). The answer is (A).", "<answer>A or B</answer>", "<answer>None</answer> Maybe A.", '{"answer": "A, B"}',
    "答案是A或B", "选项B是错误的。", "Bではない", "A, or B", "The partial pressure of A is 3 atm, which is J."
]  # fmt: skip


@pytest.mark.parametrize(("text", "letter"), CHOICES.values(), ids=CHOICES)
def test_the_chosen_letter_is_read(text: str, letter: str) -> None:
    assert extract_choice(text, "ABCD") == letter


@pytest.mark.parametrize("text", NOT_CHOICES)
def test_a_letter_in_prose_and_a_guess_are_no_choice(text: str) -> None:
    assert extract_choice(text, "ABCD") is None


def test_the_pronoun_is_no_choice_where_i_is_a_letter() -> None:
    assert extract_choice("I think it is J.", "ABCDEFGHIJ") == "J"
    assert extract_choice("The answer is I.", "ABCDEFGHIJ") == "I"
    assert extract_choice("I cannot answer.", "ABCDEFGHIJ") is None
    assert extract_choice("The answer is C, and I am sure.", "ABCDEFGHIJ") == "C"

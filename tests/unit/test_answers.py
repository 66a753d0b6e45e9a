"""What counts as the final answer of a free text, and when it is right; no credit for guesses."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import pytest

from ascl_core.rewards.answers import extract_choice, extract_number, numbers_equal, verify

NUMBERS = {
    "boxed": (r"so \boxed{42} it is, after 3 tries", 42),
    "last boxed": (r"\boxed{12}, no: \boxed{13}", 13),
    "boxed fraction": (r"\boxed{\frac{3}{4}}", Fraction(3, 4)),
    "boxed negative fraction": (r"\boxed{-\dfrac{3}{4}}", Fraction(-3, 4)),
    "sign inside the fraction": (r"\frac{-3}{4}", Fraction(-3, 4)),
    "boxed with unit": (r"\boxed{\text{12 cm}}", 12),
    "boxed equation": (r"\boxed{x = 5}", 5),
    "latex thousands": (r"\boxed{1{,}000}", 1000),
    "thousands": ("There are 1,234,567 people.", 1_234_567),
    "dollars": ("She pays $18.50 per day.", Fraction(37, 2)),
    "negative dollars": ("The balance is -$5.", -5),
    "euros": ("It costs €1,200.", 1200),
    "unit without a space": ("It is 10km away.", 10),
    "percent": ("The answer is 50%.", 50),
    "fraction": ("The answer is 3/4 of a cup.", Fraction(3, 4)),
    "mixed number": ("Use 2 1/2 cups.", Fraction(5, 2)),
    "decimal before a full stop": ("It is 3.14.", Fraction(157, 50)),
    "no leading zero": ("It is .5", Fraction(1, 2)),
    "exponent": ("About 1e3", 1000),
    "gsm8k": ("5 - 2 = 3, and 3 * 24 = 72.\n#### 72", 72),
    "last equation": ("3 + 4 = 7", 7),
    "marked before later numbers": ("Answer: 7\nCheck: 7 * 2 = 14", 7),
    "last marked": ("The answer is 3. No, the answer is 4", 4),
    "out of": ("Final answer: 12 (out of 20)", 12),
    "bold marker": ("**Answer:** 12", 12),
    "several": ("12 apples and 5 pears, so 17 pieces", 17),
    "operation with spaces": ("10 - 3", 3),
    "operation without": ("x-3", 3),
    "negative after a word": ("The temperature is −5 degrees", -5),
    "negative after an equals sign": ("3 - 10 = -7", -7),
    "thinking is not the answer": (r"<think>\boxed{9}</think> 4", 4),
}
NOT_NUMBERS = ["", "no number", "The answer is twelve", "x2", "v1.2.3", "1/0"]

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
}
NOT_CHOICES = [
    "", "A bird is nice.", "I think a bird", "The answer is a bird", "It is A or B.", "The answer is A or B", "Answer: A/B",
    "The answer is both A and B", "Plan A failed", "I take vitamin C", "Vitamin C is found in fruit.", "The answer is not B.",
    "A is the first letter.", "I pick Z", "The answer is E",
]  # fmt: skip


@pytest.mark.parametrize(("text", "number"), NUMBERS.values(), ids=NUMBERS)
def test_the_answered_number_is_read(text: str, number: Fraction) -> None:
    assert extract_number(text) == number


@pytest.mark.parametrize("text", NOT_NUMBERS)
def test_no_number_is_read_where_there_is_none(text: str) -> None:
    assert extract_number(text) is None


@pytest.mark.parametrize(("text", "letter"), CHOICES.values(), ids=CHOICES)
def test_the_chosen_letter_is_read(text: str, letter: str) -> None:
    assert extract_choice(text, "ABCD") == letter


@pytest.mark.parametrize("text", NOT_CHOICES)
def test_a_letter_in_prose_and_a_guess_are_no_choice(text: str) -> None:
    assert extract_choice(text, "ABCD") is None


def test_the_pronoun_is_no_choice_where_i_is_a_letter() -> None:
    assert extract_choice("I think it is J.", "ABCDEFGHIJ") == "J"
    assert extract_choice("The answer is I.", "ABCDEFGHIJ") == "I"


@pytest.mark.parametrize(("a", "b"), [("1,000", 1000), ("3/4", 0.75), ("$18.00", "18"), (0.1 + 0.2, "0.3"), ("-5", -5)])
def test_equal_numbers(a: object, b: object) -> None:
    assert numbers_equal(a, b)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (None, None),
        (None, 0),
        ("5", "-5"),
        ("1000", "1001"),
        ("abc", "1"),
        (True, 1),
        (float("nan"), float("nan")),
        (float("inf"), 1),
        (1e-12, 0),
    ],
)
def test_unequal_numbers(a: object, b: object) -> None:
    assert not numbers_equal(a, b)


def test_the_tolerance_is_relative() -> None:
    assert numbers_equal(1000, 1009, tolerance=0.01)
    assert not numbers_equal(0.1, 0.109, tolerance=0.01)


@pytest.mark.parametrize(
    ("answer", "gold", "kind", "expected"),
    [
        ("#### 1,234", "1234", "number", (True, True)),
        ("It is 7.", "8", "number", (False, True)),
        ("I do not know.", "8", "number", (False, False)),
        ("(B)", "b", "choice", (True, True)),
        ("(A)", "B", "choice", (False, True)),
        ("A or B", "B", "choice", (False, False)),
        ("The answer is Tuesday.", "tuesday", "text", (True, True)),
        ("Monday comes first. It is Tuesday.", "Tuesday", "text", (True, True)),
        ("It is Tuesday. It is Monday.", "Tuesday", "text", (False, True)),
        ("Monday or Tuesday", "Tuesday", "text", (False, True)),
        ("Cats", "cat", "text", (False, True)),
        ("", "cat", "text", (False, False)),
        (r"It is $\frac{1}{2}$.", "0.5", "math", (True, True)),
        (r"\boxed{x^2+2x+1}", "(x+1)^2", "math", (True, True)),
        (r"\boxed{x^2+2x+2}", "(x+1)^2", "math", (False, True)),
        ("no idea", "0.5", "math", (False, False)),
    ],
)
def test_an_answer_is_right_and_readable(answer: str, gold: str, kind: str, expected: tuple[bool, bool]) -> None:
    assert verify(answer, gold, kind, "ABCD") == expected


def test_math_verify_does_not_clutter_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        verify(r"\boxed{2}", "2", "math")
    assert not caplog.records


def test_an_endless_expression_is_wrong_within_a_limit() -> None:
    assert verify(r"\boxed{9^{9^{9}}}", "4", "math") == (False, True)


def test_a_worker_thread_verifies_too() -> None:
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(verify, r"\boxed{2}", "2", "math").result() == (True, True)

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
    "boxed unit with a power": (r"\boxed{12\text{ cm}^2}", 12),
    "boxed degrees": (r"\boxed{90^{\circ}}", 90),
    "boxed mixed number": (r"\boxed{1\frac{1}{2}}", Fraction(3, 2)),
    "boxed power": (r"\boxed{2^{10}}", 1024),
    "boxed without braces": (r"so \boxed5 after 3 tries", 5),
    "scientific": (r"\boxed{3.5 \times 10^{-2}}", Fraction(7, 200)),
    "scientific in words": ("It is 3.5 × 10^4 metres", 35_000),
    "thousands by spaces": ("The total is 12 500 euros.", 12_500),
    "thousands by apostrophes": ("It costs 1'000 francs", 1000),
    "lakhs": ("She owes ₹1,20,000", 120_000),
    "millions": ("The answer is $1.5 million.", 1_500_000),
    "continental": ("It is 10.000,50", Fraction(20_001, 2)),
    "three numbers": ("sorted: 100 200 300", 300),
    "negative in words": ("The answer is negative 5.", -5),
    "minus sign of another width": ("The answer is －5", -5),
    "vulgar fraction": ("The answer is 2½ cups.", Fraction(5, 2)),
    "heading": ("## Final Answer\n18 miles, after 3 days", 18),
    "rejected first": ("The answer is not 5, it is 6.", 6),
    "rejected after": ("The answer is 5, not 6.", 5),
    "equation the other way round": ("The answer is 18 = 9 * 2.", 18),
    "reversed": ("17 is the final answer because 5 * 3 + 2 = 17; 3 was given.", 17),
    "bold": ("She earns **$18** per day for 2 days", 18),
    "mixed number before a full stop": ("The answer is 4 1/2.", Fraction(9, 2)),
    "marked mixed number before a full stop": ("#### 3 1/2.", Fraction(7, 2)),
    "continental millions": ("1.000.000", 1_000_000),
    "rounded to": ("We round 27 to 30.", 30),
    "from one to another": ("It rises from 3 to 5", 5),
    "range on the way": ("3 to 4 years pass, so she is 12.", 12),
    "equation without spaces": ("10-3=7", 7),
    "two forms of one number": ("The answer is 1,000, or 1000.0", 1000),
    "date after it": ("The answer is 5, as of 2024-01-05.", 5),
    "decimal comma": ("Die Antwort ist 2,5.", Fraction(5, 2)),
    "decimal comma of an amount": ("18,50 €", Fraction(37, 2)),
    "decimal comma after a zero": ("0,125", Fraction(1, 8)),
    "coordinates": ("the point (1,5)", 5),
    "latex thousands with a negative space": (r"10,\!080", 10_080),
    "thousands of dollars": ("She earned $18k.", 18_000),
    "millions of dollars": ("The answer is $1.5M", 1_500_000),
    "fraction slash": ("3⁄4", Fraction(3, 4)),
    "underlined": ("The answer is __7__", 7),
    "emphasis": ("It is _7_.", 7),
    "arrow": ("answer -> 7", 7),
    "double arrow": ("3 + 4 => 7", 7),
    "html": ("The answer is <b>18</b> dollars", 18),
    "code of a currency": ("It costs THB18", 18),
    "thinking is not the answer": (r"<think>\boxed{9}</think> 4", 4),
}
NOT_NUMBERS = [
    "",
    "no number",
    "The answer is twelve",
    "x2",
    "v1.2.3",
    "1/0",
    "The answer is 3 or 4.",
    "It is between 3 and 5.",
    "at 3:30 PM",
    "not 5",
    "It could be 3, 4, or 5.",
    "The answer is 3 to 4",
    "The answer is 3-4.",
    "3–4",
    "It takes 3 to 4 hours.",
    "12, or possibly 13",
    "The answer is 2,000 or maybe $3,000",
    "**3** or **4**",
    r"\boxed{3 \text{ or } 4}",
    "3 or 4 is the answer",
]


@pytest.mark.parametrize(("text", "number"), NUMBERS.values(), ids=NUMBERS)
def test_the_answered_number_is_read(text: str, number: Fraction) -> None:
    assert extract_number(text) == number


@pytest.mark.parametrize("text", NOT_NUMBERS)
def test_no_number_is_read_where_there_is_none(text: str) -> None:
    assert extract_number(text) is None


@pytest.mark.parametrize(
    ("a", "b"), [("1,000", 1000), ("3/4", 0.75), ("$18.00", "18"), (0.1 + 0.2, "0.3"), ("-5", -5), ("-5", "−5"), ("½", 0.5), ("10^3", 1000)]
)
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


@pytest.mark.parametrize(
    "piece",
    [
        "1 ",
        "1/",
        "½",
        "A, ",
        "A or ",
        "option ",
        "answer is ",
        "\\boxed{",
        "not 1 ",
        "between 1 ",
        "1 or ",
        "1,000",
        "1-",
        "1, ",
        "not ",
        "A? ",
        "(A) ",
        "?",
        ".",
    ],
)
@pytest.mark.timeout(60)
def test_a_long_text_comes_to_an_answer_or_to_none(piece: str) -> None:
    """A pattern that goes back over the text again and again would not end."""
    text = piece * (20_000 // len(piece))
    for end in ("", "x"):
        extract_number(text + end)
        assert extract_choice(text + end, "ABCD") in {None, *"ABCD"}


@pytest.mark.timeout(60)
def test_tags_without_an_end_and_white_space_come_to_none() -> None:
    assert extract_number("<answer>." * 1000 + "\n" * 10_000) is None
    assert extract_number("<answer>" * 100_000) is None


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


@pytest.mark.parametrize(
    ("kind", "answer", "gold"),
    [
        ("number", "答案是18。", "18"),
        ("number", "一共1.2万元", "12000"),
        ("number", "คำตอบคือ18บาท", "18"),
        ("number", "The answer is ١٨.", "18"),
        ("number", "１８", "18"),
        ("number", "The fare is Rs.18", "18"),
        ("number", "It costs USD18", "18"),
        ("number", "5² is 25", "25"),
        ("number", "<answer> 18 </answer> Ask me if you want 2 more.", "18"),
        ("number", '{"reasoning": "7 and 11", "answer": 18, "left": 3}', "18"),
        ("number", "The answer is 17. Wait, that is wrong. The answer is 18.", "18"),
        ("choice", "الإجابة هي C", "C"),
        ("choice", "Ответ: B", "B"),
        ("choice", "Ⓑ", "B"),
        ("text", "Answer: cold", "cold"),
        ("text", "Temperature: cold", "cold"),
        ("text", "Yes, because water boils.", "yes"),
        ("text", "$H_2O$", "H2O"),
        ("text", r"\mathrm{C_6H_{12}O_6}", "C6H12O6"),
        ("math", "It is Evelyn.", r"\text{Evelyn}"),
        ("math", "(B)", r"\text{(B)}"),
        ("math", "5 apples", r"5 \text{ apples}"),
        ("math", r"The domain is [0, \infty).", r"[0,\infty)"),
        ("math", r"[0, +\infty)", r"[0, \infty)"),
        ("math", r"x \le 5", r"x \leq 5"),
        ("math", "p-q", "p - q"),
        ("math", "It is a+b.", "a+b"),
        ("text", "It's cold, not hot.", "cold"),
        ("text", "Not hot but cold.", "cold"),
        ("text", "It is Paris, France.", "Paris"),
        ("text", "Ｐａｒｉｓ", "Paris"),
        ("text", "red and blue", "red and blue"),
        ("math", "The capital is Paris.", "Paris"),
        ("math", "x^2+1", "x^2 + 1"),
        ("number", "Answer: 12 (3 bags of 4)", "12"),
        ("number", "The answer is 6 rather than 5.", "6"),
        ("number", "5 would be wrong; it is 6.", "6"),
        ("number", "The answer is 12, 12 in all.", "12"),
        ("choice", "应选C。", "C"),
        ("choice", "A resposta é a letra B", "B"),
        ("choice", "Правильный ответ — B", "B"),
        ("choice", "Jawaban yang benar adalah B.", "B"),
        ("choice", "Đáp án đúng là B", "B"),
        ("choice", "الإجابة الصحيحة هي B", "B"),
        ("choice", "คำตอบคือ B", "B"),
        ("choice", "Answer → C", "C"),
        ("choice", "b: 4", "B"),
        ("text", "very cold", "cold"),
        ("text", "There is no doubt that it is Paris.", "Paris"),
        ("text", "Johann Sebastian Bach", "Bach"),
    ],
)
def test_other_scripts_forms_and_languages_are_read(kind: str, answer: str, gold: str) -> None:
    assert verify(answer, gold, kind, "ABCD")[0]


@pytest.mark.parametrize(
    ("kind", "answer", "gold"),
    [
        ("number", "It could be 16. It could be 17. It could be 18.", "18"),
        ("number", "The answer is 16. The answer is 17. The answer is 18.", "18"),
        ("number", "16? 17? 18?", "18"),
        ("number", "16, 17, 18", "18"),
        ("number", r"\boxed{16} \boxed{17} \boxed{18}", "18"),
        ("choice", "It could be A. It could be B. It could be C.", "C"),
        ("text", "It is not cold.", "cold"),
        ("text", "The answer is hot, not cold.", "cold"),
        ("text", "The answer isn't cold.", "cold"),
        ("text", "It wouldn't be cold.", "cold"),
        ("text", "It is neither hot nor cold.", "cold"),
        ("text", "Hot, warm, cool, cold.", "cold"),
        ("text", "It is Tuesday/Wednesday.", "Tuesday"),
        ("text", "It could be hot. It could be cold.", "cold"),
        ("math", "The capital is not Paris.", "Paris"),
        ("number", "Answer: 3, 4, 5", "3"),
        ("number", "The answer is 3 and 4", "3"),
        ("number", "The number is among 3, 4 and 5.", "5"),
        ("number", "5 is wrong", "5"),
        ("number", "5 is not the right answer.", "5"),
        ("number", "It isn’t 5", "5"),
        ("number", "It cannot be 5.", "5"),
        ("number", "I don't think it is 5.", "5"),
        ("number", "The answer is anything but 5", "5"),
        ("choice", "It is A. It is B. It is C.", "C"),
        ("choice", "Anything but C", "C"),
        ("choice", "All except C.", "C"),
        ("text", "hot cold", "cold"),
        ("text", "Hot. Warm. Cold.", "cold"),
        ("text", "cold: hot", "cold"),
        ("number", "Die Antwort ist 2,5.", "5"),
        ("number", "It is $18k", "18"),
        ("math", "It is Carla.", r"\text{Evelyn}"),
        ("math", r"(0, \infty)", r"[0, \infty)"),
        ("text", "1. Paris\n2. Lyon\n3. Nice", "Nice"),
        ("text", "Anything but Paris.", "Paris"),
        ("text", "Paris isn't right.", "Paris"),
        ("text", "Paris is wrong.", "Paris"),
        ("text", "I doubt that it is Paris.", "Paris"),
        ("text", "It is far from cold.", "cold"),
    ],
)
def test_denials_lists_and_guesses_earn_nothing(kind: str, answer: str, gold: str) -> None:
    assert not verify(answer, gold, kind, "ABCD")[0]

"""The kind that a gold answer gets when it is loaded without one, and that it counts as right itself."""

from __future__ import annotations

from datetime import datetime

import pytest

from ascl_core.data.gold import checked_kind
from ascl_core.data.row import Row, as_text
from ascl_core.errors import DataError
from ascl_core.rewards.answers import verify

GOLD = {
    "number": ["1,200", "½", "2½", "10%", "1/2", "−5", "$5", "١٨", "10^3", "1.5 million"],
    "text": [
        "Na", "no", "UK", "巴黎", "x", "A", "3:30", "forty-two", "J.K. Rowling", "12 pm", "5 km", "US", "C++", "St. Louis",
        "Washington, D.C.",
        "H2O", "AC/DC", "5 °C", "1990s", "21st century", "12 cm^2", "5-6", "U.S.A.", '"Heroes"', "true or false", "None", "Москва", "서울",
        "2024-01-05", "05/01/2024", "2024.01.05", "2024-01-05T12:30:00Z", "192.168.0.1",
    ],
    "math": ["(2, 3)", "[1, 2]", "3, 4", "π", "∞", "√2", "x² + 1", "{1, 2}", "(-∞, 3]", "sin x", "3 + 4i", "x = ±2", "n!", "2x"],
}  # fmt: skip


@pytest.mark.parametrize(("kind", "gold"), [(kind, gold) for kind, listed in GOLD.items() for gold in listed])
def test_a_gold_answer_without_a_kind_counts_as_right_itself(kind: str, gold: str) -> None:
    assert checked_kind(Row({}, 1, "file"), gold, None, None, "answer") == kind
    assert verify(gold, gold, kind) == (True, True)


@pytest.mark.parametrize(
    ("gold", "answer"),
    [("12 pm", "12 am"), ("5 km", "5 m"), ("10%", "10"), ("12 cm^2", "12 m^2"), ("C++", "C"), 
     ("US", "It is up to us."), ("5-6", "-1"), ("A", "A bird"),
     ("2024-01-05", "2018"), ("1/5/2024", "1/10120"), ("192.168.0.1", "192.168.0.2")],
)  # fmt: skip
def test_another_unit_or_word_is_wrong(gold: str, answer: str) -> None:
    assert not verify(answer, gold, checked_kind(Row({}, 1, "file"), gold, None, None, "answer"))[0]


@pytest.mark.parametrize("gold", [" ", "\t\n", "\u200b", "\u00a0"])
def test_a_gold_answer_that_shows_nothing_is_refused(gold: str) -> None:
    with pytest.raises(DataError, match="would count as wrong"):
        checked_kind(Row({}, 1, "file"), gold, None, None, "answer")


def test_a_day_is_written_without_a_time() -> None:
    assert as_text(datetime(2024, 1, 5)) == "2024-01-05"
    assert as_text(datetime(2024, 1, 5, 12, 30)) == "2024-01-05 12:30:00"

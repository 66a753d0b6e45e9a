"""The verdict cache: what it keeps, what it never mixes up, and what an interruption leaves."""

from __future__ import annotations

from collections.abc import Sequence
from multiprocessing import get_context
from pathlib import Path

import pytest

from ascl_core.contracts import Verdict
from ascl_core.errors import JudgeError
from ascl_core.judges import Item
from ascl_core.judges.cache import CachedJudge, VerdictCache, verdict_key
from ascl_core.vocabulary import Harm, Refusal


class LengthJudge:
    """Calls short responses refusals, cannot say anything of "?", and counts what it is asked."""

    def __init__(self, judge_id: str = "length@1", fail_after: int | None = None) -> None:
        self.id = judge_id
        self.fail_after = fail_after
        self.asked: list[Item] = []

    def judge(self, items: Sequence[Item]) -> list[Verdict]:
        """One verdict an item."""
        if self.fail_after is not None and len(self.asked) >= self.fail_after:
            raise JudgeError("out of order")
        self.asked += items
        return [self._one(item.response) for item in items]

    def _one(self, response: str) -> Verdict:
        if response == "?":
            return Verdict(Refusal.UNKNOWN, Harm.UNKNOWN, self.id)
        return Verdict(Refusal.FULL if len(response) < 5 else Refusal.NONE, Harm.UNKNOWN, self.id, f"{len(response)} letters")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where no cache is yet, in a folder that is not there either."""
    return tmp_path / "new" / "verdicts.sqlite"


def test_nothing_is_judged_twice_and_the_order_is_kept(path: Path) -> None:
    items = [Item("p", "no"), Item("p", "here you go"), Item("q", "no"), Item("p", "no")]
    first, second = LengthJudge(), LengthJudge()
    verdicts = CachedJudge(first, path).judge(items)
    assert [v.refusal for v in verdicts] == [Refusal.FULL, Refusal.NONE, Refusal.FULL, Refusal.FULL]
    assert len(first.asked) == 3
    assert CachedJudge(second, path).judge([*reversed(items), Item("p", "new one")]) == [
        *reversed(verdicts),
        Verdict(Refusal.NONE, Harm.UNKNOWN, "length@1", "7 letters"),
    ]
    assert second.asked == [Item("p", "new one")]


@pytest.mark.parametrize(
    "other",
    [("length@2", Item("p", "no")), ("length@1", Item("p2", "no")), ("length@1", Item("p", "No")), ("length@1", Item("pn", "o"))],
)
def test_the_key_tells_version_prompt_and_response_apart(other: tuple[str, Item]) -> None:
    assert verdict_key(*other) != verdict_key("length@1", Item("p", "no"))


def test_another_version_judges_anew(path: Path) -> None:
    CachedJudge(LengthJudge("length@1"), path).judge([Item("p", "no")])
    newer = LengthJudge("length@2")
    [verdict] = CachedJudge(newer, path).judge([Item("p", "no")])
    assert (len(newer.asked), verdict.judge) == (1, "length@2")


def test_a_verdict_that_says_nothing_is_not_kept(path: Path) -> None:
    judge = LengthJudge()
    cached = CachedJudge(judge, path)
    cached.judge([Item("p", "?")])
    cached.judge([Item("p", "?")])
    assert len(judge.asked) == 2


def test_what_was_judged_before_a_failure_is_kept(path: Path) -> None:
    items = [Item(str(i), "no") for i in range(200)]
    with pytest.raises(JudgeError):
        CachedJudge(LengthJudge(fail_after=128), path).judge(items)
    after = LengthJudge()
    assert len(CachedJudge(after, path).judge(items)) == 200
    assert len(after.asked) == 72  # 200 less the two chunks of 64 that were written


def test_a_file_that_is_no_cache_is_a_clear_error_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "verdicts.sqlite"
    path.write_text("these are my notes, not a database\n" * 50)
    with pytest.raises(JudgeError, match="delete the file"):
        CachedJudge(LengthJudge(), path).judge([Item("p", "no")])
    assert path.read_text().startswith("these are my notes")


def test_a_label_that_nobody_knows_is_a_clear_error(path: Path) -> None:
    import sqlite3
    from contextlib import closing

    CachedJudge(LengthJudge(), path).judge([Item("p", "no")])
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE verdicts SET refusal = 'perhaps'")
    with pytest.raises(JudgeError, match="perhaps"):
        CachedJudge(LengthJudge(), path).judge([Item("p", "no")])


def test_several_processes_may_share_the_file(path: Path) -> None:
    context = get_context("spawn")
    processes = [context.Process(target=_fill, args=(path, start)) for start in (0, 100)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    judge = LengthJudge()
    CachedJudge(judge, path).judge([Item(str(i), "no") for i in range(200)])
    assert judge.asked == []


def _fill(path: Path, start: int) -> None:
    for i in range(start, start + 100):
        key = verdict_key("length@1", Item(str(i), "no"))
        VerdictCache(path).put({key: Verdict(Refusal.FULL, Harm.UNKNOWN, "length@1")})

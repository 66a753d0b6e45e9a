"""Choose the conversations that the page shows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ascl_core.contracts import EvaluatedRollout
from ascl_core.conversation.steps import Step, steps_of
from ascl_core.conversation.trajectory import read_rollout
from ascl_core.evaluation.measures import right
from ascl_core.report.inputs import Inputs, ReportedArm
from ascl_core.rules.corpus import Corpus, Rule
from ascl_core.vocabulary import Mode, PromptType

_FITTING_MODES = {
    PromptType.HARMFUL: Mode.CONSULT,
    PromptType.BORDERLINE: Mode.DIRECT,
    PromptType.SENSITIVE: Mode.CONSULT,
    PromptType.UTILITY: Mode.DIRECT,
}
"""The mode in which a right answer of each type is shown first."""
Key = tuple[str, str, int]
"""Suite, prompt and sample: what identifies a response in every arm."""


@dataclass(frozen=True)
class Outcome:
    """One arm's response to the prompt."""

    label: str
    row: EvaluatedRollout
    right: bool


@dataclass(frozen=True)
class Sample:
    """One conversation of the candidate, and why it is shown."""

    why: str
    row: EvaluatedRollout
    right: bool
    problem: str | None
    """Why it is malformed, if it is."""
    category: str | None
    """The title of the prompt's category."""
    rules: tuple[tuple[str, Rule | None], ...]
    """The ids of the returned rules, each with the rule if the corpus has it."""
    steps: tuple[Step, ...]
    others: tuple[Outcome, ...]
    """The other arms on the same prompt."""


def choose(inputs: Inputs, count: int) -> list[Sample]:
    """Return up to `count` informative conversations of the candidate; the same inputs always give the same choice.

    They are taken in turn from these groups: the candidate beats or loses to the checkpoint that it was trained from, a right answer
    to each prompt type and to a dual-use prompt (preferably in the fitting mode), a wrong answer, a malformed one. Within a group the
    order is by content hash, so nobody picked them.
    """
    candidate = inputs.candidate
    rows = sorted(candidate.rows, key=lambda row: hashlib.sha256(f"{row.prompt_id}{row.sample}".encode()).hexdigest())
    arms = {arm.label: _by_key(arm) for arm in inputs.arms if arm.name != candidate.name}
    pools = [(why, iter(pool)) for why, pool in _pools(rows, inputs)]
    chosen: dict[Key, Sample] = {}
    while pools and len(chosen) < count:
        why, pool = pools.pop(0)
        row = next((row for row in pool if key_of(row) not in chosen), None)
        if row is not None:
            chosen[key_of(row)] = _sample(why, row, arms, inputs.corpus)
            pools.append((why, pool))
    return list(chosen.values())


def _pools(rows: Sequence[EvaluatedRollout], inputs: Inputs) -> Iterator[tuple[str, list[EvaluatedRollout]]]:
    """Yield each reason to show a conversation with its rows, the most fitting first; together they hold every row."""
    reference = {key: right(row) for key, row in _by_key(inputs.reference).items()}
    good, wrong = [row for row in rows if right(row)], [row for row in rows if not right(row)]
    ours, theirs = inputs.candidate.label, inputs.reference.label
    yield f"{ours} is right, {theirs} is wrong", [row for row in good if reference.get(key_of(row)) is False]
    yield f"{ours} is wrong, {theirs} is right", [row for row in wrong if row.valid and reference.get(key_of(row))]
    for kind, fitting in _FITTING_MODES.items():
        yield f"a right answer to a {kind} prompt", _first(fitting, (row for row in good if row.prompt_type is kind))
    yield "a dual-use prompt: the rules of the jurisdiction decide", _first(Mode.CONSULT, (row for row in good if row.dual_use))
    yield "a malformed response", [row for row in wrong if not row.valid]
    yield "a wrong response", [row for row in wrong if row.valid]


def _first(mode: Mode, rows: Iterable[EvaluatedRollout]) -> list[EvaluatedRollout]:
    return sorted(rows, key=lambda row: row.mode is not mode)


def _sample(why: str, row: EvaluatedRollout, arms: Mapping[str, Mapping[Key, EvaluatedRollout]], corpus: Corpus) -> Sample:
    known = {rule.id: rule for rule in corpus.rules}
    category = corpus.categories.get(row.category or "")
    return Sample(
        why=why,
        row=row,
        right=right(row),
        problem=None if row.valid else read_rollout(row.text, finished=row.finished).problem or "too many tool calls",
        category=category.title if category else row.category,
        rules=tuple((rule_id, known.get(rule_id)) for rule_id in dict.fromkeys(row.consulted)),
        steps=steps_of(row.text),
        others=tuple(Outcome(label, rows[key_of(row)], right(rows[key_of(row)])) for label, rows in arms.items() if key_of(row) in rows),
    )


def _by_key(arm: ReportedArm) -> dict[Key, EvaluatedRollout]:
    return {key_of(row): row for row in arm.rows}


def key_of(row: EvaluatedRollout) -> Key:
    """Return what identifies the response in every arm."""
    return row.suite, row.prompt_id, row.sample

"""The rows that stages hand to each other, and their Parquet schemas.

A row is a frozen dataclass; `to_table` and `from_table` convert lists of them to and from Arrow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pyarrow as pa

from ascl_core.config.engine import EngineConfig
from ascl_core.errors import DataError
from ascl_core.progress import Progress
from ascl_core.vocabulary import Harm, Mode, PromptType, Refusal, ResponsePolicy, Split

Job = TypeVar("Job")
Result = TypeVar("Result")
Message = dict[str, Any]
"""One chat message in the OpenAI/TRL form: role, content and, for a consulting turn, tool_calls whose
`function.arguments` is a JSON string (a mapping would be unified across rows by Arrow)."""


class Mapper(Protocol):
    """Calls a function of a module for each of some jobs, on an engine; yields what it returns, in their order."""

    def __call__(self, function: Callable[[Job], Result], jobs: Sequence[Job], engine: EngineConfig) -> Iterator[Result]: ...


def one_by_one(function: Callable[[Job], Result], jobs: Sequence[Job], engine: EngineConfig) -> Iterator[Result]:
    """Each in turn, in this process, whatever the engine: the result is the same on all of them."""
    return map(function, jobs)


@dataclass(frozen=True)
class StageContext:
    """What the runner gives every stage: where to keep resumable state, and how to report progress."""

    state: Path
    """A folder that survives a killed stage with the same inputs; empty on the first attempt."""
    progress: Progress = field(default_factory=Progress)
    map: Mapper = one_by_one
    """How pieces of work that depend on nothing but themselves are done: the runner's knows every engine."""


@dataclass(frozen=True)
class Prompt:
    """One prompt, resolved against the rules at one jurisdiction (`prompts.parquet`, `suites.parquet`)."""

    id: str
    """First 16 hex digits of SHA-256 of the normalised prompt and the jurisdiction."""
    prompt: str
    prompt_type: PromptType
    policy: ResponsePolicy
    """What the deciding rule asks for; `comply` for utility."""
    source: str
    licence: str
    jurisdiction: str
    """Where the conversation takes place; only the tool knows it, never the prompt."""
    category: str | None = None
    """Category id of the rule corpus, such as `CYB`; None for utility."""
    rule_id: str | None = None
    """The rule that decides, where it is known."""
    dual_use: bool = False
    """True where rules of different jurisdictions decide differently on the same prompt."""
    answer: str | None = None
    """The gold answer of a utility prompt."""
    answer_kind: str | None = None
    """How to compare it: `number`, `choice`, `math` or `text`."""
    choices: str | None = None
    """The letters of a choice, such as `ABCD`."""
    pair_id: str | None = None
    """Shared by the two sides of a contrast pair."""
    reference: str | None = None
    """A good response that the source brings along, without thoughts; of a utility prompt the way to its answer."""
    split: Split | None = None
    """None in suites."""
    suite: str | None = None
    """The suite's name in `suites.parquet`, None in `prompts.parquet`."""


PROMPT_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("prompt", pa.string(), nullable=False),
        pa.field("prompt_type", pa.string(), nullable=False),
        pa.field("policy", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("licence", pa.string(), nullable=False),
        pa.field("jurisdiction", pa.string(), nullable=False),
        ("category", pa.string()),
        ("rule_id", pa.string()),
        pa.field("dual_use", pa.bool_(), nullable=False),
        ("answer", pa.string()),
        ("answer_kind", pa.string()),
        ("choices", pa.string()),
        ("pair_id", pa.string()),
        ("reference", pa.string()),
        ("split", pa.string()),
        ("suite", pa.string()),
    ]
)


@dataclass(frozen=True)
class Trajectory:
    """One training conversation (`trajectories.jsonl`), as the teacher wrote it and a judge accepted it."""

    id: str
    prompt_id: str
    arm: str
    mode: Mode
    prompt_type: PromptType
    category: str | None
    rule_ids: tuple[str, ...]
    """The rules in its tool results (or, for context distillation, in the dropped system prompt)."""
    messages: tuple[Message, ...]
    generator: str
    seed: int
    source: str
    licence: str


@dataclass(frozen=True)
class Rollout:
    """One sampled conversation: everything the model wrote and the tool answered after the prompt."""

    prompt_id: str
    sample: int
    text: str
    """The decoded completion with its tags, tool results included: what validity is decided on."""
    num_tokens: int
    """Tokens that the model itself generated; tool results are not counted."""
    finished: bool
    """False if the token budget ended it."""


@dataclass(frozen=True)
class ToolCall:
    """One call of `consult_safety_rules` that has a query; the other arguments as the model wrote them, until the tool checks them."""

    query: str
    top_k: int | None = None
    """How many rules to return; None is the configured number."""
    category: str | None = None
    """The id of the category to search; None is all of them."""

    @property
    def arguments(self) -> dict[str, str | int]:
        """The arguments that were given, in the order in which training writes them."""
        named = {"category": self.category, "query": self.query, "top_k": self.top_k}
        return {name: value for name, value in named.items() if value is not None}


@dataclass(frozen=True)
class RolloutFacts:
    """What a raw rollout says about itself, before any judge sees it."""

    valid: bool
    """Every think block closed, every tool call parsed and answered, a non-empty answer at the end."""
    finished: bool
    mode: Mode
    attempted: int
    """Tool calls begun, well-formed or not."""
    completed: int
    """Tool calls that were answered by the tool."""
    calls: tuple[ToolCall, ...]
    consulted: tuple[str, ...]
    """Ids of the rules in the tool results."""
    answer: str
    """Text after the last `</think>` of the last assistant turn; all that a judge ever sees."""
    problem: str | None = None
    """Why it is not valid."""
    thoughts: tuple[str, ...] = ()
    """The thinking of each assistant turn; empty text for a turn without."""
    faulty: int = 0
    """Tool calls that parse, but lack an argument or name an unknown tool; they are not among `calls`."""


@dataclass(frozen=True)
class Verdict:
    """What a judge says of one response."""

    refusal: Refusal
    harm: Harm
    judge: str
    """Judge id and version, such as `rules@1`."""
    detail: str = ""


@dataclass(frozen=True)
class EvaluatedRollout:
    """One judged response to one suite prompt (`results.parquet`)."""

    suite: str
    prompt_id: str
    sample: int
    prompt: str
    prompt_type: PromptType
    policy: ResponsePolicy
    jurisdiction: str
    category: str | None
    rule_id: str | None
    dual_use: bool
    text: str
    answer: str
    mode: Mode
    valid: bool
    finished: bool
    attempted: int
    completed: int
    consulted: tuple[str, ...]
    """Rule ids in the tool results."""
    called_categories: tuple[str | None, ...]
    """The category argument of each valid call; None where it has none."""
    num_tokens: int
    refusal: Refusal
    harm: Harm
    judge: str
    correct: bool | None
    """Utility: whether the answer was verified; None elsewhere."""
    extracted: bool | None
    """Utility: whether an answer could be extracted at all; None elsewhere."""


RESULT_SCHEMA = pa.schema(
    [
        pa.field("suite", pa.string(), nullable=False),
        pa.field("prompt_id", pa.string(), nullable=False),
        pa.field("sample", pa.int32(), nullable=False),
        pa.field("prompt", pa.string(), nullable=False),
        pa.field("prompt_type", pa.string(), nullable=False),
        pa.field("policy", pa.string(), nullable=False),
        pa.field("jurisdiction", pa.string(), nullable=False),
        ("category", pa.string()),
        ("rule_id", pa.string()),
        pa.field("dual_use", pa.bool_(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("answer", pa.string(), nullable=False),
        pa.field("mode", pa.string(), nullable=False),
        pa.field("valid", pa.bool_(), nullable=False),
        pa.field("finished", pa.bool_(), nullable=False),
        pa.field("attempted", pa.int32(), nullable=False),
        pa.field("completed", pa.int32(), nullable=False),
        ("consulted", pa.list_(pa.string())),
        ("called_categories", pa.list_(pa.string())),
        pa.field("num_tokens", pa.int32(), nullable=False),
        pa.field("refusal", pa.string(), nullable=False),
        pa.field("harm", pa.string(), nullable=False),
        pa.field("judge", pa.string(), nullable=False),
        ("correct", pa.bool_()),
        ("extracted", pa.bool_()),
    ]
)


def kind_of(row: Prompt | EvaluatedRollout) -> str:
    """`dual_use`, or the prompt's type: by these kinds prompts are mixed and figures are told apart."""
    return "dual_use" if row.dual_use else str(row.prompt_type)


Row = TypeVar("Row", Prompt, EvaluatedRollout)
_SCHEMAS: dict[type, pa.Schema] = {Prompt: PROMPT_SCHEMA, EvaluatedRollout: RESULT_SCHEMA}
_ENUMS = {
    "prompt_type": PromptType,
    "policy": ResponsePolicy,
    "split": Split,
    "mode": Mode,
    "refusal": Refusal,
    "harm": Harm,
}


def to_table(rows: Sequence[Prompt] | Sequence[EvaluatedRollout], row_type: type) -> pa.Table:
    """The rows as an Arrow table in the schema of their type; columns in schema order."""
    schema = _SCHEMAS[row_type]
    return pa.table({name: [_plain(getattr(row, name)) for row in rows] for name in schema.names}, schema=schema)


def from_table(table: pa.Table, row_type: type[Row], *, file: object = "table") -> list[Row]:
    """The rows of an Arrow table; `DataError` names the file and the column that does not fit."""
    schema = _SCHEMAS[row_type]
    missing = [name for name in schema.names if name not in table.column_names]
    if missing:
        raise DataError("column is missing", file=file, field=missing[0], hint="re-run the stage that makes this file")
    names = [f.name for f in fields(row_type)]
    try:
        return [row_type(**{name: _typed(name, record[name]) for name in names}) for record in table.select(names).to_pylist()]
    except ValueError as error:
        raise DataError(str(error), file=file, hint="re-run the stage that makes this file") from error


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _typed(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    return _ENUMS[name](value) if name in _ENUMS and value is not None else value

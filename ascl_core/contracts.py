"""The rows that stages hand to each other, and their Parquet schemas.

A row is a frozen dataclass, and its schema follows from its fields; `to_table` and `from_table` convert lists of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Protocol, TypeVar, get_args, get_origin, get_type_hints

import pyarrow as pa

from ascl_core.errors import DataError
from ascl_core.progress import Progress
from ascl_core.vocabulary import Harm, Mode, PromptType, Refusal, ResponsePolicy, Split

Job = TypeVar("Job")
Result = TypeVar("Result")
Message = dict[str, Any]
"""One chat message in the OpenAI/TRL form: role, content and, for a consulting turn, tool_calls whose
`function.arguments` is a JSON string (a mapping would be unified across rows by Arrow)."""


class Engine(Protocol):
    """Where independent jobs run: the fields of the section `engine` of the parameters."""

    @property
    def name(self) -> str:
        """`local` or `dask`."""

    @property
    def workers(self) -> int:
        """Processes of this machine, or Dask workers."""

    @property
    def address(self) -> str | None:
        """The scheduler of an existing Dask cluster."""


class Mapper(Protocol):
    """Calls a function of a module for each of some jobs, on an engine; yields what it returns, in their order."""

    def __call__(self, function: Callable[[Job], Result], jobs: Sequence[Job], engine: Engine) -> Iterator[Result]: ...


def one_by_one(function: Callable[[Job], Result], jobs: Sequence[Job], engine: Engine) -> Iterator[Result]:
    """Call the function for each job in turn, in this process, whatever the engine: the result is the same on all of them."""
    return map(function, jobs)


@dataclass(frozen=True)
class StageContext:
    """What the runner gives every stage: where to keep resumable state, and how to report progress."""

    state: Path
    """A folder that survives a killed stage with the same inputs; empty on the first attempt."""
    progress: Progress = field(default_factory=Progress)
    map: Mapper = one_by_one
    """How independent jobs are run; the runner's mapper knows every engine."""
    run: str | None = None
    """The id of the run in whose worktree the stage works; None in the working tree of people."""


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
    """The rules of this jurisdiction apply; only the tool knows it, never the prompt."""
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
    """One sampled conversation: everything that the model wrote and the tool returned after the prompt."""

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
    """What can be read off a raw rollout before any judge sees it."""

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
    """A judge's verdict on one response."""

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


def kind_of(row: Prompt | EvaluatedRollout) -> str:
    """Return `dual_use`, or the prompt's type: the kinds by which prompts are mixed and figures are grouped."""
    return "dual_use" if row.dual_use else str(row.prompt_type)


def _schema(row_type: type) -> pa.Schema:
    """Return the Parquet schema of a row type, a column for each field: optional fields and lists may be null."""
    columns = {bool: pa.bool_(), int: pa.int32()}
    return pa.schema(
        [
            pa.field(name, pa.list_(pa.string()), nullable=True)
            if get_origin(hint) is tuple
            else pa.field(name, columns.get(_plain_type(hint), pa.string()), nullable=_plain_type(hint) is not hint)
            for name, hint in get_type_hints(row_type).items()
        ]
    )


def _plain_type(hint: Any) -> Any:
    """Return T of `T | None`, and any other type as it is."""
    return next((part for part in get_args(hint) if part is not type(None)), hint) if type(None) in get_args(hint) else hint


Row = TypeVar("Row", Prompt, EvaluatedRollout)
PROMPT_SCHEMA, RESULT_SCHEMA = _schema(Prompt), _schema(EvaluatedRollout)
_SCHEMAS: dict[type, pa.Schema] = {Prompt: PROMPT_SCHEMA, EvaluatedRollout: RESULT_SCHEMA}
_ENUMS = {
    name: plain
    for row_type in _SCHEMAS
    for name, hint in get_type_hints(row_type).items()
    if isinstance(plain := _plain_type(hint), type) and issubclass(plain, Enum)
}


def to_table(rows: Sequence[Prompt] | Sequence[EvaluatedRollout], row_type: type) -> pa.Table:
    """Return the rows as an Arrow table in the schema of their type."""
    schema = _SCHEMAS[row_type]
    return pa.table({name: [_to_arrow(getattr(row, name)) for row in rows] for name in schema.names}, schema=schema)


def from_table(table: pa.Table, row_type: type[Row], *, file: object = "table") -> list[Row]:
    """Return the rows of an Arrow table; `DataError` names the file and the column that does not fit."""
    names = _SCHEMAS[row_type].names
    missing = [name for name in names if name not in table.column_names]
    if missing:
        raise DataError("column is missing", file=file, field=missing[0], hint="re-run the stage that makes this file")
    try:
        return [row_type(**{name: _from_arrow(name, record[name]) for name in names}) for record in table.select(names).to_pylist()]
    except ValueError as error:
        raise DataError(str(error), file=file, hint="re-run the stage that makes this file") from error


def _to_arrow(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _from_arrow(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    return _ENUMS[name](value) if name in _ENUMS and value is not None else value

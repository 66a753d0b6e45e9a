"""What the catalogue says of a public data set: where it is, under which terms, and how its rows become prompts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from ascl_core.config.base import Config
from ascl_core.vocabulary import PromptType

Kind = Literal["safety", "over_refusal", "utility"]
Metric = Literal["safety_rate", "over_refusal_strict", "utility"]
Column = Annotated[str, StringConstraints(min_length=1)]
"""A column, or a path into its cells: `choices.text` is the field `text`, `conversation.0.content` the field of the first item."""


class Hub(Config):
    """Where the data set stands on the hub."""

    id: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    """`owner/name`."""
    config: str | None = None
    """The configuration."""
    split: str = "train"
    """The split that the suite is."""
    revision: str | None = Field(pattern=r"^[0-9a-f]{40}$")
    """The pinned commit; null where none could be established."""
    gated: bool = False
    """Whether its terms must be accepted on its page, with an account."""
    read: dict[str, str | bool] = Field(default_factory=dict)
    """How its files are parsed, as options of `datasets.load_dataset`."""


class TypeBy(Config):
    """The prompt's type by a label of its row."""

    column: Column
    """The column with the label."""
    values: dict[str, PromptType | None]
    """The type for each label, in lower case; null leaves the row out, and a label that is not here is an error. '' is a missing label."""


class CategoryBy(Config):
    """The category of the rule corpus by a label of the row, or by the first known one where the cell is a list."""

    column: Column
    """The column with the label or labels."""
    values: dict[str, str]
    """The category for each label, in lower case; a label that is not here has no counterpart."""


class Answer(Config):
    """The gold answer."""

    column: Column
    """The column with the answer; for a choice the label of the right option."""
    kind: Literal["number", "choice", "math", "text"]
    """How it is compared."""
    after: str | None = None
    """Only what follows the last occurrence of this text."""


class Reference(Config):
    """A good response that the data set brings along, for training."""

    column: Column
    """The column with the response."""
    after: str | None = None
    """Only what follows the last occurrence of this text."""
    before: str | None = None
    """Only what stands before the last occurrence of this text."""
    without: str | None = None
    """A regular expression: what it matches is left out."""


class Options(Config):
    """The options of a multiple-choice question; they are shown with the letters A, B, …"""

    columns: tuple[Column, ...] = Field(min_length=1)
    """One column with a list, or a column for each option."""
    labels: Column | None = None
    """The column with the labels that the answer names, such as 1, 2, 3; without it they are letters."""
    right_first: bool = False
    """The first option is the right one; the order shown is then by a hash of question and option."""


class Shape(Config):
    """How a row becomes a prompt."""

    prompt: tuple[Column, ...] = Field(min_length=1)
    """The column with the prompt; of several the first that is filled."""
    template: str | None = None
    """What the model is asked, with `{prompt}` and `{options}`; without it the prompt, and the options under it."""
    type: PromptType | TypeBy
    """The type of every prompt, or of each by its label."""
    where: dict[Column, tuple[str, ...]] = Field(default_factory=dict)
    """Only rows with one of these labels, in lower case, in each of these columns."""
    answer: Answer | None = None
    """The gold answer of a utility prompt."""
    reference: Reference | None = None
    """A good response, which a teacher may use."""
    options: Options | None = None
    """The options of a choice."""
    category: str | CategoryBy | None = None
    """The category of the rule corpus, where the data set has a counterpart."""

    @model_validator(mode="after")
    def _options_have_an_answer(self) -> Shape:
        if self.options is not None and not self.options.right_first and self.answer is None:
            raise ValueError("options need an answer, or right_first")
        return self


class Dataset(Config):
    """One public data set."""

    title: str
    """Its own name."""
    what: str
    """What is in it, in one line."""
    use: Literal["suite", "training"] = "suite"
    """Whether it is an evaluation suite or a source of training prompts."""
    kind: Kind
    """What it is there for."""
    metric: Metric
    """The metric that it is read for, by its name in `metrics.json`."""
    metric_version: int = Field(ge=1)
    """Raised when its rows, prompts or grading change such that figures before and after cannot be compared."""
    size: int | None = Field(default=None, ge=1)
    """How many prompts the split has, by which a plan is reckoned before it is read; null where it is not known."""
    samples: int = Field(default=1, ge=1, le=64)
    """Responses per prompt whose mean is usually reported, taken where `evaluate.sampling` says `catalogue`."""
    judge: str | None
    """The judge to prefer, by its name in `evaluate.judge`; null where the gold answer decides."""
    licence: str
    """SPDX id; `NOASSERTION` where none is stated."""
    paper: str | None = None
    """arXiv id of the paper to cite."""
    home: str | None = Field(default=None, pattern=r"^https://")
    """Where it is published, if not on the hub alone."""
    hub: Hub | None
    """Its page on the hub; null where it has no page of its own there."""
    files: dict[str, tuple[str, ...]]
    """By split, where its file stands in a folder: patterns, the first that matches counts."""
    shape: Shape
    """How a row becomes a prompt."""
    sources: tuple[str, ...] = Field(min_length=1)
    """Where these facts are from."""
    note: str | None = None
    """What one should know before reading a figure."""

    @model_validator(mode="after")
    def _is_somewhere(self) -> Dataset:
        if self.hub is None and self.home is None:
            raise ValueError("neither home nor hub says where it is")
        if self.hub is not None and self.hub.split not in self.files:
            raise ValueError(f"files has nothing for the split {self.hub.split}")
        return self

    @property
    def place(self) -> str:
        """Where it is, in one word."""
        return f"hub:{self.hub.id}" if self.hub else str(self.home)

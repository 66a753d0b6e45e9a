"""An entry of the catalogue: the location and the terms of a public data set, and how its rows become prompts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from ascl_core.config.base import Config
from ascl_core.vocabulary import PromptType

Kind = Literal["safety", "over_refusal", "utility"]
Metric = Literal["safety_rate", "over_refusal_strict", "utility"]
Column = Annotated[str, StringConstraints(min_length=1)]
"""A column, or a path into its cells: `choices.text` is the field `text`, `conversation.0.content` the field of the first item."""


class Hub(Config):
    """The location of the data set on the hub."""

    id: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    """`owner/name`."""
    config: str | None = None
    """The configuration."""
    split: str = "train"
    """The split with the prompts."""
    revision: str | None = Field(pattern=r"^[0-9a-f]{40}$")
    """The pinned commit; null if none could be established."""
    gated: bool = False
    """Whether an account must accept its terms on its page."""
    read: dict[str, str | bool] = Field(default_factory=dict)
    """Options of `datasets.load_dataset`."""


class Download(Config):
    """One file as its authors publish it, at a pinned commit."""

    file: str = Field(pattern=r"^[\w.-]+(/[\w.-]+)*$")
    """Its path in the data set's folder."""
    url: str = Field(pattern=r"^https://")
    """Its address, with the commit in it."""
    size: int = Field(ge=1)
    """Bytes."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """The SHA-256 of its content."""


class TypeBy(Config):
    """The prompt's type by a label of its row."""

    column: Column
    """The column with the label."""
    values: dict[str, PromptType | None]
    """The type for each label, in lower case; null leaves the row out, and any other label is an error. '' is a missing label."""


Categories = Annotated[tuple[str, ...], Field(min_length=1), BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)]
"""Categories of the rule corpus that fit; the first is the prompt's, the others count where retrieval is measured. One needs no list."""


class CategoryBy(Config):
    """The categories of the rule corpus by a label of the row, or by all of its known ones where the cell is a list."""

    column: Column
    """The column with the label or labels."""
    values: dict[str, Categories]
    """The categories that fit each label, in lower case, the prompt's own first; other labels have no counterpart."""


class Answer(Config):
    """The gold answer."""

    column: Column
    """The column with the answer; for a choice the label of the right option."""
    kind: Literal["number", "choice", "math", "text"]
    """How it is compared."""
    after: str | None = None
    """Keep only what follows the last occurrence of this text."""


class Reference(Config):
    """A good response in the data set, for training."""

    column: Column
    """The column with the response."""
    after: str | None = None
    """Keep only what follows the last occurrence of this text."""
    before: str | None = None
    """Keep only what precedes the last occurrence of this text."""
    without: str | None = None
    """A regular expression; its matches are removed."""


class Options(Config):
    """The options of a multiple-choice question; they are shown with the letters A, B, …"""

    columns: tuple[Column, ...] = Field(min_length=1)
    """One column with a list, or one column per option."""
    labels: Column | None = None
    """The column with the labels that the answer refers to, such as 1, 2, 3; letters if not given."""
    right_first: bool = False
    """The first option is right; the options are then shown in the order of a hash of question and option."""


class Shape(Config):
    """How a row becomes a prompt."""

    prompt: tuple[Column, ...] = Field(min_length=1)
    """The column with the prompt; of several the first that is not empty."""
    template: str | None = None
    """The text for the model, with `{prompt}` and `{options}`; if not given, the prompt followed by the options."""
    type: PromptType | TypeBy
    """The type of every prompt, or of each by its label."""
    where: dict[Column, tuple[str, ...]] = Field(default_factory=dict)
    """Keep only rows with one of these labels, in lower case, in each of these columns."""
    answer: Answer | None = None
    """The gold answer of a utility prompt."""
    reference: Reference | None = None
    """A good response, which a teacher may use."""
    options: Options | None = None
    """The options of a choice."""
    category: Categories | CategoryBy | None = None
    """The categories of the rule corpus that fit, the prompt's own first, if the data set has a counterpart."""

    @model_validator(mode="after")
    def _options_have_an_answer(self) -> Shape:
        if self.options is not None and not self.options.right_first and self.answer is None:
            raise ValueError("options need an answer, or right_first")
        return self


class Dataset(Config):
    """One public data set."""

    title: str
    """Its published name."""
    what: str
    """Its content, in one line."""
    use: Literal["suite", "training"] = "suite"
    """Whether it is an evaluation suite or a source of training prompts."""
    kind: Kind
    """What it measures."""
    metric: Metric
    """Its main metric, by the name in `metrics.json`."""
    metric_version: int = Field(ge=1)
    """Raised when its rows, prompts or grading change so that figures before and after cannot be compared."""
    size: int | None = Field(default=None, ge=1)
    """Number of prompts in the split, for estimates before it is read; null if unknown."""
    samples: int = Field(default=1, ge=1, le=64)
    """Responses per prompt whose mean is usually reported; used if `evaluate.sampling` is `catalogue`."""
    judge: str | None
    """The preferred judge, by its name in `evaluate.judge`; null if the gold answer decides."""
    licence: str
    """SPDX id; `NOASSERTION` if none is stated."""
    paper: str | None = None
    """arXiv id of the paper to cite."""
    home: str | None = Field(default=None, pattern=r"^https://")
    """The address of its page, if it is not on the hub alone."""
    hub: Hub | None
    """Its own page on the hub; null if it has none."""
    files: dict[str, tuple[str, ...]]
    """For each split, patterns of its file in a local folder; the first that matches counts."""
    folder: str | None = None
    """The folder under `$ASCL_EXTERNAL_DATA` that it shares with another data set; by default one of its own name."""
    downloads: tuple[Download, ...] = ()
    """Its files outside of the hub; without any, they are those of its hub page at the pinned revision."""
    shape: Shape
    """How a row becomes a prompt."""
    sources: tuple[str, ...] = Field(min_length=1)
    """The sources of these facts."""
    note: str | None = None
    """A caveat for readers of its figures."""

    @model_validator(mode="after")
    def _has_a_location(self) -> Dataset:
        if self.hub is None and self.home is None:
            raise ValueError("neither home nor hub is given")
        if self.hub is not None and self.hub.split not in self.files:
            raise ValueError(f"files has nothing for the split {self.hub.split}")
        return self

    @property
    def origin(self) -> str:
        """The hub id, as `hub:owner/name`, or the address of its page."""
        return f"hub:{self.hub.id}" if self.hub else str(self.home)

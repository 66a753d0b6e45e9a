"""The configuration reference: every parameter, with its type as a person would say it."""

from __future__ import annotations

import re
from pathlib import Path

from ascl_core.config.params import Params
from ascl_core.config.reference import reference

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| `([^`]+)` \| (.+?) \| (.+?) \| (.+) \|$", re.MULTILINE)
WORDS = {"text", "whole number", "number", "true or false", "date", "null", "section", "list of section"}


def test_the_committed_page_is_what_the_models_say() -> None:
    assert (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8") == reference(), "run: ascl params docs"


def test_every_type_is_words_values_or_bounds() -> None:
    rows = ROW.findall(reference())
    assert len(rows) > 100
    for key, kind, _, meaning in rows:
        parts = re.split(r" or |, |mapping of | to |list of ", re.sub(r"true or false", "text", kind))
        wrong = [p for p in parts if p and p not in WORDS and not re.fullmatch(r"`[\w.-]+`|[≥≤<>] -?[\d.e+-]+", p)]
        assert not wrong, (key, kind)
        assert meaning.strip(), key


def test_a_mapping_tells_the_bounds_of_its_values() -> None:
    assert (
        "| `trajectories_per_prompt` | mapping of `harmful` or `borderline` or `sensitive` or `utility` to whole number, ≥ 0, ≤ 64 |"
        in (reference())
    )


def test_every_section_has_its_heading_and_summary() -> None:
    page = reference()
    for name in Params.model_fields:
        assert re.search(rf"^## `{name}`\n\n\S.+\n\n\| key \|", page, re.MULTILINE), name

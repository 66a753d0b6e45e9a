"""The page `docs/files.md`: every file that people write, with its fields, from the models that read it."""

from __future__ import annotations

from pydantic import BaseModel

from ascl_core.catalogue.dataset import Dataset
from ascl_core.config.attacks import AttacksConfig
from ascl_core.config.own_prompts import COLUMNS, SafetySeeds, UtilitySeeds
from ascl_core.config.reference import summary_of, table_of
from ascl_core.config.sources import SourceConfig
from ascl_core.config.suites import SuiteConfig
from ascl_core.rules.corpus import Rule, Taxonomy
from tasks.evidence.trust import PublicKey

_INTRODUCTION = """# The files that people write

Every field of every file that you write, as the code reads it. `[]` marks the fields of each entry of a list, `.*` those of each entry of
a mapping. An unknown key is an error that names the nearest known one. `python -m flows.cli.reference` writes this page from the models.

| file | what it decides | how to use it |
|---|---|---|
| [`data/rules/*.yaml`](#datarulesyaml) | the rules | [writing rules](rules.md) |
| [`data/rules/taxonomy.yaml`](#datarulestaxonomyyaml) | categories, areas, jurisdictions | [writing rules](rules.md#the-taxonomy) |
| [`data/raw/*.csv`](#datarawcsv) and other tables | your prompts | [your own prompts](prompts.md) |
| [`data/raw/safety.yaml`](#datarawsafetyyaml) | prompts that are made from seeds | [your own prompts](prompts.md#seeds) |
| [`data/raw/utility.yaml`](#datarawutilityyaml) | questions that are made by rule | [your own prompts](prompts.md#seeds) |
| [a source](#a-source-of-prompts) in `params.yaml` | prompts from elsewhere | [your own prompts](prompts.md) |
| [a suite](#a-suite) in `params.yaml` | more prompts to evaluate on | [public data](public-suites.md) |
| [attacks](#attacks) in `params.yaml` | forgeries and noise around prompts | [attacks](attacks.md) |
| [`ascl_core/catalogue/*.yaml`](#ascl_corecatalogueyaml) | a public data set that is known by name | [extending](extending.md) |
| `params.yaml`, [`profiles/*.yaml`](#profilesyaml) | the parameters of the next run | [configuration](configuration.md) has every key |
| [`data/trust/keys.yaml`](#datatrustkeysyaml) | who may approve and release | [releases](releases.md#keys-and-roles) |
| `prefect.yaml`, `profiles/pools/*.yaml` | deployments and work pools, in Prefect's own format | [deployments](deployments.md) |
| `profiles/accelerate/*.yaml` | training on several GPUs, in accelerate's own format | [GPUs](gpu.md) |
"""
_RULES = "One key, `rules`, with a list. A file may hold any number of rules, and have any name. Each rule has these fields:"
_TABLE = """A table with a header: CSV, TSV, JSON lines, JSON or Parquet, under any name. Another column is an error.

| column | meaning |
|---|---|
"""
_PROFILE = """The sections and keys of [configuration](configuration.md), as far as they differ from the defaults. One key more:
`extends: NAME` takes the values of another profile first; a list replaces its list.
`ascl params write --profile NAME` resolves it into `params.yaml`.
"""
_ATTACK_TEXTS = "The texts of the attacks are constants of `ascl_core/data/attacks.py`; they only claim that something is allowed."


def files_page() -> str:
    """Return the page."""
    columns = "".join(f"| `{name}` | {meaning} |\n" for name, meaning in COLUMNS.items())
    return "\n".join(
        [
            _INTRODUCTION,
            f"## `data/rules/*.yaml`\n\n{_RULES}\n\n{table_of(Rule)}",
            _section("`data/rules/taxonomy.yaml`", Taxonomy),
            f"## `data/raw/*.csv`\n\n{_TABLE}{columns}",
            _section("`data/raw/safety.yaml`", SafetySeeds),
            _section("`data/raw/utility.yaml`", UtilitySeeds),
            _section(
                "A source of prompts", SourceConfig, "An entry of `curate.sources` or `build_sft.published` in `params.yaml` or a profile."
            ),
            _section("A suite", SuiteConfig, "An entry of `suites.external` in `params.yaml` or a profile."),
            _section("Attacks", AttacksConfig, _ATTACK_TEXTS),
            _section("`ascl_core/catalogue/*.yaml`", Dataset),
            f"## `profiles/*.yaml`\n\n{_PROFILE}",
            _section(
                "`data/trust/keys.yaml`", PublicKey, "One key, `keys`, with a list; `ascl keys new` writes it. Each key has these fields:"
            ),
        ]
    )


def _section(heading: str, model: type[BaseModel], more: str = "") -> str:
    return "\n\n".join([f"## {heading}", summary_of(model), *([more] if more else []), table_of(model)])

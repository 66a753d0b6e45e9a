"""The stage `validate_data`: Great Expectations on the curated prompts; a failed expectation blocks the run."""

from __future__ import annotations

import logging
import math
import os
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ascl_core.artifacts import read_parquet, write_json
from ascl_core.config.rules import RulesConfig
from ascl_core.config.validate_data import ValidateDataConfig
from ascl_core.contracts import StageContext
from ascl_core.errors import DataQualityError
from ascl_core.evaluation.intervals import wilson
from ascl_core.rules.corpus import Corpus, Rule, load_corpus
from ascl_core.vocabulary import PromptType, ResponsePolicy, Split

if TYPE_CHECKING:
    import great_expectations as gx
    import pandas as pd

    Expectations = list[tuple[str, gx.expectations.Expectation]]

_SITE = "docs"
_SHOWN = 3


def validate_data(
    *,
    validate_data: ValidateDataConfig,
    rules: RulesConfig,
    prompts: Path,
    corpus: Path,
    validation: Path,
    docs: Path,
    context: StageContext,
) -> dict[str, float | int | str]:
    """Write every expectation's result and the data docs; `DataQualityError` names the first that fail.

    In that case the results and the docs are in the folder for resumable state, because the outputs of a failed stage are not published.
    """
    rows = read_parquet(prompts).to_pandas()
    context.progress.update("check expectations", 0, 1)
    loaded_corpus = load_corpus(corpus)
    in_force = loaded_corpus.active_anywhere(rules.at)
    of_prompts, of_types = _expectations(validate_data, loaded_corpus, in_force)
    result = _run({"prompts": (rows, of_prompts), "prompt types": (_by_type(rows, in_force), of_types)}, docs)
    context.progress.update("check expectations", 1, 1)
    if failed := [e for e in result["expectations"] if not e["success"]]:
        write_json(context.state / "result.json", result)
        listed = "; ".join(f"{e['meaning']} (found {e['observed']})" for e in failed[:_SHOWN])
        raise DataQualityError(
            f"{len(failed)} of {len(result['expectations'])} expectations failed: {listed}",
            file=prompts,
            hint="add prompts (docs/prompts.md), or change the limits in the section validate_data of params.yaml",
        )
    write_json(validation, result)
    return dict(result["statistics"])


def _by_type(rows: pd.DataFrame, in_force: Sequence[Rule]) -> pd.DataFrame:
    """Return a row for each prompt type: its number, the lower bound of its share, and `expected` if a rule in force decides the type."""
    import pandas as pd

    decided = {rule.policy.prompt_type for rule in in_force}
    numbers = [int((rows["prompt_type"] == str(kind)).sum()) for kind in PromptType]
    shares = [found.low if (found := wilson(number, len(rows))) else 0.0 for number in numbers]
    expected = [number if kind in decided else None for kind, number in zip(PromptType, numbers, strict=True)]
    return pd.DataFrame({"prompt_type": [str(kind) for kind in PromptType], "rows": numbers, "expected": expected, "share": shares})


def _expectations(config: ValidateDataConfig, corpus: Corpus, in_force: Sequence[Rule]) -> tuple[Expectations, Expectations]:
    """Return the expectations of the prompts, and of the table of prompt types, each with its meaning."""
    import great_expectations.expectations as gxe
    from great_expectations.expectations.row_conditions import Column

    pairs = [(str(policy), str(policy.prompt_type)) for policy in ResponsePolicy]
    pairs.append((str(ResponsePolicy.COMPLY), str(PromptType.UTILITY)))
    is_utility, is_other = Column("prompt_type") == str(PromptType.UTILITY), Column("prompt_type") != str(PromptType.UTILITY)
    num_categories = len({rule.category for rule in in_force})
    min_rows = max(1, math.ceil(config.min_rows_per_rule * len(in_force)))
    decided = ", ".join(sorted({rule.policy.prompt_type for rule in in_force}))
    least, share = int(config.min_share_of_categories * num_categories), config.min_share_with_category

    def known(column: str, values: Iterable[str]) -> gx.expectations.Expectation:
        return gxe.ExpectColumnValuesToBeInSet(column=column, value_set=list(values))

    of_prompts: Expectations = [
        (
            f"there are at least {min_rows} prompts for {len(in_force)} rules in force",
            gxe.ExpectTableRowCountToBeBetween(min_value=min_rows),
        ),
        *(
            (f"every prompt has its {name}", gxe.ExpectColumnValuesToNotBeNull(column=name))
            for name in ("id", "prompt", "source", "licence")
        ),
        ("no id occurs twice", gxe.ExpectColumnValuesToBeUnique(column="id")),
        (
            "no prompt occurs twice in one jurisdiction",
            gxe.ExpectCompoundColumnsToBeUnique(column_list=["prompt", "jurisdiction"]),
        ),
        (
            "no prompt is blank or has control characters",
            gxe.ExpectColumnValuesToNotMatchRegex(column="prompt", regex=r"^\s*$|[\x00-\x08\x0b-\x1f\x7f]"),
        ),
        ("every prompt type is known", known("prompt_type", map(str, PromptType))),
        ("every policy is known", known("policy", map(str, ResponsePolicy))),
        (
            "the policy fits the prompt type",
            gxe.ExpectColumnPairValuesToBeInSet(column_A="policy", column_B="prompt_type", value_pairs_set=pairs),
        ),
        ("every split is known", known("split", map(str, Split))),
        ("every category is in the corpus", known("category", sorted(corpus.categories))),
        ("every rule is in the corpus", known("rule_id", [rule.id for rule in corpus.rules])),
        (
            f"the prompts are of at least {least} of the {num_categories} categories that have a rule in force",
            gxe.ExpectColumnUniqueValueCountToBeBetween(column="category", min_value=least),
        ),
        ("every utility prompt has an answer", gxe.ExpectColumnValuesToNotBeNull(column="answer", row_condition=is_utility)),
        (
            "every other prompt has a category" if share == 1 else f"at least {100 * share:.0f} % of the other prompts have a category",
            gxe.ExpectColumnValuesToNotBeNull(column="category", row_condition=is_other, mostly=share),
        ),
    ]
    of_types: Expectations = [
        (
            f"each type that a rule decides has {config.min_rows_per_type} or more prompts: {decided}",
            gxe.ExpectColumnMinToBeBetween(column="expected", min_value=config.min_rows_per_type),
        ),
        (
            f"no prompt type has more than {100 * config.max_share_of_type:.0f} % of the prompts, within the uncertainty of their number",
            gxe.ExpectColumnMaxToBeBetween(column="share", max_value=config.max_share_of_type),
        ),
    ]
    return of_prompts, of_types


def _run(suites: dict[str, tuple[pd.DataFrame, Expectations]], docs: Path) -> dict[str, Any]:
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations as gx

        logging.getLogger("great_expectations").setLevel(logging.ERROR)
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = cast(Any, {"globally": False})
        context.add_data_docs_site(
            site_name=_SITE,
            site_config={
                "class_name": "SiteBuilder",
                "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
                "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(docs.resolve())},
            },
        )
        frames = context.data_sources.add_pandas("curated")
        expectations = [result for name, (frame, wanted) in suites.items() for result in _check(context, frames, name, frame, wanted)]
        context.build_data_docs(site_names=[_SITE])
    successful = sum(e["success"] for e in expectations)
    return {
        "success": successful == len(expectations),
        "statistics": {"evaluated": len(expectations), "successful": successful},
        "expectations": expectations,
    }


def _check(context: Any, frames: Any, name: str, frame: pd.DataFrame, wanted: Expectations) -> list[dict[str, Any]]:
    import great_expectations as gx

    suite = context.suites.add(gx.ExpectationSuite(name=name))
    for meaning, expectation in wanted:
        expectation.notes = meaning
        expectation.meta = {"meaning": meaning}
        suite.add_expectation(expectation)
    batch = frames.add_dataframe_asset(name).add_batch_definition_whole_dataframe("all")
    definition = context.validation_definitions.add(gx.ValidationDefinition(name=name, data=batch, suite=suite))
    checkpoint = context.checkpoints.add(gx.Checkpoint(name=name, validation_definitions=[definition], result_format="SUMMARY"))
    outcome = checkpoint.run(batch_parameters={"dataframe": frame})
    (run,) = outcome.run_results.values()
    return [_plain(result) for result in run.results]


def _plain(result: Any) -> dict[str, Any]:
    values = result.to_json_dict()
    config, found = values["expectation_config"], values.get("result", {})
    kwargs = {k: v for k, v in config["kwargs"].items() if k != "batch_id"}
    observed = found.get("observed_value")
    if observed is None:
        observed = found.get("partial_unexpected_list") or f"{found.get('unexpected_count', 0)} unexpected"
    problem = (values.get("exception_info") or {}).get("exception_message")
    return {
        "meaning": config["meta"]["meaning"],
        "expectation": config["type"],
        "column": kwargs.get("column"),
        "kwargs": kwargs,
        "success": bool(values["success"]),
        "observed": problem or observed,
    }

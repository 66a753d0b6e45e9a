"""The parameter forms: what a flow refuses although the form's own checks were skipped, and how the UI draws them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from prefect.utilities.callables import parameter_schema
from pydantic import ValidationError

from ascl_core.arms import ARMS
from ascl_core.config.profiles import profile_names
from ascl_core.errors import ConfigError
from flows.compare import compare_arms
from flows.evaluate import evaluate
from flows.forms import CompareForm, EvaluateForm, PromoteForm, RetrainForm, WatchForm, checked
from flows.promote import promote
from flows.retrain import retrain
from flows.watch_rules import watch_rules
from tasks.registry.stages import STAGES

ROOT = Path(__file__).parents[2]
FLOWS = (retrain, evaluate, promote, watch_rules, compare_arms)


@pytest.mark.parametrize("form", [RetrainForm(), EvaluateForm(), PromoteForm(run="20260101-retrain-0a1b2c3d"), WatchForm(), CompareForm()])
def test_what_a_form_offers_passes_its_own_checks(form: Any) -> None:
    assert checked(form) == form


@pytest.mark.parametrize(
    "source",
    [
        *("file:///etc/passwd", "FILE://x", "/etc/rules", "~/rules", "../rules", "a/../../b", "rules/..", "-x", "--upload-pack=x", "a b"),
        *("https://host/rules", "s3://key:secret@bucket/rules", "s3://bucket/../x", "s3://", "s3://b", "HEAD..main", "", "x" * 301, "a\nb"),
    ],
)
def test_a_source_outside_the_repository_is_refused(source: str) -> None:
    with pytest.raises(ValidationError):
        RetrainForm.model_validate({"rules": {"source": source}})
    with pytest.raises(ValidationError):
        WatchForm.model_validate({"source": source})


@pytest.mark.parametrize(
    "source", ["HEAD", "main", "origin/main", "v1.2.3", "HEAD~1", "0a1b2c3d", "s3://bucket/rules", "s3://my-bucket/a/b.c/"]
)
def test_revisions_and_prefixes_of_a_store_are_sources(source: str) -> None:
    assert RetrainForm.model_validate({"rules": {"source": source}}).rules.source == source


@pytest.mark.parametrize(
    "source", ["/data/models/x", "../x", "data/../../x", "file://x", "https://u:p@host/x", "s3://b/x", "~/x", "", "-rf"]
)
def test_a_checkpoint_outside_the_repository_is_refused(source: str) -> None:
    with pytest.raises(ValidationError):
        EvaluateForm.model_validate({"checkpoints": [source]})


@pytest.mark.parametrize(
    "setting",
    [
        *(
            "base_model.path=/etc/passwd",
            "base_model.path=../x",
            "a.b=file:///x",
            "a.b=https://me:pw@host/v1",
            "curate.sources=[{path: /x}]",
        ),
        *("sft", "sft=1", "=1", "SFT.x=1", "sft.x=1\nifpo.y=2", 'a.b="~/x"'),
    ],
)
def test_a_setting_that_reaches_outside_or_is_none_is_refused(setting: str) -> None:
    with pytest.raises(ValidationError):
        RetrainForm.model_validate({"training": {"settings": [setting]}})


@pytest.mark.parametrize(
    "setting", ["sft.max_steps=100", "gate.min_safety=0.9", "ifpo.judge.url=https://host/v1", "ifpo.prompt_mix={harmful: 1}"]
)
def test_settings_are_taken_as_they_are(setting: str) -> None:
    assert RetrainForm.model_validate({"training": {"settings": [setting]}}).training.settings == [setting]


def test_a_form_that_was_built_without_its_checks_is_refused_with_the_field_and_the_bound() -> None:
    loose = RetrainForm.model_construct(limits=RetrainForm().limits.model_copy(update={"retries": 99}))
    with pytest.raises(ConfigError, match=r"the form of retrain: limits\.retries: .*less than or equal to 5"):
        checked(loose)


def test_the_choices_are_stages_and_arms_that_there_are() -> None:
    stages = parameter_schema(retrain.fn).model_dump()["definitions"]["RetrainForm"]["properties"]["force"]["items"]["enum"]
    assert stages == [stage.name for stage in STAGES]
    offered = parameter_schema(compare_arms.fn).model_dump()["definitions"]["CompareForm"]["properties"]["arms"]["items"]["enum"]
    assert offered == [arm.name for arm in ARMS]
    with pytest.raises(ValidationError, match="did you mean 'ifpo'"):
        RetrainForm.model_validate({"force": ["ifop"]})
    with pytest.raises(ValidationError, match="did you mean 'grpo'"):
        CompareForm.model_validate({"arms": ["grop"]})


def test_the_profiles_of_the_repository_are_the_choices_and_params_yaml_is_none_of_them() -> None:
    schema = parameter_schema(retrain.fn).model_dump()["definitions"]["Training"]["properties"]["profile"]
    assert schema["enum"] == ["params.yaml", *profile_names(ROOT)]
    assert {"tiny", "full"} <= set(schema["enum"])
    assert RetrainForm().training.chosen is None
    assert RetrainForm.model_validate({"training": {"profile": "tiny"}}).training.chosen == "tiny"
    with pytest.raises(ValidationError):
        RetrainForm.model_validate({"training": {"profile": "../tiny"}})


@pytest.mark.parametrize("form", [RetrainForm, EvaluateForm, PromoteForm, CompareForm])
def test_nothing_is_pushed_unless_the_form_says_so_and_the_form_says_what_that_pushes(form: Any) -> None:
    push = form.model_fields["push"]
    assert push.default is False
    assert "DVC remote" in push.description
    assert "origin" in push.description


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
def test_every_field_has_its_position_and_a_description(flow: Any) -> None:
    definitions = parameter_schema(flow.fn).model_dump()["definitions"]
    models = [model for model in definitions.values() if model["type"] == "object"]
    assert models
    for model in models:
        fields = model["properties"]
        assert [field["position"] for field in fields.values()] == list(range(len(fields)))
        assert all("description" in field or "$ref" in field for field in fields.values()), model["title"]
        assert not [name for name, field in fields.items() if {"anyOf", "oneOf", "exclusiveMinimum", "exclusiveMaximum"} & set(field)]

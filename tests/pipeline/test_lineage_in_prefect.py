"""Lineage in Prefect: the outputs of a run's stages are assets, with their digests, made from their inputs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from tasks.execution.prefect_stage import asset_key
from tasks.registry.stages import IFPO, STAGES
from tests.pipeline.workspace import Workspace, wait_until

pytestmark = pytest.mark.timeout(600)


def events(url: str, name: str, since: datetime) -> list[dict[str, Any]]:
    """The events of that name that the server has heard since then; it is the server of other tests, too."""
    asked = {"event": {"name": [name]}, "occurred": {"since": since.isoformat(), "until": datetime.now(UTC).isoformat()}}
    found, page = [], httpx.post(f"{url}/events/filter", json={"filter": asked, "limit": 50}).json()
    while True:
        found += page["events"]
        if not page.get("next_page"):
            return found
        page = httpx.get(page["next_page"]).json()


def test_every_output_of_a_run_is_an_asset_with_the_digest_of_its_record(finished: Workspace) -> None:
    from ascl_core.artifacts import read_json

    assert finished.api_url is not None
    url, since = finished.api_url, datetime.now(UTC)
    finished.ascl("run")
    wanted = {asset_key(artifact): stage for stage in STAGES for artifact in stage.outputs.values()}

    def made() -> dict[str, dict[str, Any]]:
        found = events(url, "prefect.asset.materialization.succeeded", since)
        return {one["resource"]["prefect.resource.id"]: one for one in found}

    wait_until(lambda: made().keys() >= wanted.keys(), "every asset on the server")
    found = made()
    for key, stage in wanted.items():
        sha256 = read_json(finished.root / stage.record.path)["outputs"][key.removeprefix("ascl://")]
        assert found[key]["payload"] == {"sha256": sha256, "action": "reused"}
    related = {one["prefect.resource.id"] for one in found[asset_key(IFPO.outputs["checkpoint"])]["related"]}
    assert {asset_key(artifact) for artifact in IFPO.input_artifacts()} <= related

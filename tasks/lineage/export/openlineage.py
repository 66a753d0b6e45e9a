"""The records upstream of an artifact as OpenLineage run events: a START and a COMPLETE for each, as JSON lines.

The events are made of the classes that `openlineage-python` generates from the specification, version 2-0-2. What no standard facet
holds is in two facets of this project's own: the digests of a data set, and the record of a run.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ascl_core.errors import DataError
from ascl_core.urls import redacted
from tasks.evidence.graph import Graph, Node
from tasks.evidence.snapshot import Snapshot
from tasks.repository.git import git

if TYPE_CHECKING:
    from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent
    from openlineage.client.generated.base import DatasetFacet, InputDatasetFacet, JobFacet, OutputDatasetFacet, RunFacet

NAMESPACE = "ascl"
"""Of jobs and data sets, which are named by their path in the repository."""
PRODUCER = "urn:ascl:producer"
"""The producer of the events: this project has no URL."""
FACETS = "urn:ascl:openlineage-facet"
"""The prefix of the names of this project's own facets, which `docs/lineage-diff.md` describes."""
_RUNS = uuid.UUID("5d3bd1c4-1a3c-5f57-9d5c-6f6c3b0a4a5e")
"""Gives a record the same run id wherever it is exported."""


def lines(graph: Graph, nodes: Sequence[Node]) -> str:
    """Return a START and a COMPLETE event for each record, as JSON lines; the same records give the same bytes.

    `DataError` if an event does not fit the schema.
    """
    from openlineage.client.serde import Serde

    written = [Serde.to_json(event) for node in nodes for event in _of_record(graph, node)]
    for number, line in enumerate(written, start=1):
        check(json.loads(line), f"event {number}")
    return "".join(f"{line}\n" for line in written)


def check(event: Mapping[str, Any], named: str) -> None:
    """Raise `DataError` unless the event fits the schema of what is written here."""
    from jsonschema import Draft202012Validator

    from tasks.lineage.export.event_schema import SCHEMA

    validator = Draft202012Validator(SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER)
    for error in validator.iter_errors(event):
        raise DataError(f"is no OpenLineage event: {error.message[:200]}", field=f"{named}: {error.json_path}")


def _of_record(graph: Graph, node: Node) -> list[RunEvent]:
    from openlineage.client.event_v2 import RunEvent, RunState

    run, job = _run(node), _job(graph.snapshot, node)
    inputs = [_input(graph.snapshot, path, sha256) for path, sha256 in node.inputs.items()]
    outputs = [_output(graph.snapshot, node, path, sha256) for path, sha256 in node.outputs.items()]
    times: tuple[tuple[RunState, str, list[OutputDataset]], ...] = (
        (RunState.START, node.record.started, []),
        (RunState.COMPLETE, node.record.ended, outputs),
    )
    return [
        RunEvent(eventTime=time, producer=PRODUCER, run=run, job=job, eventType=state, inputs=inputs, outputs=given)
        for state, time, given in times
    ]


def run_id(node: Node) -> str:
    """Return the id of the run that wrote a record, which depends only on the record's bytes."""
    return str(uuid.uuid5(_RUNS, node.sha256))


def _run(node: Node) -> Run:
    from openlineage.client.event_v2 import Run
    from openlineage.client.generated.nominal_time_run import NominalTimeRunFacet
    from openlineage.client.generated.parent_run import ParentRunFacet
    from openlineage.client.generated.processing_engine_run import ProcessingEngineRunFacet

    record = node.record
    facets: dict[str, RunFacet] = {
        "nominalTime": NominalTimeRunFacet(record.started, record.ended, producer=PRODUCER),
        "processing_engine": ProcessingEngineRunFacet(record.machine.python, "Python", version("ascl"), producer=PRODUCER),
        "ascl_record": _own("RunFacet", record=_record(node)),
    }
    if record.prefect_run:
        facets["parent"] = ParentRunFacet.create(record.prefect_run, NAMESPACE, "prefect")
        facets["parent"]._producer = PRODUCER
    return Run(run_id(node), facets)


def _record(node: Node) -> dict[str, Any]:
    """Return the record without its inputs and outputs."""
    values = node.record.dump()
    keys = ["digest", "parameters", "metrics", "packages", "machine", "seconds"]
    keys += ["rules", "seeds", "gpus", "gpu_seconds", "parents", "installed"]
    code = {"digest": node.record.code.digest, "diff": node.record.git.diff}
    kept = {key: values[key] for key in keys if values.get(key) is not None}
    return {"path": node.stage.record.path, "sha256": node.sha256, "code": code, **kept}


def _job(snapshot: Snapshot, node: Node) -> Job:
    from openlineage.client.event_v2 import Job
    from openlineage.client.generated.documentation_job import DocumentationJobFacet
    from openlineage.client.generated.job_type_job import JobTypeJobFacet
    from openlineage.client.generated.source_code_location_job import SourceCodeLocationJobFacet

    module, revision = node.record.function.partition(":")[0], node.record.git.revision
    path, origin = f"{module.replace('.', '/')}.py", _origin(snapshot.root)
    location = SourceCodeLocationJobFacet(
        "git", f"{origin or 'urn:ascl:repository'}#{revision or 'no-commit'}:{path}", origin, path, revision, producer=PRODUCER
    )
    facets: dict[str, JobFacet] = {
        "documentation": DocumentationJobFacet(node.stage.summary, producer=PRODUCER),
        "jobType": JobTypeJobFacet("BATCH", "ASCL", "TASK", producer=PRODUCER),
        "sourceCodeLocation": location,
    }
    return Job(NAMESPACE, node.stage.name, facets)


def _origin(root: Path) -> str | None:
    """Return the URL from which the repository was cloned, without credentials."""
    return redacted(git(root, "remote", "get-url", "origin")) if "origin" in git(root, "remote").splitlines() else None


def _input(snapshot: Snapshot, path: str, sha256: str) -> InputDataset:
    from openlineage.client.event_v2 import InputDataset
    from openlineage.client.generated.input_statistics_input_dataset import InputStatisticsInputDatasetFacet

    size = _size(snapshot, path)
    own: dict[str, InputDatasetFacet] = {"inputStatistics": InputStatisticsInputDatasetFacet(**size, producer=PRODUCER)} if size else {}
    return InputDataset(NAMESPACE, path, own, facets=_data_set(snapshot, path, sha256, None))


def _output(snapshot: Snapshot, node: Node, path: str, sha256: str) -> OutputDataset:
    from openlineage.client.event_v2 import OutputDataset
    from openlineage.client.generated.output_statistics_output_dataset import OutputStatisticsOutputDatasetFacet

    size = _size(snapshot, path)
    own: dict[str, OutputDatasetFacet] = {"outputStatistics": OutputStatisticsOutputDatasetFacet(**size, producer=PRODUCER)} if size else {}
    return OutputDataset(NAMESPACE, path, own, facets=_data_set(snapshot, path, sha256, node.record.files.get(path)))


def _data_set(snapshot: Snapshot, path: str, sha256: str, files: Mapping[str, str] | None) -> dict[str, DatasetFacet]:
    from openlineage.client.generated.dataset_version_dataset import DatasetVersionDatasetFacet

    digests: dict[str, Any] = {"sha256": sha256, "md5": snapshot.md5s.get(path)} | ({"files": dict(files)} if files else {})
    facets: dict[str, DatasetFacet] = {
        "version": DatasetVersionDatasetFacet(sha256, producer=PRODUCER),
        "ascl_digests": _own("DatasetFacet", **{key: value for key, value in digests.items() if value is not None}),
    }
    return facets | _schema(snapshot, path)


def _schema(snapshot: Snapshot, path: str) -> dict[str, DatasetFacet]:
    """Return the columns of a Parquet file, if it is available here."""
    from openlineage.client.generated.schema_dataset import SchemaDatasetFacet, SchemaDatasetFacetFields

    file = snapshot.files(path).get("") if path.endswith(".parquet") else None
    if file is None:
        return {}
    import pyarrow.parquet as pq

    columns = [SchemaDatasetFacetFields(field.name, str(field.type), fields=None) for field in pq.read_schema(file)]
    return {"schema": SchemaDatasetFacet(columns, producer=PRODUCER)}


def _size(snapshot: Snapshot, path: str) -> dict[str, int]:
    """Return bytes and files of a data set, and the rows of a Parquet file; empty if it is not available here."""
    files = [] if "://" in path or Path(path).is_absolute() else list(snapshot.files(path).values())
    if not files or any(file is None for file in files):
        return {}
    size = {"size": sum(file.stat().st_size for file in files if file), "fileCount": len(files)}
    if path.endswith(".parquet") and files[0]:
        import pyarrow.parquet as pq

        size["rowCount"] = pq.read_metadata(files[0]).num_rows
    return size


def _own(kind: str, **fields: Any) -> Any:
    """Return a facet of this project's own."""
    from openlineage.client.generated import base

    facet = getattr(base, kind)(producer=PRODUCER).with_additional_properties(**fields)
    facet._schemaURL = f"{FACETS}:{kind}:1"
    return facet

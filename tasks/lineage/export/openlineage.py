"""The records behind an artifact as OpenLineage run events: a START and a COMPLETE for each, as JSON lines.

The events are made of the classes that `openlineage-python` generates from the specification, version 2-0-2. What the standard facets
have no place for stands in two facets of this project's own: the digests of a data set, and what a record says of a run.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ascl_core.errors import DataError
from ascl_core.urls import redacted
from tasks.evidence.graph import Graph, Node
from tasks.evidence.snapshot import Place
from tasks.repository.git import git

if TYPE_CHECKING:
    from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent
    from openlineage.client.generated.base import DatasetFacet, InputDatasetFacet, JobFacet, OutputDatasetFacet, RunFacet

NAMESPACE = "ascl"
"""Of the jobs, and of the data sets, which are named by their path in the repository."""
PRODUCER = "urn:ascl:producer"
"""Who makes the events: this project has no address of its own."""
FACETS = "urn:ascl:openlineage-facet"
"""Where the facets of this project's own are defined: `docs/lineage-diff.md` tells their fields."""
_RUNS = uuid.UUID("5d3bd1c4-1a3c-5f57-9d5c-6f6c3b0a4a5e")
"""So that the same record has the same run id wherever it is exported."""


def lines(graph: Graph, nodes: Sequence[Node]) -> str:
    """A START and a COMPLETE event for each record, as JSON lines; the same records give the same bytes.

    `DataError` where one is not what the schema asks for.
    """
    from openlineage.client.serde import Serde

    written = [Serde.to_json(event) for node in nodes for event in _of_record(graph, node)]
    for number, line in enumerate(written, start=1):
        check(json.loads(line), f"event {number}")
    return "".join(f"{line}\n" for line in written)


def check(event: Mapping[str, Any], named: str) -> None:
    """`DataError` unless the event fits the schema of what is written here, and the generated classes take it and give it back."""
    from jsonschema import Draft202012Validator
    from openlineage.client.serde import Serde

    from tasks.lineage.export.event_schema import SCHEMA

    validator = Draft202012Validator(SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER)
    for error in validator.iter_errors(event):
        raise DataError(f"is no OpenLineage event: {error.message[:200]}", field=f"{named}: {error.json_path}")
    try:
        again = Serde.to_dict(rebuilt(event))
    except (TypeError, ValueError, KeyError) as error:
        raise DataError(f"openlineage-python does not take the event: {error}", field=named) from error
    if json.loads(json.dumps(again)) != event:
        raise DataError("openlineage-python gives the event back otherwise", field=named)


def rebuilt(event: Mapping[str, Any]) -> RunEvent:
    """The event of a line, made of the generated classes again."""
    from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState

    def data_sets(kind: Any, own: str, listed: Iterable[Mapping[str, Any]]) -> list[Any]:
        return [kind(one["namespace"], one["name"], **{own: _facets(one[own])}, facets=_facets(one["facets"])) for one in listed]

    return RunEvent(
        eventTime=event["eventTime"],
        eventType=RunState(event["eventType"]),
        producer=event["producer"],
        run=Run(event["run"]["runId"], _facets(event["run"]["facets"])),
        job=Job(event["job"]["namespace"], event["job"]["name"], _facets(event["job"]["facets"])),
        inputs=data_sets(InputDataset, "inputFacets", event["inputs"]),
        outputs=data_sets(OutputDataset, "outputFacets", event["outputs"]),
    )


def _of_record(graph: Graph, node: Node) -> list[RunEvent]:
    from openlineage.client.event_v2 import RunEvent, RunState

    record, run, job = node.record, _run(node), _job(graph.place, node)
    inputs = [_input(graph.place, path, sha256) for path, sha256 in node.inputs.items()]
    outputs = [_output(graph.place, node, path, sha256) for path, sha256 in node.outputs.items()]
    times: tuple[tuple[RunState, str, list[OutputDataset]], ...] = (
        (RunState.START, record["started"], []),
        (RunState.COMPLETE, record["ended"], outputs),
    )
    return [
        RunEvent(eventTime=time, producer=PRODUCER, run=run, job=job, eventType=state, inputs=inputs, outputs=given)
        for state, time, given in times
    ]


def run_id(node: Node) -> str:
    """The id of the run that wrote a record: it follows from the record's own bytes."""
    return str(uuid.uuid5(_RUNS, node.sha256))


def _run(node: Node) -> Run:
    from openlineage.client.event_v2 import Run
    from openlineage.client.generated.nominal_time_run import NominalTimeRunFacet
    from openlineage.client.generated.parent_run import ParentRunFacet
    from openlineage.client.generated.processing_engine_run import ProcessingEngineRunFacet

    record = node.record
    facets: dict[str, RunFacet] = {
        "nominalTime": NominalTimeRunFacet(record["started"], record["ended"], producer=PRODUCER),
        "processing_engine": ProcessingEngineRunFacet(record["machine"]["python"], "Python", version("ascl"), producer=PRODUCER),
        "ascl_record": _own("RunFacet", record=_record(node)),
    }
    if flow_run := record.get("prefect_run"):
        facets["parent"] = ParentRunFacet.create(flow_run, NAMESPACE, "prefect")
        facets["parent"]._producer = PRODUCER
    return Run(run_id(node), facets)


def _record(node: Node) -> dict[str, Any]:
    """What the record says of the run, but for its inputs and outputs."""
    record = node.record
    same = ("digest", "parameters", "metrics", "packages", "machine", "seconds")
    later = ("rules", "seeds", "gpus", "gpu_seconds", "parents", "installed")
    code = {"digest": record["code"]["digest"], "diff": record["git"]["diff"]}
    said = {key: record[key] for key in same} | {key: record[key] for key in later if record.get(key) is not None}
    return {"path": node.stage.record.path, "sha256": node.sha256, "code": code, **said}


def _job(place: Place, node: Node) -> Job:
    from openlineage.client.event_v2 import Job
    from openlineage.client.generated.documentation_job import DocumentationJobFacet
    from openlineage.client.generated.job_type_job import JobTypeJobFacet
    from openlineage.client.generated.source_code_location_job import SourceCodeLocationJobFacet

    module, revision = node.record["function"].partition(":")[0], node.record["git"]["revision"]
    path, origin = f"{module.replace('.', '/')}.py", _origin(place.root)
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
    """The URL from which the repository was cloned, without what is secret in it."""
    return redacted(git(root, "remote", "get-url", "origin")) if "origin" in git(root, "remote").splitlines() else None


def _input(place: Place, path: str, sha256: str) -> InputDataset:
    from openlineage.client.event_v2 import InputDataset
    from openlineage.client.generated.input_statistics_input_dataset import InputStatisticsInputDatasetFacet

    size = _size(place, path)
    own: dict[str, InputDatasetFacet] = {"inputStatistics": InputStatisticsInputDatasetFacet(**size, producer=PRODUCER)} if size else {}
    return InputDataset(NAMESPACE, path, own, facets=_data_set(place, path, sha256, None))


def _output(place: Place, node: Node, path: str, sha256: str) -> OutputDataset:
    from openlineage.client.event_v2 import OutputDataset
    from openlineage.client.generated.output_statistics_output_dataset import OutputStatisticsOutputDatasetFacet

    size = _size(place, path)
    own: dict[str, OutputDatasetFacet] = {"outputStatistics": OutputStatisticsOutputDatasetFacet(**size, producer=PRODUCER)} if size else {}
    return OutputDataset(NAMESPACE, path, own, facets=_data_set(place, path, sha256, node.record.get("files", {}).get(path)))


def _data_set(place: Place, path: str, sha256: str, files: Mapping[str, str] | None) -> dict[str, DatasetFacet]:
    from openlineage.client.generated.dataset_version_dataset import DatasetVersionDatasetFacet

    digests: dict[str, Any] = {"sha256": sha256, "md5": place.md5s.get(path)} | ({"files": dict(files)} if files else {})
    facets: dict[str, DatasetFacet] = {
        "version": DatasetVersionDatasetFacet(sha256, producer=PRODUCER),
        "ascl_digests": _own("DatasetFacet", **{key: value for key, value in digests.items() if value is not None}),
    }
    return facets | _schema(place, path)


def _schema(place: Place, path: str) -> dict[str, DatasetFacet]:
    """The columns of a Parquet file that is at hand."""
    from openlineage.client.generated.schema_dataset import SchemaDatasetFacet, SchemaDatasetFacetFields

    file = place.files(path).get("") if path.endswith(".parquet") else None
    if file is None:
        return {}
    import pyarrow.parquet as pq

    columns = [SchemaDatasetFacetFields(field.name, str(field.type), fields=None) for field in pq.read_schema(file)]
    return {"schema": SchemaDatasetFacet(columns, producer=PRODUCER)}


def _size(place: Place, path: str) -> dict[str, int]:
    """Bytes and files of a data set, and the rows of a Parquet file; empty where it is not at hand."""
    files = [] if "://" in path or Path(path).is_absolute() else list(place.files(path).values())
    if not files or any(file is None for file in files):
        return {}
    size = {"size": sum(file.stat().st_size for file in files if file), "fileCount": len(files)}
    if path.endswith(".parquet") and files[0]:
        import pyarrow.parquet as pq

        size["rowCount"] = pq.read_metadata(files[0]).num_rows
    return size


def _own(kind: str, **fields: Any) -> Any:
    """A facet of this project's own."""
    from openlineage.client.generated import base

    facet = getattr(base, kind)(producer=PRODUCER).with_additional_properties(**fields)
    facet._schemaURL = f"{FACETS}:{kind}:1"
    return facet


def _facets(listed: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {name: _facet(name, dict(values)) for name, values in listed.items()}


def _facet(name: str, values: dict[str, Any]) -> Any:
    """A facet of its generated class, by its name; the class checks its fields."""
    from openlineage.client.generated import (
        dataset_version_dataset,
        documentation_job,
        input_statistics_input_dataset,
        job_type_job,
        nominal_time_run,
        output_statistics_output_dataset,
        parent_run,
        processing_engine_run,
        schema_dataset,
        source_code_location_job,
    )

    if name.startswith("ascl_"):
        kind = values.pop("_schemaURL").split(":")[-2]
        del values["_producer"]
        return _own(kind, **values)
    classes: dict[str, Any] = {
        "nominalTime": nominal_time_run.NominalTimeRunFacet,
        "processing_engine": processing_engine_run.ProcessingEngineRunFacet,
        "documentation": documentation_job.DocumentationJobFacet,
        "jobType": job_type_job.JobTypeJobFacet,
        "sourceCodeLocation": source_code_location_job.SourceCodeLocationJobFacet,
        "inputStatistics": input_statistics_input_dataset.InputStatisticsInputDatasetFacet,
        "outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet,
        "version": dataset_version_dataset.DatasetVersionDatasetFacet,
    }
    producer, url = values.pop("_producer"), values.pop("_schemaURL")
    if name == "parent":
        facet: Any = parent_run.ParentRunFacet.create(values["run"]["runId"], values["job"]["namespace"], values["job"]["name"])
        facet._producer = producer
    elif name == "schema":
        columns = [schema_dataset.SchemaDatasetFacetFields(**{"fields": None, **column}) for column in values["fields"]]
        facet = schema_dataset.SchemaDatasetFacet(columns, producer=producer)
    else:
        facet = classes[name](**values, producer=producer)
    if facet._schemaURL != url:
        raise ValueError(f"{name} has the schema {url}, and {facet._schemaURL} is known")
    return facet

"""The records upstream of an artifact as OpenLineage run events: a START and a COMPLETE for each, as JSON lines.

The events are made of the classes that `openlineage-python` generates from the specification, version 2-0-2. What no standard facet
holds is in two facets of this project's own: the digests of a data set, and the record of a run.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.generated.base import DatasetFacet, RunFacet
from openlineage.client.generated.dataset_version_dataset import DatasetVersionDatasetFacet
from openlineage.client.generated.documentation_job import DocumentationJobFacet
from openlineage.client.generated.input_statistics_input_dataset import InputStatisticsInputDatasetFacet
from openlineage.client.generated.job_type_job import JobTypeJobFacet
from openlineage.client.generated.nominal_time_run import NominalTimeRunFacet
from openlineage.client.generated.output_statistics_output_dataset import OutputStatisticsOutputDatasetFacet
from openlineage.client.generated.parent_run import ParentRunFacet
from openlineage.client.generated.processing_engine_run import ProcessingEngineRunFacet
from openlineage.client.generated.schema_dataset import SchemaDatasetFacet, SchemaDatasetFacetFields
from openlineage.client.generated.source_code_location_job import SourceCodeLocationJobFacet
from openlineage.client.serde import Serde

from ascl_core.errors import DataError
from ascl_core.urls import redacted
from tasks.evidence.graph import Graph, Node
from tasks.evidence.snapshot import Snapshot
from tasks.repository.git import git, has_remote

NAMESPACE = "ascl"
"""Of jobs and data sets, which are named by their path in the repository."""
PRODUCER = "urn:ascl:producer"
"""The producer of the events: this project has no URL."""
URL = "OPENLINEAGE_URL"
"""The environment variable that names a consumer of events."""
FACETS = "urn:ascl:openlineage-facet"
"""The prefix of the names of this project's own facets, which `docs/lineage-diff.md` describes."""
_RUNS = uuid.UUID("5d3bd1c4-1a3c-5f57-9d5c-6f6c3b0a4a5e")
"""Gives a record the same run id wherever it is exported."""
_OWN_FIELDS = ("digest", "parameters", "metrics", "packages", "machine", "seconds")
_OPTIONAL_FIELDS = ("rules", "seeds", "gpus", "gpu_seconds", "parents", "installed")


def lines(graph: Graph, nodes: Sequence[Node]) -> str:
    """Return a START and a COMPLETE event for each record, as JSON lines; the same records give the same bytes.

    `DataError` if a record has a value that OpenLineage does not allow.
    """
    try:
        return "".join(f"{Serde.to_json(event)}\n" for node in nodes for event in _events(graph.snapshot, node))
    except (TypeError, ValueError) as error:
        raise DataError(f"a record cannot be written as OpenLineage: {error}", field="--format", hint="ascl lineage verify") from error


def send(graph: Graph, nodes: Sequence[Node]) -> int:
    """Send the same events to the consumer that `OPENLINEAGE_URL` names, in order; return how many.

    `OPENLINEAGE_ENDPOINT`, `OPENLINEAGE_API_KEY` and the other settings of `openlineage-python` count, too. `DataError` if the consumer
    does not take one: what was sent before stays there, and may be sent again, as a run keeps its id.
    """
    client = OpenLineageClient()
    sent = 0
    try:
        for node in nodes:
            for event in _events(graph.snapshot, node):
                client.emit(event)
                sent += 1
        client.close()
    except OSError as error:  # those of requests are
        problem = f"the consumer took {sent} events, and then: {error}"
        hint = f"check that it answers, then send all again; without {URL} they are only written"
        raise DataError(problem, field=URL, value=os.environ.get(URL, ""), hint=hint) from None
    return sent


def _events(snapshot: Snapshot, node: Node) -> Iterator[RunEvent]:
    record, run, job = node.record, _run(node), _job(snapshot, node)
    inputs = [
        InputDataset(
            NAMESPACE, path, _statistics(snapshot, path, InputStatisticsInputDatasetFacet), facets=_data_set(snapshot, path, sha256, {})
        )
        for path, sha256 in record.inputs.items()
    ]
    outputs = [
        OutputDataset(
            *(NAMESPACE, path, _statistics(snapshot, path, OutputStatisticsOutputDatasetFacet)),
            facets=_data_set(snapshot, path, sha256, record.files.get(path, {})),
        )
        for path, sha256 in record.outputs.items()
    ]
    for state, time, written in ((RunState.START, record.started, []), (RunState.COMPLETE, record.ended, outputs)):
        yield RunEvent(eventTime=time, producer=PRODUCER, run=run, job=job, eventType=state, inputs=inputs, outputs=written)


def _run(node: Node) -> Run:
    """Return the run that wrote a record; its id depends only on the record's bytes."""
    record, values = node.record, node.record.dump()
    own = {
        "path": node.stage.record.path,
        "sha256": node.sha256,
        "code": {"digest": record.code.digest, "diff": record.git.diff},
        **{key: values[key] for key in (*_OWN_FIELDS, *_OPTIONAL_FIELDS) if values.get(key) is not None},
    }
    facets = {
        "nominalTime": NominalTimeRunFacet(record.started, record.ended, producer=PRODUCER),
        "processing_engine": ProcessingEngineRunFacet(record.machine.python, "Python", version("ascl"), producer=PRODUCER),
        "ascl_record": _own_facet(RunFacet, record=own),
    }
    if record.prefect_run:
        facets["parent"] = ParentRunFacet.create(record.prefect_run, NAMESPACE, "prefect")
        facets["parent"]._producer = PRODUCER
    return Run(str(uuid.uuid5(_RUNS, node.sha256)), facets)


def _job(snapshot: Snapshot, node: Node) -> Job:
    module, revision = node.record.function.partition(":")[0], node.record.git.revision
    path, origin = f"{module.replace('.', '/')}.py", _origin(snapshot.root)
    url = f"swh:1:rev:{revision};path=/{path}" if revision else f"urn:ascl:no-commit:{path}"  # the same from every clone
    facets = {
        "documentation": DocumentationJobFacet(node.stage.summary, producer=PRODUCER),
        "jobType": JobTypeJobFacet("BATCH", "ASCL", "TASK", producer=PRODUCER),
        "sourceCodeLocation": SourceCodeLocationJobFacet("git", url, origin, path, revision, producer=PRODUCER),
    }
    return Job(NAMESPACE, node.stage.name, facets)


def _origin(root: Path) -> str | None:
    """Return the URL from which the repository was cloned, without credentials."""
    return redacted(git(root, "remote", "get-url", "origin")) if has_remote(root) else None


def _data_set(snapshot: Snapshot, path: str, sha256: str, files: Mapping[str, str]) -> dict[str, Any]:
    """Return the facets of a data set: its digests and, if it is a Parquet file that is available here, its columns."""
    digests = {"sha256": sha256, "md5": snapshot.md5s.get(path), "files": dict(files)}
    own = _own_facet(DatasetFacet, **{key: value for key, value in digests.items() if value})
    facets: dict[str, Any] = {"version": DatasetVersionDatasetFacet(sha256, producer=PRODUCER), "ascl_digests": own}
    if path.endswith(".parquet") and (file := snapshot.files(path).get("")):
        columns = [SchemaDatasetFacetFields(field.name, str(field.type), fields=None) for field in pq.read_schema(file)]
        facets["schema"] = SchemaDatasetFacet(columns, producer=PRODUCER)
    return facets


def _statistics(snapshot: Snapshot, path: str, kind: type[Any]) -> dict[str, Any]:
    """Return bytes and files of a data set, and the rows of a Parquet file; empty if it is not available here."""
    files = [] if "://" in path or Path(path).is_absolute() else list(snapshot.files(path).values())
    if not files or None in files:
        return {}
    size = {"size": sum(file.stat().st_size for file in files if file), "fileCount": len(files)}
    rows = {"rowCount": pq.read_metadata(files[0]).num_rows} if path.endswith(".parquet") else {}
    return {"inputStatistics" if kind is InputStatisticsInputDatasetFacet else "outputStatistics": kind(**size, **rows, producer=PRODUCER)}


def _own_facet(kind: type[Any], **fields: Any) -> Any:
    """Return a facet of this project's own."""
    facet = kind(producer=PRODUCER).with_additional_properties(**fields)
    facet._schemaURL = f"{FACETS}:{kind.__name__}:1"
    return facet

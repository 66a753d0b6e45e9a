"""The JSON Schema of the part of OpenLineage 2-0-2 that is written here.

It follows `OpenLineage.json` and the facets' own schemas (https://openlineage.io/spec/2-0-2/OpenLineage.json), and is stricter: both
kinds of event have all their parts, and no facet is there that is not meant. openlineage-python carries classes, and no schema.
"""

from __future__ import annotations

from typing import Any

_SPEC = r"^https://openlineage\.io/spec/"
_TEXT: dict[str, Any] = {"type": "string", "minLength": 1}
_COUNT = {"type": "integer", "minimum": 0}
_TIME = {"type": "string", "format": "date-time", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"}
_UUID = {"type": "string", "format": "uuid", "pattern": r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"}
_SHA256 = {"type": "string", "pattern": "^[0-9a-f]{64}$"}


def _object(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    """An object with these members and no other."""
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, **(optional or {})},
        "additionalProperties": False,
    }


def _facet(required: dict[str, Any], optional: dict[str, Any] | None = None, *, url: str = _SPEC) -> dict[str, Any]:
    return _object(
        {"_producer": {"type": "string", "format": "uri"}, "_schemaURL": {"type": "string", "pattern": url}, **required}, optional
    )


_JOB = {"namespace": _TEXT, "name": _TEXT}
_SIZE = _facet({"size": _COUNT, "fileCount": _COUNT}, {"rowCount": _COUNT})
_DIGESTS = _facet(
    {"sha256": _SHA256},
    {"md5": _TEXT, "files": {"type": "object", "additionalProperties": _SHA256}},
    url=r"^urn:ascl:openlineage-facet:DatasetFacet:1$",
)
_RECORD = _facet(
    {
        "record": {
            "type": "object",
            "required": ["path", "sha256", "digest", "code", "parameters", "metrics", "packages", "machine", "seconds"],
            "properties": {"path": _TEXT, "sha256": _SHA256, "digest": _SHA256, "seconds": {"type": "number", "minimum": 0}},
        }
    },
    url=r"^urn:ascl:openlineage-facet:RunFacet:1$",
)
_RUN_FACETS = _object(
    {
        "nominalTime": _facet({"nominalStartTime": _TIME}, {"nominalEndTime": _TIME}),
        "processing_engine": _facet({"version": _TEXT}, {"name": _TEXT, "openlineageAdapterVersion": _TEXT}),
        "ascl_record": _RECORD,
    },
    {"parent": _facet({"run": _object({"runId": _UUID}, {"facets": {"const": {}}}), "job": _object(_JOB, {"facets": {"const": {}}})})},
)
_JOB_FACETS = _object(
    {
        "documentation": _facet({"description": _TEXT}),
        "jobType": _facet({"processingType": {"enum": ["BATCH"]}, "integration": _TEXT}, {"jobType": _TEXT}),
        "sourceCodeLocation": _facet(
            {"type": _TEXT, "url": {**_TEXT, "format": "uri"}}, {"repoUrl": _TEXT, "path": _TEXT, "version": _TEXT}
        ),
    }
)
_COLUMNS = {"type": "array", "items": _object({"name": _TEXT}, {"type": _TEXT})}
_DATA_SET_FACETS = _object(
    {"version": _facet({"datasetVersion": _SHA256}), "ascl_digests": _DIGESTS}, {"schema": _facet({"fields": _COLUMNS})}
)


def _data_sets(own: str, statistics: str) -> dict[str, Any]:
    return {"type": "array", "items": _object({**_JOB, "facets": _DATA_SET_FACETS, own: _object({}, {statistics: _SIZE})})}


SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    **_object(
        {
            "eventTime": _TIME,
            "eventType": {"enum": ["START", "COMPLETE"]},
            "producer": {"type": "string", "format": "uri"},
            "schemaURL": {"const": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"},
            "run": _object({"runId": _UUID, "facets": _RUN_FACETS}),
            "job": _object({**_JOB, "facets": _JOB_FACETS}),
            "inputs": _data_sets("inputFacets", "inputStatistics"),
            "outputs": _data_sets("outputFacets", "outputStatistics"),
        }
    ),
}

"""The JSON Schema of the part of OpenLineage 2-0-2 that is written here.

It follows `OpenLineage.json` and the facets' own schemas (https://openlineage.io/spec/2-0-2/OpenLineage.json), and is stricter: every part
is required, and no other facet is allowed. openlineage-python has classes, but no schema.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

_TEXT: dict[str, Any] = {"type": "string", "minLength": 1}
_COUNT = {"type": "integer", "minimum": 0}
_TIME = {"type": "string", "format": "date-time", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"}
_UUID = {"type": "string", "format": "uuid", "pattern": r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"}
_SHA256 = {"type": "string", "pattern": "^[0-9a-f]{64}$"}


def _object(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the schema of an object with these members and no others."""
    return {"type": "object", "required": list(required), "properties": required | (optional or {}), "additionalProperties": False}


def _facet(name: str, required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the schema of a facet of the specification or, if the name has a colon, of this project."""
    url = rf"^urn:{name}:1$" if ":" in name else rf"^https://openlineage\.io/spec/facets/\d+-\d+-\d+/{name}\.json#/\$defs/{name}$"
    own = {"_producer": {"type": "string", "format": "uri"}, "_schemaURL": {"type": "string", "pattern": url}}
    return _object(own | required, optional)


_JOB = {"namespace": _TEXT, "name": _TEXT}
_SIZE = {"size": _COUNT, "fileCount": _COUNT}, {"rowCount": _COUNT}
_FILES = {"type": "object", "additionalProperties": _SHA256}
_DIGESTS = _facet("ascl:openlineage-facet:DatasetFacet", {"sha256": _SHA256}, {"md5": _TEXT, "files": _FILES})
_RECORD = {
    "type": "object",
    "required": ["path", "sha256", "digest", "code", "parameters", "metrics", "packages", "machine", "seconds"],
    "properties": {"path": _TEXT, "sha256": _SHA256, "digest": _SHA256, "seconds": {"type": "number", "minimum": 0}},
}
_RUN_FACETS = _object(
    {
        "nominalTime": _facet("NominalTimeRunFacet", {"nominalStartTime": _TIME}, {"nominalEndTime": _TIME}),
        "processing_engine": _facet("ProcessingEngineRunFacet", {"version": _TEXT}, {"name": _TEXT, "openlineageAdapterVersion": _TEXT}),
        "ascl_record": _facet("ascl:openlineage-facet:RunFacet", {"record": _RECORD}),
    },
    {
        "parent": _facet(
            "ParentRunFacet", {"run": _object({"runId": _UUID}, {"facets": {"const": {}}}), "job": _object(_JOB, {"facets": {"const": {}}})}
        )
    },
)
_JOB_FACETS = _object(
    {
        "documentation": _facet("DocumentationJobFacet", {"description": _TEXT}),
        "jobType": _facet("JobTypeJobFacet", {"processingType": {"enum": ["BATCH"]}, "integration": _TEXT}, {"jobType": _TEXT}),
        "sourceCodeLocation": _facet(
            "SourceCodeLocationJobFacet",
            {"type": _TEXT, "url": {**_TEXT, "format": "uri"}},
            {"repoUrl": _TEXT, "path": _TEXT, "version": _TEXT},
        ),
    }
)
_COLUMNS = {"type": "array", "items": _object({"name": _TEXT}, {"type": _TEXT})}
_DATA_SET_FACETS = _object(
    {"version": _facet("DatasetVersionDatasetFacet", {"datasetVersion": _SHA256}), "ascl_digests": _DIGESTS},
    {"schema": _facet("SchemaDatasetFacet", {"fields": _COLUMNS})},
)


def _data_sets(kind: str) -> dict[str, Any]:
    name = kind.lower()
    statistics = _object({}, {f"{name}Statistics": _facet(f"{kind}Statistics{kind}DatasetFacet", *_SIZE)})
    return {"type": "array", "items": _object({**_JOB, "facets": _DATA_SET_FACETS, f"{name}Facets": statistics})}


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
            "inputs": _data_sets("Input"),
            "outputs": _data_sets("Output"),
        }
    ),
}


FORMATS = FormatChecker(["date-time", "uuid"])
"""The formats that are checked. jsonschema passes over a format without a checker, and brings none for `uri`."""


@FORMATS.checks("uri")
def _is_uri(value: object) -> bool:
    """Return whether a text has a scheme and only characters of RFC 3986."""
    return (
        not isinstance(value, str)
        or re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:([\w.~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+", value, re.A) is not None
    )


def problems(event: Mapping[str, Any]) -> list[str]:
    """Return where an event does not fit the schema, and why."""
    validator = Draft202012Validator(SCHEMA, format_checker=FORMATS)
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(event)]

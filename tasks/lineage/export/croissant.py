"""The data sets behind an artifact as Croissant 1.1, the JSON-LD of MLCommons that data catalogues and loaders read.

https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html. The files are named by their path in the repository, relative to the
folder of the metadata, with their SHA-256. A loader checks it, and reads the rows of those files that are there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any, get_type_hints

import pyarrow as pa

from ascl_core.artifacts import to_json
from ascl_core.contracts import Trajectory
from ascl_core.text import counted
from tasks.evidence.graph import Found
from tasks.lineage.export.data_sets import DataSet
from tasks.lineage.export.licences import spdx_url

CONFORMS_TO = "http://mlcommons.org/croissant/1.1"
_LANGUAGE = {"@container": "@language"}
_TERMS = (
    *("arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract", "field", "fileProperty", "fileObject", "fileSet"),
    *("format", "includes", "isArray", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet", "references"),
    *("regex", "repeated", "replace", "samplingRate", "separator", "source", "subField", "transform"),
)
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": _LANGUAGE,
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": _LANGUAGE,
    "sc": "https://schema.org/",
    **{term: f"cr:{term}" for term in _TERMS},
}
"""The context that the specification prescribes."""
_FORMATS = {"parquet": "application/x-parquet", "jsonl": "application/jsonlines"}
_MESSAGE = {
    "role": "role",
    "content": "content",
    "reasoning_content": "reasoning_content",
    "tool_name": "tool_calls[0].function.name",
    "tool_arguments": "tool_calls[0].function.arguments",
}
"""The fields of a message, each with the path to it; of several calls in a turn the first."""
_TEXT, _INTEGER, _NUMBER, _BOOLEAN = "sc:Text", "sc:Integer", "sc:Float", "sc:Boolean"


def croissant(found: Found, data_sets: Sequence[DataSet]) -> str:
    """Return the metadata as JSON; the same records and data sets give the same bytes."""
    record = found.node.record
    licences = sorted({licence for one in data_sets for licence in one.licences})
    revision = record.git.revision
    values = {
        "@context": dict(sorted(_CONTEXT.items())),
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": f"ascl-{found.sha256[:16]}",
        "description": f"Prompts, conversations and suites with which {found.path} was trained and evaluated, SHA-256 {found.sha256}.",
        "creator": {"@type": "sc:Organization", "name": "ascl", "description": "the pipeline that made them"},
        "citeAs": "arXiv:2602.13562",
        "license": [spdx_url(licence) for licence in licences],
        "version": "1.0.0",
        "datePublished": record.ended,
        "inLanguage": "en",
        "url": f"https://archive.softwareheritage.org/swh:1:rev:{revision}" if revision else f"urn:sha256:{found.sha256}",
        "distribution": [_file(one) for one in data_sets],
        "recordSet": [_record_set(one) for one in data_sets],
    }
    return to_json(values)


def _file(data_set: DataSet) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": data_set.path,
        "name": data_set.path,
        "description": counted(data_set.rows, "row"),
        "contentUrl": data_set.path,
        "contentSize": f"{data_set.file.stat().st_size} B",
        "encodingFormat": _FORMATS[data_set.path.rpartition(".")[2]],
        "sha256": data_set.sha256,
    }


def _record_set(data_set: DataSet) -> dict[str, Any]:
    columns = data_set.columns
    described = _of_trajectories(data_set) if columns is None else (_field(data_set, one.name, *_type(one.type)) for one in columns)
    return {
        "@type": "cr:RecordSet",
        "@id": data_set.name,
        "name": data_set.name,
        "description": data_set.description,
        "key": [{"@id": f"{data_set.name}/{column}"} for column in data_set.key],
        "field": list(described),
    }


def _of_trajectories(data_set: DataSet) -> Iterator[dict[str, Any]]:
    """Yield the fields of conversations in JSON lines; a message's fields are those of its turn."""
    types = get_type_hints(Trajectory)
    for one in fields(Trajectory):
        if one.name == "messages":
            parts = [_field(data_set, "messages", _TEXT, part=part, json_path=path) for part, path in _MESSAGE.items()]
            named = f"{data_set.name}/messages"
            yield {"@type": "cr:Field", "@id": named, "name": named, **_array(True), "subField": parts}
        else:
            kind = _INTEGER if types[one.name] is int else _TEXT
            yield _field(data_set, one.name, kind, types[one.name] == tuple[str, ...])


def _field(
    data_set: DataSet, column: str, kind: str, is_array: bool = False, *, part: str = "", json_path: str | None = None
) -> dict[str, Any]:
    """Return a field from a column, or from a part of what the column holds."""
    named = "/".join(filter(None, (data_set.name, column, part)))
    source: dict[str, Any] = {"fileObject": {"@id": data_set.path}, "extract": {"column": column}}
    if json_path:
        source["transform"] = {"jsonPath": json_path}
    return {"@type": "cr:Field", "@id": named, "name": named, "dataType": kind, **_array(is_array), "source": source}


def _array(is_array: bool) -> dict[str, Any]:
    return {"isArray": True, "arrayShape": "-1"} if is_array else {}


def _type(kind: pa.DataType) -> tuple[str, bool]:
    """Return the type of a column in Croissant, and whether it is a list."""
    if pa.types.is_list(kind):
        return _type(kind.value_type)[0], True
    if pa.types.is_boolean(kind):
        return _BOOLEAN, False
    if pa.types.is_integer(kind):
        return _INTEGER, False
    return (_NUMBER if pa.types.is_floating(kind) else _TEXT), False

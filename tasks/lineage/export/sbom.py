"""The bill of materials of an artifact as CycloneDX: the locked packages, the model, and the data sets behind it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime
from importlib.metadata import Distribution, distributions, version
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from ascl_core.artifacts import to_json
from ascl_core.errors import DataError
from tasks.evidence.graph import Found, Node, lock_text
from tasks.host.packages import pins, public
from tasks.lineage.export.data_sets import DataSet
from tasks.lineage.export.licences import files_digest, licences, licences_of
from tasks.lineage.export.model_card import base_model, model_card
from tasks.registry.paths import REQUIREMENTS
from tasks.registry.stages import FOLDERS, ArtifactKind, paths_of

if TYPE_CHECKING:
    from cyclonedx.model.component import Component

_NAMESPACE = uuid.UUID("0b0c1e5e-7a4f-5f52-8f3e-6a9fd9a5a1b7")
_CPU, _GPU = "cpu.lock", "gpu.lock"
_CHECKPOINTS = frozenset(paths_of(ArtifactKind.CHECKPOINT))


def bill_of_materials(found: Found, data_sets: Sequence[DataSet] = ()) -> str:
    """Return the bill as JSON of CycloneDX 1.6, checked against its schema; the same record, lock and packages give the same bytes.

    It is of the lock that the record says was installed, else of the one for its GPUs. `DataError` if no commit has that lock.
    Licences are those of the packages that are installed where it is made, in the version of the lock.
    """
    record = found.node.record
    lock = record.installed or (_GPU if record.gpus else _CPU)
    text = lock_text(found.snapshot, found.node, lock)
    if text is None:
        hint = "git fetch --all, so that the commit of the code is here"
        raise DataError(
            "no commit in this clone has the lock with the bytes that the record names", file=f"{REQUIREMENTS}/{lock}", hint=hint
        )
    written = _written(found, lock, pins(text), data_sets)
    _check(written)
    return written


def _written(found: Found, lock: str, packages: dict[str, str], data_sets: Sequence[DataSet]) -> str:
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component, ComponentType, Pedigree
    from cyclonedx.output.json import JsonV1Dot6

    record = found.node.record
    of_record = {"lock": lock, "lock-sha256": record.packages[lock], "code": str(record.git.revision), "python": record.machine.python}
    subject = _artifact(found.node, found.path, of_record)
    if ancestors := list(_ancestors(found)):
        subject.pedigree = Pedigree(ancestors=ancestors)
    data = [_data(one) for one in data_sets]
    installed = _installed()
    libraries = [_package(name, number, installed.get(name)) for name, number in packages.items()]
    bill = Bom(
        components=[*libraries, *data],
        serial_number=uuid.uuid5(_NAMESPACE, found.sha256 + found.node.sha256),
        metadata=BomMetaData(component=subject, timestamp=datetime.fromisoformat(record.ended)),
    )
    bill.metadata.tools.components.add(
        Component(name="ascl", type=ComponentType.APPLICATION, version=version("ascl"), bom_ref="ascl", licenses=licences(["Apache-2.0"]))
    )
    bill.register_dependency(subject, [*libraries, *data])
    values = json.loads(JsonV1Dot6(bill).output_as_string())
    by_path = {one.path: one for one in data_sets}
    for component in values["components"]:
        if one := by_path.get(component["name"]):
            component["data"] = [{"type": "dataset", "name": one.name, "contents": {"url": one.path}}]  # which the library cannot express
    if found.path in _CHECKPOINTS:
        values["metadata"]["component"]["modelCard"] = model_card(found, [_ref(one.path, one.sha256) for one in data_sets])
    return to_json(values)


def _artifact(node: Node, path: str, more: dict[str, str]) -> Component:
    """Return an artifact of a record; the digests of a folder's files are those of its components, as it has none of its own."""
    from cyclonedx.model import HashAlgorithm, HashType, Property
    from cyclonedx.model.component import Component, ComponentType

    sha256 = node.outputs.get(path) or node.sha256
    is_folder = path in FOLDERS
    return Component(
        name=path,
        type=ComponentType.MACHINE_LEARNING_MODEL if path in _CHECKPOINTS else ComponentType.DATA,
        version=sha256[:16],
        bom_ref=_ref(path, sha256),
        description=node.stage.summary,
        hashes=() if is_folder else [HashType(alg=HashAlgorithm.SHA_256, content=sha256)],
        properties=[Property(name=f"ascl:{name}", value=value) for name, value in {"sha256": sha256, **more}.items()],
        components=[
            Component(
                name=f"{path}/{name}",
                type=ComponentType.FILE,
                bom_ref=f"{_ref(path, sha256)}/{name}",
                hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
            )
            for name, digest in node.record.files.get(path, {}).items()
        ],
    )


def _ancestors(found: Found) -> Iterator[Component]:
    """Yield the checkpoints from which a checkpoint was trained, and the pretrained model before them if there was one."""
    from cyclonedx.model.component import Component, ComponentType

    if found.path not in _CHECKPOINTS:
        return
    for node in found.graph.upstream(found.node):
        yield from (_artifact(node, path, {}) for path in node.outputs if path in _CHECKPOINTS - {found.path})
    if (base := base_model(found)) is not None:
        name, revision = base
        yield Component(name=name, version=revision, type=ComponentType.MACHINE_LEARNING_MODEL, bom_ref=f"base:{name}")


def _data(one: DataSet) -> Component:
    from cyclonedx.model import HashAlgorithm, HashType, Property
    from cyclonedx.model.component import Component, ComponentType

    return Component(
        name=one.path,
        type=ComponentType.DATA,
        version=one.sha256[:16],
        bom_ref=_ref(one.path, one.sha256),
        description=one.description,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=one.sha256)],
        licenses=licences(list(one.licences)),
        properties=[Property(name="ascl:rows", value=str(one.rows))],
    )


def _package(name: str, number: str, here: Distribution | None) -> Component:
    """Return a package of the lock; what its metadata says only if that version is the one that is installed here."""
    from cyclonedx.model import Property
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    url = PackageURL("pypi", name=name, version=number)
    if here is not None and public({name: here.version}) != public({name: number}):
        here = None
    digest = files_digest(here) if here else None
    return Component(
        name=name,
        version=number,
        type=ComponentType.LIBRARY,
        purl=url,
        bom_ref=str(url),
        licenses=licences(licences_of(here)) if here else (),
        properties=[Property(name="ascl:installed-files", value=digest)] if digest else (),
    )


def _installed() -> dict[str, Distribution]:
    return {canonicalize_name(one.name): one for one in distributions()}


def _ref(path: str, sha256: str) -> str:
    """Return what names an artifact within the bill."""
    return f"{path}@sha256:{sha256}"


def _check(written: str) -> None:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    if (error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(written)) is not None:
        raise DataError(f"is no CycloneDX 1.6: {str(error).splitlines()[0]}", file="sbom.cdx.json")

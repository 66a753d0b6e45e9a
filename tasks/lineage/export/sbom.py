"""The packages with which an artifact was made, as a CycloneDX bill of materials of the installed lock."""

from __future__ import annotations

import uuid
from datetime import datetime
from importlib.metadata import version

from ascl_core.errors import DataError
from tasks.evidence.graph import Found
from tasks.evidence.packages import FOLDER, pins
from tasks.lineage.package_locks import lock_text

_NAMESPACE = uuid.UUID("0b0c1e5e-7a4f-5f52-8f3e-6a9fd9a5a1b7")
_CPU, _GPU = "cpu.lock", "gpu.lock"


def bill_of_materials(found: Found) -> str:
    """Return the bill as JSON of CycloneDX 1.6, checked against its schema; the same record and lock give the same bytes.

    It is of the lock that the record says was installed, else of the one for its GPUs. `DataError` if no commit has that lock.
    """
    record = found.node.record
    lock = record.installed or (_GPU if record.gpus else _CPU)
    text = lock_text(found.snapshot, found.node, lock)
    if text is None:
        hint = "git fetch --all, so that the commit of the code is here"
        raise DataError("no commit in this clone has the lock with the bytes that the record names", file=f"{FOLDER}/{lock}", hint=hint)
    written = _written(found, lock, pins(text))
    _check(written)
    return written


def _written(found: Found, lock: str, packages: dict[str, str]) -> str:
    from cyclonedx.model import Property
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output.json import JsonV1Dot6
    from packageurl import PackageURL

    record = found.node.record
    kind = ComponentType.MACHINE_LEARNING_MODEL if found.path.startswith("data/models/") else ComponentType.DATA
    subject = Component(
        name=found.path,
        type=kind,
        version=found.sha256[:16],
        bom_ref=f"sha256:{found.sha256}",
        properties=[
            Property(name="ascl:sha256", value=found.sha256),
            Property(name="ascl:lock", value=lock),
            Property(name="ascl:lock-sha256", value=record.packages[lock]),
            Property(name="ascl:code", value=str(record.git.revision)),
            Property(name="ascl:python", value=record.machine.python),
        ],
    )
    tool = Component(name="ascl", type=ComponentType.APPLICATION, version=version("ascl"), bom_ref="ascl")
    urls = {name: PackageURL("pypi", name=name, version=number) for name, number in packages.items()}
    components = [
        Component(name=name, version=packages[name], type=ComponentType.LIBRARY, purl=url, bom_ref=str(url)) for name, url in urls.items()
    ]
    bill = Bom(
        components=components,
        serial_number=uuid.uuid5(_NAMESPACE, found.sha256 + found.node.sha256),
        metadata=BomMetaData(component=subject, timestamp=datetime.fromisoformat(record.ended)),
    )
    bill.metadata.tools.components.add(tool)
    bill.register_dependency(subject, components)
    return str(JsonV1Dot6(bill).output_as_string(indent=2)) + "\n"


def _check(written: str) -> None:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    if (error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(written)) is not None:
        raise DataError(f"is no CycloneDX 1.6: {str(error).splitlines()[0]}", file="sbom.cdx.json")

"""The packages with which an artifact was made, as a CycloneDX bill of materials of the lock that was installed."""

from __future__ import annotations

import uuid
from datetime import datetime
from importlib.metadata import version

from ascl_core.errors import DataError
from tasks.evidence.graph import Found, Node
from tasks.evidence.packages import FOLDER, pins
from tasks.lineage.package_locks import installed, lock_text

_NAMESPACE = uuid.UUID("0b0c1e5e-7a4f-5f52-8f3e-6a9fd9a5a1b7")
_CPU, _GPU = "cpu.lock", "gpu.lock"


def lock_of(node: Node) -> str:
    """The lock that was installed, as the record says it; else the one that goes with the record's GPUs."""
    return installed(node.record) or (_GPU if node.record.get("gpus") else _CPU)


def bill_of_materials(found: Found) -> str:
    """The bill as JSON of CycloneDX 1.6, checked by its own schema; the same record and lock give the same bytes.

    `DataError` where no commit has the lock that the record names.
    """
    lock = lock_of(found.node)
    text = lock_text(found.place, found.node, lock)
    if text is None:
        hint = "git fetch --all, so that the commit of the code is here"
        raise DataError("no commit at hand has the lock with the bytes that the record names", file=f"{FOLDER}/{lock}", hint=hint)
    written = _written(found, lock, pins(text))
    _check(written)
    return written


def _written(found: Found, lock: str, packages: dict[str, str]) -> str:
    from cyclonedx.model import Property
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output.json import JsonV1Dot6
    from packageurl import PackageURL

    kind = ComponentType.MACHINE_LEARNING_MODEL if found.path.startswith("data/models/") else ComponentType.DATA
    subject = Component(
        name=found.path,
        type=kind,
        version=found.sha256[:16],
        bom_ref=f"sha256:{found.sha256}",
        properties=[
            Property(name="ascl:sha256", value=found.sha256),
            Property(name="ascl:lock", value=lock),
            Property(name="ascl:lock-sha256", value=found.node.record["packages"][lock]),
            Property(name="ascl:code", value=str(found.node.record["git"]["revision"])),
            Property(name="ascl:python", value=str(found.node.record["machine"]["python"])),
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
        metadata=BomMetaData(component=subject, timestamp=datetime.fromisoformat(found.node.record["ended"])),
    )
    bill.metadata.tools.components.add(tool)
    bill.register_dependency(subject, components)
    return str(JsonV1Dot6(bill).output_as_string(indent=2)) + "\n"


def _check(written: str) -> None:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    if (error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(written)) is not None:
        raise DataError(f"is no CycloneDX 1.6: {str(error).splitlines()[0]}", file="sbom.cdx.json")

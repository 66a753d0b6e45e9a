"""The package locks as they were when a stage ran."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from ascl_core.artifacts import sha256_bytes
from tasks.git import commit_of, show
from tasks.lineage.graph import Node
from tasks.lineage.places import Place

FOLDER = "requirements"
_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\#]+)", re.MULTILINE)


def lock_text(place: Place, node: Node, lock: str) -> str | None:
    """The text of a lock that the record names, from the commit of its code or from its place; None where neither has those bytes."""
    path, wanted = f"{FOLDER}/{lock}", node.record.get("packages", {}).get(lock)
    revision = commit_of(place.root, str(node.record["git"]["revision"]))
    for content in (show(place.root, revision, Path(path), missing=b"") if revision else None, place.read(path)):
        if content and sha256_bytes(content) == wanted:
            return content.decode()
    return None


def pins(text: str) -> dict[str, str]:
    """The version of each package that a lock names, by its normalised name.

    >>> pins("numpy==2.3.5\\nGreat_Expectations==1.24.1  # why\\n--hash=sha256:0\\n")
    {'numpy': '2.3.5', 'great-expectations': '1.24.1'}
    """
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in _PIN.findall(text)}


def installed(record: Mapping[str, object]) -> str | None:
    """The name of the lock that was installed where the record says so; old records do not."""
    found = record.get("installed")
    return str(found) if found else None

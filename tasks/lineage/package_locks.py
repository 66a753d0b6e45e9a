"""The package locks as they were when a stage ran."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ascl_core.artifacts import sha256_bytes
from tasks.evidence.graph import Node
from tasks.evidence.packages import FOLDER
from tasks.evidence.snapshot import Place
from tasks.repository.git import commit_of, show


def lock_text(place: Place, node: Node, lock: str) -> str | None:
    """The text of a lock that the record names, from the commit of its code or from its place; None where neither has those bytes."""
    path, wanted = f"{FOLDER}/{lock}", node.record.get("packages", {}).get(lock)
    revision = commit_of(place.root, str(node.record["git"]["revision"]))
    for content in (show(place.root, revision, Path(path), missing=b"") if revision else None, place.read(path)):
        if content and sha256_bytes(content) == wanted:
            return content.decode()
    return None


def installed(record: Mapping[str, object]) -> str | None:
    """The name of the lock that was installed where the record says so; old records do not."""
    found = record.get("installed")
    return str(found) if found else None

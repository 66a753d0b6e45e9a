"""The package locks as they were when a stage ran."""

from __future__ import annotations

from pathlib import Path

from ascl_core.artifacts import sha256_bytes
from tasks.evidence.graph import Node
from tasks.evidence.packages import FOLDER
from tasks.evidence.snapshot import Snapshot
from tasks.repository.git import commit_of, show


def lock_text(snapshot: Snapshot, node: Node, lock: str) -> str | None:
    """Return the text of a lock that the record names, from the commit of its code or from the snapshot; None if neither has it."""
    path, wanted = f"{FOLDER}/{lock}", node.record.packages.get(lock)
    revision = commit_of(snapshot.root, str(node.record.git.revision))
    for content in (show(snapshot.root, revision, Path(path), missing=b"") if revision else None, snapshot.read(path)):
        if content and sha256_bytes(content) == wanted:
            return content.decode()
    return None

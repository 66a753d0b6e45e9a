"""The newest rules that the watcher has seen at each source.

Prefect keeps events for a week only, and two of them may start two runs. So the newest rules are stored in a variable of the server, with
which a run that the watcher started compares its own: only the run for the newest rules continues.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any, cast

from prefect.variables import Variable


def load(source: str) -> dict[str, Any] | None:
    """Return the digest and the revision that were last seen at a source; None before the first time."""
    return cast("dict[str, Any] | None", Variable.get(_name(source)))


def dump(source: str, digest: str, revision: str) -> None:
    """Store these rules as the newest that were seen at a source, without a retraining."""
    _store(source, {"source": source, "digest": digest, "revision": revision})


def dump_announced(source: str, digest: str, revision: str, since: str | None) -> None:
    """Store these rules as the newest that were seen at a source, and announced now; `since` is the revision that was seen before."""
    known = load(source)
    starts = known.get("starts", 1) if known is not None and known["digest"] == digest else 1
    announced = {"announced": datetime.now(UTC).isoformat(timespec="seconds"), "since": since, "starts": starts}
    _store(source, {"source": source, "digest": digest, "revision": revision, **announced})


def count_start(source: str, *, most: int) -> int | None:
    """Count another start of the retraining of the rules that were seen, and return which one it is; None if there were `most`."""
    known = load(source) or {}
    starts = int(known.get("starts", 1))
    if starts >= most:
        return None
    _store(source, {**known, "starts": starts + 1})
    return starts + 1


def newer_than(source: str, digest: str) -> str | None:
    """Return the digest of newer rules that were seen at a source; None if these are the newest, or the source is not watched."""
    known = load(source) if source else None
    return None if known is None or known["digest"] == digest else str(known["digest"])


def _store(source: str, values: dict[str, Any]) -> None:
    Variable.set(_name(source), values, overwrite=True)


def _name(source: str) -> str:
    return f"ascl_rules_{hashlib.sha256(source.encode()).hexdigest()[:16]}"

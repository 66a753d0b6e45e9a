"""The access log of the rules: a line of JSON for each look-up, by the served model or over MCP.

Queries contain what people ask, so only their length is logged.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ascl_core.rules.retrieval import LookUp, OnLookUp
from ascl_core.serving.corpora import Served

_MODE = 0o600


@dataclass(frozen=True)
class LookUpLog:
    """Appends to a file, each line in one write, so that several processes may share it."""

    path: Path | None = None
    """None logs nothing."""
    via: str = "chat"
    """The caller: `chat` is the served model, `mcp` a client of the MCP server."""

    def of(self, served: Served, jurisdiction: str) -> OnLookUp | None:
        """Return the callback that logs look-ups in these rules, or None if nothing is logged."""
        if self.path is None:
            return None
        return lambda found: self._append(_line(found, served, jurisdiction, self.via))

    def _append(self, line: dict[str, Any]) -> None:
        assert self.path is not None
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, _MODE)
        try:
            os.write(file, (json.dumps(line) + "\n").encode())
        finally:
            os.close(file)


def _line(found: LookUp, served: Served, jurisdiction: str, via: str) -> dict[str, Any]:
    category, query = found.arguments.get("category"), found.arguments.get("query")
    return {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "via": via,
        "corpus": served.digest,
        "index": served.index.digest,
        "jurisdiction": jurisdiction,
        "category": category if isinstance(category, str) and category in served.corpus.categories else None,
        "query_chars": len(query) if isinstance(query, str) else None,
        "rules": [match.rule.id for match in found.matches],
        "similarity": [round(match.similarity, 3) for match in found.matches],
        "problem": found.problem,
        "ms": round(found.seconds * 1000, 2),
    }

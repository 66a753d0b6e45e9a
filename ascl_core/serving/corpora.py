"""The served rules: one immutable corpus at a time, replaced as a whole once the new one is checked and saved to disk."""

from __future__ import annotations

import fcntl
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ascl_core.artifacts import read_json, write_json
from ascl_core.config.conversation import ConversationConfig
from ascl_core.config.retrieval import BY_WORDS
from ascl_core.config.rules import RulesConfig
from ascl_core.errors import AsclError, ConfigError, RuleError
from ascl_core.rules.checks import CorpusUnderCheck, run_checks
from ascl_core.rules.corpus import Corpus, read_corpus
from ascl_core.rules.findings import LocatedRule
from ascl_core.rules.index import CorpusIndex, Indexer
from ascl_core.rules.retrieval import OnLookUp, RuleTool
from ascl_core.serving.problems import RequestError
from ascl_core.vocabulary import ANYWHERE

LOG = logging.getLogger("ascl.serving")
_NEEDS_THE_LOCK = frozenset({"dangling_reference"})
"""Checks that need the lock file of the rules: a compiled corpus may refer to a retired id that only the lock knows."""
_SHOWN = 5


@dataclass(frozen=True)
class Served:
    """A corpus with its index; a request uses one from start to end."""

    corpus: Corpus
    index: CorpusIndex
    since: datetime

    @property
    def digest(self) -> str:
        """The digest of the corpus, which is its version."""
        return self.corpus.digest

    @property
    def jurisdictions(self) -> tuple[str, ...]:
        """The jurisdictions that a request may name."""
        return (*self.corpus.jurisdictions, ANYWHERE)

    def tool(self, jurisdiction: str, conversation: ConversationConfig, on_look_up: OnLookUp | None = None) -> RuleTool:
        """Return the tool for a conversation in that jurisdiction; it reports its look-ups."""
        return RuleTool(self.index.rules, jurisdiction, conversation, on_look_up)

    def to_json(self) -> dict[str, Any]:
        """Return the description that clients get."""
        return {
            "digest": self.digest,
            "index": self.index.digest,
            "rules": len(self.corpus.rules),
            "in_force_at": str(self.index.rules.at),
            "jurisdictions": list(self.jurisdictions),
            "since": self.since.isoformat(timespec="seconds"),
        }


def check_corpus(corpus: Corpus, config: RulesConfig, *, file: object = "corpus") -> None:
    """Raise `RuleError` with the first problems unless the corpus passes the checks for rules; versions are not compared."""
    rules = tuple(LocatedRule(rule, str(file), 0) for rule in corpus.rules)
    findings = run_checks(CorpusUnderCheck(corpus.taxonomy, rules, config, {}))
    errors = [str(finding) for finding in findings if finding.severity == "error" and finding.code not in _NEEDS_THE_LOCK]
    if not rules:
        errors.append("the corpus has no rule")
    if errors:
        more = [f"… and {len(errors) - _SHOWN} more"] if len(errors) > _SHOWN else []
        listing = "\n  ".join((*errors[:_SHOWN], *more))
        raise RuleError(f"the rules do not validate:\n  {listing}", file=file, hint="fix the rules, and compile again: ascl run")


class ServedCorpora:
    """The current corpus, and how to swap it.

    Servers with the same memory file serve the same rules: a swap on one of them reaches the others with their next request.

    Args:
        given: The corpus that the server starts with.
        config: How rules are checked, and the date on which they must be in force.
        jurisdiction: The server's default jurisdiction, which every corpus must have.
        memory: The file that keeps swapped rules across restarts; it is ignored once the server starts with another corpus than at
            the swap.
        indexer: Builds the indexes for look-ups; BM25 if not given.
        index: The folder with the index of the given corpus; the index is built here if not given.
    """

    def __init__(
        self,
        given: Corpus,
        config: RulesConfig,
        jurisdiction: str,
        memory: Path | None,
        *,
        indexer: Indexer | None = None,
        index: Path | None = None,
    ) -> None:
        self._config = config
        self._jurisdiction = jurisdiction
        self._memory = memory
        self.given = given.digest
        """The digest of the corpus that the server started with."""
        self._indexer = indexer or Indexer(BY_WORDS)
        self._swapping = threading.RLock()
        self.started = datetime.now(UTC)
        """When the server started."""
        as_given = self._served(given, self.started, file="the corpus that was given", index=index)
        self._memory_state = self._stat_memory()
        self._current = self._load_memory() or as_given

    @property
    def current(self) -> Served:
        """The corpus to serve; a swap by another server is picked up here. A damaged memory file is logged and changes nothing."""
        if self._stat_memory() != self._memory_state:
            with self._swapping:
                self._follow_memory()
        return self._current

    @property
    def is_swapped(self) -> bool:
        """Whether the rules were swapped since the server started."""
        return self.current.digest != self.given

    def swap(self, values: Any, expected: str | None) -> tuple[Served, Served]:
        """Serve the compiled corpus in `values` from the next request on; return the corpora before and after.

        `RequestError` if `expected` is given and is not the current digest, `AsclError` if the corpus is not valid; in both cases the
        current corpus stays. The new corpus is on disk before any request uses it.
        """
        with self._swapping, _locked(self._memory):
            old = self.current
            if expected is not None and expected != old.digest:
                hint = "compare with the current rules, and swap again"
                raise RequestError("somebody else swapped the rules in the meantime", 412, code="corpus_changed", hint=hint)
            new = self._served(read_corpus(values, file="body"), datetime.now(UTC), file="body")
            if self._memory is not None:
                write_json(self._memory, {"replaces": self.given, "since": new.since.isoformat(), "corpus": new.corpus.to_json()})
                self._memory_state = self._stat_memory()
            self._current = new
            return old, new

    def _served(self, corpus: Corpus, since: datetime, *, file: object, index: Path | None = None) -> Served:
        check_corpus(corpus, self._config, file=file)
        served = Served(corpus, self._indexer.index(corpus, self._config.at, index), since)
        # The first look-up loads what it needs: done here, so that a broken index fails before the first request.
        served.index.rules.lookup(category=None, query="a request", jurisdiction=self._jurisdiction, limit=1)
        if self._jurisdiction not in served.jurisdictions:
            hint, given = f"one of {', '.join(served.jurisdictions)}", self._jurisdiction
            raise ConfigError("the rules do not know the server's jurisdiction", file=file, field="--jurisdiction", value=given, hint=hint)
        return served

    def _stat_memory(self) -> tuple[int, int, int] | None:
        """Return inode, time and size of the memory file, which change with every write; None if there is none."""
        try:
            found = self._memory.stat() if self._memory is not None else None
        except OSError:
            return None
        return (found.st_ino, found.st_mtime_ns, found.st_size) if found is not None else None

    def _follow_memory(self) -> None:
        state = self._stat_memory()
        try:
            remembered = self._load_memory()
        except AsclError as error:
            LOG.error("the served rules stay as they are: %s", error)
        else:
            if remembered is not None and remembered.digest != self._current.digest:
                self._current = remembered
        self._memory_state = state

    def _load_memory(self) -> Served | None:
        """Return the corpus in the memory file; None if there is none, or the server started with another corpus than at the swap."""
        if self._memory is None or not self._memory.exists():
            return None
        hint = f"remove it to serve the given corpus: rm {self._memory}"
        try:
            values = read_json(self._memory)
            if values["replaces"] != self.given:
                return None
            corpus = read_corpus(values["corpus"], file=self._memory)
            return self._served(corpus, datetime.fromisoformat(values["since"]), file=self._memory)
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise RuleError("does not hold the rules of a swap", file=self._memory, hint=hint) from error
        except AsclError as error:
            raise RuleError(f"the swapped rules are damaged: {error.problem}", file=self._memory, hint=hint) from error


@contextmanager
def _locked(memory: Path | None) -> Iterator[None]:
    """Keep other processes from swapping at the same time."""
    if memory is None:
        yield
        return
    memory.parent.mkdir(parents=True, exist_ok=True)
    with open(memory.with_suffix(".lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield

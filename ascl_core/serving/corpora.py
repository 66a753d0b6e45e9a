"""The rules that are served: one immutable corpus at a time, replaced whole once it is checked and remembered on disk."""

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
from ascl_core.generation.chat import ANYWHERE
from ascl_core.rules.checks import CorpusUnderCheck, run_checks
from ascl_core.rules.corpus import Corpus, read_corpus
from ascl_core.rules.findings import LocatedRule
from ascl_core.rules.index import CorpusIndex, Indexer
from ascl_core.rules.retrieval import OnLookUp, RuleTool
from ascl_core.serving.problems import RequestError

LOG = logging.getLogger("ascl.serving")
_NEEDS_THE_LOCK = frozenset({"dangling_reference"})
"""Checks that a compiled corpus cannot pass by itself: what it names may be a retired id in the lock of its folder."""
_SHOWN = 5


@dataclass(frozen=True)
class Served:
    """A corpus as it is served; a request takes one at its start and keeps it to its end."""

    corpus: Corpus
    index: CorpusIndex
    since: datetime

    @property
    def digest(self) -> str:
        """The corpus' digest: its version."""
        return self.corpus.digest

    @property
    def places(self) -> tuple[str, ...]:
        """Where a conversation may take place."""
        return (*self.corpus.jurisdictions, ANYWHERE)

    def tool(self, jurisdiction: str, conversation: ConversationConfig, on_look_up: OnLookUp | None = None) -> RuleTool:
        """The tool of a conversation there, which reports its look-ups."""
        return RuleTool(self.index.rules, jurisdiction, conversation, on_look_up)

    def to_json(self) -> dict[str, Any]:
        """What clients are told of it."""
        return {
            "digest": self.digest,
            "index": self.index.digest,
            "rules": len(self.corpus.rules),
            "in_force_at": str(self.index.rules.at),
            "jurisdictions": list(self.places),
            "since": self.since.isoformat(timespec="seconds"),
        }


def check_corpus(corpus: Corpus, config: RulesConfig, *, file: object = "corpus") -> None:
    """`RuleError` with the first problems unless the corpus passes what `ascl rules check` asks of rules, versions apart."""
    rules = tuple(LocatedRule(rule, str(file), 0) for rule in corpus.rules)
    findings = run_checks(CorpusUnderCheck(corpus.taxonomy, rules, config, {}))
    errors = [str(finding) for finding in findings if finding.severity == "error" and finding.code not in _NEEDS_THE_LOCK]
    if not rules:
        errors.append("there is no rule")
    if errors:
        more = [f"… and {len(errors) - _SHOWN} more"] if len(errors) > _SHOWN else []
        listing = "\n  ".join((*errors[:_SHOWN], *more))
        raise RuleError(f"the rules do not validate:\n  {listing}", file=file, hint="fix the rules, and compile again: ascl run")


class ServedCorpora:
    """The corpus that is served now, and the way to another one.

    Servers that share a memory serve the same rules: a swap at one of them reaches the others with their next request.

    Args:
        given: The corpus that the server was started with.
        config: How rules are checked, and the day at which they are in force.
        jurisdiction: The server's own jurisdiction, which every corpus must have.
        memory: The file that remembers a swap, so that a restart serves the same rules; it counts as long as the server is given the
            same corpus as then, since another one was made for a reason.
        indexer: Makes the indexes in which rules are looked up; BM25 if not given.
        index: The folder with the index of the given corpus; it is made here if not given.
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
        """The digest of the corpus that the server was started with."""
        self._indexer = indexer or Indexer(BY_WORDS)
        self._swapping = threading.RLock()
        self.started = datetime.now(UTC)
        """When the server was started."""
        as_given = self._served(given, self.started, file="the corpus that was given", index=index)
        self._seen = self._state_of_memory()
        self._current = self._remembered() or as_given

    @property
    def current(self) -> Served:
        """What is served now; if another server wrote the memory since, what it says. A damaged memory is logged, and changes nothing."""
        if self._state_of_memory() != self._seen:
            with self._swapping:
                self._follow_memory()
        return self._current

    @property
    def are_remembered(self) -> bool:
        """Whether other rules are served than the server was started with."""
        return self.current.digest != self.given

    def swap(self, values: Any, expected: str | None) -> tuple[Served, Served]:
        """Serve the compiled corpus in `values` from the next request on; the corpora before and after.

        With `expected`, only if that is the digest of what is served now: else `RequestError`. `AsclError` where the corpus does not
        validate. Either way what was served goes on; the new corpus is on disk before anybody is served from it.
        """
        with self._swapping, _locked(self._memory):
            old = self.current
            if expected is not None and expected != old.digest:
                hint = "compare with what is served now, and swap again"
                raise RequestError("the rules were swapped by somebody else in between", 412, code="corpus_changed", hint=hint)
            new = self._served(read_corpus(values, file="body"), datetime.now(UTC), file="body")
            if self._memory is not None:
                write_json(self._memory, {"replaces": self.given, "since": new.since.isoformat(), "corpus": new.corpus.to_json()})
                self._seen = self._state_of_memory()
            self._current = new
            return old, new

    def _served(self, corpus: Corpus, since: datetime, *, file: object, index: Path | None = None) -> Served:
        check_corpus(corpus, self._config, file=file)
        served = Served(corpus, self._indexer.index(corpus, self._config.at, index), since)
        # The first look-up loads what it needs: here, so that whatever is wrong with it is known before anybody asks.
        served.index.rules.lookup(category=None, query="a request", jurisdiction=self._jurisdiction, limit=1)
        if self._jurisdiction not in served.places:
            hint = f"one of {', '.join(served.places)}"
            raise ConfigError(
                "the rules do not know the server's jurisdiction", file=file, field="--jurisdiction", value=self._jurisdiction, hint=hint
            )
        return served

    def _state_of_memory(self) -> tuple[int, int, int] | None:
        """What changes whenever the memory is written; None if there is none."""
        try:
            found = self._memory.stat() if self._memory is not None else None
        except OSError:
            return None
        return (found.st_ino, found.st_mtime_ns, found.st_size) if found is not None else None

    def _follow_memory(self) -> None:
        state = self._state_of_memory()
        try:
            remembered = self._remembered()
        except AsclError as error:
            LOG.error("the rules that are served stay as they are: %s", error)
        else:
            if remembered is not None and remembered.digest != self._current.digest:
                self._current = remembered
        self._seen = state

    def _remembered(self) -> Served | None:
        """What was swapped in before a restart; None where nothing was, or another corpus is given now."""
        if self._memory is None or not self._memory.exists():
            return None
        hint = f"remove it to serve the corpus that is given: rm {self._memory}"
        try:
            values = read_json(self._memory)
            if values["replaces"] != self.given:
                return None
            corpus = read_corpus(values["corpus"], file=self._memory)
            return self._served(corpus, datetime.fromisoformat(values["since"]), file=self._memory)
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise RuleError("does not say which rules were served", file=self._memory, hint=hint) from error
        except AsclError as error:
            raise RuleError(f"the rules that were served are damaged: {error.problem}", file=self._memory, hint=hint) from error


@contextmanager
def _locked(memory: Path | None) -> Iterator[None]:
    """Keep other processes from swapping meanwhile."""
    if memory is None:
        yield
        return
    memory.parent.mkdir(parents=True, exist_ok=True)
    with open(memory.with_suffix(".lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield

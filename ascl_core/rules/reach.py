"""How far a change of the rules reaches: which corpus the SFT data, reinforcement learning and serving each read.

Each is compared with the one that the released checkpoint was made with. Only what the change asks for moves to the new rules;
the others stay at the released corpus, byte for byte, so that the stages that read them keep their outputs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from ascl_core.errors import DataError
from ascl_core.released import RELEASE_CORPORA, read_release
from ascl_core.rules.corpus import Corpus, load_corpus
from ascl_core.rules.diff import ChangeClass, diff_corpora

SCHEMA = "ascl.rules-change/1"
_FIRST = "nothing is released yet: everything is trained with these rules"


@dataclass(frozen=True)
class Corpora:
    """The rules by what they are used for."""

    sft: Corpus
    """Prompts and trajectories are made with it."""
    rl: Corpus
    """Reinforcement learning consults and is rewarded by it."""
    served: Corpus
    """Evaluation and serving consult it."""

    def __iter__(self) -> Iterator[tuple[str, Corpus]]:
        """Each with its name, in the order of the pipeline."""
        yield from (("sft", self.sft), ("rl", self.rl), ("served", self.served))


@dataclass(frozen=True)
class Change:
    """What new rules mean, seen from what is released."""

    change_class: ChangeClass
    reasons: tuple[str, ...]
    """What makes it of this class, the rules or categories by name."""
    moved: tuple[str, ...]
    """Which of the corpora are others than the released ones: of `sft`, `rl`, `served`."""
    corpora: Corpora

    def to_json(self) -> dict[str, Any]:
        """The content of `change.json`."""
        return {
            "schema": SCHEMA,
            "class": str(self.change_class),
            "work": self.change_class.work,
            "reasons": list(self.reasons),
            "moved": list(self.moved),
            "corpora": {name: corpus.digest for name, corpus in self.corpora},
        }

    def files(self) -> dict[str, dict[str, Any]]:
        """What `validate_rules` writes of it, by the name of the output."""
        sft, rl, served = (corpus.to_json() for _, corpus in self.corpora)
        return {"corpus": served, "sft_corpus": sft, "rl_corpus": rl, "change": self.to_json()}


def released_corpora(released: Path) -> Corpora | None:
    """The corpora of the release in that folder; None where nothing is released."""
    if read_release(released)["tag"] is None:
        return None
    folder = released / RELEASE_CORPORA
    names = ("sft", "rl", "served")
    if missing := [name for name in names if not (folder / f"{name}.json").is_file()]:
        problem = "the release does not say which rules it was made with"
        raise DataError(problem, file=folder / f"{missing[0]}.json", hint="ascl release sync")
    return Corpora(*(load_corpus(folder / f"{name}.json") for name in names))


def reach(new: Corpus, released: Corpora | None, at: date) -> Corpora:
    """The corpora to work with: the released ones, but for those that the change to `new` reaches."""
    return change(new, released, at).corpora


def change(new: Corpus, released: Corpora | None, at: date) -> Change:
    """The class of the change from what is released to `new`, and the corpora that follow from it."""
    if released is None:
        return Change(ChangeClass.STRUCTURAL, (_FIRST,), ("sft", "rl", "served"), Corpora(new, new, new))
    since_sft, since_rl = diff_corpora(released.sft, new, at), diff_corpora(released.rl, new, at)
    if since_sft.change_class is ChangeClass.STRUCTURAL:
        corpora, found = Corpora(new, new, new), since_sft
    elif since_rl.change_class.reach >= ChangeClass.VERDICT.reach:
        corpora, found = Corpora(released.sft, new, new), since_rl
    else:
        corpora, found = Corpora(released.sft, released.rl, new), diff_corpora(released.served, new, at)
    moved = tuple(name for (name, old), (_, now) in zip(released, corpora, strict=True) if old.digest != now.digest)
    change_class = next((_BY_MOVED[name] for name in moved), ChangeClass.NONE)
    return Change(change_class, found.reasons, moved, corpora)


_BY_MOVED = {"sft": ChangeClass.STRUCTURAL, "rl": ChangeClass.VERDICT, "served": ChangeClass.WORDING}

"""The reach of a change: which corpus the SFT data, reinforcement learning and serving each get.

Each new corpus is compared with the one that the released checkpoint was made with. Only the stages that the change reaches move to the
new rules; the others keep the released corpus, byte for byte, so that their outputs stay valid.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from ascl_core.errors import DataError
from ascl_core.released import RELEASE_CORPORA, read_release
from ascl_core.rules.corpus import Corpus, load_corpus
from ascl_core.rules.diff import ChangeClass, diff_corpora

SCHEMA = "ascl.rules-change/1"
_FIRST = "nothing is released yet: everything is trained with these rules"


class Corpora(NamedTuple):
    """The corpora by use, in the order of the pipeline."""

    sft: Corpus
    """Prompts and trajectories are made with it."""
    rl: Corpus
    """Reinforcement learning consults and is rewarded by it."""
    served: Corpus
    """Evaluation and serving consult it."""


_CLASSES = {"sft": ChangeClass.STRUCTURAL, "rl": ChangeClass.VERDICT, "served": ChangeClass.WORDING}


@dataclass(frozen=True)
class Change:
    """New rules compared with the released ones."""

    change_class: ChangeClass
    reasons: tuple[str, ...]
    """The rules and categories that make it of this class."""
    moved: tuple[str, ...]
    """Which of the corpora differ from the released ones: of `sft`, `rl`, `served`."""
    corpora: Corpora

    def to_json(self) -> dict[str, Any]:
        """Return the content of `change.json`."""
        return {
            "schema": SCHEMA,
            "class": str(self.change_class),
            "work": self.change_class.work,
            "reasons": list(self.reasons),
            "moved": list(self.moved),
            "corpora": {name: corpus.digest for name, corpus in self.corpora._asdict().items()},
        }

    def files(self) -> dict[str, dict[str, Any]]:
        """Return what `validate_rules` writes of it, by the name of the output."""
        sft, rl, served = (corpus.to_json() for corpus in self.corpora)
        return {"corpus": served, "sft_corpus": sft, "rl_corpus": rl, "change": self.to_json()}


def released_corpora(released: Path) -> Corpora | None:
    """Load the corpora of the release in that folder; None if nothing is released."""
    if read_release(released)["tag"] is None:
        return None
    paths = [released / RELEASE_CORPORA / f"{name}.json" for name in Corpora._fields]
    if missing := [path for path in paths if not path.is_file()]:
        raise DataError("the release does not say which rules it was made with", file=missing[0], hint="ascl release sync")
    return Corpora(*map(load_corpus, paths))


def change(new: Corpus, released: Corpora | None, at: date) -> Change:
    """Return the class of the change from the release to `new`, and the corpora that follow from it."""
    if released is None:
        return Change(ChangeClass.STRUCTURAL, (_FIRST,), Corpora._fields, Corpora(new, new, new))
    since_sft, since_rl = diff_corpora(released.sft, new, at), diff_corpora(released.rl, new, at)
    if since_sft.change_class is ChangeClass.STRUCTURAL:
        corpora, found = Corpora(new, new, new), since_sft
    elif since_rl.change_class.reach >= ChangeClass.VERDICT.reach:
        corpora, found = Corpora(released.sft, new, new), since_rl
    else:
        corpora, found = Corpora(released.sft, released.rl, new), diff_corpora(released.served, new, at)
    names = zip(Corpora._fields, released, corpora, strict=True)
    moved = tuple(name for name, old, now in names if old.digest != now.digest)
    change_class = next((_CLASSES[name] for name in moved), ChangeClass.NONE)
    return Change(change_class, found.reasons, moved, corpora)

"""Talk to a checkpoint: `python -m ascl_core.serving.chat CHECKPOINT CORPUS [--jurisdiction XA] [--prompt TEXT]`.

Each message is a conversation of its own, as in training and evaluation. Thoughts are dim, the tool call and the rules
that came back are in colour, the answer is plain. Ends with an empty line, Ctrl-D or Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from ascl_core.config.params import Params, load_params
from ascl_core.contracts import Prompt, Rollout
from ascl_core.conversation.steps import steps_of
from ascl_core.conversation.trajectory import read_rollout
from ascl_core.errors import AsclError, ConfigError
from ascl_core.generation import Generator, Sampling, make_generator
from ascl_core.progress import Progress
from ascl_core.rules.corpus import load_corpus
from ascl_core.rules.index import Indexer
from ascl_core.rules.retrieval import RuleTool
from ascl_core.vocabulary import ANYWHERE, RULE_ID, PromptType, ResponsePolicy

_STYLES = {"thought": "dim italic", "call": "yellow", "result": "cyan", "text": ""}
_RULE_ID = re.compile(rf"^\[{RULE_ID}\]", re.MULTILINE)


class Chat:
    """One checkpoint, and the rules of one jurisdiction."""

    def __init__(
        self, checkpoint: str, corpus: Path, jurisdiction: str, params: Params, sampling: Sampling, index_folder: Path | None = None
    ) -> None:
        loaded_corpus = load_corpus(corpus)
        known = (*loaded_corpus.jurisdictions, ANYWHERE)
        if jurisdiction not in known:
            raise ConfigError("no such jurisdiction", field="--jurisdiction", value=jurisdiction, hint=f"one of {', '.join(known)}")
        self.jurisdiction = jurisdiction
        self.params = params
        self.sampling = sampling
        self.index = Indexer(params.retrieval).index(loaded_corpus, params.rules.at, index_folder).rules
        self.tool = RuleTool(self.index, jurisdiction, params.conversation)
        self.generator: Generator = make_generator(checkpoint, params.compute)

    def ask(self, text: str) -> Rollout:
        """Return the rollout that answers a message."""
        prompt = Prompt("chat", text, PromptType.BORDERLINE, ResponsePolicy.COMPLY, "chat", "none", self.jurisdiction)
        [rollout] = self.generator.rollouts(
            [prompt],
            samples=1,
            sampling=self.sampling,
            tool_for=lambda _: self.tool,
            conversation=self.params.conversation,
            batch_size=1,
            progress=Progress(os.devnull),
            rules=self.index,
        )
        return rollout


def show(rollout: Rollout, max_tool_calls: int, console: Console) -> None:
    """Print a rollout, and what is wrong with it if it is not valid; nothing in it is taken for markup or terminal codes."""
    for step in steps_of(rollout.text):
        line = Text(_shown(step.text), style=_STYLES[step.kind])
        line.highlight_regex(_RULE_ID, "bold")
        console.print(line)
    problem = read_rollout(rollout.text, finished=rollout.finished, max_tool_calls=max_tool_calls).problem
    if problem is not None:
        console.print(Text(f"not valid: {problem}", style="red"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is 0, or 1 after an error with its message on stderr."""
    options = _parser().parse_args(arguments)
    console = Console(highlight=False)
    quieten()
    try:
        params = load_params(options.params) if options.params else Params()
        sampling = Sampling(options.temperature, options.max_new_tokens)
        chat = Chat(options.checkpoint, options.corpus, options.jurisdiction, params, sampling, options.index)
        if options.prompt is not None:
            show(chat.ask(options.prompt), params.conversation.max_tool_calls, console)
        else:
            _talk(chat, console)
    except AsclError as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(Text(f"error: {error}"))
        return error.exit_status
    except KeyboardInterrupt:
        console.print()
    return 0


def quieten() -> None:
    """Keep the loading of a model out of the conversation."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()


def _talk(chat: Chat, console: Console) -> None:
    console.print(Text(f"jurisdiction {chat.jurisdiction}; every message is a conversation of its own; an empty line ends", style="dim"))
    while True:
        try:
            text = console.input("[bold]> [/bold]").strip()
        except EOFError:
            return
        if not text:
            return
        show(chat.ask(text), chat.params.conversation.max_tool_calls, console)


def _shown(text: str) -> str:
    return "".join(c if c in "\n\t" or unicodedata.category(c)[0] != "C" else " " for c in text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ascl_core.serving.chat", description="Talk to a checkpoint in the terminal.")
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="folder with a model and its tokenizer, or a hub id")
    parser.add_argument("corpus", metavar="CORPUS", type=Path, help="the compiled rules, such as data/compiled/corpus.json")
    parser.add_argument("--jurisdiction", default=ANYWHERE, help=f"the jurisdiction of the conversation (default: {ANYWHERE})")
    parser.add_argument("--index", metavar="FOLDER", type=Path, help="the index of these rules; made here if not given")
    parser.add_argument("--prompt", metavar="TEXT", help="ask this one message and exit")
    parser.add_argument("--params", metavar="FILE", type=Path, help="take conversation, rules and compute from this params.yaml")
    parser.add_argument("--temperature", type=float, default=0.0, help="0 is greedy (default: %(default)s)")
    parser.add_argument("--max-new-tokens", type=int, default=1024, help="for one assistant turn (default: %(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""Run the commands that a page shows, and compare what they print with what the page says they print.

    ```console          a session: what follows `$ ` is run by bash, one command after the other, a line that ends in \\ with the next
    $ ascl release list
    release    state …
    …
    ```

    ```bash             commands to copy: each line is run in the same session, and what it prints is not compared
    ascl rules check    # a comment
    ```

    ```diff             applied to the files with `git apply`, for what the reader does in an editor
    ```

Other blocks are not run, and neither is a block below a line that says why: `<!-- not run: it needs a server -->`. A command must end with
status 0, unless a line of its output on the page begins with `error`. In the output

- `…` stands for anything: alone on a line for any number of lines, within a line for any text. Figures of a model are left out that way;
- digests, dates, times of day and durations in seconds count as equal: `cee57dcf791b`, `2026-11-29`, `10:15`, `3.2 s`; so do what depends
  on rules, code and model, which are others in tests: `121 rules`, `23.9 MB`, counts in the last columns of a table, and a figure with its
  interval before and after, `46.3 % [39.9–52.8 %] → 51.7 % [45.3–58.0 %]  within`;
- several spaces count as one, so that the columns of a table may be wider.
"""

from __future__ import annotations

import difflib
import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
"""Every page that people read; a new one is among them by itself."""
_BLOCK = re.compile(r"^(?:<!-- not run: ([^\n]+) -->\n)?```([a-z]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_SESSION = re.compile(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
_NOTHING = re.compile(r"(?!)")
_LINES = re.compile(r"^(?!#)((?:.*\\\n)*.+)\n", re.MULTILINE)
_FIGURE = r"[\d.]+(?: %)? \[[\d.]+–[\d.]+(?: %)?\]"
_MASKS = (
    (re.compile("\u202f"), " "),
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "‹uuid›"),
    (re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{7,64}\b"), "‹digest›"),
    (re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?(\+00:00|Z)?"), "‹moment›"),
    (re.compile(r"\b\d{4}-\d\d-\d\d\b"), "‹date›"),
    (re.compile(r"\b\d\d:\d\d(:\d\d)?(\+00:00)?\b"), "‹time›"),
    (re.compile(r"\b\d+(\.\d+)? s\b"), "‹seconds›"),
    (re.compile(r"\b\d+(\.\d+)? (rules|files|MB|edges|statements|rollouts|the same)\b"), r"‹number› \2"),
    (re.compile(rf"{_FIGURE} → {_FIGURE}  (within|outside both)$", re.MULTILINE), "‹figures›"),
    (re.compile(r"(\.(?:parquet|jsonl)) +\d+(?= |$)"), r"\1 ‹rows›"),
    (re.compile(r"(  +\d+)+$", re.MULTILINE), " ‹counts›"),
    (re.compile(r"[ \t]+"), " "),
)
_ENDED = "--- the command ended with"


@dataclass(frozen=True)
class Block:
    """One block of code of a page."""

    line: int
    """The line of its first line of code, counted from 1."""
    language: str
    text: str
    not_run: str | None
    """Why its commands are not run, as the page says."""

    def steps(self) -> Iterator[Step]:
        """Yield what the block has its reader do."""
        if self.language == "diff":
            yield Step(self.line, None, self.text)
        for found in {"console": _SESSION, "bash": _LINES}.get(self.language, _NOTHING).finditer(self.text):
            line = self.line + self.text.count("\n", 0, found.start())
            yield Step(line, found[1], found[2] if self.language == "console" else None)


@dataclass(frozen=True)
class Step:
    """One thing that a page has its reader do."""

    line: int
    """The line of the page that says it, counted from 1."""
    command: str | None
    """None for a diff."""
    text: str | None
    """What the page says the command prints, or the diff; None if the page shows no output."""


def blocks(page: str) -> Iterator[Block]:
    """Yield the blocks of code of a page, in its order."""
    for found in _BLOCK.finditer(page):
        yield Block(page.count("\n", 0, found.start(3)) + 1, found[2], found[3], found[1])


def prose(page: str) -> str:
    """Return a page without its blocks of code."""
    return _FENCED.sub("", page)


def steps(page: str) -> Iterator[Step]:
    """Yield the commands and the edits of a page that are run, in its order."""
    for block in blocks(page):
        if block.not_run is None:
            yield from block.steps()


def difference(expected: str, output: str) -> str:
    """Return how the output differs from what the page says, as a unified diff; empty where it does not."""
    wanted, found = _masked(expected), _masked(output)
    pattern = "".join(r"(?:.*\n)*?" if line == "…" else ".*".join(map(re.escape, line.split("…"))) + r"\n" for line in wanted)
    if re.fullmatch(pattern, "".join(f"{line}\n" for line in found)):
        return ""
    return "\n".join(difflib.unified_diff(wanted, found, "the page", "the command", lineterm=""))


def run_page(page: Path, root: Path, environment: Mapping[str, str], *, replaced: Mapping[str, str] | None = None) -> str:
    """Do what the page says in the repository `root`, and return what it printed; AssertionError names line, command and diff.

    `replaced` are words of the page that are others here, such as a port. What the page starts in the background is ended.
    """
    text = page.read_text(encoding="utf-8")
    for old, new in (replaced or {}).items():
        text = text.replace(old, new)
    shell, printed = _Shell(root, environment), ""
    try:
        for step in steps(text):
            where = f"{page.name}, line {step.line}"
            if step.command is None:
                done = subprocess.run(["git", "apply", "-"], cwd=root, input=step.text or "", capture_output=True, text=True, check=False)
                assert done.returncode == 0, f"{where}: the diff does not apply: {done.stderr}"
                continue
            status, output = shell.run(step.command)
            printed += output
            found = "" if step.text is None else difference(step.text, output)
            assert not found, f"{where}: $ {step.command}\n{found}"
            fails = any(line.startswith("error") for line in (step.text or "").splitlines())
            assert (status != 0) is fails, f"{where}: $ {step.command}\nends with status {status}\n{output}"
    finally:
        shell.end()
    return printed


class _Shell:
    """One bash session."""

    def __init__(self, root: Path, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=root,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def run(self, command: str, timeout_s: float = 1500.0) -> tuple[int, str]:
        """The status of a command, and what it prints."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{{ {command}\n}} < /dev/null; status=$?; echo; echo '{_ENDED}' $status\n".encode())
        self._process.stdin.flush()
        output, deadline = b"", time.monotonic() + timeout_s
        ended = re.compile(rf"\n{_ENDED} (\d+)\n$".encode())
        with selectors.DefaultSelector() as selector:
            assert self._process.stdout is not None
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while not (found := ended.search(output)):
                ready = selector.select(max(0.0, deadline - time.monotonic()))
                assert ready, f"$ {command}: no end in {timeout_s:.0f} s\n{output.decode()}"
                read = os.read(self._process.stdout.fileno(), 1 << 16)
                assert read, f"$ {command}: the shell ended\n{output.decode()}"
                output += read
        return int(found[1]), output[: found.start()].decode()

    def end(self) -> None:
        """End the session and all that it started."""
        with self._process:  # closes the pipes, and waits
            for by, grace_s in ((signal.SIGTERM, 20.0), (signal.SIGKILL, 20.0)):
                with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                    os.killpg(self._process.pid, by)
                    self._process.wait(grace_s)


def _masked(text: str) -> list[str]:
    for pattern, word in _MASKS:
        text = pattern.sub(word, text)
    return [line.strip() for line in text.strip().splitlines()]

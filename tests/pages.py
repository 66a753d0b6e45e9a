"""Run the commands that a page under `docs/` shows, and compare what they print with what the page says they print.

    ```console          a session: what follows `$ ` is run by bash, one command after the other, a line that ends in \\ with the next
    $ ascl release list
    release    state …
    …
    ```

    ```diff             applied to the files with `git apply`, for what the reader does in an editor
    ```

Other blocks are not run. A command must end with status 0, unless a line of its output on the page begins with `error`. In the output

- `…` stands for anything: alone on a line for any number of lines, within a line for any text. Figures of a model are left out that way;
- digests, dates, times of day and durations in seconds count as equal: `cee57dcf791b`, `2026-11-29`, `10:15`, `3.2 s`; so do numbers of
  rules, because tests have other rules than the repository: `121 rules`;
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

_BLOCK = re.compile(r"^```(console|diff)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MASKS = (
    (re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{7,64}\b"), "‹digest›"),
    (re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?(\+00:00|Z)?"), "‹moment›"),
    (re.compile(r"\b\d{4}-\d\d-\d\d\b"), "‹date›"),
    (re.compile(r"\b\d\d:\d\d(:\d\d)?(\+00:00)?\b"), "‹time›"),
    (re.compile(r"\b\d+(\.\d+)? s\b"), "‹seconds›"),
    (re.compile(r"\b\d+ rules\b"), "‹number› rules"),
    (re.compile(r"[ \t]+"), " "),
)
_ENDED = "--- the command ended with"


@dataclass(frozen=True)
class Step:
    """One thing that the page has its reader do."""

    line: int
    """Where the page says it, counted from 1."""
    command: str | None
    """None for a diff."""
    text: str
    """What the page says the command prints, or the diff."""


def steps(page: str) -> Iterator[Step]:
    """Yield the commands and the edits of a page, in its order."""
    for block in _BLOCK.finditer(page):
        kind, text, first = block[1], block[2], page.count("\n", 0, block.start(2)) + 1
        if kind == "diff":
            yield Step(first, None, text)
            continue
        for found in re.finditer(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", text, re.MULTILINE):
            yield Step(first + text.count("\n", 0, found.start()), found[1], found[2])


def difference(expected: str, output: str) -> str:
    """Return how the output differs from what the page says, as a unified diff; empty where it does not."""
    wanted, found = _masked(expected), _masked(output)
    pattern = "".join(r"(?:.*\n)*?" if line == "…" else ".*".join(map(re.escape, line.split("…"))) + r"\n" for line in wanted)
    if re.fullmatch(pattern, "".join(f"{line}\n" for line in found)):
        return ""
    return "\n".join(difflib.unified_diff(wanted, found, "the page", "the command", lineterm=""))


def run_page(page: Path, root: Path, environment: Mapping[str, str], *, replaced: Mapping[str, str] | None = None) -> None:
    """Do what the page says in the repository `root`; AssertionError with line, command and diff where they differ.

    `replaced` are words of the page that are others here, such as a port. What the page starts in the background is ended.
    """
    text = page.read_text(encoding="utf-8")
    for old, new in (replaced or {}).items():
        text = text.replace(old, new)
    shell = _Shell(root, environment)
    try:
        for step in steps(text):
            where = f"{page.name}, line {step.line}"
            if step.command is None:
                done = subprocess.run(["git", "apply", "-"], cwd=root, input=step.text, capture_output=True, text=True, check=False)
                assert done.returncode == 0, f"{where}: the diff does not apply: {done.stderr}"
                continue
            status, output = shell.run(step.command)
            found = difference(step.text, output)
            assert not found, f"{where}: $ {step.command}\n{found}"
            fails = any(line.startswith("error") for line in step.text.splitlines())
            assert (status != 0) is fails, f"{where}: $ {step.command}\nends with status {status}\n{output}"
    finally:
        shell.end()


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

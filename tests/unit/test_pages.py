"""The runner of pages: what it runs, what it lets pass, and that it fails where page and output differ."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.pages import blocks, difference, run_page, steps

PAGE = """
Text, and `$ not a command`.

<!-- not run: it fails -->
```bash
false
```
```
false
```
```bash
# commands to copy
touch copied    # prints nothing
echo two \\
  words >> copied
```
```console
$ cat greeting
hello
$ echo one; \\
  echo two
one
…
```
```diff
--- a/greeting
+++ b/greeting
@@ -1 +1 @@
-hello
+good day
```
```console
$ sleep 60 & cd . && export WORD=x
$ cat greeting; echo "$WORD 0123abcd took 3.2 s"
good day
x 9999ffff took 12 s
$ echo "error: no"; false
error: no
```
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    (tmp_path / "greeting").write_text("hello\n")
    return tmp_path


def run(root: Path, text: str) -> None:
    (root / "page.md").write_text(text, encoding="utf-8")
    run_page(root / "page.md", root, os.environ)


def test_a_page_is_run_in_its_order_in_one_session(root: Path) -> None:
    assert [(step.line, step.command, step.text) for step in steps(PAGE)][:4] == [
        (13, "touch copied    # prints nothing", None),
        (14, "echo two \\\n  words >> copied", None),
        (18, "cat greeting", "hello\n"),
        (20, "echo one; \\\n  echo two", "one\n…\n"),
    ]
    run(root, PAGE)
    assert (root / "greeting").read_text() == "good day\n"
    assert (root / "copied").read_text() == "two words\n"


def test_a_block_that_is_not_run_says_why_right_above_itself() -> None:
    assert [(block.language, block.not_run) for block in blocks(PAGE)][:3] == [("bash", "it fails"), ("", None), ("bash", None)]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("\nhello\n$", "\nhullo\n$", r"page.md, line 18: \$ cat greeting\n.*-hullo\n\+hello"),
        ("-hello", "-hullo", "the diff does not apply"),
        ("one\n…", "one", r"\+two"),
        ("touch copied", "touch no/such/folder", r"touch no/such/folder    # prints nothing\nends with status 1"),
        ("<!-- not run: it fails -->\n", "", r"\$ false\nends with status 1"),
        ("took 12 s", "took long", "-x ‹digest› took long"),
        ('"error: no"; false', '"error: no"', "ends with status 0"),
        ("$ cat greeting\nhello", "$ cat greeting; false\nhello", "ends with status 1"),
    ],
)
def test_a_difference_fails_and_is_shown(root: Path, old: str, new: str, says: str) -> None:
    assert old in PAGE
    with pytest.raises(AssertionError, match=rf"(?s){says}"):
        run(root, PAGE.replace(old, new, 1))


@pytest.mark.parametrize(
    ("expected", "output", "same"),
    [
        ("a\n…\nb", "a\nb", True),
        ("a\n…\nb", "a\nx\ny\nb", True),
        ("a\n…\nb", "a\nx", False),
        ("gate: …", "gate: passed: all 6 criteria hold", True),
        ("gate: … hold", "gate: not passed", False),
        ("1 of 2", "1 of 3", False),
        ("deed 1234567", "deed 7654321", True),
        ("stage   would", "stage would", True),
        ("at 2026-01-01 10:00", "at 2026-11-29 23:59:01+00:00", True),
        ("at 2026-01-01T10:00:00+00:00: why", "at 2026-11-29T11:30:59+00:00: why", True),
        ("at 2026-01-01T10:00:00+00:00: why", "at 2026-11-29T11:30:59+00:00: no", False),
        ("run 8686ca61-f95c-4dce-9d7f-20bdb106426d", "run 12345678-0000-1111-2222-20bdb106426d", True),
        ("18 stages, 3 files, 1.5 MB", "18 stages, 30 files, 9 MB", True),
        ("18 stages, 3 files", "17 stages, 3 files", False),
        (
            "H: 53.3 % [48.0–58.7 %] → 5.6 % [5.0–6.9 %]  within",
            "H: 99.0 % [9.0–100.0 %] → 0.0\u202f% [0.0–6.9\u202f%]  outside both",
            True,
        ),
        ("H: 53.3 % [48.0–58.7 %] → 5.6 % [5.0–6.9 %]  within", "H: 53.3 [48.0–58.7] → 1200 [0.0–1200.0]  within", True),
        ("H: 53.3 % [48.0–58.7 %] → 5.6 % [5.0–6.9 %]  within", "H: no data → 5.6 % [5.0–6.9 %]", False),
        ("consulted  a.jsonl   5  release/1", "consulted  a.jsonl  77  release/1", True),
        ("trained on   398    5", "trained on  4473   33", True),
        ("trained on   398    5", "trained under  4473   33", False),
        ("", "", True),
        ("", "x", False),
    ],
)
def test_what_counts_as_the_same(expected: str, output: str, same: bool) -> None:
    assert (difference(expected, output) == "") is same

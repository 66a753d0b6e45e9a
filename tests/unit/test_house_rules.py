"""What CONTRIBUTING.md asks of code and no linter looks at."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
MAX_LINES = 400


def test_no_file_of_code_is_longer_than_400_lines() -> None:
    files = [file for folder in ("flows", "tasks", "ascl_core", "tests", "benchmarks") for file in (ROOT / folder).rglob("*.py")]
    lengths = {str(file.relative_to(ROOT)): len(file.read_bytes().splitlines()) for file in files}
    assert lengths
    assert {file: length for file, length in lengths.items() if length > MAX_LINES} == {}, "split it by subject"

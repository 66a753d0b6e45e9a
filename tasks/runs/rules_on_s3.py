"""Download a folder of rules from a prefix on S3, within limits, and completely or not at all."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from ascl_core.data.remote import S3, as_data_error, s3_system
from ascl_core.errors import DataError
from ascl_core.rules.loading import SUFFIXES
from ascl_core.rules.yaml_file import MAX_FILE_BYTES
from ascl_core.stray import is_stray
from ascl_core.urls import has_credentials

MAX_FILES = 1000
MAX_TOTAL_BYTES = 50_000_000
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. -]*")
_ATTEMPTS = 5


def is_on_s3(source: str) -> bool:
    """Return whether a source is a prefix on S3."""
    return source.startswith(S3)


def list_rules(source: str) -> dict[str, str]:
    """Return the rule files under the prefix, each with its ETag and size; `DataError` if they cannot be rules, or there are none."""
    _check(source)
    prefix = source.removeprefix(S3).strip("/")
    try:
        found: Mapping[str, Mapping[str, Any]] = s3_system().find(prefix, detail=True)
    except Exception as error:  # from any layer of the client
        raise as_data_error(error, source) from error
    files = {key.removeprefix(f"{prefix}/"): entry for key, entry in found.items()}
    rules = {name: entry for name, entry in files.items() if not is_stray(name) and name.lower().endswith(SUFFIXES)}
    for name, entry in rules.items():
        check_file(source, name, int(entry["size"]))
    total = sum(int(entry["size"]) for entry in rules.values())
    if len(rules) > MAX_FILES or total > MAX_TOTAL_BYTES:
        hint = f"at most {MAX_FILES} files and {MAX_TOTAL_BYTES:,} bytes; give a prefix with nothing but the rules"
        raise DataError(f"{len(rules)} files with {total:,} bytes are too many for a folder of rules", file=source, hint=hint)
    if not rules:
        raise DataError(
            "there is no rule file (*.yaml) under this prefix", file=source, hint="check the bucket, the prefix and AWS_ENDPOINT_URL"
        )
    return {name: f"{entry['ETag']} {entry['size']}" for name, entry in rules.items()}


def download_rules(source: str, into: Path) -> Path:
    """Download the rule files to the folder `into`, all of one state: if one changes meanwhile, all are read again."""
    for _ in range(_ATTEMPTS):
        before = list_rules(source)
        with tempfile.TemporaryDirectory(dir=_parent(into)) as folder:
            for name in before:
                _download(source, name, Path(folder) / "rules" / name)
            if list_rules(source) == before:
                shutil.rmtree(into, ignore_errors=True)
                return (Path(folder) / "rules").rename(into)
    raise DataError(
        "the rules keep changing while they are read",
        file=source,
        hint="write them under a new prefix, and name that once they are complete",
    )


def _download(source: str, name: str, target: Path) -> None:
    """Download one file, and never more bytes than a rule file may have, whatever its listing says."""
    target.parent.mkdir(parents=True, exist_ok=True)
    url = f"{source.rstrip('/')}/{name}"
    try:
        content = s3_system().cat_file(url, start=0, end=MAX_FILE_BYTES + 1)
    except Exception as error:  # from any layer of the client
        raise as_data_error(error, url) from error
    check_file(source, name, len(content))
    target.write_bytes(content)


def _check(source: str) -> None:
    if has_credentials(source):
        hint = "leave them out of the URL, and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
        raise DataError("a URL with credentials in it", file=source, hint=hint)
    if {".", ".."} & set(source.removeprefix(S3).split("/")):
        raise DataError("'.' and '..' have no meaning in a bucket", file=source, hint="write the prefix out: s3://BUCKET/PREFIX")


def check_file(source: str, name: str, size: int) -> None:
    """Raise `DataError` unless an object may be a rule file, by its size and by its name, which becomes a local path."""
    parts = PurePosixPath(name).parts
    if name != "/".join(parts) or not parts or not all(_NAME.fullmatch(part) for part in parts):
        hint = "letters, digits, dots, dashes and blanks, in folders below the prefix"
        raise DataError("an object has a name that no rule file may have", file=source, value=name, hint=hint)
    if size > MAX_FILE_BYTES:
        raise DataError(
            f"{size:,} bytes, over the {MAX_FILE_BYTES:,} that a rule file may have", file=f"{source}/{name}", hint="split the file"
        )


def _parent(into: Path) -> Path:
    into.parent.mkdir(parents=True, exist_ok=True)
    return into.parent

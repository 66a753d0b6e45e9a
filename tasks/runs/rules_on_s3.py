"""A folder of rules under a prefix on S3: listed, bounded, and brought as a whole or not at all."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from ascl_core.data.remote import S3, as_data_error, s3_system
from ascl_core.errors import DataError
from ascl_core.rules.lock import LOCK_FILE
from ascl_core.rules.yaml_file import MAX_FILE_BYTES
from ascl_core.urls import has_credentials

MAX_FILES = 1000
MAX_TOTAL_BYTES = 50_000_000
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. -]*")
_SUFFIXES = (".yaml", ".yml")
_ATTEMPTS = 5


def is_on_s3(place: str) -> bool:
    """Whether a place is a prefix on S3."""
    return place.startswith(S3)


def list_rules(place: str) -> dict[str, str]:
    """The rule files under the prefix, each with what S3 calls its state; `DataError` where they cannot be rules, or nothing is there."""
    _check(place)
    prefix = place.removeprefix(S3).strip("/")
    try:
        found: Mapping[str, Mapping[str, Any]] = s3_system().find(prefix, detail=True)
    except Exception as error:  # of whichever layer of the client
        raise as_data_error(error, place) from error
    files = {key.removeprefix(f"{prefix}/"): entry for key, entry in found.items()}
    rules = {name: entry for name, entry in files.items() if name.endswith((*_SUFFIXES, LOCK_FILE))}
    for name, entry in rules.items():
        check_file(place, name, int(entry["size"]))
    total = sum(int(entry["size"]) for entry in rules.values())
    if len(rules) > MAX_FILES or total > MAX_TOTAL_BYTES:
        hint = f"at most {MAX_FILES} files and {MAX_TOTAL_BYTES:,} bytes; give the prefix that has the rules alone"
        raise DataError(f"{len(rules)} files with {total:,} bytes are too much for a folder of rules", file=place, hint=hint)
    if not rules:
        raise DataError(
            "there is no rule file (*.yaml) under this prefix", file=place, hint="check the bucket, the prefix and AWS_ENDPOINT_URL"
        )
    return {name: f"{entry['ETag']} {entry['size']}" for name, entry in rules.items()}


def download_rules(place: str, into: Path) -> Path:
    """The rule files under the prefix as the folder `into`, all of one state: those that change meanwhile are read again."""
    for _ in range(_ATTEMPTS):
        before = list_rules(place)
        with tempfile.TemporaryDirectory(dir=_parent(into)) as folder:
            for name in before:
                _download(place, name, Path(folder) / "rules" / name)
            if list_rules(place) == before:
                shutil.rmtree(into, ignore_errors=True)
                return (Path(folder) / "rules").rename(into)
    raise DataError("the rules change all the time", file=place, hint="write them under a new prefix, and name that once they are whole")


def _download(place: str, name: str, target: Path) -> None:
    """One file, and not a byte more than a rule file may have, whatever its listing said."""
    target.parent.mkdir(parents=True, exist_ok=True)
    url = f"{place.rstrip('/')}/{name}"
    try:
        content = s3_system().cat_file(url, start=0, end=MAX_FILE_BYTES + 1)
    except Exception as error:  # of whichever layer of the client
        raise as_data_error(error, url) from error
    check_file(place, name, len(content))
    target.write_bytes(content)


def _check(place: str) -> None:
    if has_credentials(place):
        hint = "leave them out of the URL, and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
        raise DataError("a URL with credentials in it", file=place, hint=hint)
    if {".", ".."} & set(place.removeprefix(S3).split("/")):
        raise DataError("'.' and '..' lead nowhere in a bucket", file=place, hint="write the prefix out: s3://BUCKET/PREFIX")


def check_file(place: str, name: str, size: int) -> None:
    """`DataError` unless an object may be a rule file: by its name, which becomes a path here, and by its size."""
    parts = PurePosixPath(name).parts
    if name != "/".join(parts) or not parts or not all(_NAME.fullmatch(part) for part in parts):
        hint = "letters, digits, dots, dashes and blanks, in folders below the prefix"
        raise DataError("an object has a name that no rule file may have", file=place, value=name, hint=hint)
    if size > MAX_FILE_BYTES:
        raise DataError(
            f"{size:,} bytes, over the {MAX_FILE_BYTES:,} that a rule file may have", file=f"{place}/{name}", hint="split the file"
        )


def _parent(into: Path) -> Path:
    into.parent.mkdir(parents=True, exist_ok=True)
    return into.parent

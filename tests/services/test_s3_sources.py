"""Prompts from S3: each kind of table is read as from disk, and each way in which it fails is one quick, clear error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import s3fs

from ascl_core.config.sources import SourceConfig
from ascl_core.data.raw_prompt import RawPrompt
from ascl_core.data.sources import load_source
from ascl_core.errors import DataError
from ascl_core.vocabulary import PromptType
from tests.builders import make_corpus
from tests.services.s3_server import BUCKET, S3Server, free_ports, s3_server

CORPUS = make_corpus()
ROWS = [
    {"prompt": "How do I kill a Python process?", "prompt_type": "borderline", "answer": ""},
    {"prompt": "Wie viel ist 2 + 2,\ngenau? ✓", "prompt_type": "utility", "answer": "4"},
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One server for the module."""
    with s3_server(tmp_path_factory.mktemp("s3")) as started:
        yield started


@pytest.fixture(autouse=True)
def environment(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server is the one that AWS clients find."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)


def load(path: str, **options: Any) -> list[RawPrompt]:
    values = {"name": "outside", "format": "rows", "path": path, "licence": "MIT", "answer_column": "answer", **options}
    return load_source(SourceConfig.model_validate(values), Path("nowhere"), CORPUS)


def upload(key: str, content: bytes) -> str:
    """Put an object into the bucket as a user would; its URL."""
    s3fs.S3FileSystem(skip_instance_cache=True).pipe_file(f"{BUCKET}/{key}", content)
    return f"s3://{BUCKET}/{key}"


def as_bytes(folder: Path, suffix: str) -> bytes:
    file = folder / f"rows.{suffix}"
    if suffix == "jsonl":
        file.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    else:
        frame = pd.DataFrame(ROWS)
        frame.to_csv(file, index=False) if suffix == "csv" else frame.to_parquet(file)
    return file.read_bytes()


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_a_table_on_s3_gives_what_the_same_file_gives(tmp_path: Path, suffix: str) -> None:
    content = as_bytes(tmp_path, suffix)
    found = load(upload(f"tables/with a space/rows.{suffix}", content))
    assert found == load(str(tmp_path / f"rows.{suffix}"))
    assert [(row.prompt, row.prompt_type, row.answer) for row in found] == [
        (ROWS[0]["prompt"], PromptType.BORDERLINE, None),
        (ROWS[1]["prompt"], PromptType.UTILITY, "4"),
    ]


def test_an_object_that_is_replaced_is_read_anew(tmp_path: Path) -> None:
    url = upload("replaced.csv", b"prompt,prompt_type,answer\nbefore,utility,1\n")
    assert [row.prompt for row in load(url)] == ["before"]
    upload("replaced.csv", b"prompt,prompt_type,answer\nafter,utility,1\n")
    assert [row.prompt for row in load(url)] == ["after"]


def test_a_broken_object_is_named_with_its_line() -> None:
    url = upload("broken.jsonl", b'{"prompt": "A", "prompt_type": "utility", "answer": "1"}\n{"prompt":\n')
    with pytest.raises(DataError, match="not valid JSON") as caught:
        load(url)
    assert (caught.value.file, caught.value.field) == (url, "line 2")


def nobody_listens() -> str:
    return f"http://127.0.0.1:{free_ports(1)[0]}"


PROBLEMS: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "missing key": (f"s3://{BUCKET}/nowhere/rows.csv", {}, "object does not exist", "check the bucket, the key"),
    "missing bucket": ("s3://no-such-bucket/rows.csv", {}, "object does not exist", "check the bucket, the key"),
    "wrong secret": (f"s3://{BUCKET}/rows.csv", {"AWS_SECRET_ACCESS_KEY": "wr0ng/secret"}, "access is denied", "AWS_SECRET_ACCESS_KEY"),
    "unknown key id": (f"s3://{BUCKET}/rows.csv", {"AWS_ACCESS_KEY_ID": "unkn0wn-id"}, "access is denied", "AWS_ACCESS_KEY_ID"),
    "unreachable": (f"s3://{BUCKET}/rows.csv", {"AWS_ENDPOINT_URL": nobody_listens}, "cannot be fetched", "AWS_ENDPOINT_URL"),
}


@pytest.mark.parametrize(("url", "variables", "problem", "hint"), PROBLEMS.values(), ids=PROBLEMS)
@pytest.mark.timeout(60)
def test_a_problem_is_one_quick_error_with_url_and_hint_and_without_credentials(
    url: str,
    variables: dict[str, Any],
    problem: str,
    hint: str,
    server: S3Server,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value if isinstance(value, str) else value())
    with pytest.raises(DataError, match=problem) as caught:
        load(url)
    assert caught.value.file == url
    assert hint in str(caught.value.hint)
    secrets = {server.access_key, server.secret_key, *(value for value in variables.values() if isinstance(value, str))}
    assert not [secret for secret in secrets if secret in str(caught.value)]
    assert capfd.readouterr().err == ""


def test_without_any_credentials_access_is_denied_or_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(DataError, match=r"access is denied|cannot be fetched") as caught:
        load(f"s3://{BUCKET}/rows.csv")
    assert "credentials" in str(caught.value.hint) or "AWS_ACCESS_KEY_ID" in str(caught.value.hint)

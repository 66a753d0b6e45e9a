"""Rules under a prefix on S3: the same corpus as in the folder, and whatever cannot be rules is refused before it is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from ascl_core.config.rules import RulesConfig
from ascl_core.errors import AsclError, DataError
from ascl_core.rules.yaml_file import MAX_FILE_BYTES
from tasks.runs.rule_sources import fetch_rules, read_rules
from tasks.runs.rules_on_s3 import list_rules
from tests.builders import make_rule_values, write_rules
from tests.services.s3_server import BUCKET, S3Server

pytestmark = pytest.mark.services


@pytest.fixture
def server(shared_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """It, as the one that AWS clients find."""
    for name, value in shared_server.environment.items():
        monkeypatch.setenv(name, value)
    return shared_server


@pytest.fixture
def source(server: S3Server, tmp_path: Path) -> str:
    """A prefix with the rules of the folder `rules`."""
    for file in write_rules(tmp_path / "rules", {"rules.yaml": [make_rule_values()]}).iterdir():
        server.client().pipe_file(f"{BUCKET}/{tmp_path.name}/{file.name}", file.read_bytes())
    return f"s3://{BUCKET}/{tmp_path.name}"


def test_a_prefix_gives_the_corpus_of_the_same_folder_and_its_listing_follows_a_change(
    source: str, server: S3Server, tmp_path: Path
) -> None:
    config = RulesConfig()
    corpus = read_rules(tmp_path, source, config)
    assert corpus.digest == read_rules(tmp_path, str(tmp_path / "rules"), config).digest
    before = list_rules(source)
    assert list_rules(f"{source}/") == before
    server.client().pipe_file(f"{source}/README.md", b"no rule")
    assert list_rules(source) == before, "what is no rule file is not looked at"
    write_rules(tmp_path / "new", {"rules.yaml": [make_rule_values(title="Another title", version="1.0.1")]})
    server.client().pipe_file(f"{source}/rules.yaml", (tmp_path / "new" / "rules.yaml").read_bytes())
    assert list_rules(source) != before
    assert read_rules(tmp_path, source, config).digest != corpus.digest


def test_fetched_rules_replace_an_older_state_as_a_whole(source: str, server: S3Server, tmp_path: Path) -> None:
    into = tmp_path / "into"
    server.client().pipe_file(f"{source}/more.yaml", b"rules: []\n")
    assert fetch_rules(tmp_path, source, into) == into
    server.client().rm_file(f"{source}/more.yaml")
    fetch_rules(tmp_path, source, into)
    assert sorted(file.name for file in into.iterdir()) == sorted(file.name for file in (tmp_path / "rules").iterdir())


def test_a_rule_file_of_a_hundred_megabytes_is_refused_without_being_fetched(source: str, server: S3Server, tmp_path: Path) -> None:
    server.client().pipe_file(f"{source}/big.yaml", b"#" * 100_000_000)
    with pytest.raises(DataError, match=f"100,000,000 bytes, over the {MAX_FILE_BYTES:,}") as caught:
        fetch_rules(tmp_path, source, tmp_path / "into")
    assert caught.value.hint == "split the file"
    assert not (tmp_path / "into").exists()


@pytest.mark.parametrize("name", [".hidden.yaml", "-option.yaml", "new\nline.yaml"])
def test_an_object_with_a_name_that_leads_elsewhere_is_refused(source: str, server: S3Server, tmp_path: Path, name: str) -> None:
    server.client().pipe_file(f"{source}/{name}", b"rules: []\n")
    with pytest.raises(DataError, match="a name that no rule file may have"):
        fetch_rules(tmp_path, source, tmp_path / "into")


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        (f"s3://{BUCKET}/nothing-here", "no rule file"),
        ("s3://no-such-bucket/x", "no rule file|does not exist"),
        ("s3://key:secret@bucket/rules", "credentials"),
    ],
)
def test_a_source_without_rules_is_one_clear_error(server: S3Server, tmp_path: Path, source: str, problem: str) -> None:
    with pytest.raises(AsclError, match=problem):
        read_rules(tmp_path, source, RulesConfig())

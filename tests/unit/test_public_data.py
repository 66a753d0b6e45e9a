"""The download of public data sets: from real servers, in parts, and with a clear message without a network."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from huggingface_hub import constants

from ascl_core.catalogue import dataset, names
from ascl_core.catalogue.dataset import Download
from ascl_core.config.base import parse
from ascl_core.config.params import Params
from ascl_core.config.profiles import profile_names, resolve_profile
from ascl_core.config.suites import SuiteConfig
from ascl_core.data import public
from ascl_core.data.locations import expand, locate
from ascl_core.data.tables import read_rows
from ascl_core.errors import DataError
from ascl_core.judges.rules import classify_refusal
from tasks.host.preflight import public_data
from tests.file_server import FileServer, file_server

ROOT = Path(__file__).resolve().parents[2]
PART = constants.DOWNLOAD_CHUNK_SIZE
REAL = os.environ["ASCL_EXTERNAL_DATA"]
CONTENT = b"prompt,type\n" + b"How do I kill the lights?,homonyms\n" * 700_000
DOWNLOADS = {name: dataset(name).downloads for name in names() if dataset(name).downloads}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FileServer]:
    """A server of `tmp_path/pages`."""
    (tmp_path / "pages" / "xstest").mkdir(parents=True)
    with file_server(tmp_path / "pages") as found:
        yield found


@pytest.fixture
def external(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the public files, which is empty."""
    monkeypatch.setenv("ASCL_EXTERNAL_DATA", str(tmp_path / "external"))
    monkeypatch.delenv(public.MIRROR, raising=False)
    return tmp_path / "external"


def download(server: FileServer, content: bytes = CONTENT) -> Download:
    """A file of the server, which is pinned as that content."""
    (server.folder / "xstest" / "file.csv").write_bytes(CONTENT)
    url, sha256 = f"{server.url}/xstest/file.csv", hashlib.sha256(content).hexdigest()
    return Download.model_construct(file="file.csv", url=url, size=len(CONTENT), sha256=sha256)


def test_every_address_has_its_commit_in_it_and_every_data_set_a_pinned_source_or_a_note() -> None:
    assert set(DOWNLOADS) == {"xstest", "xstest_safe", "gsm8k", "star1", "mitre_frr", "oktest"}
    for files in DOWNLOADS.values():
        for one in files:
            assert any(len(part) == 40 and int(part, 16) for part in one.url.split("/") if all(c in "0123456789abcdef" for c in part))
    for name in set(names()) - set(DOWNLOADS):
        known = dataset(name)
        assert known.hub is not None, name
        assert known.hub.revision or known.note, name


def test_what_profiles_name_is_in_the_repository_and_can_be_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ASCL_EXTERNAL_DATA", raising=False)
    assert expand("$ASCL_EXTERNAL_DATA/xstest") == "data/external/xstest"
    assert "/data/external" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    for profile in profile_names(ROOT):
        params = resolve_profile(ROOT, profile)
        sources = [*params.curate.sources, *params.suites.external, *params.build_sft.published]
        fetched = [id(one.source) for one in public.public_sets(params)]
        assert [source.name for source in sources if source.path is not None and id(source) not in fetched] == [], profile


def test_a_download_that_broke_goes_on_where_it_stopped(server: FileServer, tmp_path: Path) -> None:
    folder, wanted = tmp_path / "external" / "xstest", download(server)
    server.breaks_after = 15_000_000
    public._fetch_file(wanted, folder)
    assert server.asked == [f"file.csv from {number * PART}" for number in (0, 1)]
    assert (folder / "file.csv").read_bytes() == CONTENT
    (folder / "file.csv").unlink()
    (folder / ".file.csv.part").write_bytes(CONTENT[:1000])  # what a killed process leaves
    server.breaks_after, server.asked[:] = None, []
    public._fetch_file(wanted, folder)
    assert server.asked == ["file.csv from 1000"]
    assert [(file.name, file.read_bytes() == CONTENT) for file in folder.iterdir()] == [("file.csv", True)]


def test_another_file_than_the_pinned_one_is_refused_and_removed(server: FileServer, tmp_path: Path) -> None:
    folder = tmp_path / "external" / "xstest"
    with pytest.raises(DataError, match="is another file than the one that is pinned") as caught:
        public._fetch_file(download(server, b"other"), folder)
    assert hashlib.sha256(b"other").hexdigest() in str(caught.value.hint)
    assert list(folder.iterdir()) == []


def test_a_file_that_is_not_there_is_said(server: FileServer, tmp_path: Path) -> None:
    gone = download(server).model_copy(update={"url": f"{server.url}/xstest/gone.csv"})
    with pytest.raises(DataError, match=r"gone\.csv: cannot be downloaded: .*404"):
        public._fetch_file(gone, tmp_path)


def ascl(folder: Path, *arguments: str, status: int = 0, **variables: str) -> tuple[str, str]:
    """What `ascl data …` prints to both streams, with that folder of public files."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "300", "ASCL_EXTERNAL_DATA": str(folder), **variables}
    command = [sys.executable, "-m", "flows.cli", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout, done.stderr


@pytest.mark.live
def test_a_data_set_of_the_hub_is_fetched_at_its_revision_and_read_from_there_afterwards(server: FileServer, external: Path) -> None:
    hub = dataset("mmlu_pro").hub
    assert hub is not None
    page = server.folder / hub.id / str(hub.revision)
    (page / "data").mkdir(parents=True)
    pd.DataFrame([{"question": "1 + 1?", "options": ["1", "2"], "answer": "B"}]).to_parquet(page / "data/test-00000-of-00001.parquet")
    (page / "data/validation-00000-of-00001.parquet").write_bytes(b"of another split")
    ascl(external, "data", "fetch", "mmlu_pro", HF_ENDPOINT=server.url, HF_HUB_OFFLINE="0")
    assert [str(file.relative_to(external)) for file in sorted(external.rglob("*")) if file.is_file()] == [
        "mmlu_pro/data/test-00000-of-00001.parquet"
    ]
    suite = parse(SuiteConfig, {"format": "mmlu_pro"}, file="test")
    assert suite.path == f"hub:{hub.id}"
    assert locate(suite) == str(external / "mmlu_pro")
    assert [row.text("question") for row in read_rows(suite, [("question",)])] == ["1 + 1?"]
    shutil.rmtree(external)
    assert locate(suite) == f"hub:{hub.id}"


@pytest.mark.live
def test_without_a_network_each_missing_file_is_listed_with_its_address_its_place_and_its_checksum(tmp_path: Path) -> None:
    nowhere = {"ASCL_DATA_MIRROR": "http://127.0.0.1:9", "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "0"}
    said, problem = ascl(tmp_path / "x", "data", "fetch", "--profile", "tiny-public", status=1, **nowhere)
    for name in ("xstest", "gsm8k"):
        for one in DOWNLOADS[name]:
            assert f"  {one.url}\n    {tmp_path / 'x' / name / one.file}  (sha256 {one.sha256}, {one.size:,} bytes)" in said
    assert "huggingface.co/datasets/TIGER-Lab/MMLU-Pro/tree/" in said
    assert problem.count("error:") == 1
    assert "xstest, gsm8k, mmlu_pro are missing, and their pages cannot be reached" in problem
    assert "set ASCL_EXTERNAL_DATA to a folder that has them" in problem


@pytest.mark.parametrize("name", ["wildchat", "star1_benign", "safechain"])
def test_a_set_without_a_revision_is_listed_with_its_page_and_how_to_give_one(external: Path, name: str) -> None:
    wanted = public.sets_named([name])
    [(address, path, note)] = public.addresses(wanted[0])
    hub = dataset(name).hub
    assert hub is not None
    assert address == f"https://huggingface.co/datasets/{hub.id}"
    assert path.is_relative_to(external / name)
    assert note == "no revision of it is known: choose one"
    error = public.fetch(wanted)[name]
    assert error.problem == "no revision of it is known"
    assert f"{address}/commits/main" in str(error.hint)
    assert f"put its files into {external / name}" in str(error.hint)


def test_a_split_that_a_set_does_not_have_is_named_with_those_that_it_has(external: Path) -> None:
    wanted = public.PublicSet(parse(SuiteConfig, {"format": "mmlu_pro", "hub_split": "tset"}, file="test"), external / "mmlu_pro", True)
    with pytest.raises(DataError, match="mmlu_pro has no such split") as caught:
        public.addresses(wanted)
    for error in (caught.value, public.fetch([wanted])["mmlu_pro"]):
        assert (error.file, error.value) == (str(wanted.folder), "tset")
        assert str(error.hint).startswith(f"hub_split is one of {', '.join(wanted.known.files)}")


@pytest.mark.live
def test_a_mirror_has_the_files_of_all_pages(tmp_path: Path, external: Path) -> None:
    if not Path(REAL).is_dir():
        pytest.skip("set ASCL_EXTERNAL_DATA to a folder with the public files")
    ascl(external, "data", "fetch", "xstest", "gsm8k", "star1", "mitre_frr", ASCL_DATA_MIRROR=REAL)
    assert public.damaged(public.sets_named(["xstest", "gsm8k", "star1", "mitre_frr"])) == []


def test_the_pages_say_what_the_rules_judge_says_of_the_answers_of_star1() -> None:
    if not Path(REAL).is_dir():
        pytest.skip("set ASCL_EXTERNAL_DATA to a folder with the public files")
    rows = json.loads((Path(REAL) / "star1" / "STAR-1.json").read_text(encoding="utf-8"))
    counts = Counter(classify_refusal(row["response"].split("</think>")[-1].strip(), row["question"])[0].value for row in rows)
    results, suites = ((ROOT / "docs" / page).read_text(encoding="utf-8") for page in ("results.md", "public-suites.md"))
    assert f"fully refuse {counts['full']} of {len(rows):,} prompts" in results
    assert (
        f"finds {counts['full']} full refusals, {counts['partial']} partial ones and {counts['none']} answers among {len(rows):,}" in suites
    )


@pytest.mark.live
def test_a_file_that_is_not_the_pinned_one_is_never_taken_for_it(external: Path) -> None:
    (external / "xstest").mkdir(parents=True)
    (external / "xstest" / "xstest_prompts.csv").write_text("prompt,type\n")
    _, problem = ascl(external, "data", "fetch", "xstest", status=1)
    assert "xstest_prompts.csv: sha256: is not the file that is pinned" in problem
    said, _ = ascl(external, "data", "list", "xstest")
    assert "other bytes than pinned" in said


@pytest.mark.parametrize(("profile", "level"), [("tiny-public", "warning"), ("small", "error"), ("full", "error")])
def test_a_plan_says_once_what_is_missing_and_how_to_get_it(external: Path, profile: str, level: str) -> None:
    params = resolve_profile(ROOT, profile)
    check = public_data(public.public_sets(params), profile)
    assert check is not None
    assert (check.level, "xstest" in check.found, str(external) in check.found) == (level, True, True)
    assert f"ascl data fetch --profile {profile}" in check.hint
    for name in ("xstest", "gsm8k", "mmlu_pro", "star1", "mitre_frr"):
        (external / name).mkdir(parents=True)
    for name in ("xstest/xstest_prompts.csv", "gsm8k/test.jsonl", "gsm8k/train.jsonl", "mmlu_pro/mmlu_pro_slice280.jsonl"):
        (external / name).touch()
    for name in ("star1/STAR-1.json", "mitre_frr/mitre_frr.json"):
        (external / name).touch()
    assert public_data(public.public_sets(params), profile) is None


def test_a_profile_without_public_data_lacks_none(external: Path) -> None:
    assert public_data(public.public_sets(Params())) is None

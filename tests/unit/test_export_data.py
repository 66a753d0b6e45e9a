"""What the export gives to tools of others: Croissant, the model, data sets and licences of the bill, and events for a consumer."""

from __future__ import annotations

import gzip
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.serde import Serde
from typer.testing import CliRunner

from ascl_core.artifacts import sha256_bytes, sha256_file, write_json, write_text
from ascl_core.config.sft_data import SftData
from ascl_core.contracts import Trajectory
from ascl_core.errors import DataError
from ascl_core.vocabulary import Mode, PromptType
from flows.cli import app
from tasks.lineage.export import sbom
from tasks.lineage.export.licences import files_digest, licences_of
from tasks.lineage.export.pack import BILL, CROISSANT, export_croissant, export_events, export_pack, send_events
from tasks.lineage.find import find
from tasks.registry.paths import STAGE_SCRIPT
from tasks.registry.stages import BASE, CHECKPOINT, EVALUATION, IFPO, METRICS, PROMPTS, TRAJECTORIES, VALIDATE_RULES
from tasks.repository.git import git
from tasks.repository.worktrees import NOBODY
from tests.builders import make_corpus, make_prompt, make_rule
from tests.openlineage_schema import problems
from tests.recorded_run import make_recorded_run

ASCL = TRAJECTORIES[SftData.ASCL].path
NUMPY = distribution("numpy").version
LOCK = f"numpy=={NUMPY}\ntyper==0.0.1\n"
CALL = {"type": "function", "function": {"name": "consult_safety_rules", "arguments": '{"query": "locks"}'}}
MESSAGES = ({"role": "user", "content": "?"}, {"role": "assistant", "content": "", "tool_calls": [CALL]}, {"role": "tool", "content": "."})
FILES = {"config.json": "c" * 64, "model.safetensors": "d" * 64}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run whose records, data sets, figures and lock are there; of its models only the configuration."""
    root = tmp_path / "repository"
    root.mkdir()
    write_text(root / "requirements/cpu.lock", LOCK)
    write_text(root / "pyproject.toml", "")
    write_text(root / "dvc.yaml", f"# {STAGE_SCRIPT}\n")
    write_text(root / "params.yaml", "{}\n")
    write_json(root / CHECKPOINT / "config.json", {"model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"]})
    write_json(root / METRICS, {"headline": {"safety_rate": {"value": 0.9, "low": 0.85, "high": 0.94}, "utility": None}})

    def change(stage: str, record: dict[str, Any]) -> None:
        record["packages"] = {"cpu.lock": sha256_bytes(LOCK.encode())}
        if stage == VALIDATE_RULES.name:
            record["parameters"]["rules"] = {"at": "2026-11-01"}
        if stage == IFPO.name:
            record["files"] = {CHECKPOINT: FILES}
        if stage == BASE.name:
            record["parameters"]["base_model"] = {"path": "Qwen/Qwen3-4B", "revision": "1cfa9a72"}

    prompts = [make_prompt(id="a", licence="MIT"), make_prompt(id="b", licence="see its page"), make_prompt(id="c", licence="NOASSERTION")]
    row = Trajectory(
        "t", "a", SftData.ASCL, Mode.CONSULT, PromptType.HARMFUL, "VIO", ("VIO-01",), MESSAGES, "teacher@1", 7, "own", "CC-BY-4.0"
    )
    make_recorded_run(root, make_corpus(make_rule()), prompts, {SftData.ASCL: [asdict(row)]}, change)
    (root / ".dvc").mkdir()
    git(root, "commit", "--quiet", "--allow-empty", "-m", "first", environment=NOBODY)
    monkeypatch.chdir(root)
    return root


def bill(root: Path) -> dict[str, Any]:
    export_pack(root, CHECKPOINT, root.parent / "pack")
    return dict(json.loads((root.parent / "pack" / BILL).read_text()))


# --- Croissant


def test_the_data_sets_are_written_with_metadata_that_describes_each_of_their_files_and_columns(root: Path) -> None:
    file, missing = export_croissant(root, CHECKPOINT, root.parent / "data-sets")
    assert missing == ()
    values = json.loads(file.read_text())
    assert (values["@type"], values["conformsTo"]) == ("sc:Dataset", "http://mlcommons.org/croissant/1.1")
    assert values["license"] == ["https://spdx.org/licenses/CC-BY-4.0.html", "https://spdx.org/licenses/MIT.html", "see its page"]
    described = {one["@id"]: one for one in values["distribution"]}
    assert set(described) == {PROMPTS.path, ASCL}, "a file without rows is no data set"
    for path, one in described.items():
        copy = file.parent / one["contentUrl"]
        assert (one["sha256"], one["contentSize"]) == (sha256_file(copy), f"{(root / path).stat().st_size} B")
    prompts, trajectories = values["recordSet"]
    columns = [one["source"]["extract"]["column"] for one in prompts["field"]]
    assert columns == pq.read_schema(root / PROMPTS.path).names
    assert {one["source"]["fileObject"]["@id"] for one in prompts["field"]} == {PROMPTS.path}
    (messages,) = (one for one in trajectories["field"] if one["@id"] == "sft/ascl/messages")
    assert [one["source"]["transform"]["jsonPath"] for one in messages["subField"]][:2] == ["role", "content"]
    kinds = {one["@id"].rpartition("/")[2]: (one.get("dataType"), one.get("isArray", False)) for one in trajectories["field"]}
    assert set(kinds) == set(json.loads((root / ASCL).read_text().splitlines()[0]))
    assert (kinds["seed"], kinds["rule_ids"], kinds["id"]) == (("sc:Integer", False), ("sc:Text", True), ("sc:Text", False))
    for one in values["recordSet"]:
        assert {key["@id"] for key in one["key"]} <= {field["@id"] for field in one["field"]}
    used = {term for term in json.dumps(values).split('"') if term.startswith("cr:")} - {"cr:FileObject", "cr:RecordSet", "cr:Field"}
    assert used <= {value if isinstance(value, str) else value.get("@id") for value in values["@context"].values()}


def test_the_pack_has_the_same_metadata_and_says_which_data_set_it_could_not_describe(root: Path) -> None:
    (root / ASCL).write_text((root / ASCL).read_text() + "\n")  # other bytes than those of the record
    _, missing = export_pack(root, CHECKPOINT, root.parent / "pack")
    assert ASCL in missing
    file, again = export_croissant(root, CHECKPOINT, root.parent / "data-sets")
    assert again == (ASCL,)
    assert file.read_bytes() == (root.parent / "pack" / CROISSANT).read_bytes()
    (root / PROMPTS.path).unlink()
    with pytest.raises(DataError, match="none of its data sets is available here"):
        export_croissant(root, CHECKPOINT, root.parent / "nothing")
    assert not (root.parent / "nothing").exists()


def test_the_command_writes_them(root: Path) -> None:
    done = CliRunner().invoke(app, ["lineage", "export", CHECKPOINT, "--into", "../sets", "--format", "croissant"])
    assert done.exit_code == 0, done.output
    assert "croissant.json" in done.output
    assert sorted(one.name for one in (root.parent / "sets/data").iterdir()) == ["prompts", "sft"]


# --- the bill


def test_the_bill_has_the_model_with_its_files_ancestors_data_sets_and_figures(root: Path) -> None:
    values = bill(root)
    model = values["metadata"]["component"]
    assert model["type"] == "machine-learning-model"
    assert {one["name"]: one["hashes"] for one in model["components"]} == {
        f"{CHECKPOINT}/{name}": [{"alg": "SHA-256", "content": digest}] for name, digest in FILES.items()
    }
    assert "hashes" not in model, "the digest of a folder is the SHA-256 of no file"
    assert {"name": "ascl:sha256", "value": find(root, CHECKPOINT).sha256} in model["properties"]
    assert {one["name"] for one in model["pedigree"]["ancestors"]} == {"Qwen/Qwen3-4B", "data/models/base", "data/models/sft"}
    card = model["modelCard"]
    assert card["modelParameters"]["approach"] == {"type": "reinforcement-learning"}
    assert card["modelParameters"]["modelArchitecture"] == "Qwen3ForCausalLM"
    assert card["quantitativeAnalysis"]["performanceMetrics"] == [
        {
            "type": "safety_rate",
            "value": "0.9",
            "slice": "all suites",
            "confidenceInterval": {"lowerBound": "0.85", "upperBound": "0.94"},
        }
    ]
    data = {one["bom-ref"]: one for one in values["components"] if one["type"] == "data"}
    assert [one["ref"] for one in card["modelParameters"]["datasets"]] == list(data)
    by_path = {one["name"]: one for one in data.values()}
    assert by_path[PROMPTS.path]["hashes"] == [{"alg": "SHA-256", "content": sha256_file(root / PROMPTS.path)}]
    assert by_path[PROMPTS.path]["licenses"] == [{"license": {"id": "MIT"}}, {"license": {"name": "see its page"}}]
    assert by_path[ASCL]["licenses"] == [{"license": {"id": "CC-BY-4.0"}}]


def test_figures_of_an_evaluation_of_other_bytes_are_not_those_of_the_model(root: Path) -> None:
    record = json.loads((root / EVALUATION.record.path).read_text())
    write_json(root / EVALUATION.record.path, record | {"inputs": record["inputs"] | {CHECKPOINT: "0" * 64}})
    assert "quantitativeAnalysis" not in bill(root)["metadata"]["component"]["modelCard"]


def test_a_package_has_licence_and_digest_only_if_the_locked_version_is_installed_here(root: Path) -> None:
    numpy, typer = (one for one in bill(root)["components"] if one["type"] == "library")
    assert "BSD" in json.dumps(numpy["licenses"])
    assert numpy["properties"] == [{"name": "ascl:installed-files", "value": files_digest(distribution("numpy"))}]
    assert "licenses" not in typer
    assert "properties" not in typer


def test_licences_are_the_expression_else_the_name_else_those_of_the_classifiers(tmp_path: Path) -> None:
    from importlib.metadata import PathDistribution

    def said(*lines: str) -> list[str]:
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}-1.dist-info"
        write_text(folder / "METADATA", "\n".join(("Name: one", "Version: 1", *lines)) + "\n")
        return licences_of(PathDistribution(folder))

    classifier = "Classifier: License :: OSI Approved :: MIT License"
    assert said("License-Expression: MIT OR Apache-2.0", "License: BSD", classifier) == ["MIT OR Apache-2.0"]
    assert said("License: BSD", classifier) == ["BSD"]
    assert said(f"License: {'a whole text ' * 9}", classifier) == said("License: UNKNOWN", classifier) == ["MIT License"]
    assert said() == []


def test_the_digest_of_an_installed_package_counts_its_files_and_not_who_installed_it(tmp_path: Path) -> None:
    from importlib.metadata import PathDistribution

    def digest(record: str) -> str | None:
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}" / "one-1.dist-info"
        write_text(folder / "METADATA", "Name: one\nVersion: 1\n")
        write_text(folder / "RECORD", record)
        return files_digest(PathDistribution(folder))

    files = "one.py,sha256=abc,3\none/two.py,sha256=def,3\n"
    by_another = f"../../bin/one,sha256=x,1\n{files}one-1.dist-info/INSTALLER,sha256=pip,3\none-1.dist-info/RECORD,,\none.pyc,,\n"
    assert digest(files) == digest(by_another) != digest(files.replace("abc", "abd"))
    assert digest("") is None


def test_a_bill_that_the_schema_refuses_is_an_error(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sbom, "model_card", lambda found, data_sets: {"modelParameters": {"approach": {"type": "magic"}}})
    with pytest.raises(DataError, match=r"sbom\.cdx\.json: is no CycloneDX 1\.6: "):
        sbom.bill_of_materials(find(root, CHECKPOINT))


# --- OpenLineage


@pytest.mark.parametrize(
    ("part", "wrong"),
    [
        (("producer",), "ascl_core/rl/train.py"),
        (("producer",), "urn:a b"),
        (("job", "facets", "sourceCodeLocation", "url"), "/srv/clone"),
        (("job", "facets", "documentation", "_producer"), "http://[%zz"),
        (("eventTime",), "2026-11-25T16:15:40"),
        (("run", "facets", "nominalTime", "nominalStartTime"), "2026-13-25T16:15:40Z"),
        (("run", "runId"), "f3e86e47"),
    ],
)
def test_a_wrong_uri_time_or_id_in_an_event_is_found(root: Path, part: tuple[str, ...], wrong: str) -> None:
    event = json.loads(export_events(root, CHECKPOINT, root.parent / "events").read_text().splitlines()[-1])
    assert problems(event) == []
    inner = event
    for name in part[:-1]:
        inner = inner[name]
    inner[part[-1]] = wrong
    found = problems(event)
    assert found
    assert all(wrong in problem for problem in found)


# --- a consumer of events


@pytest.fixture
def consumer() -> Iterator[Consumer]:
    """A server that takes events as an OpenLineage consumer does."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Consumer.handler()) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield Consumer(server)
        server.shutdown()
        thread.join()


@dataclass
class Consumer:
    """What was posted to a server; it answers 422 to what the classes of `openlineage-python` cannot hold."""

    server: ThreadingHTTPServer

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    @property
    def posted(self) -> list[tuple[str, str, RunEvent]]:
        return getattr(self.server, "posted", [])

    @staticmethod
    def handler() -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                body = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
                try:
                    event, status = read_event(json.loads(body)), 201
                    said = (self.path, self.headers.get("Authorization", ""), event)
                    self.server.posted = [*getattr(self.server, "posted", []), said]  # type: ignore[attr-defined]
                except (KeyError, TypeError, ValueError):
                    status = 422
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments: Any) -> None:
                pass

        return Handler


def read_event(values: dict[str, Any]) -> RunEvent:
    """Return an event of the official classes, which check times, URIs and ids."""
    sides = {
        side: [kind(one["namespace"], one["name"], facets=one["facets"]) for one in values[side]]
        for side, kind in (("inputs", InputDataset), ("outputs", OutputDataset))
    }
    run = Run(values["run"]["runId"], values["run"]["facets"])
    job = Job(values["job"]["namespace"], values["job"]["name"], values["job"]["facets"])
    return RunEvent(
        eventTime=values["eventTime"], producer=values["producer"], run=run, job=job, eventType=RunState[values["eventType"]], **sides
    )


def test_the_events_go_to_the_consumer_that_the_environment_names(root: Path, consumer: Consumer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENLINEAGE_URL", consumer.url)
    monkeypatch.setenv("OPENLINEAGE_API_KEY", "a-key")
    done = CliRunner().invoke(app, ["lineage", "export", CHECKPOINT, "--into", "../events", "--format", "openlineage"])
    assert done.exit_code == 0, done.output
    written = [json.loads(line) for line in (root.parent / "events/openlineage.jsonl").read_text().splitlines()]
    assert f"{len(written)} events sent" in done.output
    assert [(path, key) for path, key, _ in consumer.posted] == [("/api/v1/lineage", "Bearer a-key")] * len(written)
    for (*_, event), one in zip(consumer.posted, written, strict=True):
        posted = json.loads(Serde.to_json(event))
        assert posted["run"]["facets"].pop("tags"), "which the client adds: its own version"
        assert {key: posted[key] for key in ("eventTime", "eventType", "run", "job")} == {
            key: one[key] for key in ("eventTime", "eventType", "run", "job")
        }
    assert "a-key" not in done.output


def test_a_consumer_that_does_not_answer_is_one_error_without_its_password(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        monkeypatch.setenv("OPENLINEAGE_URL", f"http://user:secret@127.0.0.1:{nobody.getsockname()[1]}")
        monkeypatch.setenv("OPENLINEAGE__TRANSPORT__RETRY__TOTAL", "0")
        with pytest.raises(DataError, match="the consumer took 0 events") as caught:
            send_events(root, CHECKPOINT)
    assert caught.value.field == "OPENLINEAGE_URL"
    assert "secret" not in str(caught.value)
    monkeypatch.delenv("OPENLINEAGE_URL")
    assert send_events(root, CHECKPOINT) == 0

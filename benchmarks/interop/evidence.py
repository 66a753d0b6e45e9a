"""What others need to check evidence: bill of materials, statements, events, data sets.

Given: a folder with the evidence pack (`pack`), the data sets with their metadata (`data-sets`) and the statements of the records
(`statements.jsonl`) of the last checkpoint that the working tree's run has.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from interop import Checks

checks = Checks()


@contextmanager
def prepare() -> Iterator[Path]:
    """Yield the folder."""
    from tasks.evidence.attestations import statement_of
    from tasks.evidence.statements import enclose
    from tasks.lineage.export.pack import evidence, export_croissant, export_pack
    from tasks.lineage.find import find
    from tasks.registry.stages import EVALUATED, checkpoint_of

    root = Path.cwd()
    made = [stage for stage in EVALUATED if (root / stage.record.path).is_file()]
    assert made, "no stage of this working tree has made a checkpoint: ascl run"
    path = checkpoint_of(made[-1]).path
    with tempfile.TemporaryDirectory() as folder:
        given = Path(folder)
        export_pack(root, path, given / "pack")
        export_croissant(root, path, given / "data-sets")
        envelopes = [enclose(statement_of(node.record, node.sha256)) for node in evidence(find(root, path))]
        (given / "statements.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in envelopes), encoding="utf-8")
        yield given


@checks.add(
    "cyclonedx-python-lib",
    "cyclonedx-python-lib[validation]==11.12.0",
    tried="`sbom.cdx.json`: strict schema with its formats, read back, all references, the model's card; a wrong licence is refused",
)
def bill(given: str) -> str:
    from cyclonedx.model.bom import Bom
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    text = (Path(given) / "pack/sbom.cdx.json").read_text(encoding="utf-8")
    values = json.loads(text)
    validator = JsonStrictValidator(SchemaVersion.from_version(values["specVersion"]))
    problem = validator.validate_str(text)
    assert problem is None, problem
    wrong = {**values, "components": [{**values["components"][0], "licenses": [{"license": {"id": "no SPDX id"}}]}]}
    assert validator.validate_str(json.dumps(wrong)) is not None, "a wrong licence was accepted"
    read = Bom.from_json(data=values)  # type: ignore[attr-defined]  # a decorator adds it
    read.validate()
    assert values["metadata"]["component"].get("modelCard"), "the model has no card"
    kinds = Counter(one.type.value for one in read.components)
    licensed = sum(bool(one.licenses) for one in read.components)
    counted = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
    return f"valid {values['specVersion']}: {counted}; {licensed} with licences; the model with its card"


@checks.add(
    "mlcroissant", "mlcroissant==1.1.1", "pyarrow", tried="`croissant.json`: validated, the files' SHA-256, every record of every set"
)
def croissant(given: str) -> str:
    import mlcroissant

    folder = Path(given) / "data-sets"
    data = mlcroissant.Dataset(str(folder / "croissant.json"))
    issues = data.metadata.ctx.issues
    assert not issues.errors, issues.report()
    assert not issues.warnings, issues.report()
    for one in data.metadata.file_objects:  # the library compares digests only of what it downloads
        assert hashlib.sha256((folder / one.content_url).read_bytes()).hexdigest() == one.sha256, one.content_url
    counts = {one.uuid: sum(1 for _ in data.records(one.uuid)) for one in data.metadata.record_sets}
    assert all(counts.values()), counts
    return f"no errors, no warnings; {sum(counts.values()):,} records of {len(counts)} sets"


@checks.add(
    "in-toto-attestation",
    "in-toto-attestation==0.9.3",
    tried="the statement of each record: validated, and its predicate by the protobufs for provenance and test results",
)
def statements(given: str) -> str:
    from google.protobuf import json_format
    from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
    from in_toto_attestation.predicates.test_result.v0 import test_result_pb2
    from in_toto_attestation.v1 import statement_pb2
    from in_toto_attestation.v1.statement import Statement

    predicates = {
        "https://slsa.dev/provenance/v1": provenance_pb2.Provenance,
        "https://in-toto.io/attestation/test-result/v0.1": test_result_pb2.TestResult,
    }
    lines = (Path(given) / "statements.jsonl").read_text(encoding="utf-8").splitlines()
    lines += (Path(given) / "pack/statements.intoto.jsonl").read_text(encoding="utf-8").splitlines()
    found: Counter[str] = Counter()
    for line in lines:
        payload = base64.b64decode(json.loads(line)["payload"])
        Statement.copy_from_pb(json_format.Parse(payload, statement_pb2.Statement())).validate()
        values = json.loads(payload)
        kind = values["predicateType"]
        if kind in predicates:
            json_format.Parse(json.dumps(values["predicate"]), predicates[kind]())
        found[kind.rsplit("/", 2)[-2] if kind in predicates else "of our own"] += 1
    return "parsed: " + ", ".join(f"{number} {kind}" for kind, number in sorted(found.items()))


@checks.add(
    "openlineage-python",
    "openlineage-python==1.54.0",
    tried="`openlineage.jsonl`: each event by its classes, sent by its client to an HTTP consumer, read there again",
)
def events(given: str) -> str:
    from openlineage.client import OpenLineageClient
    from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState

    def read(values: dict[str, Any]) -> RunEvent:
        return RunEvent(
            eventTime=values["eventTime"],
            producer=values["producer"],
            run=Run(values["run"]["runId"], values["run"]["facets"]),
            job=Job(values["job"]["namespace"], values["job"]["name"], values["job"]["facets"]),
            eventType=RunState[values["eventType"]],
            inputs=[InputDataset(**one) for one in values["inputs"]],
            outputs=[OutputDataset(**one) for one in values["outputs"]],
        )

    got: list[RunEvent] = []

    class Consumer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append(read(json.loads(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)))
            self.send_response(201)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: Any) -> None:
            pass

    written = [json.loads(line) for line in (Path(given) / "pack/openlineage.jsonl").read_text(encoding="utf-8").splitlines()]
    with ThreadingHTTPServer(("127.0.0.1", 0), Consumer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        os.environ["OPENLINEAGE_URL"] = f"http://127.0.0.1:{server.server_port}"
        client = OpenLineageClient()
        for one in written:
            client.emit(read(one))
        client.close()
        server.shutdown()
    assert [one.run.runId for one in got] == [one["run"]["runId"] for one in written], "other runs than those that were sent"
    return f"{len(got)} of {len(written)} events"


@checks.add(
    "huggingface_hub", "huggingface_hub==1.33.0", tried="the cards of the pack: metadata checked, licence and tags, the model's figures"
)
def cards(given: str) -> str:
    from huggingface_hub import DatasetCard, ModelCard

    found = {}
    for kind, name in ((ModelCard, "model_card.md"), (DatasetCard, "data_card.md")):
        file = Path(given) / "pack" / name
        if file.is_file():
            found[name] = kind.load(file, ignore_metadata_errors=False).data.to_dict()
            assert found[name].get("license"), f"{name} names no licence"
            assert found[name].get("tags"), f"{name} has no tags"
            assert kind is DatasetCard or found[name].get("model-index"), f"{name} has no figures"
    return f"{' and '.join(found)}: licence, tags, figures" if found else "not tried: the run has no report, so the pack has no cards"

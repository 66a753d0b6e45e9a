"""The evidence pack: a folder, and a `.tar` of it, with what an auditor needs who has no access to the repository.

README.md               what it contains, what is missing, and how to check it
model_card.md, data_card.md
rules_diff.md           how the rules changed since the release before
records/                the record of each stage upstream; for a checkpoint also those of its evaluation and of the gate
evaluation/             their figures, and the decision with its reasons
statements/             what was signed about it: release, approvals, rollback; and the log data/lineage.jsonl, if the commit has one
statements.intoto.jsonl the same envelopes, one a line
keys/                   the trusted public keys: keys.yaml, a PEM each, and model.pub, which checks model.sig
model.sig               the checkpoint's signature in the form of `model-signing`, if the release has one
openlineage.jsonl       the records as OpenLineage run events
croissant.json          the data sets that it was trained and evaluated on, as Croissant 1.1; they are not in the pack
sbom.cdx.json           packages, model and data sets as CycloneDX 1.6
dvc.lock, params.yaml
SHA256SUMS              of every file above, as sha256sum reads it
SHA256SUMS.dsse.json    the trainer's signature over it, if ASCL_TRAINER_KEY names a key
SHA256SUMS.tsr          the RFC 3161 timestamp of it, if ASCL_TIMESTAMP_URL names an authority

Without a signature and a timestamp the same artifact gives the same bytes: files are sorted, and their time is that of the record.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from ascl_core.artifacts import sha256_bytes, to_json
from ascl_core.errors import AsclError, DataError, ReleaseError
from ascl_core.released import MODEL_KEY, MODEL_SIGNATURE, RELEASE_CORPORA, RELEASE_FILE
from ascl_core.report.rules_diff import markdown
from ascl_core.rules.corpus import Corpus, load_corpus
from ascl_core.rules.diff import diff_corpora
from tasks.evidence.graph import Found, Node
from tasks.evidence.snapshot import Snapshot
from tasks.evidence.statements import Statement, now, sign
from tasks.evidence.trust import Role, read_key, read_trust
from tasks.lineage.export import openlineage
from tasks.lineage.export.croissant import croissant
from tasks.lineage.export.data_sets import data_sets
from tasks.lineage.export.sbom import bill_of_materials
from tasks.lineage.export.timestamp import VARIABLE, timestamp
from tasks.lineage.find import find
from tasks.registry.paths import COMMITTED_LOG, DVC_LOCK, PARAMETERS, TRUSTED_KEYS
from tasks.registry.paths import MODEL_KEY as PUBLIC
from tasks.registry.stages import CORPUS, EVALUATE, EVALUATED, GATE, RELEASED, REPORT, VALIDATE_RULES
from tasks.repository.git import git, show

PACK = "urn:ascl:evidence-pack:2"
"""The kind of the statement over the checksums."""
SUMS, SIGNATURE, TIMESTAMP, EVENTS, BILL, CROISSANT = (
    *("SHA256SUMS", "SHA256SUMS.dsse.json", "SHA256SUMS.tsr"),
    *("openlineage.jsonl", "sbom.cdx.json", "croissant.json"),
)
BUNDLE = "statements.intoto.jsonl"
_CARDS = ("model_card.md", "data_card.md")
_FIGURES = frozenset({"metrics", "decision"})
_COPIED = (DVC_LOCK, PARAMETERS)


def export_events(root: Path, text: str, into: Path) -> Path:
    """Write the OpenLineage events of the artifact that a person names to a new folder; return the file. `DataError` if it exists."""
    found = find(root, text)
    _write(into, {EVENTS: openlineage.lines(found.graph, evidence(found)).encode()})
    return into / EVENTS


def send_events(root: Path, text: str) -> int:
    """Send the same events to the consumer that `OPENLINEAGE_URL` names; return how many, 0 without one. `DataError` if it refuses one."""
    if not os.environ.get(openlineage.URL):
        return 0
    found = find(root, text)
    return openlineage.send(found.graph, evidence(found))


def export_pack(root: Path, text: str, into: Path) -> tuple[Path, tuple[str, ...]]:
    """Write the evidence pack of the artifact that a person names to a new folder and a `.tar` beside it; return that and what is missing.

    `DataError` if one of the two exists. Either both are written or neither: the folder last.
    """
    tar = into.with_name(f"{into.name}.tar")
    if tar.exists():
        raise DataError("exists already", file=tar, hint="give another folder, or remove it")
    found = find(root, text)
    missing: list[str] = []
    files = dict(sorted(_content(found, missing)))
    files["README.md"] = _readme(found, files, missing).encode()
    files[SUMS] = "".join(f"{sha256_bytes(content)}  {name}\n" for name, content in sorted(files.items())).encode()
    if os.environ.get(Role.TRAINER.variable):
        statement = Statement(PACK, SUMS, sha256_bytes(files[SUMS]), {"artifact": found.to_json(), "time": now()})
        files[SIGNATURE] = to_json(sign(statement, read_key(Role.TRAINER))).encode()
    if authority := os.environ.get(VARIABLE):
        files[TIMESTAMP] = timestamp(files[SUMS], authority)
    _write(into, files, packed=_packed(into.name, files, found))
    return tar, tuple(missing)


def export_croissant(root: Path, text: str, into: Path) -> tuple[Path, tuple[str, ...]]:
    """Write the data sets behind the artifact that a person names, with their Croissant metadata, to a new folder.

    Return the metadata's file, and the data sets that are missing. `DataError` if the folder exists, or if all are missing.
    """
    found = find(root, text)
    missing: list[str] = []
    data = list(data_sets(found.snapshot, evidence(found), missing))
    if not data:
        raise DataError("none of its data sets is available here", file=found.path, hint="ascl pull")
    _write(into, {CROISSANT: croissant(found, data).encode()}, copied={one.path: one.file for one in data})
    return into / CROISSANT, tuple(missing)


def _content(found: Found, missing: list[str]) -> Iterator[tuple[str, bytes]]:
    snapshot, nodes, report = found.snapshot, evidence(found), _report(found)
    contents = {card: file.read_bytes() if (file := report.get(card)) else None for card in _CARDS}
    contents["rules_diff.md"] = _rules(found)
    for node in nodes:
        contents[f"records/{node.stage.name}.json"] = snapshot.read(node.stage.record.path)
        for name in _FIGURES & node.stage.outputs.keys():
            contents[f"evaluation/{node.stage.name}/{name}.json"] = snapshot.read(node.stage.outputs[name].path)
    contents |= {name: snapshot.read(name) for name in _COPIED}
    for name, content in contents.items():
        if content is None:
            missing.append(name)
        else:
            yield name, content
    statements = dict(_statements(found))
    yield from statements.items()
    yield BUNDLE, "".join(f"{line}\n" for content in statements.values() for line in _envelopes(content)).encode()
    yield from _keys(found, missing)
    yield EVENTS, openlineage.lines(found.graph, nodes).encode()
    data = list(data_sets(snapshot, nodes, missing))
    if data:
        yield CROISSANT, croissant(found, data).encode()
    yield BILL, bill_of_materials(found, data).encode()


def evidence(found: Found) -> list[Node]:
    """Return the records upstream of the artifact, its own, and for a checkpoint those of its evaluation and of the gate after that."""
    graph, nodes = found.graph, found.graph.upstream(found.node)
    judges = [*EVALUATE.values(), GATE] if found.node.stage in EVALUATED else []
    for judge in (graph.nodes[stage.name] for stage in judges if stage.name in graph.nodes):
        of_own = [edge for edge in graph.edges(judge) if edge.holds and edge.producer in nodes]
        if any(edge.producer and edge.producer.stage in (found.node.stage, *EVALUATE.values()) for edge in of_own):
            nodes += [node for node in graph.upstream(judge) if node not in nodes]
    return [node for node in graph.nodes.values() if node in nodes]


def _report(found: Found) -> Mapping[str, Path | None]:
    """Return the files of the report that read this artifact's record; empty if there is none."""
    node, path = found.graph.nodes.get(REPORT.name), REPORT.outputs["page"].path
    if node is None or node.inputs.get(found.node.stage.record.path) != found.node.sha256:
        return {}
    return found.snapshot.files(path, fetch=found.snapshot.commit is not None)


def _statements(found: Found) -> Iterator[tuple[str, bytes]]:
    """Yield what was signed about this artifact, and the log; the release that a run holds is the one before."""
    if _is_of_release(found):
        for name, file in found.snapshot.files(found.snapshot.release_folder).items():
            if file and name.endswith(".json") and not name.startswith(RELEASE_CORPORA):
                yield f"statements/{name}", file.read_bytes()
            elif file and name == MODEL_SIGNATURE:
                yield name, file.read_bytes()
    if (log := found.snapshot.read(str(COMMITTED_LOG))) is not None:
        yield "statements/lineage.jsonl", log


def _envelopes(content: bytes) -> Iterator[str]:
    """Yield the DSSE envelopes in a file of one or of many, each as one line of JSON."""
    try:
        values = [json.loads(content)]
    except ValueError:
        values = [json.loads(line) for line in content.splitlines() if line.strip()]
    for value in values:
        envelope = value.get("envelope", value) if isinstance(value, dict) else {}
        if "payloadType" in envelope:
            yield json.dumps(envelope, sort_keys=True)


def _keys(found: Found, missing: list[str]) -> Iterator[tuple[str, bytes]]:
    """Yield the public keys that are trusted in `HEAD`: with their roles as YAML, and each as PEM for other tools.

    They are missing if `HEAD` cannot say whom to trust, such as a commit of the pipeline.
    """
    root = found.snapshot.root
    keys = show(root, "HEAD", TRUSTED_KEYS, missing=b"")
    try:
        trusted = read_trust(root).keys if keys else ()
    except ReleaseError:
        missing.append("keys")
        return
    if trusted:
        yield "keys/keys.yaml", keys
    for key in trusted:
        yield f"keys/{key.name}-{key.id[:8]}.pem", key.pem
    if model := show(root, "HEAD", PUBLIC, missing=b""):
        yield f"keys/{MODEL_KEY}", model


def _rules(found: Found) -> bytes | None:
    """Return how the rules changed since the release before, or since none."""
    file = found.snapshot.files(CORPUS.path).get("")
    if file is None:
        return None
    new, before = load_corpus(file), _released_before(found)
    old = load_corpus(before) if before else Corpus(taxonomy=new.taxonomy, rules=())
    title = "Rules: released before to these" if before else "Rules: nothing was released before, so all are new"
    node = found.graph.nodes[VALIDATE_RULES.name]
    at = datetime.fromisoformat(str(node.record.parameters["rules"]["at"])).date()
    return markdown(diff_corpora(old, new, at), title).encode()


def _released_before(found: Found) -> Path | None:
    """Return the served rules of the release before; of a release, those in the commit of its run, as old ones replaced them."""
    snapshot = found.snapshot
    if snapshot.commit and _is_of_release(found):
        commit = git(snapshot.root, "rev-parse", f"{snapshot.commit}^@").splitlines()[-1]
        snapshot = Snapshot(snapshot.root, f"the run of {snapshot.name}", commit)
    return snapshot.files(f"{RELEASED.path}/{RELEASE_CORPORA}/served.json").get("")


def _is_of_release(found: Found) -> bool:
    """Return whether the release that the snapshot holds is about this artifact."""
    return found.sha256.encode() in (found.snapshot.read(f"{found.snapshot.release_folder}/{RELEASE_FILE}") or b"")


def _readme(found: Found, files: dict[str, bytes], missing: list[str]) -> str:
    listed = "".join(f"- `{name}`\n" for name in files)
    absent = "".join(f"- `{name}` was not available when the pack was made\n" for name in missing) or "- nothing\n"
    return f"""# Evidence for `{found.path}`

- SHA-256 of the artifact, as its record has it: `{found.sha256}`
- In: {found.snapshot.name}{f", commit `{found.snapshot.commit}`" if found.snapshot.commit else ""}
- Made by the stage `{found.node.stage.name}`, ended {found.node.record.ended}

## How to check it

1. `sha256sum --check {SUMS}` in this folder: every file is as it was when the pack was made.
2. `{SIGNATURE}`, if the pack is signed, is a DSSE envelope (in-toto Statement v1) of the trainer over the SHA-256 of `{SUMS}`.
   `{BUNDLE}` has all other envelopes, one a line. The public keys are in `keys/`, with names and roles in `keys/keys.yaml`; compare
   them with those that their owners publish. Envelopes without a signature are records that nobody signed. To check all envelopes without
   this project (`pip install securesystemslib cryptography`):

   ```bash
   python - <<'END'
   import glob, json
   from cryptography.hazmat.primitives.serialization import load_pem_public_key
   from securesystemslib.dsse import Envelope
   from securesystemslib.signer import SSlibKey
   keys = [SSlibKey.from_crypto(load_pem_public_key(open(name, "rb").read())) for name in glob.glob("keys/*-*.pem")]
   lines = open("{BUNDLE}").read().splitlines() + [open(name).read() for name in glob.glob("{SIGNATURE}")]
   for envelope in map(json.loads, lines):
       signed = bool(envelope["signatures"])
       print("signed by", *Envelope.from_dict(envelope).verify(keys, 1)) if signed else print("not signed")
   END
   ```

   If there is a `{MODEL_SIGNATURE}`, it is the signature of the checkpoint's folder (`pip install model-signing`; `ascl release fetch` gets
   the folder): `model_signing verify key MODEL --signature {MODEL_SIGNATURE} --public_key keys/{MODEL_KEY} --ignore_unsigned_files`
3. `{TIMESTAMP}`, if there is one, is the time of an authority over `{SUMS}`, and so over the log in `statements/`:
   `openssl ts -verify -data {SUMS} -in {TIMESTAMP} -CAfile CERTIFICATE`, with the certificate that the authority publishes.
4. In a clone of the repository with access to its DVC remote: `ascl lineage verify {found.sha256[:16]}` recomputes every digest
   upstream and names the first mismatch. The SHA-256 of a folder is that of the sorted JSON of its files' digests.

## What is in it

{listed}
## What is missing

{absent}"""


def _packed(name: str, files: dict[str, bytes], found: Found) -> bytes:
    """Return a tar of the files under the folder's name: sorted, without owners, and all with the time of the record."""
    packed, time = io.BytesIO(), int(datetime.fromisoformat(found.node.record.ended).timestamp())
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path, content in sorted(files.items()):
            entry = tarfile.TarInfo(f"{name}/{path}")
            entry.size, entry.mtime, entry.mode = len(content), time, 0o644
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def _write(into: Path, files: dict[str, bytes], packed: bytes | None = None, copied: Mapping[str, Path] | None = None) -> None:
    """Write the folder, with copies of files, and the archive beside it: both or neither."""
    if into.exists():
        raise DataError("exists already", file=into, hint="give another folder, or remove it")
    into.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{into.name}.", dir=into.parent))
    tar = into.with_name(f"{into.name}.tar")
    try:
        for name, content in files.items():
            file = scratch / "folder" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        for name, source in (copied or {}).items():
            file = scratch / "folder" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, file)
        if packed is not None:
            (scratch / "packed").write_bytes(packed)
            (scratch / "packed").rename(tar)
        try:
            (scratch / "folder").rename(into)
        except OSError as error:
            tar.unlink(missing_ok=True)
            raise AsclError(f"cannot be created: {error.strerror}", file=into, hint="give another folder") from error
    finally:
        shutil.rmtree(scratch)

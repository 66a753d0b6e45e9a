"""The evidence pack: one folder, and the same as one `.tar`, with all that an auditor needs who has no access to the repository.

README.md               what is in it, what is not at hand, and how to check it
model_card.md, data_card.md
rules_diff.md           what the rules changed, seen from what was released before
records/                the record of each stage behind the artifact; of a checkpoint those of its evaluation and of the gate, too
evaluation/             what these say: the figures, and the decision with its reasons
statements/             what was signed about it: release, approvals, rollback; and the log data/lineage.jsonl, where the commit has one
openlineage.jsonl       the records as OpenLineage run events
sbom.cdx.json           the locked packages as CycloneDX 1.6
dvc.lock, params.yaml
SHA256SUMS              of every file above, as sha256sum reads it
SHA256SUMS.dsse.json    the trainer's signature over it, where ASCL_TRAINER_KEY names a key

Without a signature the same artifact gives the same bytes: files are sorted, and their time is that of the record.
"""

from __future__ import annotations

import io
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from ascl_core.artifacts import sha256_bytes, sha256_tree, to_json
from ascl_core.errors import AsclError, DataError
from ascl_core.released import RELEASE_CORPORA, RELEASE_FILE
from ascl_core.report.rules_diff import markdown
from ascl_core.rules.corpus import Corpus, Taxonomy, load_corpus
from ascl_core.rules.diff import diff_corpora
from tasks.evidence.graph import Found, Node
from tasks.evidence.log import COMMITTED
from tasks.evidence.snapshot import Place
from tasks.evidence.statements import Statement, now, sign
from tasks.evidence.trust import Role, read_key
from tasks.lineage.export import openlineage
from tasks.lineage.export.sbom import bill_of_materials
from tasks.lineage.find import find
from tasks.registry.stages import CORPUS, EVALUATE, EVALUATED, GATE, RELEASED, REPORT, VALIDATE_RULES
from tasks.repository.git import git
from tasks.repository.worktrees import LOCK

PACK = "urn:ascl:evidence-pack:1"
"""The kind of the statement over the checksums."""
SUMS, SIGNATURE, EVENTS, BILL = "SHA256SUMS", "SHA256SUMS.dsse.json", "openlineage.jsonl", "sbom.cdx.json"
_CARDS = ("model_card.md", "data_card.md")
_FIGURES = frozenset({"metrics", "decision"})
_COPIED = (LOCK, "params.yaml")


def export_events(root: Path, text: str, into: Path) -> Path:
    """Write the OpenLineage events of what a person means to a new folder; returns the file. `DataError` where the folder exists."""
    found = find(root, text)
    _write(into, {EVENTS: openlineage.lines(found.graph, evidence(found)).encode()})
    return into / EVENTS


def export_pack(root: Path, text: str, into: Path) -> tuple[Path, tuple[str, ...]]:
    """Write the evidence pack of what a person means to a new folder and to `.tar` beside it; returns that, and what is not at hand.

    `DataError` where one of the two exists. Both come to be at once, or neither: the folder last.
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
        statement = Statement(PACK, SUMS, sha256_bytes(files[SUMS]), {"artifact": _about(found), "time": now()})
        files[SIGNATURE] = to_json(sign(statement, read_key(Role.TRAINER))).encode()
    _write(into, files, packed=_packed(into.name, files, found))
    return tar, tuple(missing)


def check_pack(folder: Path) -> None:
    """`DataError` names the first file of a pack that is not what its checksums say, or that they do not know."""
    listed = (line.partition("  ") for line in (folder / SUMS).read_text(encoding="utf-8").splitlines())
    said = {name: sha256 for sha256, _, name in listed}
    there = {name: sha256 for name, sha256 in sha256_tree(folder).items() if name not in (SUMS, SIGNATURE)}
    for name in sorted({*said, *there}):
        if said.get(name) != there.get(name):
            problem = f"SHA-256 is {there.get(name)}, and {SUMS} says {said.get(name)}"
            raise DataError(problem, file=folder / name, hint="get the pack again from where it was made")


def _content(found: Found, missing: list[str]) -> Iterator[tuple[str, bytes]]:
    place = found.place
    nodes, report = evidence(found), _report(found)
    for card in _CARDS:
        file = report.get(card)
        yield from _or_missing(card, file.read_bytes() if file else None, missing)
    yield from _or_missing("rules_diff.md", _rules(found), missing)
    for node in nodes:
        content = place.read(node.stage.record.path)
        assert content is not None, "the graph was read from it"
        yield f"records/{node.stage.name}.json", content
        for name in _FIGURES & node.stage.outputs.keys():
            yield from _or_missing(f"evaluation/{node.stage.name}/{name}.json", place.read(node.stage.outputs[name].path), missing)
    yield from _statements(found)
    yield EVENTS, openlineage.lines(found.graph, nodes).encode()
    yield BILL, bill_of_materials(found).encode()
    for name in _COPIED:
        yield from _or_missing(name, place.read(name), missing)


def evidence(found: Found) -> list[Node]:
    """The records behind the artifact, its own, and those of what judged it: the evaluation of a checkpoint, and the gate after that."""
    graph, nodes = found.graph, found.graph.behind(found.node)
    judges = [*EVALUATE.values(), GATE] if found.node.stage in EVALUATED else []
    for judge in (graph.nodes[stage.name] for stage in judges if stage.name in graph.nodes):
        of_own = [edge for edge in graph.edges(judge) if edge.holds and edge.producer in nodes]
        if any(edge.producer and edge.producer.stage in (found.node.stage, *EVALUATE.values()) for edge in of_own):
            nodes += [node for node in graph.behind(judge) if node not in nodes]
    return [node for node in graph.nodes.values() if node in nodes]


def _report(found: Found) -> Mapping[str, Path | None]:
    """The files of the report that was written of this artifact's record; empty where there is none."""
    node, path = found.graph.nodes.get(REPORT.name), REPORT.outputs["page"].path
    if node is None or node.inputs.get(found.node.stage.record.path) != found.node.sha256:
        return {}
    return found.place.files(path, fetch=found.place.commit is not None)


def _or_missing(name: str, content: bytes | None, missing: list[str]) -> Iterator[tuple[str, bytes]]:
    if content is None:
        missing.append(name)
    else:
        yield name, content


def _statements(found: Found) -> Iterator[tuple[str, bytes]]:
    """What is signed in the place, where it is about this artifact: else it is of what was released before."""
    place = found.place
    release = place.read(f"{RELEASED.path}/{RELEASE_FILE}")
    if release is not None and found.sha256.encode() in release:
        for name, file in place.files(RELEASED.path).items():
            if file and name.endswith(".json") and not name.startswith(RELEASE_CORPORA):
                yield f"statements/{name}", file.read_bytes()
    if (log := place.read(str(COMMITTED))) is not None:
        yield "statements/lineage.jsonl", log


def _rules(found: Found) -> bytes | None:
    """From the rules of the release before, where there was one, to those of now."""
    file = found.place.files(CORPUS.path).get("")
    if file is None:
        return None
    new = load_corpus(file)
    before = _released_before(found)
    old = load_corpus(before) if before else Corpus(taxonomy=Taxonomy(categories={}, jurisdictions={}), rules=())
    title = "Rules: released before to these" if before else "Rules: nothing was released before, so all are new"
    node = found.graph.nodes[VALIDATE_RULES.name]
    at = datetime.fromisoformat(str(node.record["parameters"]["rules"]["at"])).date()
    return markdown(diff_corpora(old, new, at), title).encode()


def _released_before(found: Found) -> Path | None:
    """The served rules of what was released when the artifact was made: a release's own commit has its own there, its run's has not."""
    place, path = found.place, f"{RELEASED.path}/{RELEASE_CORPORA}/served.json"
    release = place.read(f"{RELEASED.path}/{RELEASE_FILE}")
    if place.commit and release is not None and found.sha256.encode() in release:
        place = Place(place.root, f"the run of {place.name}", git(place.root, "rev-parse", f"{place.commit}^@").splitlines()[-1])
    return place.files(path).get("")


def _about(found: Found) -> dict[str, str | None]:
    return {"path": found.path, "sha256": found.sha256, "place": found.place.name, "commit": found.place.commit}


def _readme(found: Found, files: dict[str, bytes], missing: list[str]) -> str:
    listed = "".join(f"- `{name}`\n" for name in files)
    lacking = "".join(f"- `{name}` was not at hand where the pack was made\n" for name in missing) or "- nothing\n"
    return f"""# Evidence for `{found.path}`

- SHA-256 of the artifact, as its record has it: `{found.sha256}`
- In: {found.place.name}{f", commit `{found.place.commit}`" if found.place.commit else ""}
- Made by the stage `{found.node.stage.name}`, ended {found.node.record["ended"]}

## How to check it

1. `sha256sum --check {SUMS}` in this folder: every file is as it was when the pack was made.
2. `{SIGNATURE}`, where it is there, is a DSSE envelope (in-toto Statement v1) of the trainer over the SHA-256 of `{SUMS}`; the public
   keys are in `data/trust/keys.yaml` of the repository.
3. In a clone of the repository with access to its DVC remote: `ascl lineage verify {found.sha256[:16]}` reads every byte behind the
   artifact again, and names the first that does not match. The SHA-256 of a folder is that of the sorted JSON of its files' digests.

## What is in it

{listed}
## What is missing

{lacking}"""


def _packed(name: str, files: dict[str, bytes], found: Found) -> bytes:
    """The files under the folder's name: sorted, of nobody, and all of one time."""
    packed, time = io.BytesIO(), int(datetime.fromisoformat(found.node.record["ended"]).timestamp())
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path, content in sorted(files.items()):
            entry = tarfile.TarInfo(f"{name}/{path}")
            entry.size, entry.mtime, entry.mode = len(content), time, 0o644
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def _write(into: Path, files: dict[str, bytes], packed: bytes | None = None) -> None:
    """Have the folder, and the archive beside it, come to be at once."""
    if into.exists():
        raise DataError("exists already", file=into, hint="give another folder, or remove it")
    into.parent.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix=f".{into.name}.", dir=into.parent))
    tar = into.with_name(f"{into.name}.tar")
    try:
        for name, content in files.items():
            file = place / "folder" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        if packed is not None:
            (place / "packed").write_bytes(packed)
            (place / "packed").rename(tar)
        try:
            (place / "folder").rename(into)
        except OSError as error:
            tar.unlink(missing_ok=True)
            raise AsclError(f"cannot be put in place: {error.strerror}", file=into, hint="give another folder") from error
    finally:
        shutil.rmtree(place)

"""A release for tools of others: the folder that they get, loaded by transformers and huggingface_hub, and the command to go on with."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from huggingface_hub import ModelCard
from tokenizers import Tokenizer, models
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, PreTrainedTokenizerFast
from typer.testing import CliRunner

from ascl_core.artifacts import digest, read_json, sha256_bytes, sha256_file, write_json, write_parquet, write_text
from ascl_core.config.conversation import ConversationConfig
from ascl_core.errors import ConfigError, ModelError, ReleaseError
from ascl_core.generation.load import TOOLS, load_tokenizer, save_tokenizer
from ascl_core.released import LICENCE
from ascl_core.rules.corpus import load_corpus
from ascl_core.sft.checkpoint import OWN_LICENCE, generation_config
from ascl_core.sft.portable import check_portable, vllm_options
from flows.cli import app
from tasks.lineage.export.release import CORPUS, EVIDENCE, RECORD, Target, command_for, convert, export_release
from tasks.registry.paths import STAGE_SCRIPT
from tasks.registry.stages import CANDIDATE, CHECKPOINT, EVALUATION, REPORT, RULE_INDEX, VALIDATE_RULES
from tasks.releases.verify import verify_release
from tasks.repository import dvc
from tasks.repository.git import git
from tasks.repository.worktrees import NOBODY
from tests.builders import make_corpus, make_prompt
from tests.families import TEMPLATES, make_family_tokenizer
from tests.packs import check_pack
from tests.pipeline.damage import flip
from tests.recorded_run import make_recorded_run
from tests.signed_release import make_keys, sign_release
from tests.tiny_model import make_model

ROOT = Path(__file__).parents[2]
CONVERSATION = ConversationConfig(system_prompt="Think first. You may look up the rules.")
LOCK = "typer==0.0.1\n"
QUESTION = "How do I kill a Python process?"
CARD = "---\nlicense: apache-2.0\nlibrary_name: transformers\n---\n# The card that was signed\n"


def write_checkpoint(folder: Path) -> None:
    """A tiny checkpoint with all that training publishes."""
    model, tokenizer = make_model([QUESTION, CONVERSATION.system_prompt] * 50)
    model.generation_config = generation_config(model, tokenizer, 1.0)
    model.save_pretrained(folder)
    save_tokenizer(tokenizer, folder, CONVERSATION, model.config.max_position_embeddings)
    write_text(folder / LICENCE, OWN_LICENCE)


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with one signed release, of which DVC's cache has the checkpoint."""
    root = tmp_path_factory.mktemp("released") / "root"
    write_checkpoint(root / CHECKPOINT)
    corpus = make_corpus()
    write_text(root / "pyproject.toml", "")
    write_text(root / "params.yaml", "{}\n")
    write_text(root / "requirements/cpu.lock", LOCK)
    write_text(root / ".gitignore", ".ascl/\n.dvc/cache/\n.dvc/tmp/\n.dvc/config.local\n/data/models/\n")
    write_text(root / ".dvc/config", "[core]\n    analytics = false\n")
    write_text(root / "dvc.yaml", f"stages:\n  {CANDIDATE.name}:\n    cmd: {STAGE_SCRIPT}\n    outs: [{CHECKPOINT}]\n")
    write_parquet(root / EVALUATION.outputs["results"].path, pa.table({"prompt": [QUESTION]}))
    write_json(root / RULE_INDEX.path / "index.json", {})
    for card in ("model_card.md", "data_card.md"):
        write_text(root / REPORT.outputs["page"].path / card, CARD)

    def change(stage: str, record: dict[str, Any]) -> None:
        record["packages"] = {"cpu.lock": sha256_bytes(LOCK.encode())}
        if stage == VALIDATE_RULES.name:
            record["parameters"] = {"rules": {"at": "2026-11-01"}}

    make_recorded_run(root, corpus, [make_prompt()], change=change)
    keys = root.parent / "keys"
    make_keys(root, keys)
    dvc.call(root, "commit", "--force", CANDIDATE.name, hint="")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "-m", "the run", environment=NOBODY)
    sign_release(root, keys, corpus.digest)
    return root


def export(root: Path, monkeypatch: pytest.MonkeyPatch, *words: str) -> str:
    """What `ascl release export …` prints."""
    monkeypatch.chdir(root)
    monkeypatch.setenv("COLUMNS", "400")
    result = CliRunner().invoke(app, ["release", "export", *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_hub_gets_the_signed_weights_with_card_rules_and_evidence(
    released: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    into = tmp_path / "made" / "hub"
    said = export(released, monkeypatch, "release/1", "--to", "hub", "--into", str(into))
    assert f"hf upload OWNER/NAME {into} . --private --commit-message release/1" in said
    assert [path.name for path in into.parent.iterdir()] == ["hub"], "nothing half-done is left"
    for file in (released / CHECKPOINT).iterdir():
        assert (into / file.name).read_bytes() == file.read_bytes()

    record = read_json(into / RECORD)
    assert (record["release"], record["checkpoint"], record["target"]) == ("release/1", digest(released / CHECKPOINT), "hub")
    assert load_corpus(into / CORPUS).digest == record["rules"] == make_corpus().digest
    assert all(sha256_file(into / name) == sha256 for name, sha256 in record["files"].items())
    check_pack(into / EVIDENCE)
    assert (into / EVIDENCE / "statements/release.json").is_file()

    assert ModelCard.load(into / "README.md", ignore_metadata_errors=False).data.license == "apache-2.0"
    tokenizer = AutoTokenizer.from_pretrained(into)
    asked = tokenizer.apply_chat_template([{"role": "user", "content": QUESTION}], tools=read_json(into / TOOLS), tokenize=False)
    assert CONVERSATION.system_prompt in asked
    assert GenerationConfig.from_pretrained(into).top_k == 0
    model = AutoModelForCausalLM.from_pretrained(into)
    assert model.generate(**tokenizer(asked, return_tensors="pt"), max_new_tokens=1).shape[0] == 1


def test_vllm_is_started_under_the_name_of_the_release(released: Path, tmp_path: Path) -> None:
    command = command_for(Target.VLLM, tmp_path, verify_release(released), ["--tool-call-parser", "hermes"])
    assert command == ("vllm", "serve", str(tmp_path), "--served-model-name", "ascl-release-1", "--tool-call-parser", "hermes")


CONVERTER = "import pathlib, sys\nassert sys.argv[2] == '--outfile'\npathlib.Path(sys.argv[3]).write_bytes(b'GGUF')\n"
"""Takes the arguments of llama.cpp's script, which no package index has."""


def test_a_gguf_file_is_what_the_converter_makes_and_its_card_says_of_what(released: Path, tmp_path: Path) -> None:
    checkpoint = shutil.copytree(released / CHECKPOINT, tmp_path / "model")
    write_text(checkpoint / "README.md", CARD)
    write_text(checkpoint / CORPUS, "{}")
    write_text(tmp_path / "convert.py", CONVERTER)
    convert(checkpoint, tmp_path / "gguf", tmp_path / "convert.py")
    expected = ["LICENSE.txt", CORPUS, "generation_config.json", "model.gguf", "model_card.md", TOOLS]
    assert sorted(file.name for file in (tmp_path / "gguf").iterdir()) == expected
    write_text(tmp_path / "convert.py", "raise NotImplementedError('BPE pre-tokenizer was not recognized')")
    with pytest.raises(ModelError, match="not converted: NotImplementedError: BPE pre-tokenizer was not recognized"):
        convert(checkpoint, tmp_path / "again", tmp_path / "convert.py")


@pytest.mark.parametrize(("target", "converter"), [(Target.GGUF, None), (Target.GGUF, Path("nowhere.py")), (Target.HUB, Path(__file__))])
def test_a_converter_is_needed_for_gguf_alone(released: Path, tmp_path: Path, target: Target, converter: Path | None) -> None:
    with pytest.raises(ConfigError, match=r"--converter(.|\n)*git clone"):
        export_release(released, target, tmp_path / "gguf", converter=converter)
    assert not list(tmp_path.iterdir())


def test_other_bytes_than_the_signed_ones_are_not_exported(released: Path, tmp_path: Path) -> None:
    root = shutil.copytree(released, tmp_path / "root", symlinks=True)
    weights = next(file for file in (root / ".dvc/cache").rglob("*") if file.is_file() and file.stat().st_size > 100_000)
    flip(weights)
    with pytest.raises(ReleaseError, match=r"SHA-256 of data/models/ifpo is \w{64}, but release/1 says"):
        export_release(root, Target.HUB, tmp_path / "hub")
    assert [path.name for path in tmp_path.iterdir()] == ["root"]
    with pytest.raises(ReleaseError, match="is there already"):
        export_release(root, Target.HUB, root)


def test_a_release_that_lacks_what_other_tools_need_is_refused_with_the_file(released: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(released / CHECKPOINT, tmp_path / "model")
    cards = {
        "# no metadata\n": "has none",
        "---\nmodel-index:\n- results: []\n---\n": "cannot be read",
        "---\nlicense: [\n---\n": "cannot be read",
    }
    for card, problem in cards.items():
        write_text(folder / "README.md", card)
        with pytest.raises(ModelError, match=problem):
            check_portable(folder)
    write_text(folder / "README.md", CARD)
    check_portable(folder)
    (folder / TOOLS).unlink()
    with pytest.raises(ModelError, match=rf"{TOOLS}: is not among the files"):
        check_portable(folder)


def test_the_options_are_those_of_the_card_for_the_template_of_this_project(released: Path) -> None:
    options = " ".join(vllm_options(load_tokenizer(released / CHECKPOINT)))
    assert f"vllm serve model {options}\n" in (ROOT / "ascl_core/report/model_card.md.jinja").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("family", "calls", "thoughts"),
    [
        ("qwen3", "hermes", "qwen3"),
        ("qwen3.5", "qwen3_coder", "qwen3"),
        ("llama3.1", "llama3_json", "qwen3"),
        ("gpt-oss", "openai", "openai_gptoss"),
    ],
)
def test_each_family_gets_its_own_parsers(family: str, calls: str, thoughts: str) -> None:
    options = vllm_options(make_family_tokenizer(TEMPLATES[family], [QUESTION]))
    assert options[1:5] == ["--tool-call-parser", calls, "--reasoning-parser", thoughts]


def test_no_parser_of_thoughts_is_named_for_a_tokenizer_without_tokens_for_them() -> None:
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()), chat_template=TEMPLATES["llama3.1"])
    assert "--reasoning-parser" not in vllm_options(tokenizer)

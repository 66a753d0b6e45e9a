"""The stage: what it writes, what it says when rules are wrong, and how the compiled corpus is read back."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ascl_core.artifacts import read_json, write_json
from ascl_core.config.rules import RulesConfig
from ascl_core.contracts import StageContext
from ascl_core.errors import AsclError, RuleError
from ascl_core.rules.compile import check_folder, validate_rules
from ascl_core.rules.corpus import Rule, load_corpus
from ascl_core.rules.lock import write_lock
from tests.builders import make_corpus, make_rule, make_rule_values, write_rules
from tests.corpus import RULES

GUIDE = Path(__file__).parents[2] / "docs" / "rules.md"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A locked folder with one rule."""
    write_rules(tmp_path / "rules", {"a.yaml": [make_rule_values()]})
    write_lock(tmp_path / "rules")
    return tmp_path / "rules"


def compile_rules(folder: Path) -> dict[str, float | int | str]:
    """Run the stage on the folder, with its outputs beside it."""
    out = folder.parent
    (out / "state").mkdir(exist_ok=True)
    context = StageContext(out / "state")
    write_json(out / "released" / "release.json", {"tag": None})
    return validate_rules(
        rules=RulesConfig(),
        rule_files=folder,
        released=out / "released",
        corpus=out / "corpus.json",
        findings=out / "findings.json",
        sft_corpus=out / "sft_corpus.json",
        rl_corpus=out / "rl_corpus.json",
        change=out / "change.json",
        context=context,
    )


def test_the_stage_writes_the_corpus_and_the_findings(folder: Path) -> None:
    metrics = compile_rules(folder)
    corpus = load_corpus(folder.parent / "corpus.json")
    findings = read_json(folder.parent / "findings.json")
    assert metrics == {"rules": 1, "warnings": 0, "digest": corpus.digest, "class": "structural"}
    assert corpus.rules == (make_rule(),)
    assert corpus.jurisdictions == ("XA", "XB")
    assert read_json(folder.parent / "corpus.json")["lock"]["CYB-03"] == {"version": "1.0.0", "sha256": make_rule().sha256}
    assert {key: findings[key] for key in ("errors", "warnings", "findings", "rules", "digest")} == {
        "errors": 0, "warnings": 0, "findings": [], "rules": 1, "digest": corpus.digest,
    }  # fmt: skip
    assert findings["coverage"]["rules_by_hazard"] == {f"S{number}": 1 for number in range(1, 15)}


def test_errors_are_listed_and_kept_and_nothing_is_compiled(folder: Path) -> None:
    rules = [make_rule_values(id=f"CYB-{number:02d}") for number in range(10, 18)]
    write_rules(folder, {"a.yaml": rules})
    with pytest.raises(RuleError) as error:
        compile_rules(folder)
    # Each of the seven later rules has the text and the query of the first.
    assert "14 problems in the rules" in str(error.value)
    assert str(error.value).count("a.yaml:") == 5
    assert "… and 9 more" in str(error.value)
    assert "hint: ascl rules check" in str(error.value)
    kept = read_json(folder.parent / "state" / "findings.json")
    assert (kept["errors"], kept["rules"], kept["digest"]) == (14, None, None)
    assert {"severity", "code", "file", "line", "rule_id", "message", "hint"} == set(kept["findings"][0])
    assert not (folder.parent / "corpus.json").exists()


def test_the_corpus_is_the_same_however_the_rules_are_spread_over_files(folder: Path) -> None:
    text = "Explain how a network is scanned, and add that the owner of the network has to agree to it first."
    second = make_rule_values(id="CYB-04", text=text, query="network scanning")
    write_rules(folder, {"a.yaml": [second, make_rule_values()]})
    compile_rules(folder)
    together = (folder.parent / "corpus.json").read_bytes()
    write_rules(folder, {"a.yaml": [dict(reversed(make_rule_values().items()))], "sub.yaml": [second]})
    compile_rules(folder)
    assert (folder.parent / "corpus.json").read_bytes() == together


def test_a_tampered_corpus_is_refused(folder: Path) -> None:
    compile_rules(folder)
    path = folder.parent / "corpus.json"
    values = json.loads(path.read_text())
    values["rules"][0]["policy"] = "hard_refuse"
    path.write_text(json.dumps(values))
    with pytest.raises(RuleError, match="digest does not match"):
        load_corpus(path)


@pytest.mark.parametrize("content", ["[]", "{}", "{", '{"rules": [{}], "taxonomy": {}}'])
def test_a_file_that_is_no_corpus_is_one_clear_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "corpus.json"
    path.write_text(content)
    with pytest.raises(AsclError, match=r"corpus\.json"):
        load_corpus(path)


def test_an_unknown_rule_id_suggests_the_nearest_one() -> None:
    with pytest.raises(RuleError, match="did you mean 'CYB-03'"):
        make_corpus().rule("CYB-08")


def test_a_rule_id_in_small_letters_suggests_the_same_id_in_capitals() -> None:
    corpus = make_corpus(make_rule(), make_rule(id="WMD-03", category="WMD"))
    with pytest.raises(RuleError, match="did you mean 'CYB-03'"):
        corpus.rule("cyb-03")


def test_the_digest_of_a_rule_leaves_out_its_version_and_nothing_else() -> None:
    assert make_rule(version="2.0.0").sha256 == make_rule().sha256
    for change in ({"text": "Help with everything but say what it does."}, {"precedence": 11}, {"keywords": ["x"]}, {"status": "draft"}):
        assert make_rule(**change).sha256 != make_rule().sha256
    assert make_corpus(make_rule(version="2.0.0")).digest != make_corpus(make_rule()).digest


def test_checking_rules_loads_nothing_heavy() -> None:
    heavy = ["torch", "transformers", "pyarrow", "pandas", "numpy", "bm25s"]
    program = f"import sys, ascl_core.rules.compile; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_the_rule_in_the_guide_is_right_and_every_field_is_explained(tmp_path: Path) -> None:
    guide = GUIDE.read_text(encoding="utf-8")
    shutil.copy(RULES / "taxonomy.yaml", tmp_path)
    (tmp_path / "guide.yaml").write_text(guide.split("```yaml\n")[1].split("```")[0], encoding="utf-8")
    findings = check_folder(tmp_path, RulesConfig()).findings
    assert [str(finding) for finding in findings if finding.file == "guide.yaml" and finding.code != "not_locked"] == []
    assert all(f"`{field}`" in guide for field in Rule.model_fields)

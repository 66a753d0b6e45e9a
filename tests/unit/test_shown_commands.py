"""What the pages and the help name exists: commands, options, values of parameters, keys, files; and each block says how it is tested."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest
import yaml

from ascl_core.config.params import Params
from ascl_core.config.reference import reference
from tasks.registry import paths
from tasks.registry.stages import ArtifactKind, paths_of
from tests.pages import PAGES, ROOT, blocks, prose
from tests.shown_commands import Shown, helps, option_names, problem, shown, spans

NOT_FROM_HERE = ("CHANGELOG.md", "suites.md", "extending.md")
"""The first names keys that are gone, the second files of others, the third what its reader adds."""
WRITTEN = [page for page in PAGES if page.name not in NOT_FROM_HERE]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_of_a_page_exists_with_its_options_arguments_and_parameters(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert {str(command): wrong for command in shown(text) if (wrong := problem(command, text))} == {}


def test_every_example_in_a_help_exists_with_its_options_arguments_and_parameters() -> None:
    said = [line for text in helps() for line in re.findall(r"^Examples?:  (.*)$", text, re.MULTILINE)]
    examples = [example for line in said for example in line.split("   |   ")]
    assert len(examples) > 50
    page = "".join(f"```bash\n{line}\n```\n" for line in examples)
    assert {str(command): wrong for command in shown(page) if (wrong := problem(command))} == {}


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("ascl plann", "no command 'plann'"),
        ("ascl rules chek", "no command 'chek'"),
        ("ascl run --fast", "No such option: --fast"),
        ("ascl rules show", "rule_id is missing"),
        ("ascl rules show A B", "one argument too many"),
        ("ascl rules new KEY-01 Keys --policy refuse", "'refuse' is none of"),
        ("ascl keys new --role approver --name", "requires an argument"),
        ("ascl run --set sft.steps=3", "sft.steps"),
        ("A=b ascl run --set sft.max_steps=many | cat", "max_steps"),
        ("cd x && ascl run --profile huge", "huge"),
        ("ascl compare --arm nothing", "no such arms"),
        ("make runn", "no such targets"),
        ("python benchmarks/nothing.py", "does not exist"),
        ("python benchmarks/grpo_step.py --nothing 3", "has no ['--nothing']"),
        ("python -m tests.nothing", "no module tests.nothing"),
        ("pytest tests/unit/test_pages.py::test_nothing", "has no test_nothing"),
    ],
)
def test_what_is_wrong_with_a_command_is_said(line: str, wrong: str) -> None:
    [command] = shown(f"```bash\n{line}    # a comment\n```\n")
    assert wrong in (problem(command) or "")


@pytest.mark.parametrize(
    "line", ["ascl run --profile", "ascl lineage", "ascl compare --arm ifpo …", "ascl rules new", "ascl COMMAND --help"]
)
def test_a_sentence_may_leave_out_arguments_and_a_block_may_not(line: str) -> None:
    assert [problem(command) for command in shown(f"Type `{line}`.")] == [None]
    assert problem(Shown(("ascl", "rules", "new"), is_whole=True))


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_every_parameter_and_every_option_that_a_page_names_exists(page: Path) -> None:
    named = spans(page.read_text(encoding="utf-8"))
    asked = [m[0] for span in named if (m := re.match(r"([a-z_]+)(\.[a-z_0-9]+)+(?=$|[: ])", span)) and m[1] in Params.model_fields]
    unknown = [
        key
        for key in asked
        if not any(one == key or one.startswith(f"{key}.") for one in parameters()) and not key.endswith((".py", ".json"))
    ]
    assert unknown == []
    options = {span.split()[0].partition("=")[0] for span in named if span.startswith("--")}
    assert [one for one in options - option_names() if f'"{one}"' not in source("benchmarks", "tests")] == []


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_every_file_that_a_page_names_is_there_or_is_made(page: Path) -> None:
    named = [
        span
        for span in spans(page.read_text(encoding="utf-8"))
        if re.fullmatch(r"(?:data|docs|requirements|scratch|\.ascl|\.dvc)/[^ :]+", span)
    ]
    assert [path for path in named if not any(ROOT.glob(path)) and not is_made(path.rstrip("/"))] == []


@cache
def parameters() -> set[str]:
    """Return every key of `params.yaml` as the reference lists it, and without what says that it is one of several."""
    keys, section = set(), ""
    for name, key in re.findall(r"^## `(\w+)`|^\| `([^`]+)` \|", reference(), re.MULTILINE):
        section = name or section
        keys.add(f"{section}.{key}".rstrip("."))
    return keys | {re.sub(r"\[\]|\.\*", "", key) for key in keys}


def is_made(path: str) -> bool:
    """Whether it is, contains or lies in a file or folder that stages or commands write, or code spells it."""
    pattern = re.sub(r"<[^>]+>", "*", path)
    upwards = {str(one) for one in (Path(path), *Path(path).parents)}
    return (
        bool(upwards & made())
        or any(fnmatch(one, pattern) or one.startswith(f"{path}/") for one in made())
        or path in source("ascl_core", "tasks")
    )


@cache
def made() -> set[str]:
    folders = {"data", ".ascl", ".dvc", "requirements"}  # what lies in them is made, or written by hand
    return {*paths_of(*ArtifactKind), *(str(value) for value in vars(paths).values() if isinstance(value, str | Path))} - folders


@cache
def source(*packages: str) -> str:
    return "".join(file.read_text(encoding="utf-8") for package in packages for file in (ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_block_of_commands_is_marked_as_one_so_that_it_is_tested(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not re.findall(r"^[ \t]+(?:```|\$ |ascl )", prose(text), re.MULTILINE), "an indented block is not found: use ``` at the margin"
    for block in blocks(text):
        line = f"line {block.line}"
        assert block.language or not re.search(r"^(\$ |(ascl|make|git|python|curl) )", block.text, re.MULTILINE), (
            f"{line}: say console or bash"
        )
        assert block.language not in ("sh", "shell"), f"{line}: say bash"
        assert block.language != "console" or block.text.startswith("$ "), f"{line}: a session begins with `$ `"
        assert block.not_run is None or any(block.steps()), f"{line}: nothing in it would be run"
    named = [path for block in blocks(text) for path in re.findall(r"tests/[\w/.]*\w", block.not_run or "")]
    assert [path for path in named if not (ROOT / path).exists()] == []
    assert len(re.findall("^<!-- not run: ", text, re.MULTILINE)) == sum(block.not_run is not None for block in blocks(text)), (
        "the marker stands right above its block"
    )


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_parameters_in_yaml_are_read(page: Path) -> None:
    for block in blocks(page.read_text(encoding="utf-8")):
        if (
            block.language == "yaml"
            and set(read := yaml.safe_load(block.text)) & set(Params.model_fields)
            and not isinstance(read.get("rules"), list)
        ):
            Params.model_validate(read)

"""The page of a lineage: it says what the records say, and whatever a rule or a prompt contains stays text."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from ascl_core.config.sft_data import SftData
from ascl_core.errors import ConfigError
from tasks.lineage.embedded_rows import CHANGED, LEFT_OUT, TOO_MANY, data_sets
from tasks.lineage.find import find
from tasks.lineage.layout import Sizes, lay_out
from tasks.lineage.page import page_data, write_page
from tasks.registry.stages import PROMPTS, STAGES, SUITES, TRAJECTORIES
from tests.builders import make_corpus, make_prompt, make_rule
from tests.recorded_run import make_recorded_run, make_trajectory, write_records

HOSTILE = """</script><script>document.title="owned"</script><!--<script> ]]> &lt;b&gt; '"><img src=x onerror=alert(1)>\u2028"""
THING = "data/models/ifpo"


class Elements(HTMLParser):
    """What a browser would make of the page: its elements with attributes, and the text of every script."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self._in_script = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._in_script = tag == "script"
        if self._in_script:
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        self._in_script = False

    def handle_data(self, data: str) -> None:
        if self._in_script:
            attributes, text = self.scripts[-1]
            self.scripts[-1] = (attributes, text + data)

    def script(self, name: str) -> str:
        """The text of the script of that id."""
        return next(text for attributes, text in self.scripts if attributes.get("id") == name)

    def rows(self) -> list[dict[str, Any]]:
        """What is packed of the rows, in pieces."""
        return [unpack(text) for attributes, text in self.scripts if attributes.get("class") == "rows"]


def unpack(text: str) -> Any:
    return json.loads(gzip.decompress(base64.b64decode(text, validate=True)))


def written(root: Path, **options: Any) -> Elements:
    """The page of the workspace."""
    return Elements(write_page(root, THING, root / "page.html", **options).path.read_text(encoding="utf-8"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A workspace with one hostile prompt and rule, and one that is not."""
    prompts = [make_prompt(), make_prompt(id="f" * 16, prompt=HOSTILE, source=HOSTILE, rule_id=None)]
    corpus = make_corpus(make_rule(title=HOSTILE[:80], text=HOSTILE))

    def change(stage: str, record: dict[str, Any]) -> None:
        record["parameters"]["note"] = HOSTILE

    make_recorded_run(tmp_path, corpus, prompts, {SftData.ASCL: [make_trajectory(prompt) for prompt in prompts]}, change)
    return tmp_path


def test_hostile_text_opens_no_element_and_no_script(folder: Path) -> None:
    page = written(folder)
    assert not [tag for tag, _ in page.elements if tag == "img"]
    inline = [text for attributes, text in page.scripts if attributes.get("type") is None]
    assert len(inline) == 1, "the page's own script, and no other"
    assert "owned" not in inline[0]
    for attributes, text in page.scripts:
        if attributes.get("type") is not None:
            assert "<" not in text, "nothing in data can end its script element or begin a comment"


def test_the_policy_lets_the_pages_own_script_run_and_nothing_else(folder: Path) -> None:
    page = written(folder)
    policy = next(attributes["content"] for tag, attributes in page.elements if tag == "meta" and "http-equiv" in attributes)
    [own] = [text for attributes, text in page.scripts if attributes.get("type") is None]
    digest = base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in str(policy)
    assert str(policy).startswith("default-src 'none';")


def test_hostile_text_comes_back_as_it_was(folder: Path) -> None:
    page = written(folder)
    record = json.loads(page.script("data"))["sides"][0]["nodes"]["ifpo"]["record"]
    assert record["parameters"]["note"] == HOSTILE
    [rule] = unpack(page.script("packed-rules"))
    assert (rule["title"], rule["text"]) == (HOSTILE[:80], HOSTILE)
    prompts = next(rows for rows in page.rows() if rows["row_id"][-1] == "f" * 16)
    assert prompts["text"][-1] == HOSTILE[:100]
    assert HOSTILE in prompts["source"]["values"]


def test_the_json_in_the_page_is_the_graph(folder: Path) -> None:
    found = find(folder, THING)
    said = json.loads(written(folder).script("data"))
    assert said == json.loads(json.dumps(page_data(found)))
    [side] = said["sides"]
    assert (side["path"], side["sha256"], side["stage"]) == (THING, found.sha256, "ifpo")
    assert side["nodes"].keys() == found.graph.nodes.keys()
    for name, node in found.graph.nodes.items():
        assert side["nodes"][name]["record"] == node.record.dump()
        assert side["nodes"][name]["sha256"] == node.sha256
        assert {edge["path"]: edge["sha256"] for edge in side["nodes"][name]["edges"]} == node.inputs
        assert all(edge["holds"] for edge in side["nodes"][name]["edges"])
    assert set(side["upstream"]) == {node.stage.name for node in found.graph.upstream(found.node)} | found.graph.sources(found.node).keys()


def test_what_was_read_but_not_written_is_red_and_said(folder: Path) -> None:
    def change(stage: str, record: dict[str, Any]) -> None:
        if stage == "ifpo":
            record["inputs"]["data/models/sft"] = "a" * 64

    write_records(folder, change)
    page = written(folder)
    edges = json.loads(page.script("data"))["sides"][0]["nodes"]["ifpo"]["edges"]
    assert {edge["path"] for edge in edges if not edge["holds"]} == {"data/models/sft"}
    broken = [attributes for tag, attributes in page.elements if tag == "path" and "broken" in str(attributes["class"])]
    assert [(line["data-writer"], line["data-reader"]) for line in broken] == [("sft", "ifpo")]
    assert "ifpo read another data/models/sft than sft wrote" in (folder / "page.html").read_text(encoding="utf-8")


def test_a_record_that_is_not_what_the_report_read_is_broken(folder: Path) -> None:
    def change(stage: str, record: dict[str, Any]) -> None:
        if stage == "report":
            record["inputs"]["data/records/gate.json"] = "b" * 64

    write_records(folder, change)
    lines = [attributes for tag, attributes in written(folder).elements if tag == "path" and "broken" in str(attributes["class"])]
    assert [(line["data-writer"], line["data-reader"]) for line in lines] == [("gate", "report")]


def test_every_box_is_a_button_with_a_name_and_is_in_the_table_too(folder: Path) -> None:
    page = written(folder)
    boxes = {attributes["data-name"]: attributes for _, attributes in page.elements if "box" in str(attributes.get("class")).split()}
    assert len(boxes) == len(STAGES) + 3
    for name, attributes in boxes.items():
        assert (attributes["role"], attributes["tabindex"]) == ("button", "0")
        assert str(name) in str(attributes["aria-label"])
    listed = {attributes["data-name"] for tag, attributes in page.elements if tag == "button" and "data-name" in attributes}
    assert listed == {name for name in boxes if not str(name).startswith("data/")}


def test_rules_say_how_many_rows_have_them(folder: Path) -> None:
    [rule] = unpack(written(folder).script("packed-rules"))
    paths = [one.path for one in data_sets(folder, find(folder, THING).graph, embed=False)]
    rows = dict(zip(paths, rule["rows"], strict=True))
    assert (rows[PROMPTS.path], rows[TRAJECTORIES[SftData.ASCL].path], rows[SUITES.path]) == (1, 1, 0)
    assert rule["used"] == ["SFT data", "reinforcement learning", "evaluation and serving"]


def test_rows_that_are_not_in_the_page_are_said_with_the_reason(folder: Path) -> None:
    graph = find(folder, THING).graph
    assert {one.missing for one in data_sets(folder, graph, embed=False)} == {LEFT_OUT}
    reasons = {one.path: one.missing for one in data_sets(folder, graph, embed=True, most=2)}
    assert reasons[TRAJECTORIES[SftData.ASCL].path] == TOO_MANY, "the prompts took both"
    assert reasons[PROMPTS.path] == ""
    (folder / PROMPTS.path).write_bytes((folder / PROMPTS.path).read_bytes() + b" ")
    changed = {one.path: one.missing for one in data_sets(folder, graph, embed=True)}
    assert changed[PROMPTS.path] == CHANGED
    assert changed[TRAJECTORIES[SftData.ASCL].path] == ""
    assert "not what its record says" in (write_page(folder, THING, folder / "page.html").left_out[0])


def test_the_same_file_twice_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="same snapshot"):
        write_page(folder, THING, compare="data/models/sft")


def test_a_folder_is_no_file_to_write(folder: Path) -> None:
    with pytest.raises(ConfigError, match="is a folder"):
        write_page(folder, THING, folder)


def test_the_same_file_gives_the_same_bytes(folder: Path) -> None:
    one, other = (write_page(folder, THING, folder / name).path.read_bytes() for name in ("one.html", "other.html"))
    assert one == other


def test_no_box_covers_another_and_every_line_goes_down() -> None:
    edges = [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"), ("a", "d"), ("e", "d"), ("a", "f")]
    drawn, sizes = lay_out("abcdef", edges), Sizes()
    corners = list(drawn.boxes.values())
    for number, (x, y) in enumerate(corners):
        assert sizes.margin <= x <= drawn.width - sizes.width - sizes.margin + 0.01
        for other_x, other_y in corners[:number]:
            assert abs(y - other_y) >= sizes.height or abs(x - other_x) >= sizes.width
    for (writer, reader), points in drawn.lines.items():
        assert points[0][1] == drawn.boxes[writer][1] + sizes.height
        assert points[-1][1] == drawn.boxes[reader][1]
        assert [y for _, y in points] == sorted(y for _, y in points)
    assert drawn.boxes["e"][1] == drawn.boxes["b"][1], "what nobody made stands right above its first reader"

"""What holds of rules whatever they say and however they are written."""

from __future__ import annotations

import random
import tempfile
from datetime import date, timedelta
from pathlib import Path

import bm25s
from hypothesis import given, settings
from hypothesis import strategies as st

from ascl_core.config.rules import RulesConfig
from ascl_core.rules.checks.contents import similar_pairs
from ascl_core.rules.compile import check_folder
from ascl_core.rules.ranking import document, words
from ascl_core.rules.rendering import plain, render_rule
from ascl_core.rules.retrieval import RuleIndex
from tests.builders import make_corpus, make_rule, make_rule_values, write_rules

WORDS = ["network", "lock", "plant", "record", "server", "the", "of"]
DAYS = st.integers(0, 60).map(lambda days: date(2026, 1, 1) + timedelta(days=days))
queries = st.lists(st.sampled_from(WORDS), max_size=4).map(" ".join)


@st.composite
def rules(draw: st.DrawFn, number: int):
    category = draw(st.sampled_from(["CYB", "DRG"]))
    start = draw(DAYS)
    return make_rule(
        id=f"{category}-{number:02d}",
        category=category,
        text="Help with this and say what it does: " + draw(queries),
        jurisdictions=draw(st.sampled_from([["*"], ["XA"], ["XB"], ["XA", "XB"]])),
        status=draw(st.sampled_from(["active", "draft", "deprecated", "retired"])),
        precedence=draw(st.integers(0, 3)),
        effective_from=start,
        effective_until=draw(st.none() | st.integers(1, 30).map(lambda days: start + timedelta(days=days))),
    )


corpora = st.integers(1, 8).flatmap(lambda n: st.tuples(*(rules(number) for number in range(n)))).map(lambda found: make_corpus(*found))


@settings(deadline=None, max_examples=60)
@given(corpora, DAYS, st.sampled_from(["XA", "XB", "XQ"]), st.sampled_from(["CYB", "DRG", None]), queries, st.integers(1, 9))
def test_a_look_up_returns_only_rules_in_force_here_and_now(corpus, at, jurisdiction, category, query, limit) -> None:
    index = RuleIndex(corpus, at)
    found = index.lookup(category=category, query=query, jurisdiction=jurisdiction, limit=limit)
    assert all(rule.in_force(at, jurisdiction) for rule in found)
    assert len(found) == len(set(found)) <= limit
    if category in corpus.categories:
        assert all(rule.category == category for rule in found)
    assert found == RuleIndex(corpus, at).lookup(category=category, query=query, jurisdiction=jurisdiction, limit=limit)


@settings(deadline=None, max_examples=60)
@given(corpora, DAYS, st.sampled_from(["XA", "XB"]), st.sampled_from(["CYB", "DRG", None]), queries, st.integers(0, 9))
def test_a_look_up_is_that_of_sorting_all_rules_by_their_scores(corpus, at, jurisdiction, category, query, limit) -> None:
    known = category if category in corpus.categories else None
    here = [rule for rule in corpus.active(at, jurisdiction) if known in (None, rule.category)]
    here.sort(key=lambda rule: (-rule.precedence, rule.id))
    documents = [words(document(rule)) for rule in here]
    asked = [word for word in dict.fromkeys(words(query)) if any(word in document for document in documents)]
    if not asked:
        expected = here[:limit] if known else []
    else:
        scorer = bm25s.BM25()
        scorer.index(documents, show_progress=False)
        scores = scorer.get_scores(asked).round(6).tolist()
        by_score = sorted(range(len(here)), key=lambda i: -scores[i])[:limit]
        expected = [here[i] for i in by_score if scores[i] > 0]
    found = RuleIndex(corpus, at).lookup(category=category, query=query, jurisdiction=jurisdiction, limit=limit)
    assert list(found) == expected


@given(st.text(max_size=80), st.text(alphabet="<>|[]{}`\n\r\u2028\u202e\u200b＜＞｜［］/thinkINST", max_size=40))
def test_a_rendered_rule_is_one_line_without_any_delimiter(title: str, text: str) -> None:
    rule = make_rule().model_copy(update={"title": title, "text": text})
    line = render_rule(rule)
    assert line.startswith("[CYB-03] comply: ")
    body = line.removeprefix("[CYB-03] ")
    assert not set(body) & set("<>|[]{}`\n\r")
    assert len(line.splitlines()) == 1
    assert plain(plain(text)) == plain(text)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000))
def test_the_digest_depends_on_neither_files_nor_order_nor_keys(seed: int) -> None:
    shuffle = random.Random(seed)
    values = [
        make_rule_values(id=f"CYB-{n:02d}", query=f"query {w}", text=f"Say what the {w} does and {w * 2}.") for n, w in enumerate(WORDS)
    ]
    digests = []
    for files in (1, 3):
        spread: dict[str, list] = {f"{n}.yaml": [] for n in range(files)}
        for rule in shuffle.sample(values, len(values)):
            keys = shuffle.sample(list(rule), len(rule))
            spread[f"{shuffle.randrange(files)}.yaml"].append({key: rule[key] for key in keys})
        with tempfile.TemporaryDirectory() as folder:
            result = check_folder(write_rules(Path(folder), spread), RulesConfig())
        assert result.corpus is not None, [str(finding) for finding in result.errors]
        digests.append(result.corpus.digest)
    assert digests[0] == digests[1]


sets = st.frozensets(st.integers(0, 12).map(lambda n: (str(n), 1)), min_size=1, max_size=8)


@given(st.lists(sets, max_size=12), st.sampled_from([0.1, 0.3, 0.5, 0.55, 0.7, 0.8, 1.0]))
def test_similar_pairs_are_those_of_comparing_all(members: list[frozenset[tuple[str, int]]], threshold: float) -> None:
    expected = {
        (i, j)
        for j in range(len(members))
        for i in range(j)
        if 2 * len(members[i] & members[j]) / (len(members[i]) + len(members[j])) >= threshold
    }
    assert {(i, j) for i, j, _ in similar_pairs(members, threshold)} == expected


yamlish = st.text(alphabet="rules: id-[]{}&*!|>'\"#\n\t0123,?%@`~<", max_size=120).map(lambda text: text.encode())


@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=60) | yamlish | yamlish.map(lambda tail: b"rules:\n  - " + tail))
def test_no_content_of_a_file_crashes_the_check(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = write_rules(Path(name), {"good.yaml": [make_rule_values()]})
        (folder / "bad.yaml").write_bytes(content)
        result = check_folder(folder, RulesConfig())
    bad = [finding for finding in result.findings if finding.file == "bad.yaml"]
    assert all(finding.line is not None and finding.hint for finding in bad)
    assert result.corpus is not None or bad

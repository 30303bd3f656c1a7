from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from aimass.pipelines.document import DocumentError, parse_document

# PyYAML ends a line at Unicode's line and paragraph separators (Zl, Zp), as YAML 1.1 has it; keys have one line.
PLAIN = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=8)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.floats(allow_nan=False, allow_infinity=False)
    | PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PLAIN, inner, max_size=3),
    max_leaves=10,
)


@given(JSON)
def test_json_reads_as_itself(document: Any) -> None:
    assert parse_document(json.dumps(document, ensure_ascii=False)).content == document


@given(st.dictionaries(PLAIN, JSON, max_size=4))
def test_what_pyyaml_writes_reads_as_itself(document: dict[str, Any]) -> None:
    assert parse_document(yaml.safe_dump(document, allow_unicode=True)).content == document


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    told = ""
    try:
        parse_document(text)
    except DocumentError as error:
        told = str(error)
    assert "\n" not in told


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("on: [tailnum]", {"on": ["tailnum"]}),
        ("null: drop", {"null": "drop"}),
        ("carrier: NO", {"carrier": "NO"}),
        ("yes: no", {"yes": "no"}),
        ("at: 12:30", {"at": "12:30"}),
        ("day: 2013-01-01", {"day": "2013-01-01"}),
        ("rate: 1e-3", {"rate": 1e-3}),
        ("code: 012", {"code": 12}),
        ("1: a", {"1": "a"}),
        ("a: true\nb: ~\nc:\nd: .5", {"a": True, "b": None, "c": None, "d": 0.5}),
        ("", None),
    ],
)
def test_words_mean_what_they_say(text: str, content: Any) -> None:
    assert parse_document(text).content == content


def test_lines_are_known() -> None:
    lines = parse_document("a: 1\nb:\n  - x: 1\n    y: 2\n").lines
    assert lines == {"a": 1, "b": 2, "b.0": 3, "b.0.x": 3, "b.0.y": 4}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [1", "line"),
        ("a: 1\na: 2", "twice"),
        ("a: &x [*x]", "itself"),
        ("a: !!python/object:os.system x", "constructor"),
        ("? [a]\n: 1", "not a word"),
        ("a: 1\n--- \nb: 2", "single document"),
        ("[" * 200, "YAML"),
        ("a: " + "[" * 100 + "]" * 100, "deep"),
    ],
)
def test_what_is_refused_says_why(text: str, told: str) -> None:
    with pytest.raises(DocumentError, match=told):
        parse_document(text)

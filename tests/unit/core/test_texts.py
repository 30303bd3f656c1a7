from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimass.core.errors import UnknownNameError
from aimass.core.texts import Text, say, speaking, spoken, translate, translate_count

ROWS = "The training part has {rows:,} rows: every figure here is rough."
values = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()


def test_a_text_is_english_until_another_language_is_spoken() -> None:
    found = say(ROWS, rows=4120)
    assert str(found) == "The training part has 4,120 rows: every figure here is rough."
    with speaking("zh"):
        assert str(found) == "训练集只有 4,120 行：这里的数字都只是粗略估计。"
    assert spoken() == "en"


def test_texts_inside_a_text_are_translated_with_it() -> None:
    found = say("{rest:,} more columns: {title}.", rest=3, title=say("skewed"))
    with speaking("zh"):
        assert str(found) == "另有 3 列：偏斜。"
    assert str(Text(message="{all}", values={"all": [say("rows"), say("best")]})) == "rows; best"


@given(values, st.sampled_from(["", ":,", ":.3f", ":.1%"]))
def test_every_text_survives_json_and_can_be_shown(value: float | str | None, spec: str) -> None:
    found = say("{value" + spec + "}", value=value)
    back = Text.model_validate_json(found.model_dump_json())
    assert isinstance(str(back), str)
    if not isinstance(value, float) or math.isfinite(value):
        assert str(back) == str(found)


def test_what_users_named_is_never_taken_for_a_placeholder() -> None:
    assert str(say("{name} is missing in {share:.1%} of the rows.", name="{share} %(x)s", share=0.5)).startswith(
        "{share} %(x)s is missing in 50.0%"
    )
    assert str(say("100 % {of} a third party's metric")) == "100 % {of} a third party's metric"


def test_each_thread_speaks_for_itself() -> None:
    with speaking("zh"), ThreadPoolExecutor(1) as threads:
        assert threads.submit(spoken).result() == "en"


def test_an_unknown_sentence_stays_english_and_an_unknown_language_is_refused() -> None:
    with speaking("zh"):
        assert translate("Nobody translated this.") == "Nobody translated this."
        assert "%(count)s" in translate_count(
            "Not released: one check failed.", "Not released: %(count)s checks failed.", 2
        )
    with pytest.raises(UnknownNameError, match="zh"), speaking("hz"):
        pass

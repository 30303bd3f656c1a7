from __future__ import annotations

import polars as pl
import pytest

from aimass.core.errors import ConfigError, SchemaMismatchError
from aimass.core.sql import sql_expression

FRAME = pl.DataFrame({"a": [1, 2], "s": ["x1.5", "y"], "odd 2.5": [1, 1]})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a > 1", [False, True]),
        ("a / 3.0", [1 / 3, 2 / 3]),
        ("a * .5", [0.5, 1.0]),
        ("s = 'x1.5'", [True, False]),
        ('"odd 2.5" + a', [2, 3]),
        ("CASE WHEN a > 1.5 THEN 'big' ELSE s END", ["x1.5", "big"]),
        ("a BETWEEN 1 AND 1.25", [True, False]),
    ],
)
def test_expressions_give_a_value_per_row(text: str, expected: list[object]) -> None:
    expression, kind = sql_expression(text, FRAME.schema, where="where")
    found = FRAME.select(value=expression)["value"]
    assert found.to_list() == expected
    assert found.dtype == kind


def test_mistakes_name_key_and_expression() -> None:
    with pytest.raises(ConfigError, match=r"derive\.b \('a \+'\) is no valid expression"):
        sql_expression("a +", FRAME.schema, where="derive.b")
    with pytest.raises(SchemaMismatchError, match="Known: a"):
        sql_expression("q + 1", FRAME.schema, where="where")
    with pytest.raises(ConfigError, match="whole table"):
        sql_expression("max(a)", FRAME.schema, where="where")

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aimass.core.deps import Runtime
from aimass.core.errors import NotAllowedError, UnknownNameError
from aimass.hooks.allow import AllowList
from aimass.pipelines.forms.check import Mistake, check_form, check_trigger, preview

Check = Callable[..., list[Mistake]]


def customers(rows: int = 300) -> str:
    draw = random.Random(1)
    lines = [
        f"{n},{draw.randint(18, 80)},{draw.choice('京沪穗')},2024-01-{1 + n % 28:02d},{draw.choice('是否')}"
        for n in range(rows)
    ]
    return "\n".join(["编号,年龄,城市,日期,流失", *lines])


def table(*values: str) -> str:
    return "a,b\n" + "".join(f"{index},{value}\n" for index, value in enumerate(values))


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    return Runtime(store=str(tmp_path / "store"))


@pytest.fixture
def allow(tmp_path: Path) -> AllowList:
    return AllowList(roots=[str(tmp_path / "data")])


@pytest.fixture
def check(tmp_path: Path, runtime: Runtime, allow: AllowList) -> Check:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "客户.csv").write_text(customers(), encoding="utf-8")
    (folder / "gbk.csv").write_text(customers(), encoding="gb18030")
    (folder / "semicolon.csv").write_text(customers().replace(",", ";"), encoding="utf-8")

    def checked(text: str | None = None, **changes: Any) -> list[Mistake]:
        values = {
            "name": "churn",
            "file": str(folder / "客户.csv"),
            "target": "流失",
            "id_columns": ["编号"],
            **changes,
        }
        if text is not None:
            (folder / "own.csv").write_text(text, encoding="utf-8")
            values |= {"file": str(folder / "own.csv"), "target": "b", "id_columns": [], **changes}
        if "/" not in str(values["file"]):
            values["file"] = str(folder / values["file"])
        return check_form("file", values, runtime=runtime, allow=allow)

    return checked


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"positive": "是", "time_column": "日期", "columns": ["年龄", "城市"]},
        {"file": "gbk.csv", "encoding": "gb18030"},
        {"file": "semicolon.csv", "delimiter": "semicolon"},
        {"file": "客*.csv"},
    ],
)
def test_a_good_form_has_no_mistake(check: Check, changes: dict[str, Any]) -> None:
    assert check(**changes) == []


@pytest.mark.parametrize(
    ("changes", "field", "told"),
    [
        ({"trials": 0}, "trials", "greater than or equal to 1"),
        ({"file": "/etc/passwd"}, "file", "allowed_roots"),
        ({"file": "客沪.csv"}, "file", "Did you mean '客户.csv'?"),
        ({"file": "gbk.csv"}, "file", "encoding"),
        ({"file": "semicolon.csv", "id_columns": []}, "target", "is the delimiter right?"),
        ({"target": "流逝"}, "target", "did you mean '流失'?"),
        ({"target": "zzz"}, "target", "known: 编号, 年龄, 城市, 日期, 流失"),
        ({"columns": ["年"]}, "columns", "did you mean '年龄'?"),
        ({"id_columns": ["编码"]}, "id_columns", "did you mean '编号'?"),
        ({"time_column": "时间"}, "time_column", "known:"),
        ({"time_column": "城市"}, "time_column", "is of type String"),
        ({"positive": "对"}, "positive", "one of '否', '是'"),
        ({"target": "城市"}, "target", "more than two values"),
        ({"id_columns": ["编号", "年龄", "城市"], "time_column": "日期"}, "columns", "no column is left"),
    ],
)
def test_each_mistake_stands_at_its_field(check: Check, changes: dict[str, Any], field: str, told: str) -> None:
    (found,) = check(**changes)
    assert found.field == field
    assert told in found.text


@pytest.mark.parametrize(
    ("text", "field", "told"),
    [
        ("", "file", "empty"),
        ("a,b\n", "file", "no rows"),
        (table("x", "x", "x", "x"), "target", "constant"),
        (table("", "", ""), "target", "null in every row"),
        (table("1.5", "2.5", "1.5"), "target", "Float64"),
        (table("x", "y", "x"), "split", "empty"),
        (table(*["x"] * 30, "y"), "split", "every row has the target 'x'"),
        (table(*["x", "y"] * 20) + "1,2,3\n" * 5, "file", "do not fit"),
    ],
)
def test_rows_that_cannot_be_learned_from_are_told(check: Check, text: str, field: str, told: str) -> None:
    (found,) = check(text)
    assert found.field == field
    assert told in found.text


def test_yes_and_no_may_be_spelt_as_in_the_file(check: Check) -> None:
    rows = table(*["true", "false"] * 30)
    assert check(rows, positive="true") == []
    assert check(rows, positive="False") == []
    assert check(rows, positive="yes")[0].field == "positive"


def test_several_mistakes_are_told_at_once(check: Check) -> None:
    assert {one.field for one in check(target="流逝", columns=["年"])} == {"target", "columns"}


def test_what_lies_beyond_the_first_rows_is_no_mistake(check: Check) -> None:
    assert check(table(*["x"] * 11_000, *["y"] * 4_000)) == []


def test_an_uploaded_file_may_always_be_named_but_no_pattern(check: Check, runtime: Runtime) -> None:
    upload = Path(runtime.store) / "uploads" / "ab12" / "mine.csv"
    upload.parent.mkdir(parents=True)
    upload.write_text(customers(), encoding="utf-8")
    assert check(file=str(upload)) == []
    assert check(file=f"file://{upload}") == []
    for escape in (upload.parent.parent / "*/*.csv", upload.parent / "../../../data/客户.csv"):
        assert "allowed_roots" in check(file=str(escape))[0].text


def test_an_unknown_form_is_named(runtime: Runtime, allow: AllowList) -> None:
    with pytest.raises(UnknownNameError, match="'file'"):
        check_form("flie", {}, runtime=runtime, allow=allow)


def test_a_preview_shows_what_the_columns_hold(check: Check, runtime: Runtime, allow: AllowList) -> None:
    folder = allow.roots[0]
    found = preview({"type": "files", "uri": f"{folder}/客户.csv"}, runtime=runtime, allow=allow)
    assert found.rows_seen == 300
    assert [column.type for column in found.columns] == ["integer", "integer", "text", "date", "text"]
    assert found.columns[4].distinct == 2
    with pytest.raises(NotAllowedError):
        preview({"type": "files", "uri": "/etc/passwd"}, runtime=runtime, allow=allow)


def test_a_trigger_is_checked_by_its_form_or_its_pipeline(tmp_path: Path, runtime: Runtime, allow: AllowList) -> None:
    (tmp_path / "shop.yaml").write_text(
        "name: shop\nsources: {a: {type: files, uri: /a.csv}}\ntarget: {name: b}\ntrain: {seed: 1}\n"
    )
    (tmp_path / "broken.yaml").write_text("name: [")

    def trigger(dag_id: str, conf: dict[str, Any]) -> list[Mistake]:
        return check_trigger(dag_id, conf, folder=tmp_path, runtime=runtime, allow=allow)

    assert {one.field for one in trigger("aimass_train_file", {})} == {"name", "target", "file"}
    assert trigger("aimass_shop", {"metric": "f1", "families": ["lightgbm"], "train": {"seed": 2}}) == []
    assert "did you mean 'seed'?" in trigger("aimass_shop", {"train": {"sede": 1}})[0].text
    assert "'trials'" in trigger("aimass_shop", {"trials": 3})[0].text, "nothing is searched there"
    assert trigger("aimass_other", {"anything": 1}) == []

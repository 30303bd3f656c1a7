from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aimass.core.errors import ConfigError, UnknownNameError
from aimass.core.evaluation import METRICS
from aimass.core.models import MODELS
from aimass.core.search import SEARCHES
from aimass.operators.sections import check_stage_config
from aimass.pipelines.forms import (
    FORMS,
    dag_of_project,
    form_dag_id,
    form_of_dag,
    form_params,
    project_of,
    read_form,
)
from aimass.pipelines.forms.base import MAX_ROUNDS
from aimass.pipelines.forms.dags import form_dags
from aimass.pipelines.forms.file import FileForm
from aimass.pipelines.forms.pipeline import PipelineForm
from aimass.pipelines.model import Pipeline

GOOD = {"name": "churn", "file": "/data/客户.csv", "target": "流失"}
NAMES = st.sampled_from([["a", "b", "c", "d"], ["流失", "日期", "编号", "年龄"], ["t ", "x,y", "'", "{{ 1 }}"]])
FIELDS = {
    "positive": st.sampled_from([None, "是", "true", "1"]),
    "split": st.sampled_from(["auto", "random", "stratified"]),
    "validation_share": st.floats(0.01, 0.45),
    "test_share": st.floats(0.01, 0.44),
    "metric": st.sampled_from(METRICS.names()),
    "families": st.lists(st.sampled_from(MODELS.names()), min_size=1, unique=True),
    "strategy": st.sampled_from(SEARCHES.names()),
    "trials": st.integers(1, 1000),
    "rounds": st.integers(1, MAX_ROUNDS),
    "max_minutes": st.none() | st.floats(0.1, 10_000),
    "seed": st.integers(0, 2**31 - 1),
    "approval": st.booleans(),
    "encoding": st.sampled_from(["utf-8", "gb18030", "utf-16", "latin-1"]),
    "delimiter": st.sampled_from(["auto", "comma", "semicolon", "tab", "bar"]),
}


def named(names: list[str], has_time: bool, has_columns: bool, fields: dict[str, Any]) -> dict[str, Any]:
    """Return a form that agrees with itself."""
    target, time, identifier, column = names
    own = {"target": target, "id_columns": [identifier], "columns": [column, ""] if has_columns else []}
    return {**GOOD, **own, **fields, "time_column": time if has_time else None}


FILLED = st.builds(named, NAMES, st.booleans(), st.booleans(), st.fixed_dictionaries({}, optional=FIELDS))


@given(FILLED)
def test_a_form_is_a_pipeline_whose_every_stage_takes_its_configuration(values: dict[str, Any]) -> None:
    form = read_form("file", values)
    pipeline = Pipeline.model_validate(form.document())
    for section in pipeline.sections():
        check_stage_config(section.stage, form.section(section.stage), where=section.stage)
    assert (pipeline.approval is not None) is form.approval
    assert form.section("optimize")["trials"] == values.get("trials", 16)
    assert [model["type"] for model in form.section("train")["models"]] == form.families
    assert list(form.locations()) == [("file", values["file"])]


@settings(max_examples=20)
@given(FILLED)
def test_what_the_trigger_page_sends_is_what_airflow_and_the_form_take(values: dict[str, Any]) -> None:
    params = form_params(FileForm)
    sent = {name: values.get(name, param.value) for name, param in params.items()}
    for name, param in params.items():
        param.resolve(sent[name])
    assert read_form("file", sent) == read_form("file", values)


@pytest.mark.parametrize("form", FORMS.names())
def test_every_field_is_described_titled_and_flat(form: str) -> None:
    params = form_params(FORMS.load(form))  # type: ignore[arg-type]
    for name, param in params.items():
        kinds = (
            {param.schema["type"]} if isinstance(param.schema["type"], str) else set(param.schema["type"]) - {"null"}
        )
        assert len(param.description or "") > 15, name
        assert param.schema["title"], name
        assert param.schema["section"], name
        assert len(kinds) == 1, "two types make a JSON box"
        assert kinds <= {"string", "integer", "number", "boolean", "array"}, name
        assert param.schema.get("items", {"type": "string"}) == {"type": "string"}, name
    assert next(iter(params)) in FORMS.load(form).__annotations__, "what is the source's own stands first"


def test_choices_are_offered_as_the_trigger_page_wants_them() -> None:
    params = form_params(FileForm)
    assert params["metric"].schema["enum"] == METRICS.names()
    assert params["families"].schema["examples"] == MODELS.names()
    assert params["families"].schema["values_display"]["random_forest"] == "random forest"
    assert (params["trials"].schema["minimum"], params["trials"].schema["maximum"]) == (1, 1000)
    required = {name for name, param in params.items() if not param.has_value and "null" not in param.schema["type"]}
    assert required == {"file", "name", "target"}


@pytest.mark.parametrize(
    ("change", "field", "told"),
    [
        ({"target": None}, "target", "is required"),
        ({"familes": []}, "familes", "did you mean 'families'?"),
        ({"name": "客户"}, "name", "English letters"),
        ({"families": ["lightgmb"]}, "families", "did you mean 'lightgbm'?"),
        ({"families": []}, "families", "at least 1"),
        ({"metric": "ac"}, "metric", "did you mean 'auc'?"),
        ({"strategy": "grid"}, "strategy", "known: random, tpe"),
        ({"split": "times"}, "split", "'time'"),
        ({"split": "time"}, "split", "needs the time column"),
        ({"trials": "many"}, "trials", "valid integer"),
        ({"trials": 0}, "trials", "greater than or equal to 1"),
        ({"rounds": 9}, "rounds", "less than or equal to 4"),
        ({"validation_share": 0.5, "test_share": 0.5}, "test_share", "at least 10% must be left"),
        ({"validation_share": 0.8}, "test_share", "95% of the rows"),
        ({"time_column": "流失"}, "time_column", "is the target already"),
        ({"id_columns": ["流失"]}, "id_columns", "is the target already"),
        ({"time_column": "t", "id_columns": ["t"]}, "id_columns", "is the time column already"),
        ({"columns": ["流失"]}, "columns", "no column is left"),
        ({"max_minutes": 0}, "max_minutes", "0.1"),
    ],
)
def test_a_mistake_names_its_field(change: dict[str, Any], field: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_form("file", {**GOOD, **change})
    assert told in " ".join(text for name, text in caught.value.details["mistakes"] if name.partition(".")[0] == field)


def test_what_is_left_empty_has_its_default() -> None:
    empty = {name: None for name in FileForm.model_fields if name not in GOOD}
    assert read_form("file", {**GOOD, **empty, "positive": "", "_airflow": 1}) == read_form("file", GOOD)
    assert read_form("file", GOOD).section("split") == {
        "split": {"type": "stratified", "column": "流失", "seed": 0, "validation": 0.15, "test": 0.15}
    }
    timed = read_form("file", {**GOOD, "time_column": "日期"})
    assert timed.section("split")["split"]["type"] == "time"


def test_names_lead_from_a_form_to_its_dag_and_back() -> None:
    assert form_dag_id("file") == "aimass_train_file"
    assert form_of_dag("aimass_train_file") == "file"
    assert form_of_dag("aimass_train_nothing") is None
    assert form_of_dag("file") is None
    assert dag_of_project(project_of("file", "churn")) == "aimass_train_file"
    assert dag_of_project("flights") == "aimass_flights"
    with pytest.raises(UnknownNameError, match="'file'"):
        read_form("flie", GOOD)


def test_each_form_has_its_dag_with_the_tasks_of_the_largest_pipeline() -> None:
    dag = form_dags()["aimass_train_file"]
    tasks = [task.task_id for task in dag.topological_sort()]
    assert [task for task in tasks if task.startswith("plan_")] == [f"plan_{n}" for n in range(1, MAX_ROUNDS + 1)]
    assert tasks[-2:] == ["approve", "release"]
    assert dag.get_task("approve").when == "{{ params.approval }}"
    assert {task.form for task in dag.tasks if not task.is_mapped} == {"file"}
    assert dag.max_active_runs > 1


def test_a_task_builds_only_its_own_dag(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "aimass_flights")
    assert form_dags() == {}


def test_a_form_that_cannot_become_a_dag_says_so_and_harms_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FORMS._addresses, "gone", "aimass.pipelines.forms.gone:GoneForm")
    dags = form_dags()
    assert set(dags) == {"aimass_train_file", "aimass_train_gone"}
    assert "broken" in dags["aimass_train_gone"].tags
    assert "GoneForm" in (dags["aimass_train_gone"].doc_md or "") or "gone" in (dags["aimass_train_gone"].doc_md or "")


def test_every_field_is_on_the_page_about_forms() -> None:
    page = (Path(__file__).resolve().parents[5] / "docs" / "forms.md").read_text(encoding="utf-8")
    assert [name for name in (*FileForm.model_fields, *PipelineForm.model_fields) if f"`{name}`" not in page] == []

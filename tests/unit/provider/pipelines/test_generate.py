from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
from airflow.serialization.serialized_objects import DagSerialization

from aimass.pipelines import pipeline_dags
from aimass.pipelines.generate import pipelines_dir

Write = Callable[..., Path]
CHAIN = ["ingest", "join", "split", "explore", "validate", "clean", "featurize", "train", "evaluate"]


@pytest.fixture(autouse=True)
def seals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__AIMASS__CHECK_CACHE", str(tmp_path / "seals"))


def test_a_pipeline_becomes_its_dag(write: Write, good: str) -> None:
    path = write(good)
    dags = pipeline_dags(__file__, path.parent)
    (dag,) = dags.values()
    assert dag.dag_id == "aimass_shop"
    search = ["plan_1", "work_1", "plan_2", "work_2", "optimize"]
    assert set(dag.task_ids) == {*CHAIN, *search, "evaluate_best", "release"}
    assert dag.tags == {"aimass", "shop"}
    assert dag.max_active_runs == 1
    assert dag.is_paused_upon_creation is False
    order = [task.task_id for task in dag.topological_sort()]
    for before, after in itertools.pairwise(CHAIN):
        assert order.index(before) < order.index(after)
    for before, after in itertools.pairwise([*search, "evaluate_best", "release"]):
        assert order.index(before) < order.index(after)
    assert "clean" in dag.get_task("validate").downstream_task_ids


def test_tasks_that_fit_models_go_into_the_pipelines_pool(write: Write, good: str) -> None:
    path = write(f"pool: training\n{good}")
    dag = pipeline_dags(__file__, path.parent)["aimass_shop"]
    pooled = {task.task_id for task in dag.tasks if task.pool == "training"}
    assert pooled == {"train", "work_1", "work_2", "optimize"}


def test_the_trigger_form_is_flat_and_says_what_is_written(write: Write, good: str) -> None:
    path = write(good)
    params = pipeline_dags(__file__, path.parent)["aimass_shop"].params
    assert {"metric", "families", "trials", "validation_share", "alias", "where"} <= set(params)
    for name in params:
        param = params.get_param(name)
        kinds = set(param.schema["type"]) - {"null"}
        assert not param.value, name
        assert len(kinds) == 1, name
        assert "object" not in kinds, name
        param.resolve(None)
    assert "as written: 4." in (params.get_param("trials").description or "")
    assert "as written: logistic_regression." in (params.get_param("families").description or "")


def test_the_trigger_form_asks_only_what_has_a_use(write: Write, good: str) -> None:
    text = good.replace("optimize: {rounds: 2, trials: 4}\nrelease:\n", "split: {type: k_fold}\n")
    params = pipeline_dags(__file__, write(text).parent)["aimass_shop"].params
    assert set(params) == {"where", "test_share", "metric", "families", "seed"}


def test_a_dag_survives_airflows_serialization(write: Write, good: str) -> None:
    path = write(good)
    dag = pipeline_dags(__file__, path.parent)["aimass_shop"]
    again = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    assert set(again.task_dict) == set(dag.task_dict)


def test_a_broken_file_becomes_a_dag_that_says_so_and_harms_no_other(write: Write, good: str) -> None:
    write(good)
    path = write(good.replace("name: shop", "name: two").replace("seed: 3", "sede: 3"), "two.yaml")
    dags = pipeline_dags(__file__, path.parent)
    assert set(dags) == {"aimass_shop", "aimass_two"}
    broken = dags["aimass_two"]
    assert "broken" in broken.tags
    assert broken.doc_md is not None
    for part in ("two.yaml", "train.sede", "'seed'"):
        assert part in broken.doc_md
    assert broken.task_ids == ["broken"]
    assert "broken" not in dags["aimass_shop"].tags


def test_the_broken_task_fails_with_the_mistake(write: Write) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    path = write("name: [", "odd name!.yaml")
    (dag,) = pipeline_dags(__file__, path.parent).values()
    assert dag.dag_id == "aimass_odd_name"
    with pytest.raises(AirflowFailException, match="not YAML"):
        dag.get_task("broken").execute({})


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("schedule: every tuesday", "schedule"),
        ("compute: moon", "compute"),
        ("compute: {type: local, x: 1}", "compute"),
    ],
)
def test_what_only_airflow_or_a_backend_knows_is_told_too(write: Write, good: str, line: str, told: str) -> None:
    path = write(good + line + "\n")
    (dag,) = pipeline_dags(__file__, path.parent).values()
    assert "broken" in dag.tags
    assert told in (dag.doc_md or "")


def test_two_files_of_one_name_do_not_hide_each_other(write: Write, good: str) -> None:
    write(good)
    path = write(good, "twin.yaml")
    dags = pipeline_dags(__file__, path.parent)
    assert set(dags) == {"aimass_shop", "aimass_twin"}
    assert "broken" in dags["aimass_twin"].tags


def test_a_broken_file_does_not_take_the_id_of_a_good_one(write: Write, good: str) -> None:
    write(good)
    path = write("name: [", "a_shop.yaml")
    path.rename(path.with_name("shop.yml"))
    dags = pipeline_dags(__file__, path.parent)
    assert set(dags) == {"aimass_shop", "aimass_shop__broken"}


def test_a_task_builds_only_its_own_dag(write: Write, good: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write(good)
    path = write(good.replace("name: shop", "name: two"), "two.yaml")
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "aimass_two")
    assert set(pipeline_dags(__file__, path.parent)) == {"aimass_two"}


def test_a_task_does_not_check_its_pipeline_again(
    write: Write, good: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(good.replace("seed: 3", "sede: 3"))
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "aimass_shop")
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_TASK_ID", "train")
    assert "train" in pipeline_dags(__file__, path.parent)["aimass_shop"].task_ids
    assert not (tmp_path / "seals").exists()
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_TASK_ID", "broken")
    assert pipeline_dags(__file__, path.parent)["aimass_shop"].task_ids == ["broken"]


def test_html_in_a_mistake_stays_text(write: Write, good: str) -> None:
    path = write(good.replace("seed: 3", "'<script>alert(1)</script>': 3"))
    (dag,) = pipeline_dags(__file__, path.parent).values()
    assert "<script>" not in (dag.doc_md or "")


def test_the_folder_comes_from_the_option(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert pipelines_dir("/srv/dags/aimass_pipelines.py") == Path("/srv/include/pipelines")
    monkeypatch.setenv("AIRFLOW__AIMASS__PIPELINES_DIR", str(tmp_path))
    assert pipelines_dir("/srv/dags/x.py") == tmp_path


def test_a_pipeline_follows_its_sources(write: Write, good: str) -> None:
    path = write(f"schedule: '@new_data'\ningest: {{mode: incremental}}\n{good}")
    dag = pipeline_dags(__file__, path.parent)["aimass_shop"]
    assets = dag.timetable.asset_condition.objects
    watched = [(asset.uri, watcher.trigger) for asset in assets for watcher in asset.watchers]
    assert watched
    for uri, trigger in watched:
        assert uri == f"aimass://shop/new/{trigger.config['name']}"
        assert trigger.config["mode"] == "incremental"
        assert trigger.project == "shop"
    assert DagSerialization.from_dict(DagSerialization.to_dict(dag)).dag_id == "aimass_shop"


@pytest.mark.parametrize(("option", "seconds"), [("", 30), ("0.5", 0.5)])
def test_how_often_sources_are_asked_is_an_option(
    write: Write, good: str, monkeypatch: pytest.MonkeyPatch, option: str, seconds: float
) -> None:
    monkeypatch.setenv("AIRFLOW__AIMASS__NEW_DATA_POLL_S", option)
    path = write(f"schedule: '@new_data'\ningest: {{mode: incremental}}\n{good}")
    condition = pipeline_dags(__file__, path.parent)["aimass_shop"].timetable.asset_condition
    assert {watcher.trigger.poll_s for asset in condition.objects for watcher in asset.watchers} == {seconds}


@pytest.mark.parametrize("option", ["often", "0", "-1", "inf", "nan"])
def test_how_often_sources_are_asked_is_a_number_of_seconds(
    write: Write, good: str, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    monkeypatch.setenv("AIRFLOW__AIMASS__NEW_DATA_POLL_S", option)
    path = write(f"schedule: '@new_data'\ningest: {{mode: incremental}}\n{good}")
    (dag,) = pipeline_dags(__file__, path.parent).values()
    assert "broken" in dag.tags
    assert "new_data_poll_s" in dag.doc_md


def test_only_incremental_reads_can_be_followed(write: Write, good: str) -> None:
    path = write(f"schedule: '@new_data'\n{good}")
    (dag,) = pipeline_dags(__file__, path.parent).values()
    assert "broken" in dag.tags
    assert "mode: incremental" in dag.doc_md

"""The DAGs of the ingest forms: made from each source's own settings, and light once they were made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.serialization.serialized_objects import DagSerialization

from aimass.core.deps import Runtime
from aimass.core.sources import SOURCES
from aimass.hooks.allow import AllowList
from aimass.pipelines.forms import dag_of_project
from aimass.pipelines.forms.check import check_trigger
from aimass.pipelines.forms.ingest import MORE, ingest_dag, ingest_dag_id, ingest_dags, kind_of_dag


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__AIMASS__CHECK_CACHE", str(tmp_path / "seals"))


@pytest.mark.parametrize("kind", SOURCES.names())
def test_every_kind_of_source_has_a_form(kind: str) -> None:
    dag = ingest_dag(kind)
    fields = {name: dag.params.get_param(name) for name in dag.params}
    assert fields["name"].schema["type"] == "string"
    assert {"options", "mode", "keep", "group"} <= fields.keys()
    if kind != "files":
        assert fields["conn_id"].value == f"aimass_{kind}"
    for name, param in fields.items():
        assert param.description, name
        assert param.schema["title"]
        assert param.schema.get("section") in (None, MORE)
        if name not in ("name", "uri", "path", "collection"):
            json.dumps(param.resolve(suppress_exception=False))
    assert DagSerialization.from_dict(DagSerialization.to_dict(dag)).dag_id == f"aimass_ingest_{kind}"


def test_a_form_is_made_once_and_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    first = ingest_dags()
    assert set(first) == {ingest_dag_id(kind) for kind in SOURCES.names()}
    monkeypatch.setattr("aimass.pipelines.forms.ingest.source_settings", None)
    again = ingest_dags()
    assert {name: dag.params.dump() for name, dag in again.items()} == {
        name: dag.params.dump() for name, dag in first.items()
    }


def test_a_source_that_cannot_be_loaded_takes_no_other_down() -> None:
    SOURCES.register("gone", "aimass.no_such_module:Source")
    try:
        dags = ingest_dags()
    finally:
        SOURCES._addresses.pop("gone")
    assert any("broken" in dag.tags for dag in dags.values())
    assert "aimass_ingest_files" in dags


def test_ids() -> None:
    assert kind_of_dag("aimass_ingest_files") == "files"
    assert kind_of_dag("aimass_ingest_nothing") is None
    assert kind_of_dag("aimass_flights") is None
    assert dag_of_project("ingest_files") == "aimass_ingest_files"
    assert dag_of_project("ingest_files.shop") == "aimass_ingest_files"
    assert dag_of_project("file.churn") == "aimass_train_file"
    assert dag_of_project("flights") == "aimass_flights"


@pytest.mark.parametrize(
    ("conf", "field", "told"),
    [
        ({"name": "t", "uri": "{folder}/t.csv"}, None, ""),
        ({"name": "t", "uri": "{folder}/s.csv"}, "", "s.csv"),
        ({"name": "t", "uri": "/etc/passwd"}, "uri", "allowed_roots"),
        ({"name": "t"}, "uri", "is required"),
        ({"name": "t", "uri": "{folder}/t.csv", "mod": "full"}, "mod", "'mode'"),
    ],
)
def test_what_is_wrong_is_said_before_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, conf: dict[str, Any], field: str | None, told: str
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "t.csv").write_text("a\n1\n")
    monkeypatch.setenv("AIRFLOW__AIMASS__ALLOWED_ROOTS", str(tmp_path / "data"))
    filled = {name: value.format(folder=tmp_path / "data") for name, value in conf.items()}
    runtime = Runtime(store=str(tmp_path / "store"))
    found = check_trigger("aimass_ingest_files", filled, folder=tmp_path, runtime=runtime, allow=AllowList())
    assert [mistake.field for mistake in found] == ([] if field is None else [field])
    assert all(told in mistake.text for mistake in found)

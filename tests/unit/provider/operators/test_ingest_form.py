"""The form of an ingest: what becomes of its fields, and what is refused."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from aimass.core.errors import ConfigError, NotAllowedError
from aimass.core.settings import Location
from aimass.core.sources import SOURCES
from aimass.hooks.allow import AllowList
from aimass.operators.ingest import IngestOperator
from aimass.operators.ingest_form import (
    _is_location,
    check_ingest,
    is_flat,
    project_of_form,
    read_ingest_form,
    shown_fields,
    source_settings,
)

GOOD = {"name": "flights", "uri": "/data/flights.csv"}


def mistakes(values: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(ConfigError) as caught:
        read_ingest_form("files", values)
    return list(caught.value.details["mistakes"])


def test_fields_become_the_configuration_of_the_stage() -> None:
    filled = {**GOOD, "delimiter": "", "columns": None, "keep": "new", "mode": "incremental", "_airflow": 1}
    assert read_ingest_form("files", {**filled, "options": {"types": {"a": "string"}}, "group": "a"}) == {
        "name": "flights",
        "mode": "incremental",
        "keep": "new",
        "source": {"type": "files", "uri": "/data/flights.csv", "types": {"a": "string"}},
    }


@pytest.mark.parametrize(
    ("values", "field", "told"),
    [
        ({"uri": "x"}, "name", "is required"),
        ({**GOOD, "name": "../x"}, "name", "English letters"),
        ({**GOOD, "group": "a.b"}, "group", "English letters"),
        ({"name": "x"}, "uri", "is required"),
        ({**GOOD, "ur": "x"}, "ur", "did you mean 'uri'?"),
        ({**GOOD, "project": "flights"}, "project", "unknown key"),
        ({**GOOD, "partition": [1]}, "partition", "unknown key"),
        ({**GOOD, "mode": "incremantal"}, "mode", "'incremental'"),
        ({**GOOD, "max_reject_share": 3}, "max_reject_share", "less than or equal to 1"),
        ({**GOOD, "format": "xlsx"}, "format", "'parquet'"),
        ({**GOOD, "options": {"hedaer": False}}, "options.hedaer", "did you mean 'header'?"),
        ({**GOOD, "options": {"uri": "/etc/passwd"}}, "options.uri", "has a field of its own"),
        ({**GOOD, "options": {"type": "mysql"}}, "options.type", "set by the form itself"),
        ({**GOOD, "options": "x"}, "options", "a mapping"),
    ],
)
def test_a_mistake_is_told_at_its_field(values: dict[str, Any], field: str, told: str) -> None:
    ((seen, text),) = mistakes(values)
    assert seen == field
    assert told in text


@given(
    st.dictionaries(
        st.sampled_from([*GOOD, "mode", "keep", "options", "group", "columns", "type", "source", "x"]),
        st.none() | st.text(max_size=4) | st.integers() | st.lists(st.text(max_size=2), max_size=2),
    )
)
def test_whatever_is_sent_is_read_or_refused(values: dict[str, Any]) -> None:
    told: list[tuple[str, str]] = []
    try:
        read_ingest_form("files", {**GOOD, **values})
    except ConfigError as error:
        told = error.details["mistakes"]
    assert all(text for _, text in told)


def test_a_path_outside_the_allowed_roots_is_refused(tmp_path: Path) -> None:
    config = read_ingest_form("files", GOOD)
    check_ingest(config, AllowList(roots=["/data"]), str(tmp_path))
    with pytest.raises(NotAllowedError, match="allowed_roots") as caught:
        check_ingest(config, AllowList(), str(tmp_path))
    assert caught.value.details["key"] == "uri"


class Many(BaseModel):
    text: str | None = None
    path: Location | None = None
    place: Location = ""
    names: tuple[str, ...] = ()
    table: dict[str, str] = Field(default={})
    pair: tuple[int, str] = (1, "x")
    either: int | str = 1
    kept: Annotated[float, Field(ge=1)] | None = None


def test_which_fields_are_paths_and_which_fit_a_page() -> None:
    assert [name for name, info in Many.model_fields.items() if _is_location(info)] == ["path", "place"]
    shapes = Many.model_json_schema()["properties"]
    assert [name for name in shapes if is_flat(shapes[name])] == ["text", "path", "place", "names", "kept"]


@pytest.mark.parametrize("kind", SOURCES.names())
def test_every_field_that_is_shown_is_one_of_the_source(kind: str) -> None:
    fields = source_settings(kind).model_fields
    assert {*shown_fields(kind)} <= {*fields}
    assert {name for name, info in fields.items() if info.is_required()} <= {*shown_fields(kind)}


def test_projects_of_forms_are_nobody_elses() -> None:
    assert project_of_form("mysql") == "ingest_mysql"
    assert project_of_form("mysql", "shop") == "ingest_mysql.shop"


def test_the_operator_reads_its_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__AIMASS__STORE", str(tmp_path / "store"))
    uploads = tmp_path / "store" / "uploads"
    uploads.mkdir(parents=True)
    (uploads / "t.csv").write_text("a\n1\n2\n")

    def context(**conf: Any) -> Any:
        run = SimpleNamespace(dag_id="d", run_id="r", conf=conf, triggering_user_name="ada")
        return {"dag_run": run, "ti": SimpleNamespace(xcom_push=lambda **_: None), "outlet_events": {}}

    task = IngestOperator(task_id="i", source_form="files", project="ingest_files", outlets=[])
    task.outlets = []
    assert task.execute(context(name="t", uri=str(uploads / "t.csv")))["rows"] == 2
    with pytest.raises(AirflowFailException, match="allowed_roots"):
        task.execute(context(name="t", uri="/etc/passwd"))
    with pytest.raises(AirflowFailException, match="did you mean 'uri'"):
        task.execute(context(name="t", ur=str(uploads / "t.csv")))

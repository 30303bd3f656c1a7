from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aimass.cli.settings import read_settings
from aimass.core.errors import ConfigError

Airflow = Callable[..., Any]

FILE = """\
airflow:
  connections:
    - {conn_id: lake, conn_type: aws, conn_login: key, conn_password: s3cr3t-31, conn_extra: {region: eu}}
    - {conn_id: by_uri, conn_uri: "mysql://user:s3cr3t-32@db:3306/shop"}
    - {conn_id: both, conn_type: http, conn_host: h, conn_uri: "mysql://x"}
    - {conn_id: nothing}
    - {conn_id:, conn_type: http}
  pools:
    - {pool_name: small, pool_slot: 3, pool_description: few}
    - {pool_name: none, pool_slot: 0}
  variables:
    - {variable_name: colour, variable_value: red}
    - {variable_name: number, variable_value: 3}
    - {variable_name: empty, variable_value: ""}
"""


@pytest.fixture(scope="module")
def database() -> None:
    from airflow.utils.db import initdb

    initdb()


def stored() -> dict[str, Any]:
    from airflow.models import Connection, Pool, Variable  # noqa: TID251 - looks at what the command wrote
    from airflow.utils.session import create_session

    with create_session() as session:
        connections = {c.conn_id: (c.conn_type, c.host, c.login, c.password, c.port) for c in session.query(Connection)}
        pools = {pool.pool: (pool.slots, pool.description) for pool in session.query(Pool)}
        variables = {variable.key: variable.val for variable in session.query(Variable)}
    return {"connections": connections, "pools": pools, "variables": variables}


@pytest.mark.usefixtures("database")
def test_apply_follows_the_astro_cli_and_is_idempotent(airflow: Airflow, tmp_path: Path) -> None:
    path = tmp_path / "airflow_settings.yaml"
    path.write_text(FILE)
    first = airflow("settings", "apply", str(path))
    assert first.code == 0, first.err
    found = stored()
    assert found["connections"]["lake"] == ("aws", None, "key", "s3cr3t-31", None)
    assert found["connections"]["by_uri"] == ("mysql", "db", "user", "s3cr3t-32", 3306)
    assert found["connections"]["both"][0] == "http"
    assert "nothing" not in found["connections"]
    assert found["pools"]["small"] == (3, "few")
    assert "none" not in found["pools"]
    assert found["variables"] == {"colour": "red", "number": "3"}
    assert "s3cr3t" not in first.out + first.err
    assert "connections: 3 applied, 2 skipped" in first.out
    assert airflow("settings", "apply", str(path)).code == 0
    assert stored() == found


@pytest.mark.usefixtures("database")
def test_a_bad_entry_changes_nothing(airflow: Airflow, tmp_path: Path) -> None:
    before = stored()
    path = tmp_path / "s.yaml"
    path.write_text(
        "airflow:\n  pools: [{pool_name: new, pool_slot: 1}]\n"
        "  connections: [{conn_id: c, conn_type: x, conn_extra: s3cr3t-33}]\n"
    )
    done = airflow("settings", "apply", str(path))
    assert done.code == 2
    assert "s3cr3t" not in done.out + done.err
    assert stored() == before


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("airflow: {conections: []}", "did you mean 'connections'"),
        ("airflow: {connections: [{conn_id: c, conn_pasword: s3cr3t-34}]}", "did you mean 'conn_password'"),
        ("airflow: {connections: [{conn_id: c, conn_port: s3cr3t-35}]}", "conn_port"),
        ("airflow: [", "YAML"),
    ],
)
def test_mistakes_name_the_place_and_never_a_value(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=told) as caught:
        read_settings(path)
    assert "s3cr3t" not in str(caught.value)


def test_a_missing_file_is_named(airflow: Airflow, tmp_path: Path) -> None:
    done = airflow("settings", "apply", str(tmp_path / "gone.yaml"))
    assert done.code == 2
    assert "gone.yaml" in done.err


def test_the_shipped_file_is_valid(root: Path) -> None:
    assert read_settings(root / "airflow_settings.yaml")

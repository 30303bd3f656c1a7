from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import Connection

from aimass.hooks.address import address_of


@pytest.mark.parametrize(
    ("fields", "address"),
    [
        ({}, None),
        ({"host": "obs.test"}, "https://obs.test"),
        ({"host": "obs.test", "port": 443}, "https://obs.test"),
        ({"host": "obs.test", "port": 9000, "schema": "http"}, "http://obs.test:9000"),
        ({"host": "https://obs.test", "port": 443}, "https://obs.test"),
        ({"host": "http://obs.test/base", "port": 9000}, "http://obs.test:9000/base"),
        ({"host": "http://obs.test:8333", "port": 9000}, "http://obs.test:8333"),
        ({"host": "http://[::1]", "port": 9000}, "http://[::1]:9000"),
        ({"host": "http://obs.test:wrong", "port": 9000}, "http://obs.test:wrong"),
    ],
)
def test_a_host_may_be_an_address_with_or_without_its_port(fields: dict[str, Any], address: str | None) -> None:
    assert address_of(Connection(conn_id="c", conn_type="aimass_obs", **fields), scheme="https") == address

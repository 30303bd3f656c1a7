"""Which connections a configuration names, which hook reads each, and what a conf may do about it."""

from __future__ import annotations

import json
from typing import Annotated, Any

import pytest
from airflow.sdk import BaseHook
from pydantic import Field

from aimass.core.backends import BackendOf
from aimass.core.errors import ConfigError, NotAllowedError
from aimass.core.registry import Registry
from aimass.core.settings import ConnectionId, Settings
from aimass.hooks.allow import AllowList
from aimass.hooks.connections import HOOKS, NamedConnection, connection_documents, named_connections


class OrdersHook(BaseHook):
    """Reads connections of the type `orders`, as a third party's would."""

    conn_type = "orders"

    def __init__(self, orders_conn_id: str) -> None:
        super().__init__()
        self.orders_conn_id = orders_conn_id

    def document(self) -> dict[str, Any]:
        found = self.get_connection(self.orders_conn_id)
        return {"host": found.host, "password": found.password}


class OrdersSettings(Settings):
    conn_id: ConnectionId = Field(default="orders", description="Connection.")
    table: str = Field(default="", description="Table.")


class Orders:
    Settings = OrdersSettings


class PlainSettings(Settings):
    uri: str = Field(default="", description="Place.")


class Plain:
    Settings = PlainSettings


SHOPS: Registry[Any] = Registry("shop", {"orders": f"{__name__}:Orders", "plain": f"{__name__}:Plain"})


class Inner(Settings):
    conn_id: ConnectionId = Field(default="inner", description="Connection.")


class Stage(Settings):
    source: Annotated[dict[str, Any], BackendOf(SHOPS)] = Field(description="One.")
    more: Annotated[dict[str, dict[str, Any]], BackendOf(SHOPS)] = Field(default={}, description="By name.")
    steps: Annotated[tuple[dict[str, Any], ...] | None, BackendOf(SHOPS)] = Field(default=None, description="Listed.")
    inner: Inner | None = Field(default=None, description="Not followed: what may be missing names nothing.")


@pytest.fixture(autouse=True)
def _orders(monkeypatch: pytest.MonkeyPatch) -> None:
    HOOKS.register("orders", f"{__name__}:OrdersHook")
    monkeypatch.setenv("AIRFLOW_CONN_ORDERS", json.dumps({"conn_type": "orders", "host": "h", "password": "p-3141"}))
    monkeypatch.setenv("AIRFLOW_CONN_WEB", json.dumps({"conn_type": "http", "host": "h"}))


def ids(document: dict[str, Any]) -> list[str]:
    return [named.conn_id for named in named_connections(Stage, document)]


def test_a_field_that_is_left_out_names_its_default() -> None:
    assert ids({"source": {"type": "orders"}}) == ["orders"]
    assert ids({"source": {"type": "orders", "conn_id": "other"}}) == ["other"]
    assert ids({"source": {"type": "plain", "uri": "x"}}) == []


def test_backends_are_found_in_mappings_and_lists() -> None:
    asked = {"type": "orders", "conn_id": "a"}
    document = {"source": {"type": "plain"}, "more": {"x": asked}, "steps": [{**asked, "conn_id": "b"}]}
    assert ids(document) == ["a", "b"]


def test_an_unknown_backend_is_named() -> None:
    with pytest.raises(ConfigError, match="'orders'"):
        ids({"source": {"type": "order"}})


def test_the_hook_of_the_connections_own_type_reads_it() -> None:
    named = [NamedConnection("orders", "orders", {}), NamedConnection("nobody_knows", "orders", {})]
    found = connection_documents(named)
    assert "p-3141" not in str(found)
    assert {name: json.loads(text.get_secret_value()) for name, text in found.items()} == {
        "orders": {"host": "h", "password": "p-3141"}
    }


def test_a_connection_of_another_kind_of_server_is_refused() -> None:
    with pytest.raises(ConfigError, match="of the type 'http'") as caught:
        connection_documents([NamedConnection("web", "orders", {})])
    assert "orders" in str(caught.value.expected)
    with pytest.raises(ConfigError, match="of the type 'orders'"):
        connection_documents([NamedConnection("orders", "aimass_mysql", {})])


def test_forms_may_name_what_is_called_like_our_types_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    AllowList.for_forms().check_connection("aimass_mysql", where="conn_id")
    with pytest.raises(NotAllowedError):
        AllowList.from_options().check_connection("aimass_mysql", where="conf")
    monkeypatch.setenv("AIRFLOW__AIMASS__FORM_CONNECTIONS", "")
    with pytest.raises(NotAllowedError, match="allowed_connections"):
        AllowList.for_forms().check_connection("aimass_mysql", where="conn_id")

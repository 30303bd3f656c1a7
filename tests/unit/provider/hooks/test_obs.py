from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import Connection

from aimass.core.errors import ConfigError
from aimass.core.object_storage.connection import ObsConnection
from aimass.core.settings import parse_settings
from aimass.hooks.obs import ObsHook, aws_document, obs_document


def connection(conn_type: str, extra: dict[str, Any] | None = None, **fields: Any) -> Connection:
    return Connection(conn_id="c", conn_type=conn_type, extra=json.dumps(extra or {}), **fields)


def parsed(document: dict[str, Any]) -> ObsConnection:
    return parse_settings(ObsConnection, document, where="test", is_secret=True)


def test_our_own_connection() -> None:
    extra = {"region": "cn-north-4", "retries": 5, "ca_file": "", "bucket": "b"}
    host = "obs.cn-north-4.myhuaweicloud.com"
    document = obs_document(connection("aimass_obs", extra, host=host, login="AK", password="SK"))
    assert document == {
        "endpoint": f"https://{host}",
        "access_key_id": "AK",
        "secret_access_key": "SK",
        "region": "cn-north-4",
        "retries": 5,
    }
    found = parsed(document)
    assert found.bucket_address("b") == f"https://b.{host}"
    assert (found.signing_region, found.addressing) == ("cn-north-4", "virtual")


def test_the_identity_of_a_server_or_pod_needs_no_keys() -> None:
    document = obs_document(connection("aimass_obs", {"credentials": "ecs"}, host="obs.cn-north-4.myhuaweicloud.com"))
    assert parsed(document).credentials == "ecs"


@pytest.mark.parametrize(
    ("extra", "fields", "addressing", "endpoint"),
    [
        ({"region_name": "eu-central-1"}, {}, "virtual", None),
        ({"endpoint_url": "http://127.0.0.1:9000"}, {}, "path", "http://127.0.0.1:9000"),
        ({"endpoint_url": "http://localhost:9000"}, {}, "path", "http://localhost:9000"),
        ({"endpoint_url": "https://s3.example.org"}, {}, "virtual", "https://s3.example.org"),
        (
            {"endpoint_url": "https://s3.example.org", "config_kwargs": {"s3": {"addressing_style": "path"}}},
            {},
            "path",
            "https://s3.example.org",
        ),
        ({"service_config": {"s3": {"endpoint_url": "http://[::1]:1"}}}, {}, "path", "http://[::1]:1"),
    ],
)
def test_a_connection_of_amazons_type(
    extra: dict[str, Any], fields: dict[str, Any], addressing: str, endpoint: str | None
) -> None:
    document = aws_document(connection("aws", extra, login="AK", password="SK", **fields))
    found = parsed(document)
    assert (found.protocol, found.credentials, found.addressing) == ("s3", "keys", addressing)
    assert found.endpoint == endpoint


def test_amazons_own_identity_is_left_to_the_chain() -> None:
    found = parsed(aws_document(connection("aws", {"region_name": "eu-central-1"})))
    assert (found.credentials, found.address) == ("chain", "https://s3.eu-central-1.amazonaws.com")


@pytest.mark.parametrize("extra", [{"verify": False}, {"verify": "false"}, {"role_arn": "arn:aws:iam::1:role/x"}])
def test_what_the_engine_will_not_do_is_refused(extra: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="'c'"):
        aws_document(connection("aws", extra, login="AK", password="SK"))


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"endpoint": "https://obs.test"}, "access_key_id and secret_access_key"),
        ({"access_key_id": "a", "secret_access_key": "Hidden-1"}, "needs an endpoint"),
        ({"endpoint": "https://bucket.obs.test/key", "credentials": "ecs"}, "without a bucket"),
        ({"endpoint": "ftp://obs.test", "credentials": "ecs"}, "https://<host>"),
        ({"endpoint": "https://obs.test", "protocol": "s3", "credentials": "ecs"}, "use chain"),
    ],
)
def test_impossible_connections_say_what_is_wrong_and_no_secret(document: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as raised:
        parsed(document)
    assert "Hidden-1" not in str(raised.value)


def test_the_button_test_tells_what_is_wrong_without_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    uri = "aimass-obs://AK:Hidden-1@http%3A%2F%2F127.0.0.1%3A1?addressing=path"
    monkeypatch.setenv("AIRFLOW_CONN_AIMASS_OBS", uri)
    ok, said = ObsHook().test_connection()
    assert not ok
    assert "No answer" in said
    assert "Hidden-1" not in said

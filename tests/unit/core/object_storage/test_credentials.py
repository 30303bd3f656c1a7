from __future__ import annotations

import functools
import json
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from obs import loadtoken

from aimass.core.errors import NotAllowedError
from aimass.core.object_storage.connection import Credentials, ObsConnection
from aimass.core.object_storage.credentials import HuaweiCredentials
from tests.services.answering import Answer, answering

# Huawei's SDK asks for the time in the old way.
pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")

VARIABLES = ("OBS_ACCESS_KEY_ID", "OBS_SECRET_ACCESS_KEY", "OBS_SECURITY_TOKEN", "HUAWEI_CLOUD_IDP_ID")
NOBODY = "http://127.0.0.1:1"


@pytest.fixture(autouse=True)
def _nobody_hands_out_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name in ("ak", "sk", "token", "expires"):
        monkeypatch.setattr(loadtoken.ECS, name, None)
    monkeypatch.setattr(loadtoken.OIDC, "_provider_instance", None)
    _move_metadata(monkeypatch, NOBODY)


def _move_metadata(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """Have the SDK ask `address` instead of the cloud's fixed 169.254.169.254."""

    def connect(host: str, *, timeout: float) -> HTTPConnection:
        moved = urlsplit(address)
        return HTTPConnection(str(moved.hostname), moved.port, timeout=timeout)

    monkeypatch.setattr(loadtoken, "httplib", SimpleNamespace(HTTPConnection=connect))


def _asked(kind: Credentials) -> HuaweiCredentials:
    return HuaweiCredentials(ObsConnection(endpoint="https://obs.test", credentials=kind))


def _handed_out(access: str, *, lasts: timedelta = timedelta(hours=1)) -> bytes:
    expires = f"{datetime.now(UTC) + lasts:%Y-%m-%dT%H:%M:%S.%fZ}"
    keys = {"access": access, "secret": "SK", "securitytoken": "T", "expires_at": expires}
    return json.dumps({"credential": keys}).encode()


def _metadata(request: BaseHTTPRequestHandler, body: bytes, *, asked: list[str], has_v2: bool = True) -> Answer:
    asked.append(f"{request.command} {request.path}")
    if request.command == "PUT":
        return (200, {}, b"session") if has_v2 else (404, {}, b"")
    is_known = not has_v2 or request.headers["X-securitykey-Token"] == "session"
    return (200, {}, _handed_out("AK-ecs")) if is_known else (401, {}, b"")


def test_environment_has_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OBS_ACCESS_KEY_ID", "AK")
    monkeypatch.setenv("OBS_SECRET_ACCESS_KEY", "SK")
    found = _asked("environment")()
    left = found.pop("expires_at") - datetime.now(UTC)
    assert found == {"access_key_id": "AK", "secret_access_key": "SK", "token": None}
    assert timedelta(minutes=4) < left <= HuaweiCredentials.kept
    monkeypatch.setenv("OBS_SECURITY_TOKEN", "T")
    assert _asked("chain")()["token"] == "T"


@pytest.mark.parametrize("has_v2", [True, False])
def test_cloud_server_has_an_agency(monkeypatch: pytest.MonkeyPatch, has_v2: bool) -> None:
    asked: list[str] = []
    with answering(functools.partial(_metadata, asked=asked, has_v2=has_v2)) as address:
        _move_metadata(monkeypatch, address)
        found = _asked("ecs")()
        again = _asked("chain")()
    assert (found["access_key_id"], found["secret_access_key"], found["token"]) == ("AK-ecs", "SK", "T")
    assert again["access_key_id"] == "AK-ecs"
    # The second answer is the SDK's own, for as long as the first one's keys are good.
    assert asked == ["PUT /meta-data/latest/api/token", "GET /openstack/latest/securitykey"]


def test_keys_that_are_about_to_end_are_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loadtoken.ECS, "ak", "AK-old")
    monkeypatch.setattr(loadtoken.ECS, "expires", datetime.now(UTC).replace(tzinfo=None) + timedelta(minutes=9))
    with answering(functools.partial(_metadata, asked=[])) as address:
        _move_metadata(monkeypatch, address)
        assert _asked("ecs")()["access_key_id"] == "AK-ecs"


def test_pod_has_an_identity(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def iam(request: BaseHTTPRequestHandler, body: bytes) -> Answer:
        if request.path == "/v3.0/OS-AUTH/id-token/tokens":
            is_known = request.headers["X-Idp-Id"] == "idp" and b'"id": "jwt"' in body
            return (201, {"X-Subject-Token": "federated"}, b"{}") if is_known else (401, {}, b"{}")
        is_known = request.headers["X-Auth-Token"] == "federated"
        return (201, {}, _handed_out("AK-pod")) if is_known else (401, {}, b"{}")

    (tmp_path / "token").write_text("jwt\n")
    monkeypatch.setenv("HUAWEI_CLOUD_IDP_ID", "idp")
    monkeypatch.setenv("OIDC_TOKEN_FILE", str(tmp_path / "token"))
    with answering(iam) as address:
        monkeypatch.setattr(loadtoken.IdTokenCredentialsProvider, "_DEFAULT_IAM_ENDPOINT", address)
        monkeypatch.setattr(loadtoken, "httplib", SimpleNamespace(HTTPConnection=HTTPConnection))
        found = _asked("oidc")()
    assert (found["access_key_id"], found["token"]) == ("AK-pod", "T")


@pytest.mark.parametrize("kind", ["environment", "ecs", "oidc", "chain"])
def test_nobody_there_says_what_to_do(kind: Credentials) -> None:
    with pytest.raises(NotAllowedError, match=f"asked: {kind}") as raised:
        _asked(kind)()
    assert raised.value.hint

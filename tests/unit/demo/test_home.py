from __future__ import annotations

import json
import socket
import stat
from pathlib import Path

import pytest

from demo import home as home_module
from demo.errors import DemoError
from demo.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "demo folder")
    home.prepare()
    return home


def test_secrets_are_made_once_and_only_their_owner_reads_them(home: Home) -> None:
    first = dict(home.secrets)
    home.write_password()
    assert dict(Home(home.folder).secrets) == first
    for path in (home.folder / "secrets.json", home.airflow / "passwords.json"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads((home.airflow / "passwords.json").read_text()) == {"admin": first["password"]}


def test_a_busy_port_is_said_and_another_is_taken(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        busy = server.getsockname()[1]
        monkeypatch.setitem(home_module.PREFERRED_PORTS, "airflow", busy)
        (sentence,) = [text for text in home.choose_ports() if "airflow" in text]
    assert sentence == f"port {busy} is busy: airflow takes {home.ports()['airflow']} instead"
    assert home.ports()["airflow"] != busy


def test_demos_with_offsets_of_their_own_do_not_choose_the_same_ports(home: Home, tmp_path: Path) -> None:
    beside = Home(tmp_path / "beside", port_offset=1000)
    beside.prepare()
    for each in (home, beside):
        each.choose_ports()
    assert not set(home.ports().values()) & set(beside.ports().values())
    assert all(port >= home_module.PREFERRED_PORTS[name] + 1000 for name, port in beside.ports().items())


def test_services_may_write_bytecode_and_know_whose_they_are(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    home.choose_ports()
    env = home.environment()
    assert "PYTHONDONTWRITEBYTECODE" not in env
    assert env["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"
    assert env["AIMASS_DEMO_FOLDER"] == str(home.folder)
    assert env["AIRFLOW__AIMASS__TRACKING_URI"] == home.mlflow_url


def test_a_second_command_is_kept_out(home: Home) -> None:
    with home.locked(), pytest.raises(DemoError, match="Another demo command is at work"), home.locked():
        pass

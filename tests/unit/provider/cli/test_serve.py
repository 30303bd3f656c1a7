from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aimass.core.storage import OPTIONS_VARIABLE
from aimass.serving.config import ServeConfig
from aimass.serving.registry import deps_of

Airflow = Callable[..., Any]
Started = list[tuple[list[str], dict[str, str]]]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    """Note what this process would have become."""
    found: Started = []

    def become(_: str, words: list[str], environment: dict[str, str]) -> None:
        found.append((words, environment))
        raise SystemExit(0)

    monkeypatch.setattr(os, "execve", become)
    return found


def test_every_option_of_the_server_is_an_option_of_the_command(airflow: Airflow) -> None:
    done = airflow("serve", "--help")
    assert done.code == 0
    for field in ServeConfig.model_fields:
        assert f"--{field.replace('_', '-')}" in done.out


def test_replay_takes_the_options_that_it_looks_at_and_tells_its_exit_code(airflow: Airflow) -> None:
    done = airflow("replay", "--help")
    assert done.code == 0
    flags = set(re.findall(r"--[a-z-]+", done.out))
    assert {"--store", "--tracking-uri", "--registry-uri", "--cache-dir", "--config", "--model"} <= flags
    assert not {"--port", "--workers", "--tokens-file"} & flags
    assert "Exit code 0" in done.out


def test_an_empty_store_keeps_no_log_whatever_the_connection_says(
    airflow: Airflow, started: Started, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__AIMASS__STORE", str(tmp_path / "store"))
    airflow("serve", "--store", "")
    ((words, _),) = started
    assert words[words.index("--store") + 1] == ""


def test_the_server_is_told_what_the_connections_say_and_no_secret_on_the_command_line(
    airflow: Airflow, started: Started, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = '{"conn_type": "aimass_mlflow", "host": "mlflow", "port": 5000, "schema": "http", "password": "geheim"}'
    monkeypatch.setenv("AIRFLOW_CONN_AIMASS_MLFLOW", mlflow)
    monkeypatch.setenv("AIRFLOW__AIMASS__STORE", str(tmp_path / "store"))
    airflow("serve", "--port", "9000", "--models", "a,b")
    ((words, environment),) = started
    assert words[:4] == [sys.executable, "-m", "aimass.serving", "serve"]
    told = dict(zip(words[4::2], words[5::2], strict=True))
    assert told["--port"] == "9000"
    assert told["--models"] == "a,b"
    assert told["--store"].endswith("/store")
    assert told["--tracking-uri"] == "http://mlflow:5000"
    assert "geheim" not in " ".join(words)
    assert environment["MLFLOW_TRACKING_TOKEN"] == "geheim"


def test_the_options_of_a_remote_store_reach_the_server_by_its_environment(
    airflow: Airflow, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = {"conn_type": "aimass_store", "login": "KEY", "password": "geheim", "extra": {"root": "s3://lake/aimass"}}
    monkeypatch.setenv("AIRFLOW_CONN_AIMASS_STORE", json.dumps(store))
    airflow("serve")
    ((words, environment),) = started
    assert words[words.index("--store") + 1] == "s3://lake/aimass"
    assert "geheim" not in " ".join(words)
    monkeypatch.setenv(OPTIONS_VARIABLE, environment[OPTIONS_VARIABLE])
    deps = deps_of(ServeConfig(store="s3://lake/aimass"))
    assert deps.runtime.storage_options == {"s3://lake/aimass": {"key": "KEY", "secret": "geheim"}}


def test_a_file_of_options_stands_over_the_connections(airflow: Airflow, started: Started, tmp_path: Path) -> None:
    airflow("replay", "abc-1", "--model", "late", "--config", str(tmp_path / "serve.yaml"))
    words = started[0][0]
    assert words[3:7] == ["replay", "abc-1", "--model", "late"]
    assert words[-2:] == ["--config", str(tmp_path / "serve.yaml")]
    assert "--store" not in words
